"""The oldest Rust that the crates name compiles them: what they depend on names no newer one, and that Rust itself
compiles them and the code that the macros write, where Debian has it.

    rust_version.py

Cargo resolves to versions for that Rust, as it does for a team which has it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# Features whose dependencies take a newer Rust, and which; the list of features in the documentation says so too.
NEWER = {"profile-cpu": "1.88", "profile-heap": "1.88"}

# Debian's packages of an old Rust, and the library that it needs.
PACKAGES = ["rustc-web={}.*", "libstd-rust-web-dev={}.*", "libstd-rust-web-{}={}.*", "libllvm19"]

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = ROOT / "target/ci-rust-version"
TARGET = "x86_64-unknown-linux-gnu"


def run(*arguments, **options):
    return subprocess.run(arguments, check=True, text=True, stdout=subprocess.PIPE, cwd=SCRATCH, **options).stdout


def number(version):
    return tuple(int(part) for part in version.split(".")[:2])


def lay_out():
    """A workspace of the two crates: the other members may take a newer Rust."""
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    for name in ["obs-macros", "obs-runtime"]:
        shutil.copytree(ROOT / name, SCRATCH / name)
    for name in ["README.md", "rust-toolchain.toml"]:
        shutil.copy(ROOT / name, SCRATCH)
    manifest = (ROOT / "Cargo.toml").read_text()
    manifest = re.sub(r"(?m)^members = .*", 'members = ["obs-macros", "obs-runtime"]', manifest)
    (SCRATCH / "Cargo.toml").write_text(re.sub(r"(?m)^exclude = .*", "", manifest))
    run("cargo", "update", "--quiet")


def lay_out_user(features):
    """A crate that has all examples of annotations in it."""
    sources = [path for path in sorted((ROOT / "examples/expanded").glob("[0-9]*.rs")) if ".expanded" not in path.name]
    # Not those that use the crate around them.
    sources = [path for path in sources if "crate::" not in path.read_text()]
    user = SCRATCH / "user"
    (user / "src").mkdir(parents=True)
    modules = [f"#[path = {json.dumps(str(path))}]\npub mod example_{path.stem};\n" for path in sources]
    (user / "src/lib.rs").write_text("".join(modules))
    (user / "Cargo.toml").write_text(f"""
        [package]
        name = "user"
        edition = "2024"
        [dependencies]
        futures-core = "0.3"
        obs-runtime = {{ path = "../obs-runtime", features = {json.dumps(features)} }}
        tracing = "0.1"
    """)
    manifest = SCRATCH / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace('members = [', 'members = ["user", '))


def packages(feature):
    """What is compiled for a feature."""
    tree = run("cargo", "tree", "--locked", "-p", "obs-runtime", "--no-default-features", "--features", feature,
               "-e", "normal,build", "--target", TARGET, "--prefix", "none", "--format", "{p}")
    return {tuple(line.split()[:2]) for line in tree.splitlines()}


def compiler(oldest):
    """That Rust, or nothing. Its packages are unpacked here, and none is installed."""
    downloads = SCRATCH / "debian"
    downloads.mkdir()
    wanted = [package.format(oldest, oldest) for package in PACKAGES]
    try:
        subprocess.run(["apt-get", "update", "-q"], check=True, capture_output=True)
        subprocess.run(["apt-get", "download", "-q", *wanted], check=True, capture_output=True, cwd=downloads)
        for package in downloads.glob("*.deb"):
            run("dpkg", "-x", str(package), "rust")
    except (OSError, subprocess.CalledProcessError):
        return None
    root = SCRATCH / "rust/usr"
    rustc = SCRATCH / "rustc"
    libraries = f"{root}/lib/x86_64-linux-gnu:{root}/lib/llvm-19/lib"
    rustc.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {root}/bin/rustc "$@"\n')
    rustc.chmod(0o755)
    return str(rustc)


def main():
    lay_out()
    metadata = json.loads(run("cargo", "metadata", "--locked", "--all-features", "--format-version", "1"))
    known = {(package["name"], f"v{package['version']}"): package for package in metadata["packages"]}
    [runtime] = [package for name, package in known.items() if name[0] == "obs-runtime"]
    oldest = runtime["rust_version"]
    wrong = 0
    for feature in sorted(runtime["features"]):
        allowed = NEWER.get(feature, oldest)
        needed = {name: known[name]["rust_version"] for name in packages(feature) if known[name]["rust_version"]}
        newest = max(needed.values(), key=number)
        if number(newest) > number(allowed) or (feature in NEWER and number(newest) < number(allowed)):
            wrong += 1
            by = ", ".join(sorted(" ".join(name) for name, version in needed.items() if version == newest))
            print(f"{feature} takes Rust {newest}, and is to take {allowed}: by {by}")
    print(f"{len(runtime['features'])} features, {wrong} of them wrong; Rust {oldest}, {NEWER}")

    rustc = compiler(oldest)
    if rustc is None:
        print(f"skipped: compiling by Rust {oldest}, which Debian does not have here")
    else:
        lay_out_user([feature for feature in runtime["features"] if feature not in NEWER])
        environment = os.environ | {
            "RUSTC": rustc,
            "CARGO_TARGET_DIR": str(SCRATCH / "target"),
            "CARGO_INCREMENTAL": "0",
            "CARGO_PROFILE_DEV_DEBUG": "none",
        }
        run("cargo", "check", "--quiet", "-p", "user", env=environment)
        print("compiled by", run(rustc, "--version").strip())
    sys.exit(bool(wrong))


try:
    main()
finally:
    shutil.rmtree(SCRATCH, ignore_errors=True)
