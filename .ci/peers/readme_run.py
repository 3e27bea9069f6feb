"""Runs each shell command of the README as printed, and reads the shop's metrics with Prometheus' own Python parsers.

The first command starts the shop, `curl` asks it, and a later `cargo run` starts it again in a trouble. The README's
test command is a step of `.ci/run`.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

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


def check_metrics():
    wait_for_load()
    for port in PORTS:
        plain = check(list(prometheus(scrape(port, "text/plain"))), f"{port}: Prometheus")
        # This parser is strict: it refuses what the OpenMetrics specification does not allow.
        check(list(openmetrics(scrape(port, "application/openmetrics-text; version=1.0.0"))), f"{port}: OpenMetrics")
        print(f"port {port}: {plain} series")


def start(command):
    """Starts the shop in a process group of its own, and waits until it is open."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    lines = []
    threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True).start()
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("Ctrl-C"):
            break
    else:
        raise SystemExit(f"{shlex.join(command)} does not start: {said}")
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return process, lines


def close(process, lines):
    """Presses Ctrl-C, which reaches `cargo run` and the shop alike."""
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) in (0, -signal.SIGINT, 130), process.returncode
    parsed = [json.loads(line) for line in lines]
    assert len(parsed) > 20, parsed


readme = Path("README.md").read_text()
fences = re.findall(r"^```sh\n(.*?)^```$", readme, re.M | re.S)
commands = [line for fence in fences for line in fence.splitlines()]
assert "cargo test --workspace\n" in Path(".ci/run").read_text()
shop = None
for command in commands:
    print(f"$ {command}", flush=True)
    words = shlex.split(command)
    if command == "cargo test --workspace":
        continue
    if words[:2] == ["cargo", "run"]:
        if shop:
            close(*shop)
        shop = start(words)
        check_metrics()
    elif words[0] == "curl":
        run = subprocess.run([*words, "-sSf"], capture_output=True, text=True)
        assert run.returncode == 0 and '"reverts_in_seconds":600' in run.stdout, run
    else:
        raise SystemExit(f"the README's command {command!r} is not run by anything")
close(*shop)
print(f"{len(commands)} commands of README.md")
