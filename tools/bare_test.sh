#!/bin/bash
#
# tools/bare_test.sh CLONE COMMAND: types README's second command on a bare machine, and looks
# whether it left anything running. For tools/test_bare.sh.

set -euo pipefail

cd "$1"
command=$2
log=/tmp/test.log

failed=0
complain() {
    echo "test-bare: $*" >&2
    failed=1
}

bash -c "$command" 2>&1 < /dev/null | tee "$log" || complain "\`$command\` failed"
tail -n 1 "$log" | grep -qxE '[1-9][0-9]* passed, 0 failed' || complain "not every test passed"

if [ -e /usr/sbin/policy-rc.d ]; then
    complain "/usr/sbin/policy-rc.d was left behind"
fi
for link in /etc/rc[2-5].d/S*{mosquitto,haproxy} /etc/systemd/system/*.wants/{mosquitto,haproxy}.*; do
    if [ -e "$link" ] || [ -L "$link" ]; then
        complain "$link would start a service at the next boot"
    fi
done
for process in /proc/[0-9]*; do
    case $(cat "$process/comm" 2> /dev/null) in
    mosquitto | haproxy | nightjar)
        complain "left running: $(tr '\0' ' ' < "$process/cmdline")"
        ;;
    esac
done
exit "$failed"
