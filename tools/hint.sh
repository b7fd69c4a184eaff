#!/bin/bash
#
# tools/hint.sh PID ARGS...: waits until process PID listens and tells what to type next; says
# nothing when the process ends before. ARGS are the broker's own.
#
# Asking the port itself would not do: another server may answer there. So the sockets of this very
# process are looked up among those that listen.

set -euo pipefail

pid=$1
shift

# The lowest TCP port on which the process listens.
listening_port() {
    local inodes
    inodes=$(readlink "/proc/$pid/fd/"* 2> /dev/null | sed -n 's/^socket:\[\(.*\)\]$/\1/p' | tr '\n' ' ')
    [ -n "$inodes" ] || return 0
    awk -v inodes="$inodes" '
        BEGIN { split(inodes, list, " "); for (i in list) mine[list[i]] }
        $4 == "0A" && $10 in mine { split($2, address, ":"); print address[length(address)] }
    ' /proc/net/tcp /proc/net/tcp6 2> /dev/null |
        while read -r hex; do echo $((16#$hex)); done | sort -n | head -n 1
}

port=
while [ -z "$port" ]; do
    sleep 0.1
    kill -0 "$pid" 2> /dev/null || exit 0
    port=$(listening_port) || true
done

option=
if [ "$port" -ne 1883 ]; then
    option=" -p $port"
fi
if [[ " $* " == *" -c "* ]]; then
    echo "Nightjar listens on port $port; Ctrl-C stops it."
    exit 0
fi
cat << END

Nightjar listens on port $port of this machine. Now type, in a second terminal:

    mosquitto_sub$option -v -t 'hello/#'

and in a third:

    mosquitto_pub$option -t hello/world -m 'Good evening'

Ctrl-C stops the broker.

END
