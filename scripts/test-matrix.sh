#!/bin/sh
# Runs the tests that talk to PostgreSQL against servers and clients of versions 14 to 18.
#
#   VERSIONS="17 18" scripts/test-matrix.sh     only these
#
# Missing versions are fetched (scripts/install-postgres.sh). Every test has to pass everywhere.

set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

tests="session transparency tools cancel login faults drain metrics local_tls exec via versions"

main() {
    chosen=${VERSIONS:-14 15 16 17 18}
    # shellcheck disable=SC2086 # a list of words
    found=$(scripts/install-postgres.sh $chosen)
    options=
    for test in $tests; do options="$options --test $test"; done
    # shellcheck disable=SC2086
    cargo test --quiet --package pgferry $options --no-run
    for version in $chosen; do
        directory=$(echo "$found" | sed -n "s/^$version //p")
        printf '\n==> %s\n' "$("$directory/postgres" --version)"
        # shellcheck disable=SC2086
        PGFERRY_PG_BIN=$directory cargo test --quiet --package pgferry $options
    done
    printf '\nEvery test passed with PostgreSQL %s.\n' "$chosen"
}

main
