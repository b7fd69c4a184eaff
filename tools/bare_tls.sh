#!/bin/bash
#
# tools/bare_tls.sh CLONE SETUP PUBLISH: types what README says about TLS through HAProxy on a bare
# machine, and looks into the log. For tools/test_bare.sh.

set -euo pipefail

cd "$1"
setup=$2
publish=$3
log=/tmp/tls.log

fail() {
    echo "test-bare: $*; its output ends:" >&2
    tail -n 25 "$log" >&2
    exit 1
}

bash -euc "$setup" > "$log" 2>&1 < /dev/null &
broker=$!
end=$((SECONDS + 900))
until bash -c "$publish" > /tmp/publish.log 2>&1; do
    kill -0 "$broker" 2> /dev/null || fail "the commands for TLS ended"
    [ "$SECONDS" -lt "$end" ] || fail "nothing could be published: $(cat /tmp/publish.log)"
    sleep 0.5
done

# What is published is logged when the log's own thread comes to it.
named='New connection from (127\.0\.0\.1|::1):[0-9]+ on port 1884 via 127\.0\.0\.1:[0-9]+ \(TLSv1\.3\)\.'
end=$((SECONDS + 20))
until grep -qE "$named" "$log"; do
    [ "$SECONDS" -lt "$end" ] || fail "the log does not name the client"
    sleep 0.2
done
