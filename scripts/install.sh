#!/usr/bin/env bash
# Sees to it that what a task needs is on this machine; installs with apt-get where it may.
#
#   install.sh build      a Rust compiler, C and C++ compilers, cmake, make
#   install.sh services   PostgreSQL, Redis, Java and Maven (for Apache Kafka)
#   install.sh demo       PostgreSQL and Redis if they can be had; never fails, since the demo
#                         works without them
#
# PLAMATIO_INSTALL=no installs nothing and only checks.
set -euo pipefail

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root_dir/scripts/lib.sh"

# Kept in one place: the workspace manifest.
rust_wanted=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' "$root_dir/Cargo.toml" | head -n 1)

check_rust() {
    local found
    have cargo && have rustc || die "there is no Rust compiler on the path: install Rust $rust_wanted or newer (https://rustup.rs; Debian's own package is too old), then run this again"
    found=$(rustc --version | awk '{print $2}')
    if [ "$(printf '%s\n%s\n' "$rust_wanted" "${found%%-*}" | sort -V | head -n 1)" != "$rust_wanted" ]; then
        die "rustc $found is too old, $rust_wanted or newer is needed: run \`rustup update stable\`"
    fi
}

build() {
    local missing=()
    check_rust
    have cc || missing+=(gcc libc6-dev)
    # librdkafka's build asks for a C++ compiler as well.
    have c++ || missing+=(g++)
    have cmake || missing+=(cmake)
    have make || missing+=(make)
    [ ${#missing[@]} -eq 0 ] && return
    apt_install "${missing[@]}" ||
        die "missing for the build: ${missing[*]} (Debian package names), and $(why_no_install): install them, then run this again"
}

services() {
    need_postgres || die "PostgreSQL is missing, and $(why_no_install): install the Debian package postgresql, or set DATABASE_URL"
    need_redis || die "Redis is missing, and $(why_no_install): install the Debian package redis-server, or set REDIS_URL"
    need_java || warn "Java 17 or Maven is missing, and $(why_no_install): there will be no Apache Kafka"
}

demo() {
    [ -n "${DATABASE_URL:-}" ] || need_postgres ||
        warn "no PostgreSQL: the demo runs without the storefront ($(why_no_install); the Debian package is postgresql)"
    [ -n "${REDIS_URL:-}" ] || need_redis ||
        warn "no Redis: the demo keeps its live values in memory ($(why_no_install); the Debian package is redis-server)"
    return 0
}

case "${1:-}" in
    build | services | demo) "$1" ;;
    *) die "usage: install.sh build|services|demo" ;;
esac
