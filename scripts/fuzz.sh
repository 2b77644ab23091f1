#!/bin/bash
# Looks for inputs that break what crates promise: FUZZ_SECONDS (60) for each target, or for the
# targets named as arguments.
#
# It wants cargo-fuzz. A stable compiler is told to accept what libFuzzer needs of a nightly one. Without
# cargo-fuzz, or if it cannot build here, the same promises are tried by property tests, which do not see
# which code an input reaches, and so find less.

set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

seconds=${FUZZ_SECONDS:-60}
build=${CARGO_TARGET_DIR:-target}/fuzz

main() {
    # shellcheck disable=SC2046 # words without blanks
    [ $# -gt 0 ] || set -- $(targets)
    if ! cargo fuzz --version >/dev/null 2>&1; then
        properties "cargo-fuzz is not installed (cargo install --locked cargo-fuzz)"
    elif ! fuzz build; then
        properties "cargo-fuzz cannot build here"
    else
        for target; do
            coverage "$target"
        done
    fi
}

targets() {
    for file in fuzz/fuzz_targets/*.rs; do
        basename "$file" .rs
    done
}

fuzz() {
    local verb=$1
    shift
    # Where the target directory is said in the environment, cargo-fuzz looks for its results elsewhere.
    env -u CARGO_TARGET_DIR RUSTC_BOOTSTRAP=1 cargo fuzz "$verb" --target-dir "$build" "$@"
}

# What is found goes below the target directory: the committed corpus is only read.
coverage() {
    local found=$build/corpus/$1
    mkdir -p "$found" "$build/artifacts"
    printf '\n==> %s: %d s with libFuzzer\n' "$1" "$seconds"
    if ! fuzz run "$1" "$found" "fuzz/corpus/$1" -- -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=1024 -artifact_prefix="$build/artifacts/$1-" -print_final_stats=1; then
        echo "Found: see above. Once it is mended, put the input into fuzz/corpus/$1." >&2
        exit 1
    fi
}

properties() {
    printf '%s: trying property tests instead, all targets for %d s\n' "$1" "$seconds"
    FUZZ_SECONDS=$seconds cargo test -p pgferry-pg -p pgferry-sql -p pgferry-values --lib -- --nocapture fuzzing::tests
}

main "$@"
