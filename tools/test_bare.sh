#!/bin/bash
#
# tools/test_bare.sh [--only run|test]: README's commands on a Debian 12 on which nothing was ever
# installed (as root; ./dev test-bare asks sudo for it).
#
# The root is debootstrap's minbase, entered with mount and process namespaces of its own and the
# network of this machine. How this machine's apt reaches its packages (sources, keys, proxies,
# certificates, other configuration) is copied in at this moment, from here and nowhere else. The
# repository is a fresh clone of HEAD. Mounts and processes end with the namespaces; the root is
# removed at the end, also after Ctrl-C.
#
# debootstrap's result is kept for a day in ${XDG_CACHE_HOME:-~/.cache}/nightjar/.

set -euo pipefail
umask 022

suite=bookworm
repository=$(dirname "$(dirname "$(readlink -f "$0")")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nightjar
base=$cache/$suite-$(dpkg --print-architecture).tar.gz
clone=/home/nightjar
work=
inside=

finish() {
    local status=$? attempt
    trap - EXIT
    if [ -n "$inside" ]; then
        # The first process of the namespace dies with it, and everything inside with that one.
        kill -KILL "$inside" 2> /dev/null || true
        wait "$inside" 2> /dev/null || true
    fi
    # What is dying may still write. Never follows a mount, should one be left after all.
    for attempt in 1 2 3 4 5; do
        if [ -z "$work" ] || rm -rf --one-file-system "$work" 2> /dev/null; then
            break
        fi
        sleep "$attempt"
    done
    exit "$status"
}

# ---- the root ----

# Where this machine's apt takes the suite from, in whichever format that is written down.
mirror() {
    local uri
    # shellcheck disable=SC2016 # apt fills these in
    uri=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' \
        'Created-By: Packages' 2> /dev/null |
        awk -v suite="$suite" '$2 == suite && $3 == "main" { print $1; exit }')
    case $uri in
    '') echo "test-bare: this machine's apt has no source for Debian 12 ($suite)" >&2 && return 1 ;;
    mirror+file:*) grep -m 1 -o '^[a-z]*://[^[:space:]]*' "${uri#mirror+file:}" ;;
    *) echo "$uri" ;;
    esac
}

# debootstrap downloads with wget, which knows nothing of apt's proxies.
use_proxies_of_apt() {
    local http https
    eval "$(apt-config shell http Acquire::http::Proxy https Acquire::https::Proxy)"
    if [ -n "${http:-}" ] && [ "$http" != DIRECT ]; then
        export http_proxy=$http
    fi
    if [ -n "${https:-}" ] && [ "$https" != DIRECT ]; then
        export https_proxy=$https
    fi
}

make_base() {
    local from
    mkdir -p "$cache"
    if [ -n "$(find "$base" -mmin -1440 2> /dev/null)" ]; then
        return
    fi
    from=$(mirror)
    echo "Making a bare Debian 12 with debootstrap (kept for a day)."
    if ! (use_proxies_of_apt && debootstrap --variant=minbase "$suite" "$work/base" "$from") \
        > "$work/debootstrap.log" 2>&1; then
        tail -n 20 "$work/debootstrap.log" >&2
        return 1
    fi
    rm -rf "$work/base/var/cache/apt/archives/"*.deb
    tar -C "$work/base" --one-file-system -cf - . | gzip -1 > "$base.new.$$"
    mv "$base.new.$$" "$base"
    rm -rf "$work/base"
    if [ -n "${SUDO_UID:-}" ]; then
        chown "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$cache" "$base"
    fi
}

# copy_in PATH...: files of this machine, to the same place in the root, unless the root has them.
copy_in() {
    local path
    for path in "$@"; do
        if [ -e "$path" ] && [ ! -e "$root$path" ]; then
            mkdir -p "$root${path%/*}"
            cp -rL "$path" "$root$path"
        fi
    done
}

