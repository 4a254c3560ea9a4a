# Shared by the scripts beside it: messages, installing Debian packages, Java.
# Sourced, never run; the caller has set -euo pipefail and root_dir.

say()  { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die()  { printf 'error: %s\n' "$*" >&2; exit 1; }

# Must be seen in the middle of a long log.
loud() {
    local line
    {
        printf '\n'
        printf '!%.0s' {1..78}; printf '\n'
        for line in "$@"; do printf '!! %s\n' "$line"; done
        printf '!%.0s' {1..78}; printf '\n\n'
    } >&2
}

have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command as root, or fails where that would need a password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

can_install() {
    [ "${PLAMATIO_INSTALL:-yes}" != no ] && have apt-get && as_root true
}

# Why can_install says no, as the second half of a sentence.
why_no_install() {
    if [ "${PLAMATIO_INSTALL:-yes}" = no ]; then
        printf 'installing is switched off (PLAMATIO_INSTALL=no)'
    elif ! have apt-get; then
        printf 'this system has no apt-get'
    else
        printf 'this user may not install packages (not root, and sudo would ask for a password)'
    fi
}

# The package lists are read once per script run; an old list names files that are gone.
apt_lists_read=no

# apt_install PACKAGE...: false when it cannot or when apt-get fails.
apt_install() {
    can_install || return 1
    say "installing with apt-get: $*"
    if [ "$apt_lists_read" = no ]; then
        as_root apt-get -qq update </dev/null >/dev/null || return 1
        apt_lists_read=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y --no-install-recommends install "$@" </dev/null >/dev/null
}

# Major version of the Java on the path; 0 when there is none.
java_major() {
    local version
    have java || { printf 0; return; }
    version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
    printf '%s' "${version:-0}"
}

# Newest folder of PostgreSQL server programs; Debian keeps them off the path.
postgres_bin() {
    local found
    found=$(find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1)
    if [ -z "$found" ] && have initdb && have postgres; then
        found=$(command -v initdb)
    fi
    [ -n "$found" ] && dirname "$found"
}

need_postgres() {
    postgres_bin >/dev/null && return
    # The package's own instance on port 5432 is not wanted; ours are private.
    apt_install postgresql && postgres_bin >/dev/null
}

need_redis() {
    have redis-server && return
    apt_install redis-server && have redis-server
}

# Java 17 and Maven, for Apache Kafka.
need_java() {
    if [ "$(java_major)" -lt 17 ]; then
        apt_install openjdk-17-jre-headless || apt_install default-jre-headless || return 1
        [ "$(java_major)" -ge 17 ] || return 1
    fi
    have mvn || { apt_install maven && have mvn; }
}
