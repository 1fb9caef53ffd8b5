# Measurements over Redis and PostgreSQL: private servers in $WORK, the five services as processes.
# Sourced by bench/run. Options (environment):
#   BENCH_BASE=DIR  keeps the data set of 20 million rows there, so that it is made once; it is used for
#                   one day, because its newest rows must be of today
#   ROWS, RATE, SECONDS_PER_RUN, PAIRS  as far as a measurement has them
# shellcheck shell=bash disable=SC2154

PG_BIN=$(find /usr/lib/postgresql /usr/pgsql-* -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1 || true)
# What PRODUCTION_ENGINES.md recommends, for a host of 24 GiB that the services share.
PG_SETTINGS=(shared_buffers=4GB effective_cache_size=12GB max_wal_size=4GB checkpoint_timeout=15min
  wal_compression=lz4 wal_buffers=64MB max_connections=120)
HOSTS=1000

free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

# PostgreSQL refuses to run as root.
AS_POSTGRES=(env)
if [ "$(id -u)" = 0 ]; then
  AS_POSTGRES=(setpriv --reuid postgres --regid postgres --clear-groups)
fi

# start_postgres DIR [setting...]: on a socket in DIR, with the data in DIR/data; the pid is PG_PID.
start_postgres() {
  local dir=$1 setting
  shift
  local options=(-D "$dir/data" -k "$dir" -c listen_addresses= -c logging_collector=off)
  for setting in "${PG_SETTINGS[@]}" "$@"; do options+=(-c "$setting"); done
  if [ ! -e "$dir/data" ]; then
    mkdir -p "$dir"
    if [ "$(id -u)" = 0 ]; then chown postgres: "$dir"; fi
    "${AS_POSTGRES[@]}" "$PG_BIN/initdb" -D "$dir/data" -U postgres -A trust --locale=C -E UTF8 -N >/dev/null
  fi
  chmod 755 "$dir" "$WORK"
  "${AS_POSTGRES[@]}" "$PG_BIN/postgres" "${options[@]}" >"$dir/log" 2>&1 &
  PG_PID=$!
  PIDS+=("$PG_PID")
  for _ in $(seq 600); do
    if psql_in "$dir" postgres -c 'SELECT 1' >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  cat "$dir/log" >&2
  exit 1
}
stop_postgres() {
  kill -INT "$PG_PID"
  wait "$PG_PID" || true
}
# psql_in DIR DATABASE [options]: as the superuser.
psql_in() { psql -qXAt -v ON_ERROR_STOP=1 -h "$1" -U postgres -d "$2" "${@:3}"; }
database_url() { echo "postgres://$2@${1//\//%2F}/mutt"; }

speed() { "$TARGET/release/examples/postgres_speed" "$@"; }

# The data set: $1/data is a PostgreSQL with the rows, made where it is not there or not of today.
make_base() {
  local base=$1 rows=${ROWS:-20000000}
  if [ "$(cat "$base/made" 2>/dev/null)" = "$rows $(date -u +%F)" ]; then return; fi
  rm -rf "$base"
  echo "making $rows rows in $base" >&2
  start_postgres "$base" fsync=off full_page_writes=off
  psql_in "$base" postgres -c 'CREATE ROLE mutt_owner LOGIN' -c 'CREATE ROLE mutt LOGIN' \
    -c 'CREATE DATABASE mutt OWNER mutt_owner'
  speed fill "$(database_url "$base" mutt)" "rows=$rows" "hosts=$HOSTS" >&2
  psql_in "$base" mutt -c 'VACUUM (ANALYZE)' -c 'CHECKPOINT'
  stop_postgres
  "${AS_POSTGRES[@]}" "$PG_BIN/initdb" -S -D "$base/data" >/dev/null
  echo "$rows $(date -u +%F)" >"$base/made"
}

