#!/bin/sh
# Puts a library in Python where tests find it, and prints the directory.
#
# usage: install-python-library.sh botocore|pglast
#   botocore  the library under the AWS CLI: tests compare the tokens that pgferry signs with its own
#   pglast    the scanner and the parser of PostgreSQL 18: tests compare how pgferry reads SQL
#
# It comes from PyPI, and nothing is installed system-wide: PYTHONPATH names the directory. What is
# there already is not fetched again, whoever put it there.

set -eu
cd "$(dirname "$0")/.."

library=${1:-}
case $library in
    botocore)
        version=1.44.5
        needs="jmespath==1.1.0 python-dateutil==2.9.0.post0 six==1.17.0 urllib3==2.8.0"
        ;;
    pglast)
        version=8.8
        needs=
        ;;
    *)
        echo "usage: $0 botocore|pglast" >&2
        exit 2
        ;;
esac
shared=/var/cache/pgferry
own=${XDG_CACHE_HOME:-${HOME:-$PWD/target}/.cache}/pgferry

main() {
    for store in ${PGFERRY_MATRIX_DIR:-} "$shared" "$own"; do
        if [ -e "$store/$library/$version/$library/__init__.py" ]; then
            echo "$store/$library/$version"
            return
        fi
    done
    # Root's home is closed to others, who may want to run the tests too.
    if [ "$(id -u)" -eq 0 ]; then own=$shared; fi
    install "${PGFERRY_MATRIX_DIR:-$own}/$library"
}

# A half-made directory never takes the place of a whole one.
install() {
    python3 -m pip --version >/dev/null 2>&1 ||
        fail "python3 is missing, or its pip: apt-get install python3-pip"
    echo "Fetching $library $version" >&2
    mkdir -p "$1"
    scratch=$(mktemp -d "$1/.new-XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    # shellcheck disable=SC2086 # a list of words
    PIP_ROOT_USER_ACTION=ignore python3 -m pip --quiet --disable-pip-version-check install \
        --no-deps --only-binary=:all: --target "$scratch/whole" "$library==$version" $needs >&2 ||
        fail "PyPI gave no $library $version, or not what it needs"
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
