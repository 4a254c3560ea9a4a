#!/usr/bin/env bash
# Puts Apache Flink's own tests to this build: what they hold is read out of the test jars that Flink publishes, turned
# into scripts, and run. Nothing of them is kept in this repository. Arguments go to conformance/conformance.py (-v shows
# what is refused; --suite functions JSON_ runs a part).
#
# Needs Maven and network for the first run, a Java 17 compiler and Python 3. The tests are kept below
# .services/conformance.
set -euo pipefail

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root_dir/scripts/lib.sh"
here=$root_dir/scripts/conformance
kept=$root_dir/.services/conformance
maven_dependency_plugin=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

fetch() {
    # A new version of Flink, or of what reads its tests, begins anew.
    local wanted
    wanted=$(cat "$here"/pom.xml "$here"/*.java | sha256sum | cut -d ' ' -f 1)
    [ "$(cat "$kept/complete" 2>/dev/null)" = "$wanted" ] && return
    have mvn && have javac || apt_install openjdk-17-jdk-headless maven ||
        die "Java 17's compiler or Maven is missing, and $(why_no_install)"
    mkdir -p "$kept/classes"
    rm -f "$kept/complete"
    say "fetching Flink's test jars with Maven, once"
    mvn --batch-mode --quiet -f "$here/pom.xml" "$maven_dependency_plugin:copy-dependencies" \
        -DoutputDirectory="$kept/lib" </dev/null >"$kept/maven.log" 2>&1 ||
        { tail -n 5 "$kept/maven.log" >&2; die "Flink's test jars could not be fetched: this needs network"; }
    javac -nowarn -cp "$kept/lib/*" -d "$kept/classes" "$here"/*.java >"$kept/javac.log" 2>&1 ||
        { tail -n 5 "$kept/javac.log" >&2; die "what reads Flink's tests does not compile"; }
    local planner
    planner=$(ls "$kept"/lib/flink-table-planner_2.12-*-tests.jar)
    extract Programs programs "$planner"
    extract Functions functions "$planner"
    extract Expressions expressions
    printf '%s\n' "$wanted" >"$kept/complete"
}

# extract CLASS NAME [ARGUMENT]: the tests of a kind, as JSON lines.
extract() {
    local class=$1 name=$2
    shift 2
    java -Duser.timezone=UTC -cp "$kept/classes:$kept/lib/*" "$class" "$@" \
        >"$kept/$name.jsonl" 2>"$kept/$name.log" || die "$class failed, see $kept/$name.log"
    [ -s "$kept/$name.jsonl" ] || die "$class found no tests, see $kept/$name.log"
}

have python3 || apt_install python3 || die "Python 3 is missing, and $(why_no_install)"
fetch
cargo build --locked --workspace --bin plamatio
python3 "$here/conformance.py" "$("$root_dir/scripts/target-dir.sh")/debug/plamatio" "$kept" "$@"
