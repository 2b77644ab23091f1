#!/bin/sh
# `make demo`: builds pgferry and shows it at work. ONCE=1 ends by itself.

set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

step() {
    if [ -t 1 ]; then printf '\n\033[1;36m%s\033[0m \033[1m%s\033[0m\n' "$1" "$2"; else printf '\n%s %s\n' "$1" "$2"; fi
}

step 1/6 "Tools: what the demo runs beside pgferry"
scripts/install-tools.sh

step 2/6 "Build: pgferry, its ssh and ssm transports as shared libraries, and the throwaway servers"
echo "The first build takes some minutes."
cargo build --release -p pgferry -p pgferry-plugin-ssh -p pgferry-plugin-ssm -p pgferry-simulators

built=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release
exec "$built/pgferry-demo-world" --pgferry "$built/pgferry" \
    --ssh-plugin "$built/libpgferry_transport_ssh.so" \
    --ssm-plugin "$built/libpgferry_transport_ssm.so" ${ONCE:+--once}
