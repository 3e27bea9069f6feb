#!/usr/bin/env bash
# Both crates compile with the lowest version of each dependency that they ask for, so that a service which takes them in
# keeps the versions that it has.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "skipped: only a nightly Cargo resolves to the lowest versions, and there is none"
    exit 0
fi

# A workspace without the other members, whose requirements are their own.
scratch=$PWD/target/ci-minimal
trap 'rm -rf "$scratch"' EXIT
rm -rf "$scratch"
mkdir -p "$scratch"
cp -r README.md rust-toolchain.toml obs-macros obs-runtime "$scratch"
sed 's/^members = .*/members = ["obs-macros", "obs-runtime"]/; /^exclude = /d' Cargo.toml >"$scratch/Cargo.toml"
cd "$scratch"
export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=none CARGO_TARGET_DIR=$scratch/target

check() { # features
    cargo +nightly update -q -Z direct-minimal-versions
    sed -n '/^name = "tokio"$/{n;s/version = /tokio /p}' Cargo.lock
    for features; do
        cargo check -q --locked -p obs-runtime --no-default-features --features "$features"
        echo "  $features"
    done
}
# gRPC and locks take a newer tokio, as the list of features says.
cp obs-runtime/Cargo.toml full.toml
sed -i 's/^otlp-grpc = .*/otlp-grpc = []/; /^tonic = /d; s/"tonic?[^"]*", //g' obs-runtime/Cargo.toml
check default default,axum,reqwest,otlp

mv full.toml obs-runtime/Cargo.toml
sed -i 's/^tokio = { version = "[^"]*"/tokio = { version = "1.44"/' Cargo.toml
check default,layer,rayon,axum,reqwest,otlp-grpc,otlp-tls,opentelemetry,profile-cpu,profile-svg,sync
