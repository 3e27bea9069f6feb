"""A shop in each of its troubles, and what Go's own tool finds in its profiles: `profiles.py SHOP [COUNT]`.

The function that is to blame leads, with a plausible amount, and samples have their labels. Then so many profiles of each
kind in a row, all kinds at once, of a shop under load whose clients hang up now and then: it serves on.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

SHOP = sys.argv[1]
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 3
SECONDS = 4
# What a panic needs to find the names in its backtrace is kept, and is more than the leak.
ENVIRONMENT = {**os.environ, "RUST_BACKTRACE": "0"}


def has_heap():
    """Whether the shop was built with the heap profile: without it, it refuses to leak."""
    run = subprocess.run(
        [SHOP, "--trouble", "leak", "--requests", "1", "--port", "0", "--admin", "0"],
        capture_output=True,
        text=True,
        timeout=60,
        env=ENVIRONMENT,
    )
    assert run.returncode == 0 or "needs the feature `heap`" in run.stderr, run.stderr
    return run.returncode == 0


class Shop:
    """A shop in trouble, with its load."""

    def __init__(self, trouble, rate):
        arguments = ["--port", "0", "--admin", "0", "--rate", str(rate)]
        arguments += ["--trouble", trouble] if trouble else []
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [SHOP, *arguments], stdout=self.output, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
        )
        for line in self.process.stderr:
            if match := re.match(r"\s+admin\s+(http://\S+)", line):
                self.admin = match.group(1)
            if line.startswith("Ctrl-C"):
                break
        # Panics are told there, and nobody is to wait for that to be read.
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        code = self.process.wait(timeout=60)
        assert code == 0, f"the shop ended with {code}"
        self.output.seek(0)
        self.lines = [json.loads(line) for line in self.output]

    def get(self, path):
        with urllib.request.urlopen(f"{self.admin}/debug/pprof/{path}", timeout=120) as answer:
            return answer.read()

    def go(self, path, *options):
        """What Go's tool says of a profile."""
        run = subprocess.run(
            ["go", "tool", "pprof", *options, f"{self.admin}/debug/pprof/{path}"],
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert run.returncode == 0, f"{path}: {run.stderr}"
        return run.stdout

    def top(self, path, *options):
        """Functions by what they and what they called have: name to share of the whole, and the text."""
        text = self.go(path, "-top", "-cum", "-nodefraction=0", *options)
        shares = {}
        for row in text.split("flat%")[1].splitlines()[1:]:
            _, _, _, _, share, name = row.split(None, 5)
            shares[name.removesuffix(" (inline)")] = float(share.rstrip("%"))
        assert shares, text
        return shares, text


def leads(profile, shares, text, function, at_least):
    found = max((share for name, share in shares.items() if name.endswith(function)), default=0)
    assert found >= at_least, f"{profile}: {function} has {found} %\n{text}"
    print(f"  {profile}: {function} has {found} %")


def cpu():
    with Shop("cpu", 20) as shop:
        path = f"profile?seconds={SECONDS}"
        shares, text = shop.top(path)
        assert "Type: cpu" in text, text
        leads("profile", shares, text, "hash_over_and_over", 60)
        tags = shop.go(path, "-tags")
        assert re.search(r"%\): payments::risk", tags), tags
        assert re.search(r"%\): [0-9a-f]{32}", tags), tags
        raw = shop.go("profile?seconds=1", "-raw")
        assert "samples/count cpu/nanoseconds" in raw and "PeriodType: cpu nanoseconds" in raw, raw[:400]
        svg = shop.get("profile.svg?seconds=1")
        assert b"hash_over_and_over" in svg and svg.strip().endswith(b"</svg>")


def leak():
    with Shop("leak", 20) as shop:
        time.sleep(SECONDS)
        shares, text = shop.top("heap")
        assert "Type: inuse_space" in text, text
        leads("heap", shares, text, "remember_for_ever", 30)
        shares, text = shop.top(f"heap?seconds={SECONDS}")
        leads("heap in a while", shares, text, "remember_for_ever", 50)
        raw = shop.go("heap", "-raw")
        columns = "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes"
        assert columns in raw, raw[:400]


def block():
    with Shop("block", 5) as shop:
        time.sleep(SECONDS)
        shares, text = shop.top(f"block?seconds={SECONDS}")
        assert "Type: delay" in text, text
        leads("block", shares, text, "payments::provider", 5)
        shares, text = shop.top("block", "-sample_index=slow_poll_time")
        leads("block, slow polls", shares, text, "payments::charge", 80)
        tasks = shop.get("tasks?debug=1").decode()
        assert re.match(r"\d+ waiting, \d+ running\n", tasks), tasks
        shop.go("goroutine", "-raw")
    told = [line for line in shop.lines if line["msg"].startswith("a poll of payments::charge kept")]
    assert told and all(line["level"] == "WARN" for line in told), told


def lock():
    with Shop("lock", 5) as shop:
        time.sleep(SECONDS)
        shares, text = shop.top(f"mutex?seconds={SECONDS}")
        assert "Type: delay" in text, text
        leads("mutex", shares, text, "database", 90)
        leads("mutex", shares, text, "database::save_order", 10)
        tags = shop.go("mutex", "-tags")
        assert re.search(r"%\): database", tags), tags


def many(count):
    paths = ["profile?seconds=1&hz=997", "tasks", "tasks?debug=1", "block", "mutex.svg"]
    if HEAP:
        paths += ["heap", "heap?seconds=1"]
    failed = []

    def ask(shop, path):
        for _ in range(count):
            try:
                assert shop.get(path), "an empty answer"
            except urllib.error.HTTPError as error:
                # A heap profile is one at a time, and says so.
                if error.code != 409:
                    failed.append(f"{path}: {error!r}")
            except Exception as error:
                failed.append(f"{path}: {error!r}")

    with Shop(None, 100) as shop:
        askers = [threading.Thread(target=ask, args=(shop, path)) for path in paths]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        shop.go("profile?seconds=1", "-top")
    assert not failed, failed
    outcomes = {line["outcome"] for line in shop.lines if "outcome" in line}
    assert {"error", "panic", "cancelled"} <= outcomes, outcomes
    print(f"  {count} of each of {len(paths)}")


HEAP = has_heap()
for trouble in (cpu, leak, block, lock):
    if trouble is leak and not HEAP:
        print("leak: skipped, this shop has no heap profile")
        continue
    print(trouble.__name__)
    trouble()
print("many")
many(COUNT)
