#!/bin/sh
# Runs PostgreSQL's isolation and regression suites and libpq's pipeline tests, directly and through pgferry.
#
# Their sources come from Debian's source package of the system's PostgreSQL, the compiled test
# drivers with the server of scripts/install-postgres.sh. Nothing is installed system-wide.

set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

# Debian 12's: the suites of one major version fit all its minor ones.
version=${VERSION:-15}

main() {
    found=$(scripts/install-postgres.sh "$version")
    server=${found#* }
    server=${server%/bin}
    store=${server%/*}/source
    sources=$store/$version
    [ -d "$sources/src/test/isolation" ] || fetch
    pipeline=$store/libpq_pipeline-$version
    modules=$store/modules-$version
    build
    PGFERRY_PG_BIN=$server/bin PGFERRY_PG_SOURCE=$sources PGFERRY_LIBPQ_PIPELINE=$pipeline \
        PGFERRY_ISOLATION_BIN=$server/lib/pgxs/src/test/isolation \
        PGFERRY_REGRESS=$server/lib/pgxs/src/test/regress/pg_regress \
        PGFERRY_REGRESS_MODULES=$modules \
        cargo test --package pgferry --test conformance -- --ignored --nocapture
}

# Through apt with lists of its own, so that the machine's stay as they are.
fetch() {
    echo "Fetching the sources of PostgreSQL $version" >&2
    mkdir -p "$store"
    scratch=$(mktemp -d "$store/.new-XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    mkdir -p "$scratch/sources" "$scratch/lists/partial"
    for list in /etc/apt/sources.list.d/*.sources; do
        [ ! -e "$list" ] || sed 's/^Types: *deb$/Types: deb-src/' "$list" >"$scratch/sources/${list##*/}"
    done
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -e "$list" ] || sed 's/^deb /deb-src /' "$list" >"$scratch/sources/${list##*/}"
    done
    for file in "$scratch"/sources/*.list; do
        [ ! -e "$file" ] || mv "$file" "${file%.list}-src.list"
    done
    apt_source -qq update
    # The newest one is not always there for all mirrors: then the installed one's sources do.
    installed=$(dpkg-query -W -f '${Version}' "postgresql-$version" 2>/dev/null || true)
    (cd "$scratch" && { apt_source -qq source --download-only "postgresql-$version" ||
        apt_source -qq source --download-only "postgresql-$version=$installed"; }) >&2
    mkdir "$scratch/whole"
    tar -xf "$scratch"/postgresql-*.orig.tar.* -C "$scratch/whole" --strip-components=1
    rm -rf "${store:?}/$version"
    mv "$scratch/whole" "$store/$version"
    rm -rf "$scratch"
    trap - EXIT
}

apt_source() {
    apt-get -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$scratch/sources" \
        -o "Dir::State::lists=$scratch/lists" -o "APT::Sandbox::User=root" "$@"
}

build() {
    gcc -O1 -I"$server/include" -I"$server/include/server" -I"$server/include/internal" \
        "$sources/src/test/modules/libpq_pipeline/libpq_pipeline.c" -o "$pipeline" \
        -L"$server/lib" -lpgcommon -lpgport -lpq -Wl,-rpath,"$server/lib"
    mkdir -p "$modules"
    for module in src/test/regress/regress contrib/spi/refint contrib/spi/autoinc; do
        gcc -O1 -fPIC -shared -w -I"$server/include/server" -I"$sources/contrib/spi" \
            "$sources/$module.c" -o "$modules/${module##*/}.so"
    done
    # The server, which is another user, reads them and the suite's data.
    chmod -R go+rX "$modules" "$sources/src/test/regress"
}

main
