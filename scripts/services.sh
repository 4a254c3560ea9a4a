#!/usr/bin/env bash
# Private PostgreSQL, Redis and Apache Kafka for tests and for use without Docker.
#
#   services.sh start [NAME...]    install what is missing, start what is not running, print the URLs
#   services.sh stop [NAME...]     stop what this script started, by its recorded process id
#   services.sh status             one line each; fails when one of the three is not running
#   services.sh running NAME       silent; succeeds when it is running
#   services.sh clean              stop all, then delete their data
#
# NAME is postgres, redis or kafka; none means all three. Everything lies in .services/ of the
# project (git-ignored) and listens on 127.0.0.1 only, on free ports that are kept from one start
# to the next. URLs are in .services/env. Data outlives `stop`.
#
# Kafka: one KRaft node from the Maven jars in scripts/kafka/pom.xml. A topic that a producer
# names is created, with 4 partitions, as in the in-process broker; consumers create none.
set -euo pipefail

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root_dir/scripts/lib.sh"

state_dir=$root_dir/.services
all_services=(postgres redis kafka)
start_seconds=60
stop_seconds=30

# ---- processes: a recorded id counts only while it is still the process that was started ----

# When the process started, in the system's own unit; empty when there is no such process.
# An id is used again sooner or later, an id with its start time is not.
process_start() {
    if [ -r "/proc/$1/stat" ]; then
        # the second field is the program's name and may hold spaces
        sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" {print $20}'
    elif [ ! -d /proc/self ]; then
        ps -o lstart= -p "$1" 2>/dev/null | tr -s ' ' '_'
    fi
}

record_process() { printf '%s %s\n' "$2" "$(process_start "$2")" >"$state_dir/$1/process"; }

# Prints the id of the running service; fails when it is not running.
running() {
    local pid started
    [ -r "$state_dir/$1/process" ] || return 1
    read -r pid started <"$state_dir/$1/process" || return 1
    [ -n "$started" ] && [ "$(process_start "$pid")" = "$started" ] || return 1
    printf '%s' "$pid"
}

# launch NAME COMMAND...: in a session of its own, so that Ctrl-C in the terminal does not reach
# it, and without the caller's files, so that a caller that reads our output to its end gets one.
launch() {
    local name=$1 pid
    shift
    if have setsid; then
        setsid "$@" </dev/null >>"$state_dir/$name/log" 2>&1 9>&- &
    else
        nohup "$@" </dev/null >>"$state_dir/$name/log" 2>&1 9>&- &
    fi
    pid=$!
    # set aside before anything can fail: what was started can then be stopped
    record_process "$name" "$pid"
}

fail_with_log() {
    local name=$1 what=$2
    {
        printf 'error: %s\n' "$what"
        printf 'the end of %s:\n' "$state_dir/$name/log"
        tail -n 25 "$state_dir/$name/log" 2>/dev/null | sed 's/^/    /'
    } >&2
    return 1
}

# wait_ready NAME PROBE...: until the probe succeeds, the process ends, or the time is over.
wait_ready() {
    local name=$1 deadline=$((SECONDS + start_seconds))
    shift
    until "$@" >/dev/null 2>&1; do
        if ! running "$name" >/dev/null; then
            fail_with_log "$name" "$name ended while it was starting"
            return 1
        fi
        if [ "$SECONDS" -ge "$deadline" ]; then
            stop_one "$name" >/dev/null || true
            fail_with_log "$name" "$name was not ready after $start_seconds seconds"
            return 1
        fi
        sleep 0.2
    done
}

