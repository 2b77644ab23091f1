#!/bin/sh
# Puts pglast, which has the scanner and the parser of PostgreSQL 18, where tests find it, and prints
# the directory.
#
# Tests compare how pgferry reads SQL with how PostgreSQL does. It comes from PyPI, and nothing is
# installed system-wide: PYTHONPATH names the directory. What is there already is not fetched again,
# whoever put it there.

set -eu
cd "$(dirname "$0")/.."

version=8.8
shared=/var/cache/pgferry
own=${XDG_CACHE_HOME:-${HOME:-$PWD/target}/.cache}/pgferry

main() {
    for store in ${PGFERRY_MATRIX_DIR:-} "$shared" "$own"; do
        if [ -e "$store/pglast/$version/pglast/__init__.py" ]; then
            echo "$store/pglast/$version"
            return
        fi
    done
    # Root's home is closed to others, who may want to run the tests too.
    if [ "$(id -u)" -eq 0 ]; then own=$shared; fi
    install "${PGFERRY_MATRIX_DIR:-$own}/pglast"
}

# A half-made directory never takes the place of a whole one.
install() {
    python3 -m pip --version >/dev/null 2>&1 ||
        fail "python3 is missing, or its pip: apt-get install python3-pip"
    echo "Fetching pglast $version" >&2
    mkdir -p "$1"
    scratch=$(mktemp -d "$1/.new-XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    PIP_ROOT_USER_ACTION=ignore python3 -m pip --quiet --disable-pip-version-check install \
        --no-deps --only-binary=:all: --target "$scratch/whole" "pglast==$version" >&2 ||
        fail "PyPI gave no pglast $version"
    chmod -R go+rX "$scratch/whole" "$1"
    # Whoever was faster has made the same.
    [ -e "$1/$version" ] || mv "$scratch/whole" "$1/$version"
    rm -rf "$scratch"
    trap - EXIT
    echo "$1/$version"
}

fail() {
    echo "$*" >&2
    exit 1
}

main