# start_redis DIR: as an operator sets it for durability "fsync", on a socket in DIR.
start_redis() {
  mkdir -p "$1"
  redis-server --port 0 --unixsocket "$1/redis.sock" --dir "$1" --save '' --appendonly yes \
    --appendfsync always --no-appendfsync-on-rewrite no --maxmemory-policy noeviction >"$1/log" &
  PIDS+=($!)
  until redis-cli -s "$1/redis.sock" ping >/dev/null 2>&1; do sleep 0.1; done
}

# site_config DIR: what every service of the site reads. PORT_... are the ports.
site_config() {
  PORT_HTTP=$(free_port) PORT_SYSLOG=$(free_port) PORT_ALERTER=$(free_port) PORT_WEB=$(free_port)
  PORT_SECOND=$(free_port)
  echo key-of-a-measurement >"$1/key"
  echo token-of-a-measurement >"$1/token"
  cat >"$1/mutt.toml" <<CONFIG
[queue]
url = "unix://$WORK/redis/redis.sock"
max_events = 20000000
max_bytes = "8GiB"
[store]
url = "$(database_url "$PG_DIR" mutt)"
[store.owner]
user = "mutt_owner"
[store.retention]
handled = "400d"
unhandled = "400d"
[ingestor.http]
listen = "127.0.0.1:$PORT_HTTP"
keys = [{ name = "bench", key = { file = "$1/key" } }]
[ingestor.syslog]
udp = []
tcp = ["127.0.0.1:$PORT_SYSLOG"]
[ingestor.snmp]
udp = []
[alerter]
listen = "127.0.0.1:$PORT_ALERTER"
[moog_forwarder]
listen = "127.0.0.1:$(free_port)"
[remediation]
listen = "127.0.0.1:$(free_port)"
[web_ui]
listen = "127.0.0.1:$PORT_WEB"
tokens = [{ name = "bench", role = "admin", token = { file = "$1/token" } }]
[log]
level = "warn"
CONFIG
}

# start_service NAME [SETTING=VALUE...]: one service as a process with a data directory of its own; the
# pid is in SERVICE_PID.
declare -A SERVICE_PID
start_service() {
  local name=$1 dir=$WORK/$1
  shift
  mkdir -p "$dir"
  env "MUTT__DATA_DIR=$dir" "$@" "$TARGET/release/muttctl" serve --config "$SITE/mutt.toml" \
    --only "${name%%.*}" >"$dir/out" 2>"$dir/err" &
  SERVICE_PID[$name]=$!
  PIDS+=($!)
  for _ in $(seq 300); do
    if grep -q 'is listening' "$dir/out"; then return; fi
    sleep 0.1
  done
  cat "$dir/err" >&2
  exit 1
}
stop_service() {
  kill -TERM "${SERVICE_PID[$1]}"
  wait "${SERVICE_PID[$1]}" || true
  unset "SERVICE_PID[$1]"
}
cpu() { ps -o cputimes= -p "$1" | tr -d ' '; }
# cpu_of_all: processor seconds so far of each service and of both servers, on one line.
cpu_of_all() {
  local name line=
  for name in "${!SERVICE_PID[@]}"; do line+="$name $(cpu "${SERVICE_PID[$name]}") s, "; done
  line+="postgres $(ps -o cputimes= --ppid "$PG_PID" | awk '{ n += $1 } END { print n }') s"
  echo "$line, redis $(redis-cli -s "$WORK/redis/redis.sock" info cpu | awk -F: '/used_cpu_(sys|user):/ { n += $2 } END { printf "%d", n }') s"
}
seconds_between() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b - a }'; }
per_second() { awk -v n="$1" -v s="$2" 'BEGIN { printf "%d\n", n / s }'; }

build_site() {
  cargo build --release -q -p mutt --bin muttctl --example load --example latency --example first_page
  cargo build --release -q -p mutt-store --example postgres_speed
}

