#!/usr/bin/env bash
# Runs the end-to-end benchmark, optimised, from a file and from Apache Kafka. Arguments go to it (--help).
#
# KAFKA_BROKERS from the environment is used where it is set. Otherwise services.sh starts a private node,
# and stops it at the end if this run started it. KAFKA_BROKERS=none measures from the file only.
set -euo pipefail

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root_dir/scripts/lib.sh"
services=$root_dir/scripts/services.sh
cd "$root_dir"

# Built first: a build beside the broker would be in nobody's interest.
cargo build --locked --release -p plamatio-benches --bin throughput

case " $* " in
    *" --help "* | *" -h "*) exec "$(scripts/target-dir.sh)/release/throughput" --help ;;
esac

started=no
# Does not change the exit status: in an EXIT trap the status from before it counts.
finish() {
    if [ "$started" = yes ]; then
        "$services" stop kafka || true
    fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ "${KAFKA_BROKERS:-}" = none ]; then
    unset KAFKA_BROKERS
elif [ -z "${KAFKA_BROKERS:-}" ]; then
    "$services" running kafka || started=yes
    "$services" start kafka
    KAFKA_BROKERS=$(sed -n 's/^KAFKA_BROKERS=//p' .services/env)
    export KAFKA_BROKERS
    [ -n "$KAFKA_BROKERS" ] || loud "NO APACHE KAFKA ON THIS MACHINE: measured from the file only"
fi

"$(scripts/target-dir.sh)/release/throughput" "$@"
