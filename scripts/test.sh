#!/usr/bin/env bash
# Runs `cargo test` for the workspace (or for what the arguments name) with the services it needs.
#
# A service whose URL is in the environment (DATABASE_URL, REDIS_URL, KAFKA_BROKERS) is taken from
# there. The others are started by services.sh, and those that this run started are stopped at its
# end, whatever the end. The exit status is that of the tests.
set -euo pipefail

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root_dir/scripts/lib.sh"
services=$root_dir/scripts/services.sh
cd "$root_dir"

wanted=()
started=()
for pair in postgres:DATABASE_URL redis:REDIS_URL kafka:KAFKA_BROKERS; do
    name=${pair%%:*}
    variable=${pair##*:}
    if [ -n "${!variable:-}" ]; then
        say "$name: from the environment ($variable)"
        continue
    fi
    wanted+=("$name")
    "$services" running "$name" || started+=("$name")
done

# Does not change the exit status: in an EXIT trap the status from before it counts.
finish() {
    if [ ${#started[@]} -gt 0 ]; then
        "$services" stop "${started[@]}" || true
    fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ ${#wanted[@]} -gt 0 ]; then
    "$services" start "${wanted[@]}"
    # only what was asked for: an address in the environment goes before a private instance
    while IFS='=' read -r variable value; do
        [ -n "${!variable:-}" ] || export "$variable=$value"
    done <.services/env
fi
if [ -z "${KAFKA_BROKERS:-}" ]; then
    loud "THESE TESTS RUN WITHOUT APACHE KAFKA: the in-process broker takes its place"
fi

# a named package takes the place of the whole workspace
scope=(--workspace)
for argument in "$@"; do
    case $argument in
        -p | -p?* | --package | --package=*) scope=() ;;
        --) break ;;
    esac
done
cargo test --locked ${scope[@]+"${scope[@]}"} "$@"
