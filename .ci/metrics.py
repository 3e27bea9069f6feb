"""Reads the running shop's metrics with the parsers of Prometheus' own Python client."""

import time
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

PORTS = [8080, 8081, 8082, 8083, 9464]
OUTCOMES = {"ok", "error", "panic", "cancelled"}


def scrape(port, accept):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read().decode()


def wait_for_load():
    """Until every outcome has been seen, or a minute has passed."""
    until = time.monotonic() + 60
    seen = set()
    while time.monotonic() < until:
        try:
            families = list(prometheus(scrape(9464, "text/plain")))
        except OSError:
            families = []
        calls = [sample for family in families for sample in family.samples if sample.name == "function_calls_total"]
        seen = {sample.labels["outcome"] for sample in calls if sample.value > 0}
        if seen == OUTCOMES:
            return
        time.sleep(0.2)
    raise SystemExit(f"only {seen} after a minute")


def check(families, where):
    samples = [sample for family in families for sample in family.samples]
    series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples]
    assert len(series) == len(set(series)), f"{where}: a series twice"
    kinds = {family.name: family.type for family in families}
    # The parser of the older format, too, names a counter without its suffix.
    assert kinds["function_calls"] == "counter", (where, kinds)
    assert kinds["function_duration_seconds"] == "histogram", (where, kinds)
    assert kinds["http_server_request_calls"] == "counter", (where, kinds)
    by_series = {series: sample.value for series, sample in zip(series, samples)}
    for (name, labels), value in by_series.items():
        if name.endswith("_duration_seconds_count"):
            infinite = (name.replace("_count", "_bucket"), tuple(sorted(labels + (("le", "+Inf"),))))
            assert by_series[infinite] == value, (where, name, labels)
    return len(series)


wait_for_load()
for port in PORTS:
    plain = check(list(prometheus(scrape(port, "text/plain"))), f"{port}: Prometheus")
    # This parser is strict: it refuses what the OpenMetrics specification does not allow.
    check(list(openmetrics(scrape(port, "application/openmetrics-text; version=1.0.0"))), f"{port}: OpenMetrics")
    print(f"port {port}: {plain} series")
