#!/bin/bash
#
# tools/bare_run.sh CLONE COMMAND: types README's first command on a bare machine, then what it
# prints next, and stops it. For tools/test_bare.sh.

set -euo pipefail

cd "$1"
command=$2
log=/tmp/run.log
received=/tmp/received

fail() {
    echo "test-bare: $*; its output ends:" >&2
    tail -n 25 "$log" >&2
    exit 1
}

# wait_for SECONDS WHAT COMMAND...
wait_for() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        kill -0 "$broker" 2> /dev/null || fail "\`$command\` ended before it had $what"
        [ "$SECONDS" -lt "$end" ] || fail "\`$command\` has not $what"
        sleep 0.2
    done
}

# The commands that it printed for the user to type.
printed() {
    sed -n "s/^    \($1 .*\)\$/\1/p" "$log"
}

said_what_next() {
    [ -n "$(printed mosquitto_sub)" ] && [ -n "$(printed mosquitto_pub)" ]
}

# A subscriber says nothing when it is subscribed, so the message is sent until it arrives.
message_arrives() {
    bash -c "$publish" >> "$log" 2>&1 || true
    [ -s "$received" ]
}

bash -c "exec $command" > "$log" 2>&1 < /dev/null &
broker=$!
wait_for 900 "said what to type next" said_what_next

subscribe=$(printed mosquitto_sub)
publish=$(printed mosquitto_pub)
bash -c "exec $subscribe" > "$received" 2>> "$log" &
wait_for 20 "passed on the message" message_arrives
grep -qx 'hello/world Good evening' "$received" || fail "another message arrived: $(cat "$received")"

kill -TERM "$broker"
status=0
wait "$broker" || status=$?
[ "$status" -eq 0 ] || fail "\`$command\` ended with $status after SIGTERM"