copy_apt() {
    local path
    rm -rf "$root/etc/apt"
    cp -r /etc/apt "$root/etc/apt"
    # Hooks call programs of this machine, which the bare one has not.
    cat > "$root/etc/apt/apt.conf.d/zzzz-no-hooks" << 'END'
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
END
    # Keys that sources name, lists of mirrors, and what the settings for fetching name.
    while read -r path; do
        copy_in "$path"
    done < <(
        grep -rhoE '/[A-Za-z0-9._/+-]+\.(gpg|asc|pgp|list)' /etc/apt/sources.list* 2> /dev/null
        apt-config dump | sed -n 's/^Acquire::.* "\(\/.*\)";$/\1/p'
    )
    copy_in /etc/ssl/certs/ca-certificates.crt "${SSL_CERT_FILE:-}" "${CURL_CA_BUNDLE:-}"
    # resolv.conf is a link on many machines: its content is what counts.
    rm -f "$root/etc/resolv.conf" "$root/etc/hosts"
    copy_in /etc/resolv.conf /etc/hosts
}

make_root() {
    root=$work/root
    mkdir "$root"
    tar -C "$root" -xzf "$base"
    copy_apt
    git clone --quiet "$repository" "$root$clone"
    git -C "$root$clone" checkout --quiet --detach "$(git -C "$repository" rev-parse HEAD)"
}

# ---- inside ----

# The command that README shows under the mark <!-- test: NAME -->.
readme_command() {
    awk -v mark="<!-- test: $1 -->" '
        $0 == mark { found = 1; next }
        found && /^```/ { if (inside) exit; inside = 1; next }
        inside
    ' "$root$clone/README.md"
}

# enter SECONDS SCRIPT ARGS...: runs one of our scripts inside. Everything that it leaves running
# ends with it, as it is the first process of its namespace.
enter() {
    local seconds=$1 script=$2 name environment=()
    shift 2
    for name in http_proxy https_proxy ftp_proxy no_proxy all_proxy \
        HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY; do
        if [ -n "${!name:-}" ]; then
            environment+=("$name=${!name}")
        fi
    done
    if [ -n "${SSL_CERT_FILE:-}" ]; then
        environment+=("SSL_CERT_FILE=$SSL_CERT_FILE")
    fi
    # In the background, so that a signal that arrives here is heard at once; but for that bash
    # ignores SIGINT in it, which nothing inside shall inherit.
    unshare --mount --propagation private --pid --fork --kill-child \
        bash tools/enter_root.sh "$root" \
        /usr/bin/env -i --default-signal=INT \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "${environment[@]}" \
        timeout --foreground --kill-after=10 "$seconds" \
        bash "$clone/tools/$script" "$clone" "$@" < /dev/null &
    inside=$!
    wait "$inside"
    inside=
}

try() {
    local name=$1 seconds=$2 command
    command=$(readme_command "$name")
    if [ -z "$command" ]; then
        echo "test-bare: README.md shows no command under <!-- test: $name -->" >&2
        return 1
    fi
    echo "On a bare Debian 12: $command"
    enter "$seconds" "bare_$name.sh" "$command"
    echo "On a bare Debian 12: $command works."
}

try_tls() {
    local setup publish
    setup=$(readme_command tls-setup)
    publish=$(readme_command tls-publish)
    echo "On a bare Debian 12: TLS through HAProxy, as README says"
    enter 1200 bare_tls.sh "$setup" "$publish"
    echo "On a bare Debian 12: TLS through HAProxy works."
}

only=
case "${1:-} ${2:-}" in
" ") ;;
"--only run" | "--only test") only=$2 ;;
*)
    echo "usage: ./dev test-bare [--only run|test]" >&2
    exit 2
    ;;
esac
[ "$(id -u)" -eq 0 ] || { echo "test-bare: needs root" >&2; exit 1; }

cd "$repository"
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
work=$(mktemp -d "${TMPDIR:-/tmp}/nightjar-bare.XXXXXX")
root=
make_base
make_root
if [ "$only" != test ]; then
    try run 1200
    try_tls
fi
if [ "$only" != run ]; then
    try test 5400
fi
