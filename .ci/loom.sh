#!/usr/bin/env bash
# Models of the store and the rings, by loom: what threads share, in every order in which they can take their turns.
# Takes a minute on two cores, most of it to build.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUST_BACKTRACE=0 CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_DEBUG=none
# Of its own, so that the plain build is not thrown away.
export CARGO_TARGET_DIR=target/ci-loom RUSTFLAGS="--cfg obs_loom -D warnings"
cargo test -q --release -p obs-runtime --no-default-features --features log,prometheus,otlp --lib models::
rm -rf target/ci-loom
