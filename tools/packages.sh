# shellcheck shell=bash disable=SC2034
#
# Which Debian packages each command needs, and how they come. Sourced by ./dev.

packages_build=(gcc libargon2-dev libc6-dev libcjson-dev libssl-dev libsystemd-dev meson ninja-build pkgconf)
packages_run=(mosquitto-clients)
packages_format=(clang-format-14)
packages_clang=(clang-14 libclang-rt-14-dev llvm-14)
packages_lint=("${packages_clang[@]}" clang-tidy-19 git)
packages_test=("${packages_run[@]}" "${packages_clang[@]}" "${packages_format[@]}"
    "${packages_lint[@]}" libcmocka-dev python3 python3-pytest python3-pytest-xdist
    python3-pytest-timeout python3-paho-mqtt haproxy mosquitto iproute2 patch)
# A browser, and what fetches the library that its pages use; somebody who has another npm keeps it.
packages_test+=(chromium)
if ! command -v npm > /dev/null; then
    packages_test+=(npm)
fi
packages_bare=(debootstrap git)

missing_packages() {
    local package
    for package in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" != installed ]; then
            echo "$package"
        fi
    done | sort -u
}

# Runs a command as root, with "exec" in front of it instead of this shell. What names a proxy comes
# along, for sudo would drop it.
as_root() {
    local name proxy=() instead=
    if [ "$1" = exec ]; then
        instead='exec'
        shift
    fi
    if [ "$(id -u)" -eq 0 ]; then
        $instead "$@"
        return
    fi
    for name in http_proxy https_proxy ftp_proxy no_proxy all_proxy XDG_CACHE_HOME; do
        if [ -n "${!name:-}" ]; then
            proxy+=("$name=${!name}")
        fi
    done
    $instead sudo env "${proxy[@]}" "$@"
}

# need_packages PACKAGE...: installs those that are missing; asks for sudo once, and only then.
need_packages() {
    local missing
    if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
        echo "This is no Debian: nothing is installed here. Nightjar needs what Debian 12 calls: $*" >&2
        return
    fi
    mapfile -t missing < <(missing_packages "$@")
    if [ ${#missing[@]} -eq 0 ]; then
        return
    fi
    if [ "$(id -u)" -eq 0 ]; then
        echo "Nightjar needs these Debian packages: ${missing[*]}; installing them."
    elif command -v sudo > /dev/null; then
        echo "Nightjar needs these Debian packages: ${missing[*]}; asking sudo to install them."
    else
        echo "Nightjar needs these Debian packages: ${missing[*]}; there is no sudo here." >&2
        echo "As root: apt-get install --no-install-recommends ${missing[*]}" >&2
        return 1
    fi
    as_root bash tools/install.sh "${missing[@]}"
}
