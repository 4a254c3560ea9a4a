#!/usr/bin/env bash
# Runs the workload's SQL beside Apache Flink and DuckDB, in one run. Arguments go to benches/peers/compare.py
# (--help). What it needs beyond a Rust compiler: Python 3 with venv, and for Flink Java 17 and Maven.
#
# The peers are installed below .services/peers, once. A peer that cannot be had is left out, and the run says so
# loudly. With --kafka, KAFKA_BROKERS from the environment is used where it is set; otherwise services.sh starts a
# private node, and stops it at the end if this run started it.
set -euo pipefail

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root_dir/scripts/lib.sh"
services=$root_dir/scripts/services.sh
peers=$root_dir/.services/peers
cd "$root_dir"

flink_connector=org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2
maven_dependency_plugin=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

# Python 3 that can make virtual environments; Debian has that in a package of its own.
need_python() {
    have python3 && python3 -c 'import venv, ensurepip' 2>/dev/null && return
    apt_install python3 python3-venv && python3 -c 'import venv, ensurepip' 2>/dev/null
}

make_venv() {
    [ -x "$peers/venv/bin/python" ] && return
    rm -rf "$peers/venv"
    python3 -m venv "$peers/venv"
}

# pip_install NAME: the line of requirements.txt that begins with it, unless it is there already.
pip_install() {
    local name=$1 wanted
    wanted=$(grep -m 1 "^$name" benches/peers/requirements.txt)
    [ "$(cat "$peers/$name.installed" 2>/dev/null)" = "$wanted" ] && return
    say "installing $wanted with pip, once"
    "$peers/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wanted" \
        </dev/null >"$peers/pip.log" 2>&1 || { tail -n 15 "$peers/pip.log" >&2; return 1; }
    printf '%s\n' "$wanted" >"$peers/$name.installed"
}

# Flink's Kafka connector, which is not in the wheel.
fetch_connector() {
    local lib jar offline
    lib=$("$peers/venv/bin/python" -c 'import pathlib, pyflink; print(pathlib.Path(pyflink.__file__).parent / "lib")')
    jar=$lib/$(cut -d: -f2,3 <<<"$flink_connector" | tr : -).jar
    [ -s "$jar" ] && return
    say "fetching $flink_connector with Maven, once"
    # offline second: with a filled local repository no network is needed
    for offline in "" --offline; do
        # shellcheck disable=SC2086
        if mvn $offline --batch-mode --quiet "$maven_dependency_plugin:copy" -Dartifact="$flink_connector" \
            -DoutputDirectory="$lib" </dev/null >"$peers/maven.log" 2>&1; then
            return
        fi
    done
    tail -n 15 "$peers/maven.log" >&2
    return 1
}

wants() {
    local argument
    for argument in "${arguments[@]}"; do
        [ "$argument" = "$1" ] && return
    done
    return 1
}

# No compiled files beside the sources.
export PYTHONDONTWRITEBYTECODE=1

arguments=("$@")
if wants --help || wants -h; then
    exec python3 benches/peers/compare.py --help
fi

# Built first: a build beside a measurement would be in nobody's interest.
cargo build --locked --release -p plamatio-benches --bins

mkdir -p "$peers"
without=()
if ! need_python || ! make_venv; then
    die "Python 3 with venv is missing, and $(why_no_install): install the Debian packages python3 and python3-venv"
fi
if ! pip_install duckdb; then
    loud "NO DUCKDB: pip could not install it (see above)"
    without+=(--without duckdb)
fi
if ! need_java; then
    loud "NO FLINK: Java 17 or Maven is missing, and $(why_no_install)"
    without+=(--without flink)
elif ! pip_install apache-flink; then
    loud "NO FLINK: pip could not install it (see above)"
    without+=(--without flink)
elif ! fetch_connector; then
    loud "FLINK WITHOUT KAFKA: Maven could not fetch its connector (see above)"
    wants --kafka && without+=(--without flink)
fi

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

if wants --kafka && [ -z "${KAFKA_BROKERS:-}" ]; then
    "$services" running kafka || started=yes
    "$services" start kafka
    KAFKA_BROKERS=$(sed -n 's/^KAFKA_BROKERS=//p' .services/env)
    export KAFKA_BROKERS
    [ -n "$KAFKA_BROKERS" ] || die "there is no Apache Kafka on this machine: run without --kafka, or set KAFKA_BROKERS"
fi

"$peers/venv/bin/python" benches/peers/compare.py \
    --programs "$(scripts/target-dir.sh)/release" ${without[@]+"${without[@]}"} "$@"
