#!/usr/bin/env bash
# Runs the end-to-end benchmarks, optimised.
#
#   bench.sh [ARGUMENTS]            throughput from a file and from Apache Kafka; without arguments latency and the
#                                   cost of provisional rows too
#   bench.sh emission [ARGUMENTS]   the cost of provisional rows by open sessions, only
#   bench.sh latency [ARGUMENTS]    from an event to Redis, only
#
# Arguments go to the program (--help). KAFKA_BROKERS and REDIS_URL from the environment are used where they are
# set. Otherwise services.sh starts private ones, and stops at the end those that this run started.
# KAFKA_BROKERS=none measures throughput from the file only.
set -euo pipefail

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root_dir/scripts/lib.sh"
services=$root_dir/scripts/services.sh
cd "$root_dir"

program=throughput
case "${1:-}" in
    latency | emission)
        program=$1
        shift
        ;;
esac

# Built first: a build beside the broker would be in nobody's interest.
cargo build --locked --release -p plamatio-benches --bins
programs=$(scripts/target-dir.sh)/release

# Where no service is needed.
[ "$program" != emission ] || exec "$programs/emission" "$@"
case " $* " in
    *" --help "* | *" -h "* | *" --generate "* | *" --open-sessions"* | *" --scale"*) exec "$programs/$program" "$@" ;;
esac

wanted=()
started=()
# want NAME VARIABLE: a private service, unless the environment names one.
want() {
    if [ -z "${!2:-}" ]; then
        wanted+=("$1")
        "$services" running "$1" || started+=("$1")
    fi
}

# Does not change the exit status: in an EXIT trap the status from before it counts.
finish() {
    if [ ${#started[@]} -gt 0 ]; then
        "$services" stop "${started[@]}" || true
    fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

latency=no
if [ "$program" = latency ] || { [ $# -eq 0 ] && [ "${KAFKA_BROKERS:-}" != none ]; }; then
    latency=yes
fi
if [ "${KAFKA_BROKERS:-}" = none ]; then
    [ "$program" = throughput ] || die "latency is measured through Apache Kafka: unset KAFKA_BROKERS"
    unset KAFKA_BROKERS
else
    want kafka KAFKA_BROKERS
    [ "$latency" = no ] || want redis REDIS_URL
    if [ ${#wanted[@]} -gt 0 ]; then
        "$services" start "${wanted[@]}" || loud "NOT EVERY SERVICE COULD BE STARTED (see above)"
        # only what was asked for: an address in the environment goes before a private instance
        while IFS='=' read -r variable value; do
            [ -n "${!variable:-}" ] || export "$variable=$value"
        done <.services/env
    fi
    [ -n "${KAFKA_BROKERS:-}" ] || loud "NO APACHE KAFKA ON THIS MACHINE: measured from the file only"
fi

if [ "$program" = throughput ]; then
    "$programs/throughput" "$@"
    if [ $# -eq 0 ]; then
        echo
        "$programs/emission"
    fi
fi
if [ "$latency" = yes ]; then
    if [ -n "${KAFKA_BROKERS:-}" ] && [ -n "${REDIS_URL:-}" ]; then
        echo
        "$programs/latency" "$@"
    else
        [ "$program" = throughput ] || die "latency needs Apache Kafka (KAFKA_BROKERS) and Redis (REDIS_URL)"
        loud "LATENCY NOT MEASURED: it needs Apache Kafka and Redis"
    fi
fi