# start_site RULES: servers with the data set, the five services, these rules.
start_site() {
  SITE=$WORK/site
  mkdir -p "$SITE"
  build_site
  PG_DIR=${BENCH_BASE:-$WORK/base}
  make_base "$PG_DIR"
  start_postgres "$PG_DIR"
  # No alert and no delivery stands from an earlier run.
  psql_in "$PG_DIR" mutt -c 'TRUNCATE mutt.alerts, mutt.timeline, mutt.deliveries, mutt.attempts,
    mutt.delivery_counts, mutt.key_delivered, mutt.lanes'
  start_redis "$WORK/redis"
  site_config "$SITE"
  if [ -n "${SINK:-}" ]; then echo "$SINK" >>"$SITE/mutt.toml"; fi
  local service
  for service in ingestor alerter moog-forwarder remediation web-ui; do start_service "$service"; done
  export MUTT_URL=http://127.0.0.1:$PORT_WEB
  local id
  for id in $(mutt rules list --json --token-file "$SITE/token" | jq -r .id); do
    mutt rules delete "$id" --token-file "$SITE/token" >/dev/null
  done
  mutt rules import "$1" --token-file "$SITE/token" >/dev/null
  sleep 2
}

audited() { psql_in "$PG_DIR" mutt -c 'SELECT COALESCE(SUM(audited), 0) FROM mutt.totals'; }
rows() { psql_in "$PG_DIR" mutt -c "SELECT (SELECT COUNT(*) FROM mutt.audit WHERE received_at >= $1)"; }
micros() { date +%s%6N; }

# flow NAME [load options]: offers events, waits until the last one is a row; prints "EVENTS SECONDS".
flow() {
  local name=$1 before start end line written
  shift
  before=$(audited)
  start=$(date +%s.%N)
  line=$(load "127.0.0.1:$PORT_SYSLOG" "seconds=$SECONDS_PER_RUN" "$@")
  written=$(awk '{ print $2 }' <<<"$line")
  local waiting
  waiting=$((written - ($(audited) - before)))
  until [ $(($(audited) - before)) -ge "$written" ]; do sleep 0.1; done
  end=$(date +%s.%N)
  echo "$name: $written rows in $(seconds_between "$start" "$end") s, $waiting of them not yet rows when the load ended; generator: $line" >&2
  echo "$written $(seconds_between "$start" "$end")"
}

# production: MUTT and COPY one after the other, PAIRS times.
production() {
  local rate=${RATE:-40000} pair from ran dump=$WORK/dump discard
  PAIRS=${PAIRS:-3}
  start_site bench/rules.json
  echo "rows before: $(audited)" >&2
  discard=$(free_port)
  mkdir -p "$dump"
  chmod 777 "$dump"
  : >"$WORK/mutt.rates"
  : >"$WORK/copy.rates"
  SECONDS_PER_RUN=5 flow warm-up "rate=$rate" >/dev/null
  for pair in $(seq "$PAIRS"); do
    from=$(micros)
    ran=$(flow "pair $pair, mutt" "rate=$rate")
    read -r events spent <<<"$ran"
    per_second "$events" "$spent" >>"$WORK/mutt.rates"
    echo "pair $pair, mutt: $(tail -1 "$WORK/mutt.rates") events/s, by COUNT(*) $(rows "$from") of $events; CPU so far: ingestor $(cpu "${SERVICE_PID[ingestor]}") s, alerter $(cpu "${SERVICE_PID[alerter]}") s" >&2
    # The same rows: what was just written, of each table.
    local table
    for table in audit_handled audit_unhandled; do
      psql_in "$PG_DIR" mutt -c "COPY (SELECT received_at, id, seq, ruleset, rule_id, alert_id, severity,
        dev, host, decision, team, body FROM mutt.$table WHERE received_at >= $from
        ORDER BY received_at LIMIT 300000) TO STDOUT (FORMAT binary)" >"$dump/$table"
    done
    load "127.0.0.1:$discard" discard=1 "seconds=$SECONDS_PER_RUN" "rate=$rate" >"$dump/load" &
    ran=$(speed copy "$(database_url "$PG_DIR" mutt)" "$dump" "seconds=$SECONDS_PER_RUN")
    wait $!
    awk '{ print $6 }' <<<"$ran" >>"$WORK/copy.rates"
    echo "pair $pair, copy: $ran; generator: $(cat "$dump/load")" >&2
  done
  local ours theirs
  ours=$(median <"$WORK/mutt.rates")
  theirs=$(median <"$WORK/copy.rates")
  echo "production: mutt $ours events/s from socket to row, COPY $theirs rows/s, ratio $(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.2f", a / b }') (median of $PAIRS pairs of $SECONDS_PER_RUN s)"
}

