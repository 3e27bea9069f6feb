"""The shop under load, three ways: observed in full, with metrics alone, and not at all.

    shop_load.py SINK_PROGRAM [--rounds N] [--seconds N]

`SINK_PROGRAM sink` is a collector that keeps nothing. Prints the requests a second and the latencies that `wrk`
sees at the gateway, in medians over rounds that alternate.
"""

import argparse
import os
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "benches/target"))
# So many that the processor is what is short: the shop's payment provider takes some milliseconds over each order.
CONNECTIONS = 64
ORDERS = """
wrk.method = "POST"
wrk.path = "/orders"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"user": 1, "method": "card", "amount": 4200}'
"""
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def build(off):
    """Builds the shop, with annotations that are nothing if `off`."""
    target = TARGET / ("shop-off" if off else "shop")
    command = ["cargo", "build", "-q", "--release", "--locked", "-p", "obs-examples", "--bin", "shop"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "OBS_OFF": "1" if off else "0"}
    # Without annotations, parameters that only they name are unused, which is a warning each.
    subprocess.run(command, check=True, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL if off else None)
    return target / "release/shop"


def load(shop, arguments, environment, seconds, script):
    """Opens the shop and puts it under load; gives requests a second, and the median and 99th percentile in ms."""
    process = subprocess.Popen(
        [shop, "--no-load", "--port", "0", "--admin", "0", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        gateway = None
        for line in process.stderr:
            words = line.split()
            if words[:1] == ["gateway"]:
                gateway = words[1]
            if line.startswith("Ctrl-C"):
                break
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", script, gateway]
        subprocess.run([*command[:3], "-d1s", *command[4:]], check=True, capture_output=True)
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    finally:
        process.terminate()
        process.stderr.read()
        process.wait(timeout=30)
    assert "Non-2xx" not in output and "Socket errors" not in output, output
    latency = dict(re.findall(r"(50|99)%\s+(\S+)", output))
    millis = [float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)(\w+)", " ".join(latency.values()))]
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]), *millis


arguments = argparse.ArgumentParser()
arguments.add_argument("sink")
arguments.add_argument("--rounds", type=int, default=7)
arguments.add_argument("--seconds", type=int, default=8)
arguments = arguments.parse_args()

observed, off = build(False), build(True)
sink = subprocess.Popen([arguments.sink, "sink"], stdout=subprocess.PIPE, text=True)
collector = sink.stdout.readline().strip()
WAYS = {
    "observed: metrics, spans and log lines, both sent to a collector": (observed, ["--otlp", collector], {}),
    "metrics alone": (observed, [], {"RUST_LOG": "off", "OTEL_TRACES_SAMPLER": "always_off"}),
    "off": (off, [], {"RUST_LOG": "off", "OTEL_SDK_DISABLED": "true"}),
}
results = {name: [] for name in WAYS}
with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
    script.write(ORDERS)
    script.flush()
    try:
        for _ in range(arguments.rounds):
            for name, (shop, options, environment) in WAYS.items():
                results[name].append(load(shop, options, environment, arguments.seconds, script.name))
    finally:
        sink.terminate()
        sink.wait()

without = statistics.median(requests for requests, *_ in results["off"])
print("| shop | requests/s | from .. to | of those without | median ms | p99 ms | p99 from .. to |")
print("| --- | --- | --- | --- | --- | --- | --- |")
for name, rounds in results.items():
    requests, medians, slowest = ([one[i] for one in rounds] for i in range(3))
    print(
        f"| {name} | {statistics.median(requests):.0f} | {min(requests):.0f} .. {max(requests):.0f} "
        f"| {statistics.median(requests) / without:.1%} | {statistics.median(medians):.2f} "
        f"| {statistics.median(slowest):.2f} | {min(slowest):.2f} .. {max(slowest):.2f} |"
    )
