"""Coverage counts the lines of an annotated function as it counts those of the plain one: where the compiler puts its
counters in the test of shapes, with annotations and without.

    coverage.py
"""

import os
import re
import subprocess
import sys


def counted(off):
    environment = os.environ | {
        "OBS_OFF": "1" if off else "0",
        "CARGO_TARGET_DIR": "target/ci-coverage",
        # Only for the option that prints where the counters are.
        "RUSTC_BOOTSTRAP": "1",
    }
    command = ["cargo", "rustc", "-q", "-p", "obs-tests", "--test", "shapes", "--"]
    command += ["-C", "instrument-coverage", "-Z", "unpretty=mir", "--cap-lints", "warn"]
    output = subprocess.run(command, env=environment, capture_output=True, text=True)
    places = re.findall(r"coverage Code.*=> (\S+\.rs):(\d+):\d+: (\d+):\d+", output.stdout)
    if not places:
        raise SystemExit(output.stderr)
    return {(file, line) for file, first, last in places for line in range(int(first), int(last) + 1)}


plain, observed = counted(off=True), counted(off=False)
missing = sorted(plain - observed)
for file, line in missing:
    print(f"not counted any more: {file}:{line}")
print(f"{len(plain)} lines counted in plain functions, {len(missing)} of them not in annotated ones")
sys.exit(bool(missing))