# second_alerter: what a backlog is worked off with, by one Alerter and by two, in turns.
second_alerter() {
  local events=${EVENTS:-1200000} turn which
  start_site bench/rules.json
  : >"$WORK/one.rates"
  : >"$WORK/two.rates"
  for turn in $(seq "${PAIRS:-3}"); do
    for which in one two; do
      backlog "$which" "$events" >>"$WORK/$which.rates"
      echo "turn $turn, $which: $(tail -1 "$WORK/$which.rates") events/s" >&2
    done
  done
  local one two
  one=$(median <"$WORK/one.rates")
  two=$(median <"$WORK/two.rates")
  echo "second-alerter: one $one events/s, two $two events/s, gain $(awk -v a="$one" -v b="$two" 'BEGIN { printf "%.2f", b / a }') (median of ${PAIRS:-3} turns, backlog of $events events)"
}

# backlog one|two EVENTS: fills the queue while no Alerter runs, then times how it is emptied.
backlog() {
  local before written start end middle
  stop_service alerter
  if [ -n "${SERVICE_PID[alerter.second]:-}" ]; then stop_service alerter.second; fi
  before=$(audited)
  written=$(load "127.0.0.1:$PORT_SYSLOG" seconds=120 "lines=$2" | awk '{ print $2 }')
  start_service alerter
  if [ "$1" = two ]; then start_service alerter.second "MUTT__ALERTER__LISTEN=127.0.0.1:$PORT_SECOND"; fi
  # The shards are shared within seconds: the first third is not timed.
  until [ $(($(audited) - before)) -ge $((written / 3)) ]; do sleep 0.1; done
  middle=$(audited)
  start=$(date +%s.%N)
  until [ $(($(audited) - before)) -ge "$written" ]; do sleep 0.1; done
  end=$(date +%s.%N)
  per_second $((written - (middle - before))) "$(seconds_between "$start" "$end")"
}

# latency: 1,000 new alerts a second, open loop, until the receiver has read each.
latency() {
  local receiver
  receiver=$(free_port)
  cat >"$WORK/latency-rules.json" <<RULES
[{"match_string": "LATENCY key", "match_type": "contains", "priority": 1, "name": "latency",
  "prod_handling": "Page_and_ticket", "dev_handling": "Ignore"}]
RULES
  SINK="[sinks.receiver]
kind = \"webhook\"
url = \"http://127.0.0.1:$receiver/\"
rate = \"1000000/s\"
in_flight = ${IN_FLIGHT:-64}
"
  start_site "$WORK/latency-rules.json"
  echo "before: $(cpu_of_all)" >&2
  "$TARGET/release/examples/latency" "127.0.0.1:$PORT_SYSLOG" "127.0.0.1:$receiver" \
    "rate=${RATE:-1000}" "seconds=$SECONDS_PER_RUN" think_ms=5
  echo "after: $(cpu_of_all)" >&2
}

# first_page: the newest 100 events of one host's last day, beside a load.
first_page() {
  start_site bench/rules.json
  echo "rows before: $(audited)" >&2
  load "127.0.0.1:$PORT_SYSLOG" "seconds=$SECONDS_PER_RUN" "rate=${RATE:-5000}" >"$WORK/load" &
  local loader=$!
  sleep 5
  "$TARGET/release/examples/first_page" "127.0.0.1:$PORT_WEB" "$SITE/token" draws=200 "hosts=$HOSTS"
  wait "$loader"
  echo "generator: $(cat "$WORK/load")" >&2
}
