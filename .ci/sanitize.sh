#!/usr/bin/env bash
# Memory errors where threads meet: AddressSanitizer on a nightly toolchain, and valgrind, over the tests of threads,
# rings, the store and teardown. Takes less than four minutes on two cores, half of it to build everything anew.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUST_BACKTRACE=0 CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=none
target=x86_64-unknown-linux-gnu
tests=(--test calls --test processes)
# Modules of those. Not `short_threads`, which measures memory.
modules=(threads:: forged_ids:: store:: teardown:: --skip short_threads::)

if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "skipped: set up for Linux on x86-64 alone"
    exit
fi

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "skipped AddressSanitizer: no nightly toolchain (rustup toolchain install nightly --profile minimal)"
else
    # Of its own, so that the plain build is not thrown away. What statics keep is no leak worth a report.
    export ASAN_OPTIONS=detect_leaks=0
    sanitized() { RUSTFLAGS=-Zsanitizer=address cargo +nightly test --target "$target" --target-dir target/ci-asan "$@"; }
    sanitized -p obs-tests "${tests[@]}" -- "${modules[@]}"
    sanitized -p obs-tests --test processes -- many_threads:: --ignored
    sanitized -p obs-runtime --all-features --lib -- rings:: store:: clock:: profile::
    rm -rf target/ci-asan
fi

if ! command -v valgrind >/dev/null; then
    echo "skipped memcheck: no valgrind (apt-get install valgrind)"
else
    # It runs one thread at a time; taking turns, none waits long for another. So it does in the processes that tests
    # start for themselves.
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind -q --error-exitcode=9 --fair-sched=yes --trace-children=yes"
    export RUST_TEST_THREADS=1
    cargo test -p obs-tests "${tests[@]}" -- "${modules[@]}"
fi
