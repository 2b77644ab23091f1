#!/bin/sh
# Installs what the tests and the demo run beside pgferry, on Debian and its relatives.
#
# Only what is missing is installed, nothing is upgraded, no question is asked, and no service is
# left running: tests and demo start throwaway servers of their own.

set -eu

packages=

main() {
    need "Rust" "builds pgferry" "$(cargo_found)" ""
    need "gcc" "compiles the cryptography and the example plugin in C" "$(on_path gcc)" "gcc libc6-dev"
    need "make" "builds the example plugin in C" "$(on_path make)" "make"
    need "PostgreSQL" "the database behind the proxy, with psql and pgbench" "$(postgres_found)" "postgresql"
    need "sshd" "the bastion of the ssh transport" "$(on_path sshd)" "openssh-server"
    need "ssh" "makes keys, and checks the bastion" "$(on_path ssh-keygen)" "openssh-client"
    need "promtool" "checks the metrics page" "$(on_path promtool)" "prometheus"
    need "setpriv" "runs PostgreSQL as another user than root" "$(on_path setpriv)" "util-linux"
    need "pip" "fetches botocore and pglast, which pgferry is compared with" "$(pip_found)" "python3-pip"
    if [ -n "$packages" ]; then
        command -v apt-get >/dev/null || fail "This is no Debian: install the equivalents of:$packages"
        become_root
        install_quietly
    fi
    for library in botocore pglast; do
        "$(dirname "$0")/install-python-library.sh" $library >/dev/null
    done
    echo "All tools are there."
}

# need NAME PURPOSE FOUND PACKAGES
need() {
    [ -n "$3" ] && return
    [ -n "$4" ] || fail "$1 is missing ($2). Install it from https://rustup.rs and run this again."
    echo "Missing: $1 ($2): installing $4"
    packages="$packages $4"
}

on_path() {
    # An ordinary user's PATH leaves out the directories of servers.
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$1" || true
}

pip_found() {
    if python3 -m pip --version >/dev/null 2>&1; then echo "python3 -m pip"; fi
}

cargo_found() {
    PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin command -v cargo || true
}

# Complete sets only: a bare initdb on PATH is not enough for the demo.
postgres_found() {
    for directory in ${PGFERRY_PG_BIN:-/usr/lib/postgresql/*/bin}; do
        if [ -x "$directory/initdb" ] && [ -x "$directory/psql" ] && [ -x "$directory/pgbench" ]; then
            echo "$directory"
        fi
    done
}

become_root() {
    root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "Neither root nor sudo: ask someone to run
    apt-get install --no-install-recommends$packages"
        # Without a terminal nobody can type a password.
        if [ -t 0 ]; then root=sudo; else root="sudo -n"; fi
        $root true || fail "sudo did not let you in: ask someone to run
    apt-get install --no-install-recommends$packages"
    fi
}

install_quietly() {
    trap forget_wishes EXIT
    state_wishes
    echo "Installing:$packages"
    log=$(mktemp)
    # shellcheck disable=SC2086 # lists of words
    if ! { $root apt-get -qq update &&
        $root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
            -o Dpkg::Use-Pty=0 install $packages; } </dev/null >"$log" 2>&1; then
        cat "$log" >&2
        fail "apt-get could not install:$packages"
    fi
    rm -f "$log"
    keep_services_down
    echo "Installed:$packages"
}

# Debian starts a service as soon as its package is installed, and makes a database cluster beside
# it. Both are told not to, for the length of this installation.
state_wishes() {
    wishes=
    if ! [ -e "$policy" ]; then
        wishes="$wishes $policy"
        printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
        $root chmod 755 "$policy"
    fi
    if ! [ -e "$no_cluster" ]; then
        wishes="$wishes $no_cluster"
        $root mkdir -p "${no_cluster%/*}"
        echo "create_main_cluster = off" | $root tee "$no_cluster" >/dev/null
    fi
}

forget_wishes() {
    # shellcheck disable=SC2086 # a list of paths without blanks
    [ -z "$wishes" ] || $root rm -f $wishes
}

# Installed just now, so nobody else relies on them: not at the next boot either.
keep_services_down() {
    [ -d /run/systemd/system ] || return 0
    for package in $packages; do
        case $package in
        openssh-server) units="ssh.service ssh.socket" ;;
        prometheus) units=prometheus.service ;;
        *) continue ;;
        esac
        for unit in $units; do
            $root systemctl --quiet disable --now "$unit" 2>/dev/null || true
        done
    done
}

fail() {
    echo "$*" >&2
    exit 1
}

policy=/usr/sbin/policy-rc.d
no_cluster=/etc/postgresql-common/createcluster.d/pgferry-no-main-cluster.conf
main
