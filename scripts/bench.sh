#!/bin/sh
# `make bench`: measures pgferry beside a direct connection, a bare relay, pgbouncer, haproxy and
# `ssh -L`. Arguments go to the harness: `scripts/bench.sh --modes simple,pipe --rounds 50`.
#
# Peers that are missing are installed where that needs no password, and left out otherwise. Nothing
# is pinned to a version: the tables name the ones that took part. Close what else is running: the
# tables say how busy it kept the machine.

set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/sbin:/usr/local/sbin

for peer in pgbouncer haproxy; do
    command -v $peer >/dev/null && continue
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        echo "Missing: $peer (a peer to measure against): installing it" >&2
        DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
            apt-get install -qq -y --no-install-recommends $peer >/dev/null || true
    else
        echo "Missing: $peer: left out (apt-get install $peer)" >&2
    fi
done

cargo build --release -p pgferry -p pgferry-bench
built=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release
out=$built/bench
mkdir -p "$out"

for regime in one-core all-cores; do
    # Memory and connections are the same either way.
    once=
    if [ $regime = one-core ]; then once="--memory --connect"; fi
    # shellcheck disable=SC2086
    "$built/pgferry-bench" run --pgferry "$built/pgferry" --regime $regime \
        --json "$out/$regime.json" $once "$@" | tee "$out/$regime.md"
done
# Session Manager is simulated: what else takes part is of no interest there.
"$built/pgferry-bench" ssm --pgferry "$built/pgferry" | tee "$out/ssm.md"
echo "Written to $out"
