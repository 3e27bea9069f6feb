"""The shop as four processes under load: every span that arrives has its parent, every line its ids, and
nothing is lost that is not counted.

    load.py SHOP SECONDS
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request

from prometheus_client.parser import text_string_to_metric_families
from shop import Sink, open_shop, serve

ORDERS = """
local orders = {}
for number = 1, 97 do
  local amount, method = 900 + number, "card"
  if number % 13 == 0 then amount = 25000 end
  if number % 29 == 0 then method, amount = "bank", 777 end
  if number % 31 == 0 then amount = 1313 end
  orders[number] = string.format('{"user": %d, "method": "%s", "amount": %d}', number % 5 + 1, method, amount)
end
local next_order = 0
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
function request()
  next_order = next_order % #orders + 1
  return wrk.format(nil, "/orders", nil, orders[next_order])
end
"""


def metrics(url):
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return [sample for family in families for sample in family.samples]


def total(samples, suffix):
    return sum(sample.value for sample in samples if sample.name.endswith(suffix))


shop, seconds = sys.argv[1:]
sink = serve(Sink)
with tempfile.TemporaryFile("w+") as output, tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
    script.write(ORDERS)
    script.flush()
    process, urls = open_shop(
        shop, "--processes", "--no-load", "--port", "0", "--otlp", sink, stdout=output
    )
    load = subprocess.run(
        ["wrk", "-t1", "-c8", f"-d{seconds}s", "--timeout", "5s", "-s", script.name, urls["gateway"]],
        check=True,
        capture_output=True,
        text=True,
    )
    print("\n".join(line for line in load.stdout.splitlines() if "requests in" in line or "/sec" in line))
    samples = {}
    # What was under way when the load ended comes to its end.
    for _ in range(200):
        samples = {name: metrics(urls[name]) for name in ("gateway", "users", "orders", "payments")}
        if sum(total(own, "_calls_in_flight") for own in samples.values()) == 0:
            break
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=60) == 0
    output.seek(0)
    lines = [json.loads(line) for line in output]

for name, own in samples.items():
    calls, dropped = total(own, "_calls_total"), total(own, "obs_spans_dropped_total")
    received = sum(1 for service, _ in Sink.spans if service == name)
    assert received + dropped == calls > 0, (name, received, dropped, calls)
    assert total(own, "obs_log_lines_dropped_total") == 0, name
    assert total(own, "_calls_in_flight") == 0, name
    assert dropped == 0, (name, dropped)
ids = {(span.trace_id, span.span_id) for _, span in Sink.spans}
assert len(ids) == len(Sink.spans), "a span twice"
for service, span in Sink.spans:
    root = not span.parent_span_id
    assert root == ((service, span.name) == ("gateway", "POST /orders")), (service, span.name)
    assert root or (span.trace_id, span.parent_span_id) in ids, (service, span.name)
own_lines = [line for line in lines if line["target"].startswith("shop")]
assert own_lines
for line in own_lines:
    assert line["request_id"] and line["trace_id"] and line["span_id"], line
series = {name: sum(1 for sample in own if sample.name.endswith("_calls_total")) for name, own in samples.items()}
print(f"{len(Sink.spans)} spans, each with its parent; {len(own_lines)} lines, each with its ids; series {series}")
