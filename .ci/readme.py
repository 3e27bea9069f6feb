"""Compiles each snippet of the README exactly as printed: its Rust, with the dependencies of its own Cargo.toml lines.

A snippet with a `main` is a program, and each of the rest a module of a library. The service lies beside a checkout
named `obs`, as the README asks. The first snippet also has to compile with the dependencies of "In a library".
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HIDDEN = re.compile(r"^# ?\S|^#$")


def fences(text):
    """Each fenced snippet: its language line, its text, and the line that it begins at."""
    for found in re.finditer(r"^```(\S*)\n(.*?)^```$", text, re.M | re.S):
        yield found[1], found[2], text[: found.start()].count("\n") + 1


def write_package(folder, name, dependencies, snippets):
    source = folder / name / "src"
    (source / "bin").mkdir(parents=True)
    manifest = f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2024"\n\n{dependencies}'
    manifest += '\n[lints.rust]\nwarnings = "deny"\n'
    (folder / name / "Cargo.toml").write_text(manifest)
    (folder / name / "Cargo.lock").write_bytes((ROOT / "Cargo.lock").read_bytes())
    modules = ["#![allow(dead_code)]"]
    for text, line in snippets:
        if "fn main()" in text:
            (source / "bin" / f"line_{line}.rs").write_text(text)
        else:
            (source / f"line_{line}.rs").write_text(text)
            modules.append(f"mod line_{line};")
    (source / "lib.rs").write_text("\n".join(modules) + "\n")


def check(folder, name):
    environment = os.environ | {"CARGO_TARGET_DIR": str(ROOT / "target")}
    return subprocess.run(["cargo", "check", "-q", "--bins", "--lib"], cwd=folder / name, env=environment).returncode


snippets, manifests = [], []
for language, text, line in fences((ROOT / "README.md").read_text()):
    if language == "toml":
        manifests.append(text)
    elif language.startswith("rust"):
        if language != "rust":
            sys.exit(f"README.md:{line}: a snippet is plain `rust`, not `{language}`")
        if any(HIDDEN.match(one) for one in text.splitlines() if not one.startswith("#[")):
            sys.exit(f"README.md:{line}: a line that rustdoc hides is printed everywhere else")
        snippets.append((text, line))
assert len(snippets) >= 7 and len(manifests) == 2, (len(snippets), len(manifests))
with tempfile.TemporaryDirectory() as scratch:
    scratch = Path(scratch)
    (scratch / "obs").symlink_to(ROOT)
    write_package(scratch, "service", manifests[0], snippets)
    write_package(scratch, "library", manifests[1], snippets[:1])
    failed = [name for name in ("service", "library") if check(scratch, name)]
print(f"{len(snippets)} snippets of README.md, {len(failed)} of 2 packages with errors")
sys.exit(bool(failed))
