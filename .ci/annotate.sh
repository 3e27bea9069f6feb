#!/usr/bin/env bash
# Every function of other people's crates, annotated: it compiles, without a warning that it did not have.
#
#   annotate.sh [NAME-VERSION ...]      crates as cargo has them in its registry
set -euo pipefail
cd "$(dirname "$0")/.."
registry=$(ls -d "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/ | head -n 1)
scratch=target/ci-annotated
crates=("$@")
if [ ${#crates[@]} -eq 0 ]; then
    for name in bytes either futures-channel futures-util hashbrown http indexmap itertools tokio-util tower-http; do
        crates+=("$(basename "$(ls -d "$registry$name"-[0-9]* | sort -V | tail -n 1)")")
    done
fi
cargo build -q -p obs-tests --bin annotate
functions=0
for crate in "${crates[@]}"; do
    rm -rf "$scratch/src"
    count=$(target/debug/annotate "$registry$crate" "$scratch/src" obs-runtime)
    output=$(cd "$scratch/src" && RUSTFLAGS="-D warnings" CARGO_TARGET_DIR=../target cargo check -q --lib 2>&1) || {
        printf '%s\n%s\n' "$crate" "$output"
        exit 1
    }
    functions=$((functions + count))
done
echo "${#crates[@]} crates, $functions functions annotated"
