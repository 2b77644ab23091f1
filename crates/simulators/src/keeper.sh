# Runs one server for as long as its owner lives.
#
# usage: sh -c THIS keeper DIRECTORY SIGNAL COMMAND [ARGUMENT...]
#   stdin   the lifeline: a line on it, or its end, means "end the server".
#           Its end means that the owner is gone: DIRECTORY is removed too.
#   stdout  the server's process id, then the end once everything has been cleaned up.
#
# Neither a process group nor a session would do: PostgreSQL's backends and sshd's connections
# start sessions of their own, and a killed owner runs no code.

directory=$1 signal=$2
shift 2
exec 3<&0 4>&1 </dev/null >&2

"$@" 3<&- 4>&- &
server=$!
echo "$server" >&4
# The shell's own "Killed" would be written into the pipe of an owner that is gone, and end it.
exec 2>/dev/null

# A stopped parent starts no further children while they are being looked up.
end_tree() {
    kill -STOP "$1"
    for status in $(grep -l "^PPid:[[:space:]]*$1\$" /proc/[0-9]*/status); do
        status=${status#/proc/}
        end_tree "${status%/status}"
    done
    kill -KILL "$1"
    killed="$killed $1"
}

# Who is killed is gone only once the kernel has come to it. A zombie is: it waits for its parent alone.
wait_for_the_killed() {
    left=500
    for process in $killed; do
        while grep -q "^State:[[:space:]]*[DIPRSTt]" "/proc/$process/status" && [ "$left" -gt 0 ]; do
            sleep 0.01
            left=$((left - 1))
        done
    done
}

end_server() {
    kill -"$signal" "$server" || return
    left=50
    while kill -0 "$server" && [ "$left" -gt 0 ]; do
        sleep 0.1
        left=$((left - 1))
    done
    kill -0 "$server" && end_tree "$server"
}

(
    owner=here
    read -r word <&3 || owner=gone
    trap '' TERM
    killed=
    if [ "$signal" = KILL ]; then end_tree "$server"; else end_server; fi
    wait_for_the_killed
    [ "$owner" = here ]
) 4>&- &
watcher=$!

wait "$server"
status=$?
kill "$watcher"
wait "$watcher"
# 1: the watcher saw the owner go. Above 128: it was still watching a server that ended by itself.
[ $? -eq 1 ] && rm -rf -- "$directory"
exit "$status"
