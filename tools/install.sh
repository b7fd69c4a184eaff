#!/bin/bash
#
# Installs Debian packages: tools/install.sh PACKAGE... (as root)
#
# None of them may start a service on the machine, neither now nor at the next boot.
#
# Now: packages start their services through invoke-rc.d and deb-systemd-invoke, and both ask
# /usr/sbin/policy-rc.d first. While apt runs there is one that answers 101, "not allowed". One that
# is already there belongs to the administrator: it stays as it is, and if it would let the services
# start that we may install, nothing is installed.
#
# At boot: packages also enable their units when they are installed, which no policy prevents.
# Units and init scripts that came with the packages that are new are disabled right afterwards.
# (Masking them before would do as well, but leaves a mask behind that somebody must know of.)

set -euo pipefail

policy=/usr/sbin/policy-rc.d
state=$(mktemp -d)
own_policy=no

installed() {
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u
}

disable_new_services() {
    local package path name
    installed > "$state/after"
    for package in $(comm -13 "$state/before" "$state/after"); do
        for path in $(dpkg-query -L "$package" |
            grep -E '^/etc/init\.d/[^/]+$|^(/usr)?/lib/systemd/system/[^/@]+\.(service|socket|timer|path)$'); do
            name=${path##*/}
            if [[ $path == /etc/init.d/* ]]; then
                update-rc.d "$name" disable > /dev/null 2>&1 || true
            elif [ -x "$(command -v systemctl)" ]; then
                systemctl --quiet disable "$name" > /dev/null 2>&1 || true
            else
                # Meant for the scripts of packages, which is how the unit was enabled a moment ago.
                DPKG_MAINTSCRIPT_PACKAGE=$package deb-systemd-helper disable "$name" \
                    > /dev/null 2>&1 || true
            fi
        done
    done
}

restore() {
    disable_new_services
    if [ "$own_policy" = yes ]; then
        rm -f "$policy"
    fi
    rm -rf "$state"
}

forbid_services() {
    local answer name
    if (set -o noclobber && printf '#!/bin/sh\nexit 101\n' > "$policy") 2> /dev/null; then
        own_policy=yes
        chmod 755 "$policy"
        return
    fi
    for name in mosquitto haproxy; do
        [[ " $* " == *" $name "* ]] || continue
        answer=0
        "$policy" "$name" start > /dev/null 2>&1 || answer=$?
        if [ "$answer" -ne 101 ]; then
            echo "$policy lets services start on this machine, so nothing was installed." >&2
            echo "Install by hand what is missing: apt-get install $*" >&2
            exit 1
        fi
    done
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" < /dev/null
}

apt_update() {
    apt-get update --quiet -o DPkg::Lock::Timeout=300 < /dev/null
}

[ "$(id -u)" -eq 0 ] || { echo "$0: only root can install packages" >&2; exit 1; }
umask 022

# One at a time: the first to finish removes the policy that the second relies on.
exec 9> /run/lock/nightjar-install
flock 9

installed > "$state/before"
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
forbid_services "$@"

# Package lists that are missing or too old show only when apt looks a package up or fetches it.
if ! apt_install --simulate "$@" > /dev/null 2>&1; then
    apt_update
fi
if ! apt_install "$@"; then
    echo "apt failed; once more with fresh lists of packages." >&2
    sleep 3
    apt_update
    apt_install "$@"
fi
