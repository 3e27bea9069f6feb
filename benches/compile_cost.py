"""What 1,000 annotated functions cost to compile, beside the same annotated by others: CPU seconds of the build of
that crate alone, and for each function over the plain ones, bytes of code (the section `.text`) and of all that is
loaded to be read, code included: constants, relocations, tables for unwinding.

    compile_cost.py [--functions N] [--profile debug|release ...]
"""

import argparse
import os
import resource
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRACING, AUTOMETRICS = 'tracing = "0.1.44"', 'autometrics = { version = "3.0.0", features = ["prometheus-client-0_22"] }'
KINDS = {
    "plain": ("", ""),
    "obs": ("#[obs_runtime::observe]", f'obs-runtime = {{ path = "{ROOT}/obs-runtime", default-features = false }}'),
    "fastrace (no metrics)": ("#[fastrace::trace]", 'fastrace = { version = "0.7.19", features = ["enable"] }'),
    "tracing (no metrics)": ("#[tracing::instrument(skip_all, err)]", TRACING),
    "tracing, autometrics": (
        "#[tracing::instrument(skip_all, err)]\n#[autometrics::autometrics]",
        f"{TRACING}\n{AUTOMETRICS}",
    ),
}
FUNCTION = """
{attribute}
#[inline(never)]
pub {asyncness} fn function_{n}(a: u64, text: &str) -> Result<u64, std::num::ParseIntError> {{
    let parsed: u64 = text.parse()?;
    {wait}
    Ok(parsed.wrapping_mul(a).wrapping_add({n}))
}}
"""


def source(attribute, count, asyncness):
    wait = "std::future::ready(()).await;" if asyncness else ""
    functions = [FUNCTION.format(attribute=attribute, asyncness=asyncness, n=n, wait=wait) for n in range(count)]
    call = "run(function_{n}(a, &text))" if asyncness else "function_{n}(a, &text)"
    calls = "\n".join(f"    sum += {call.format(n=n)}.unwrap_or(1);" for n in range(count))
    return "".join(functions) + f"""
#[allow(dead_code)]
#[inline(never)]
fn run<T>(future: impl std::future::Future<Output = T>) -> T {{
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {{
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {{
            return value;
        }}
    }}
}}

fn main() {{
    let (a, text) = (std::env::args().count() as u64, std::env::args().next().unwrap_or_default());
    let mut sum = 0;
{calls}
    println!("{{sum}}");
}}
"""


def measured(command, **more):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, **more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def sizes(binary):
    def words(*command):
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return [line.split() for line in output.splitlines()]

    code = next(int(line[1]) for line in words("size", "-A", binary) if line[:1] == [".text"])
    return code, int(words("size", binary)[1][0])


def build(directory, kind, count, asyncness, profile):
    attribute, dependency = KINDS[kind]
    (directory / "src").mkdir(parents=True, exist_ok=True)
    (directory / "Cargo.toml").write_text(
        f'[package]\nname = "cost"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n{dependency}\n[workspace]\n'
        "[profile.dev]\nincremental = false\n"
    )
    command = ["cargo", "build", "-q"] + (["--release"] if profile == "release" else [])
    main = directory / "src/main.rs"
    # What it depends on is built first, so that it does not count.
    main.write_text(source(attribute, 1, asyncness))
    measured(command, cwd=directory)
    base = sizes(directory / "target" / profile / "cost")
    main.write_text(source(attribute, count, asyncness))
    seconds = measured(command, cwd=directory)
    code, read = (all - one for all, one in zip(sizes(directory / "target" / profile / "cost"), base))
    return seconds, code, read


arguments = argparse.ArgumentParser()
arguments.add_argument("--functions", type=int, default=1000)
arguments.add_argument("--profile", nargs="+", default=["debug", "release"])
arguments = arguments.parse_args()
os.environ.pop("CARGO_TARGET_DIR", None)
print(
    f"| {arguments.functions} functions | profile | CPU s | over plain | code, bytes each over plain "
    "| read-only, bytes each over plain |\n| --- | --- | --- | --- | --- | --- |"
)
with tempfile.TemporaryDirectory() as scratch:
    for asyncness in ["", "async"]:
        for profile in arguments.profile:
            plain = None
            for kind in KINDS:
                built = build(Path(scratch) / kind, kind, arguments.functions, asyncness, profile)
                plain = plain or built
                seconds, code, read = (mine - of_plain for mine, of_plain in zip(built, plain))
                print(
                    f"| {asyncness or 'sync'} {kind} | {profile} | {built[0]:.1f} | {seconds:.1f} "
                    f"| {code / arguments.functions:.0f} | {read / arguments.functions:.0f} |",
                    flush=True,
                )
