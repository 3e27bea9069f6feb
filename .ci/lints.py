"""No annotation brings a lint that the plain function does not have, or hides one: the test of shapes is linted by
everything there is, with annotations and without, and the messages compared.

    lints.py
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

def lint(off):
    environment = os.environ | {"OBS_OFF": "1" if off else "0"}
    environment["CARGO_TARGET_DIR"] = "target/ci-lints"
    arguments = ["cargo", "clippy", "-q", "-p", "obs-tests", "--test", "shapes", "--message-format", "json", "--"]
    # What the crate allows, it allows no more.
    for group in ["all", "pedantic", "nursery", "restriction", "cargo"]:
        arguments += ["--force-warn", f"clippy::{group}"]
    for group in ["unused", "nonstandard_style", "future_incompatible", "rust_2018_idioms", "let_underscore"]:
        arguments += ["--force-warn", group]
    for name in ["single_use_lifetimes", "unused_qualifications", "elided_lifetimes_in_paths", "unsafe_op_in_unsafe_fn"]:
        arguments += ["--force-warn", name]
    arguments += ["--cap-lints", "warn"]
    output = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    found = Counter()
    for line in output.stdout.splitlines():
        message = json.loads(line).get("message")
        if not isinstance(message, dict) or not message.get("code"):
            continue
        name = message["code"]["code"]
        spans = [span for span in message["spans"] if span["is_primary"]]
        if name.startswith("E"):
            raise SystemExit(message["rendered"])
        place = spans[0] if spans else {"file_name": "", "line_start": 0}
        # Said of a function's last expression, or of the block around that: it is as many that count.
        line = 0 if name == "clippy::implicit_return" else place["line_start"]
        found[(name, place["file_name"], line)] += 1
    if not found:
        raise SystemExit(output.stderr)
    return found


# A literal in a closure may be any number.
KNOWN = {
    ("clippy::default_numeric_fallback", "tests/tests/shapes/coercions.rs"),
    # A parameter that is changed is bound anew in the body.
    ("clippy::shadow_same", "tests/tests/shapes/coercions.rs"),
    ("clippy::shadow_same", "tests/tests/shapes/drops.rs"),
    ("clippy::shadow_same", "tests/tests/shapes/parameters.rs"),
}


def in_an_attribute(key):
    """What the user wrote in the attribute is linted there, as it should be."""
    _, file, line = key
    text = Path(file).read_text().splitlines()[line - 1] if Path(file).is_file() else ""
    return "observe(" in text or not file.startswith("tests/")


def moved(key):
    """A body that has moved is not judged as its function: Clippy says less of it, the compiler no less. What
    `macro_rules` and other attributes wrote is said to be elsewhere."""
    name, file, _ = key
    return name.startswith("clippy::") or file.endswith("/macros.rs")


plain, observed = lint(off=True), lint(off=False)
brought = [key for key in observed - plain if not in_an_attribute(key) and not key[1].endswith("/macros.rs") and key[:2] not in KNOWN]
hidden = [key for key in plain - observed if not moved(key)]
for title, lints in [("brought", brought), ("hidden", hidden)]:
    for name, file, line in sorted(lints):
        print(f"{title}: {name} at {file}:{line}")
print(f"{sum(plain.values())} lints of the plain functions; {len(brought)} brought, {len(hidden)} hidden")
sys.exit(bool(brought or hidden))