# ---- ports ----

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# port_for NAME: the port it had before if that is free, else a free one below the range that
# the system gives to outgoing connections.
port_for() {
    local file=$state_dir/$1.port port tries
    if [ -r "$file" ]; then
        port=$(cat "$file")
        port_open "$port" || { printf '%s' "$port"; return; }
    fi
    for tries in {1..100}; do
        port=$((20000 + RANDOM % 12000))
        # two services of this start must not draw the same one
        grep -qsx "$port" "$state_dir"/*.port && continue
        port_open "$port" && continue
        printf '%s\n' "$port" >"$file"
        printf '%s' "$port"
        return
    done
    die "no free port between 20000 and 32000 after $tries tries"
}

# ---- PostgreSQL ----

# The server refuses to run as root; the package brings a user for it. Each of these programs
# becomes the command instead of waiting for it (as su and runuser do), so that the process that
# is recorded is the server.
as_postgres=()
if [ "$(id -u)" -eq 0 ]; then
    if have setpriv; then
        as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups)
    else
        as_postgres=(chroot --userspec=postgres /)
    fi
fi

postgres_can_use() { (cd / && "${as_postgres[@]}" test -w "$1" -a -x "$1") 2>/dev/null; }

# Where the data lies: in .services, or, where the postgres user cannot reach that (a project
# under a private home folder), in a folder of its own under the temporary one.
postgres_data() {
    local kept=$state_dir/postgres/data_dir data
    if [ -r "$kept" ] && [ -d "$(cat "$kept")" ]; then
        cat "$kept"
        return
    fi
    data=$state_dir/postgres/data
    mkdir -p "$data"
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres: "$data"
        if ! postgres_can_use "$data"; then
            rmdir "$data"
            data=$(mktemp -d "${TMPDIR:-/tmp}/plamatio-postgres.XXXXXX")
            chown postgres: "$data"
            postgres_can_use "$data" || {
                rmdir "$data"
                die "the user postgres can write neither below $state_dir nor to $data: set TMPDIR to a folder that everyone may enter"
            }
            say "PostgreSQL's data is in $data, because the user postgres cannot enter $root_dir" >&2
        fi
    fi
    chmod 700 "$data"
    printf '%s\n' "$data" >"$kept"
    printf '%s' "$data"
}

# A server that was killed can stay in the process table until its parent, often a container's
# first process, takes notice. PostgreSQL would take it for one that runs.
wait_for_remains() {
    local pid deadline=$((SECONDS + 10))
    pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null) || return 0
    while grep -qs '^State:[[:space:]]*Z' "/proc/$pid/status"; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            rm -f "$1/postmaster.pid"
            return
        fi
        sleep 0.2
    done
}

start_postgres() {
    local bin data port password secret handed
    if ! need_postgres; then
        warn "no PostgreSQL: $(why_no_install); install the Debian package postgresql, or set DATABASE_URL"
        return 1
    fi
    bin=$(postgres_bin)
    mkdir -p "$state_dir/postgres"
    data=$(postgres_data)
    secret=$state_dir/postgres/password
    if [ ! -s "$data/PG_VERSION" ]; then
        # everyone on this machine can connect to a loopback port, so there is a password
        (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$secret")
        # a copy that the postgres user can read, wherever this project lies
        handed=$(mktemp)
        cat "$secret" >"$handed"
        [ "$(id -u)" -ne 0 ] || chown postgres: "$handed"
        (cd / && "${as_postgres[@]}" "$bin/initdb" -D "$data" -U plamatio -E UTF8 --locale=C.UTF-8 \
            --auth=scram-sha-256 --pwfile="$handed" </dev/null >>"$state_dir/postgres/log" 2>&1) ||
            { rm -f "$handed"; fail_with_log postgres "initdb failed in $data"; return 1; }
        rm -f "$handed"
    elif [ ! -s "$secret" ]; then
        warn "$secret is gone, and with it the way into $data: run \`make services-clean\`, then start again"
        return 1
    elif [ "$(cat "$data/PG_VERSION")" != "$("$bin/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')" ]; then
        warn "$data is of PostgreSQL $(cat "$data/PG_VERSION"), another version than $bin: run \`make services-clean\`, then start again"
        return 1
    fi
    wait_for_remains "$data"
    password=$(cat "$secret")
    port=$(port_for postgres)
    # Tests open many small databases at once. No Unix socket: its folder may be out of reach,
    # or its path too long.
    launch postgres "${as_postgres[@]}" "$bin/postgres" -D "$data" -p "$port" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
        -c max_connections=200 -c shared_buffers=64MB \
        -c logging_collector=off -c timezone=UTC
    wait_ready postgres "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" -U plamatio || return 1
    if ! psql_do "$bin" "$port" "$password" "SELECT 1 FROM pg_database WHERE datname = 'plamatio'" | grep -q 1; then
        psql_do "$bin" "$port" "$password" "CREATE DATABASE plamatio" >/dev/null
    fi
    (umask 077 && printf 'postgres://plamatio:%s@127.0.0.1:%s/plamatio\n' "$password" "$port" >"$state_dir/postgres/url")
}

psql_do() {
    PGPASSWORD=$3 PGCONNECT_TIMEOUT=10 "$1/psql" -X -q -At -h 127.0.0.1 -p "$2" -U plamatio -d postgres -c "$4" </dev/null
}

# ---- Redis ----

start_redis() {
    local port
    if ! need_redis; then
        warn "no Redis: $(why_no_install); install the Debian package redis-server, or set REDIS_URL"
        return 1
    fi
    mkdir -p "$state_dir/redis"
    port=$(port_for redis)
    # live values can be computed again: nothing is written to disk
    launch redis redis-server --bind 127.0.0.1 --port "$port" --dir "$state_dir/redis" \
        --daemonize no --save '' --appendonly no
    wait_ready redis redis_answers "$port" || return 1
    printf 'redis://127.0.0.1:%s/0\n' "$port" >"$state_dir/redis/url"
}

redis_answers() { [ "$(redis-cli -h 127.0.0.1 -p "$1" ping 2>/dev/null)" = PONG ]; }

# ---- Apache Kafka ----

kafka_missing() {
    loud "NO APACHE KAFKA: $1" \
        "The tests that need a broker will use the in-process one (librdkafka's mock) instead." \
        "What only a real Apache Kafka can show is NOT tested in such a run." \
        "${2:-To change that: install Java 17 or newer and Maven, or set KAFKA_BROKERS.}"
}

fetch_kafka() {
    local pom=$root_dir/scripts/kafka/pom.xml libs=$state_dir/kafka/libs stamp
    stamp=$(cksum <"$pom")
    [ "$(cat "$libs/.complete" 2>/dev/null)" = "$stamp" ] && return
    say "fetching Apache Kafka's jars with Maven (54 MB, once)"
    rm -rf "$libs"
    mkdir -p "$libs"
    # offline second: with a filled local repository no network is needed
    local offline
    for offline in "" --offline; do
        # shellcheck disable=SC2086
        if mvn $offline --batch-mode --quiet -f "$pom" dependency:copy-dependencies \
            -DincludeScope=runtime -DoutputDirectory="$libs" </dev/null >"$state_dir/kafka/fetch.log" 2>&1; then
            printf '%s\n' "$stamp" >"$libs/.complete"
            return
        fi
    done
    tail -n 15 "$state_dir/kafka/fetch.log" >&2
    return 1
}

kafka_tool() {
    java -Xmx128m -XX:TieredStopAtLevel=1 -Dlog4j2.level=error \
        -Dlog4j2.configurationFile="$root_dir/scripts/kafka/log4j2.properties" \
        -cp "$state_dir/kafka/libs/*" "$@"
}

start_kafka() {
    local dir=$state_dir/kafka port controller config id
    if ! need_java; then
        kafka_missing "Java 17 or Maven is missing, and $(why_no_install)"
        return 2
    fi
    mkdir -p "$dir"
    if ! fetch_kafka; then
        kafka_missing "Maven could not fetch it" "To change that: see $dir/fetch.log, or set KAFKA_BROKERS."
        return 2
    fi
    port=$(port_for kafka)
    controller=$(port_for kafka-controller)
    config=$dir/server.properties
    cat >"$config" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/data
num.partitions=4
auto.create.topics.enable=true
# records carry event times of long ago, and would be deleted as soon as they are written
log.retention.ms=-1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
PROPERTIES
    if [ ! -s "$dir/data/meta.properties" ]; then
        id=$(kafka_tool kafka.tools.StorageTool random-uuid) &&
            kafka_tool kafka.tools.StorageTool format -t "$id" -c "$config" >>"$dir/log" 2>&1 ||
            { fail_with_log kafka "Kafka's data folder could not be formatted"; return 1; }
    fi
    launch kafka java -Xms512m -Xmx512m -XX:+ExitOnOutOfMemoryError \
        -Dlog4j2.configurationFile="$root_dir/scripts/kafka/log4j2.properties" \
        -cp "$dir/libs/*" kafka.Kafka "$config"
    wait_ready kafka port_open "$port" || return 1
    # an open port is not yet a broker that answers: ask it for its topics
    wait_ready kafka kafka_tool org.apache.kafka.tools.TopicCommand \
        --bootstrap-server "127.0.0.1:$port" --list || return 1
    printf '127.0.0.1:%s\n' "$port" >"$dir/url"
}

# ---- what the commands do ----

env_name() {
    case $1 in
        postgres) printf DATABASE_URL ;;
        redis) printf REDIS_URL ;;
        kafka) printf KAFKA_BROKERS ;;
    esac
}

# Only services that run are named, so that a reader of the file never waits for a dead one.
write_env() {
    local name
    (
        umask 077
        for name in "${all_services[@]}"; do
            if running "$name" >/dev/null && [ -s "$state_dir/$name/url" ]; then
                printf '%s=%s\n' "$(env_name "$name")" "$(cat "$state_dir/$name/url")"
            fi
        done >"$state_dir/env.new"
    )
    mv "$state_dir/env.new" "$state_dir/env"
}

# With the process recorded but no address, an earlier start was cut short: start anew.
healthy() { running "$1" >/dev/null && [ -s "$state_dir/$1/url" ]; }

start() {
    local name status failed=0 begun
    for name in "$@"; do
        if healthy "$name"; then
            say "$name: already running (process $(running "$name"))"
            continue
        fi
        stop_one "$name" >/dev/null || true
        begun=$SECONDS
        # not in a condition directly: that would switch `set -e` off inside
        set +e
        (set -e; "start_$name")
        status=$?
        set -e
        case $status in
            0) say "$name: started in $((SECONDS - begun)) s (process $(running "$name"))" ;;
            2) ;; # said loudly already; the tests go on without
            *) failed=1 ;;
        esac
    done
    write_env
    if [ -s "$state_dir/env" ]; then
        say
        cat "$state_dir/env"
        say
        say "(in .services/env; \`set -a; . .services/env; set +a\` takes them into a shell)"
    fi
    return "$failed"
}

stop_one() {
    local name=$1 pid deadline signal=TERM
    if ! pid=$(running "$name"); then
        if [ -e "$state_dir/$name/process" ]; then
            say "$name: had ended already"
        else
            say "$name: not running"
        fi
        rm -f "$state_dir/$name/process" "$state_dir/$name/url"
        return
    fi
    # PostgreSQL waits for its clients on TERM and sends them away on INT
    [ "$name" = postgres ] && signal=INT
    kill -s "$signal" "$pid"
    deadline=$((SECONDS + stop_seconds))
    while running "$name" >/dev/null; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            warn "$name (process $pid) has not ended after $stop_seconds seconds: killing it"
            # PostgreSQL must not leave its children behind
            if [ "$name" = postgres ]; then kill -s QUIT "$pid"; else kill -s KILL "$pid"; fi || true
            sleep 1
            break
        fi
        sleep 0.1
    done
    if running "$name" >/dev/null; then
        warn "$name (process $pid) could not be stopped"
        return 1
    fi
    rm -f "$state_dir/$name/process" "$state_dir/$name/url"
    say "$name: stopped (was process $pid)"
}

stop() {
    local name failed=0
    for name in "$@"; do
        stop_one "$name" || failed=1
    done
    [ -d "$state_dir" ] && write_env
    return "$failed"
}

status() {
    local name pid down=0
    for name in "${all_services[@]}"; do
        if pid=$(running "$name"); then
            say "$name: running, process $pid, $(env_name "$name")=$(cat "$state_dir/$name/url" 2>/dev/null)"
        else
            say "$name: not running"
            down=1
        fi
    done
    return "$down"
}

clean() {
    local data
    stop "${all_services[@]}"
    data=$(cat "$state_dir/postgres/data_dir" 2>/dev/null || true)
    # outside .services only what this script made: see postgres_data
    case $data in
        */plamatio-postgres.??????) rm -rf "$data" ;;
    esac
    rm -rf "$state_dir"
    say "deleted $state_dir"
}

command=${1:-}
[ $# -gt 0 ] && shift
for name in "$@"; do
    case $name in
        postgres | redis | kafka) ;;
        *) die "no such service: $name (there are: ${all_services[*]})" ;;
    esac
done
[ $# -eq 0 ] && [ "$command" != running ] && set -- "${all_services[@]}"

case $command in
    start | stop | clean)
        [ "$command" = start ] || [ -d "$state_dir" ] || { say "nothing was started here"; exit 0; }
        mkdir -p "$state_dir"
        # two runs at once would start everything twice
        if have flock; then
            exec 9>"$state_dir/lock"
            flock -w 300 9 || die "another run of this script has held $state_dir/lock for 5 minutes"
        fi
        "$command" "$@"
        ;;
    status) status ;;
    running) running "${1:?usage: services.sh running NAME}" >/dev/null ;;
    *) die "usage: services.sh start|stop|status|running|clean [postgres] [redis] [kafka]" ;;
esac
