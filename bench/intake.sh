# Measurements of the intake: one generator against MUTT and what is there already, both on loopback.
# Sourced by bench/run. Options (environment):
#   SECONDS_PER_RUN  a run's length (30)
#   PAIRS            interleaved pairs (5)
#   RCVBUF           receive buffer of every UDP receiver, bytes (16 MiB; traps 4 MiB)
#   RATE             offered messages a second where a run is paced (default: 90 % of the best)
# shellcheck shell=bash disable=SC2154

# ingest_config DIR: a queue that takes a whole run, and the receive buffer that the other side has, too.
ingest_config() {
  queue_config "$1"
  cat <<CONFIG
[ingestor.syslog]
receive_buffer = "${RCVBUF:-16777216}B"
[ingestor.snmp]
receive_buffer = "${RCVBUF:-16777216}B"
CONFIG
}

# One series of a metric, summed over its labels: total PORT NAME [TEXT that the labels hold].
total() {
  curl -s "http://127.0.0.1:$1/metrics" |
    awk -v m="$2" -v t="${3:-}" 'index($1, m) == 1 && ($1 == m || substr($1, length(m) + 1, 1) == "{") && (t == "" || index($1, t)) { s += $2 } END { printf "%d\n", s }'
}
field() { awk -v f="$1" '{ for (i = 1; i < NF; i++) if ($i == f) print $(i + 1) }'; }
cpu_of() { awk '{ printf "%.1f", ($14 + $15) / 100 }' "/proc/$1/stat"; }

# Waits until nothing more arrives at a listener: the same three sums for a second.
settle() {
  local before=none now
  while now="$(total 8080 mutt_ingest_received_total "$1") $(total 8080 mutt_ingest_dropped_total "$1") $(total 8080 mutt_ingest_kernel_drops_total "$1")"; [ "$now" != "$before" ]; do
    before=$now
    sleep 1.2
  done
}

# accounted LISTENER KIND [load options]: a run against MUTT; prints "sent stored dropped kernel rate
# generator-cpu server-cpu seconds" and fails when they do not add up.
accounted() {
  local listener=$1 kind=$2 dir=$WORK/intake line sent stored dropped kernel begin finish address=127.0.0.1:5514
  shift 2
  case $listener in snmp*) address=127.0.0.1:9162 ;; esac
  mkdir -p "$dir"
  ingest_config "$dir" >"$dir/mutt.toml"
  if [ -n "${EXTRA_CONFIG:-}" ]; then printf '%s\n' "$EXTRA_CONFIG" >>"$dir/mutt.toml"; fi
  start_mutt "$dir" "$dir/mutt.toml" --only ingestor
  begin=$(date +%s.%N)
  line=$(load "$address" "kind=$kind" "seconds=$SECONDS_PER_RUN" "$@")
  sent=$(field lines <<<"$line")
  # Drained when as many are accounted for as were sent, or when nothing moves any more.
  for _ in $(seq 200); do
    finish=$(date +%s.%N)
    stored=$(total 8080 mutt_queue_appended_events_total)
    if [ $((stored + $(total 8080 mutt_ingest_dropped_total "$listener") + $(total 8080 mutt_ingest_kernel_drops_total "$listener"))) -ge "$sent" ]; then break; fi
    sleep 0.05
  done
  settle "$listener"
  stored=$(total 8080 mutt_queue_appended_events_total)
  dropped=$(total 8080 mutt_ingest_dropped_total "$listener")
  kernel=$(total 8080 mutt_ingest_kernel_drops_total "$listener")
  awk -v s="$sent" -v q="$stored" -v d="$dropped" -v k="$kernel" -v a="$begin" -v b="$finish" \
    -v g="$(field cpu_seconds <<<"$line")" -v c="$(cpu_of "${PIDS[-1]}")" -v r="$(field rate <<<"$line")" \
    'BEGIN { printf "%d %d %d %d %d %s %s %.2f %d\n", s, q, d, k, r, g, c, b - a, q / (b - a) }'
  stop_last
  rm -rf "$dir"
  [ $((stored + dropped + kernel)) = "$sent" ] || {
    echo "NOT ACCOUNTED: sent $sent, stored $stored, dropped $dropped, by the kernel $kernel" >&2
    return 1
  }
}

show_run() { awk -v w="$1" '{ printf "%s: offered %d/s, sent %d = stored %d + dropped %d + by the kernel %d; stored %d/s; cpu generator %s s, server %s s in %s s\n", w, $5, $1, $2, $3, $4, $9, $6, $7, $8 }' >&2; }

rsyslog_udp() {
  local dir=$WORK/rsyslog line sent size=-1 now
  mkdir -p "$dir"
  cat >"$dir/rsyslog.conf" <<CONFIG
global(workDirectory="$dir")
module(load="imudp" batchSize="128")
main_queue(queue.size="2000000" queue.dequeueBatchSize="1024")
input(type="imudp" port="5515" address="127.0.0.1" rcvbufSize="${RCVBUF:-16777216}")
action(type="omfile" file="$dir/all.log" ioBufferSize="256k" flushOnTXEnd="off" asyncWriting="off")
CONFIG
  rsyslogd -n -i "$dir/pid" -f "$dir/rsyslog.conf" 2>"$dir/err" &
  PIDS+=($!)
  until ss -Hlun 'sport = :5515' | grep -q .; do sleep 0.1; done
  line=$(load 127.0.0.1:5515 kind=udp "seconds=$SECONDS_PER_RUN" "$@")
  sent=$(field lines <<<"$line")
  while now=$(stat -c %s "$dir/all.log" 2>/dev/null || echo 0); [ "$now" != "$size" ]; do size=$now; sleep 1; done
  local cpu
  cpu=$(cpu_of "${PIDS[-1]}")
  stop_last # what it has buffered goes to the file
  now=$(wc -l <"$dir/all.log")
  rm -rf "$dir"
  echo "rsyslog imudp: offered $(field rate <<<"$line")/s, sent $sent, in the file $now, lost $((sent - now)) (told by nobody); cpu generator $(field cpu_seconds <<<"$line") s, server $cpu s" >&2
  echo "$sent $now"
}

# The best rate of the generator against MUTT, three runs at nine tenths of it beside rsyslog.
udp() {
  build
  SECONDS_PER_RUN=${UDP_SECONDS:-30}
  local line best rate run
  line=$(accounted syslog-udp udp)
  show_run "mutt, as fast as it goes" <<<"$line"
  best=$(awk '{ print $5 }' <<<"$line")
  rsyslog_udp >/dev/null
  rate=${RATE:-$((best * 9 / 10))}
  for run in 1 2 3; do
    line=$(accounted syslog-udp udp "rate=$rate")
    show_run "mutt, run $run" <<<"$line"
    awk -v r="$run" '{ printf "udp: run %d at %d/s: sent %d, lost %d\n", r, $5, $1, $1 - $2 }' <<<"$line"
    rsyslog_udp "rate=$rate" >/dev/null
  done
}

snmptrapd_run() {
  local dir=$WORK/snmptrapd line sent size=-1 now begin finish cpu
  mkdir -p "$dir"
  cat >"$dir/snmptrapd.conf" <<CONFIG
authCommunity log public
doNotRetainNotificationLogs yes
[snmp] serverRecvBuf ${RCVBUF:-4194304}
[snmp] persistentDir $dir
CONFIG
  MIBS='' SNMP_PERSISTENT_DIR=$dir snmptrapd -f -C -c "$dir/snmptrapd.conf" -On -n -Lf "$dir/traps.log" udp:127.0.0.1:5163 &
  PIDS+=($!)
  until ss -Hlun 'sport = :5163' | grep -q .; do sleep 0.1; done
  begin=$(date +%s.%N)
  line=$(load 127.0.0.1:5163 kind=traps "seconds=$SECONDS_PER_RUN" "$@")
  finish=$(date +%s.%N)
  while now=$(stat -c %s "$dir/traps.log"); [ "$now" != "$size" ]; do
    if [ "$size" != -1 ]; then finish=$(date +%s.%N); fi
    size=$now
    sleep 0.2
  done
  cpu=$(cpu_of "${PIDS[-1]}")
  sent=$(field lines <<<"$line")
  kill -TERM "${PIDS[-1]}"
  wait "${PIDS[-1]}" || true
  unset 'PIDS[-1]'
  now=$(grep -c '\.1\.3\.6\.1\.6\.3\.1\.1\.4\.1\.0 = ' "$dir/traps.log" || true)
  rm -rf "$dir"
  awk -v n="$now" -v s="$sent" -v a="$begin" -v b="$finish" -v g="$(field cpu_seconds <<<"$line")" -v c="$cpu" \
    'BEGIN { printf "snmptrapd: sent %d, logged %d (%.1f %% lost) in %.1f s = %d/s; cpu generator %s s, server %s s\n", s, n, (s - n) * 100 / s, b - a, n / (b - a), g, c }' >&2
  awk -v n="$now" -v a="$begin" -v b="$finish" 'BEGIN { printf "%d\n", n / (b - a) }'
}

# One replay of v2c traps, as fast as it goes, against both in turns: what each took in a second.
traps() {
  build
  SECONDS_PER_RUN=${TRAPS_SECONDS:-10}
  RCVBUF=${RCVBUF:-4194304}
  local ours theirs line
  : >"$WORK/ours"
  : >"$WORK/theirs"
  for _ in $(seq "$PAIRS"); do
    line=$(accounted snmp-udp traps ${RATE:+"rate=$RATE"})
    show_run mutt <<<"$line"
    awk '{ print $9 }' <<<"$line" >>"$WORK/ours"
    snmptrapd_run ${RATE:+"rate=$RATE"} >>"$WORK/theirs"
  done
  ours=$(median <"$WORK/ours")
  theirs=$(median <"$WORK/theirs")
  echo "traps: mutt $ours/s durable, snmptrapd $theirs/s to a log, ratio $(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.1f", a / b }') (median of $PAIRS pairs of $SECONDS_PER_RUN s)"
}

# Decoding alone, beside crates of others.
decode() {
  cargo run --release -q --features vector --manifest-path bench/decode/Cargo.toml -- "$@"
}

# The configuration of the generator's users, with their passwords in files.
v3_users() {
  local number
  mkdir -p "$1"
  for number in $(seq 0 99); do
    printf 'load-auth-%d' "$number" >"$1/auth-$number"
    printf 'load-priv-%d' "$number" >"$1/priv-$number"
    cat <<CONFIG
[[ingestor.snmp.users]]
name = "load-$number"
auth = { protocol = "SHA-1", secret = { file = "$1/auth-$number" } }
priv = { protocol = "AES-128", secret = { file = "$1/priv-$number" } }
CONFIG
  done
}

# authPriv traps by 100 users on engines of their own, encoded before: as fast as it goes.
v3() {
  build
  SECONDS_PER_RUN=${V3_SECONDS:-30} # replayed messages stand still: more than 150 s is outside the time window
  RCVBUF=${RCVBUF:-16777216}
  local line
  : >"$WORK/ours"
  EXTRA_CONFIG=$(v3_users "$WORK/users")
  for _ in $(seq "$PAIRS"); do
    line=$(accounted snmp-udp v3 users=100 ${RATE:+"rate=$RATE"})
    show_run "mutt v3" <<<"$line"
    awk '{ print $9 }' <<<"$line" >>"$WORK/ours"
  done
  EXTRA_CONFIG=
  echo "v3: $(median <"$WORK/ours")/s authPriv (SHA-1, AES-128, 100 users) durable (median of $PAIRS runs of $SECONDS_PER_RUN s)"
}

# An authority and a certificate for localhost in DIR.
certificates() {
  mkdir -p "$1"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=bench authority" \
    -keyout "$1/ca.key" -out "$1/ca.pem" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=localhost" \
    -keyout "$1/key.pem" -out "$1/request.pem" 2>/dev/null
  openssl x509 -req -in "$1/request.pem" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial -days 2 \
    -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n') -out "$1/cert.pem" 2>/dev/null
  chmod 600 "$1"/*
}

# stream_run WHO KIND: lines over TCP or TLS to the durable queue, or to rsyslog's file; the rate.
stream_run() {
  local who=$1 kind=$2 dir=$WORK/stream line before after written port=5514
  mkdir -p "$dir"
  if [ "$kind" = tls ]; then port=6514; fi
  if [ "$who" = mutt ]; then
    queue_config "$dir" >"$dir/mutt.toml"
    cat >>"$dir/mutt.toml" <<CONFIG
[[ingestor.syslog.tls]]
listen = "127.0.0.1:6514"
cert = "$WORK/tls/cert.pem"
key = { file = "$WORK/tls/key.pem" }
CONFIG
    start_mutt "$dir" "$dir/mutt.toml" --only ingestor
  else
    port=$((port + 10))
    local driver=
    if [ "$kind" = tls ]; then driver=' streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon"'; fi
    cat >"$dir/rsyslog.conf" <<CONFIG
global(workDirectory="$dir" defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="$WORK/tls/ca.pem"
  defaultNetstreamDriverCertFile="$WORK/tls/cert.pem" defaultNetstreamDriverKeyFile="$WORK/tls/key.pem")
module(load="imtcp" maxSessions="100"$driver)
input(type="imtcp" port="$port" address="127.0.0.1")
action(type="omfile" file="$dir/all.log" ioBufferSize="256k" flushOnTXEnd="off" asyncWriting="off")
CONFIG
    rsyslogd -n -i "$dir/pid" -f "$dir/rsyslog.conf" 2>"$dir/err" &
    PIDS+=($!)
    for _ in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.1; done
  fi
  before=$(date +%s.%N)
  line=$(load "127.0.0.1:$port" "kind=$kind" "ca=$WORK/tls/ca.pem" "seconds=$SECONDS_PER_RUN" connections=4)
  written=$(field lines <<<"$line")
  if [ "$who" = mutt ]; then
    # What stood in buffers when the generator's time was over is not waited for without end.
    for _ in $(seq 500); do
      if [ "$(metric 8080 mutt_queue_appended_events_total)" -ge "$written" ]; then break; fi
      sleep 0.02
    done
    after=$(date +%s.%N)
    written=$(metric 8080 mutt_queue_appended_events_total)
  else
    local size=-1 now
    while now=$(stat -c %s "$dir/all.log" 2>/dev/null || echo 0); [ "$now" != "$size" ]; do size=$now; sleep 0.2; done
    after=$(date +%s.%N)
  fi
  local rate
  rate=$(awk -v n="$written" -v a="$before" -v b="$after" 'BEGIN { printf "%d", n / (b - a) }')
  echo "$who $kind $rate events/s   $line   server cpu $(cpu_of "${PIDS[-1]}") s" >&2
  stop_last
  rm -rf "$dir"
  echo "$rate"
}

# TLS beside plain, MUTT beside rsyslog, all four in turns.
tls() {
  build
  SECONDS_PER_RUN=${TLS_SECONDS:-15}
  local who kind
  certificates "$WORK/tls"
  for _ in $(seq "$PAIRS"); do
    for kind in tcp tls; do
      for who in mutt rsyslog; do stream_run "$who" "$kind" >>"$WORK/$who-$kind"; done
    done
  done
  for kind in tcp tls; do
    local ours theirs
    ours=$(median <"$WORK/mutt-$kind")
    theirs=$(median <"$WORK/rsyslog-$kind")
    echo "tls: over $kind mutt $ours events/s durable, rsyslog $theirs events/s to a file, ratio $(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.2f", a / b }') (median of $PAIRS turns of $SECONDS_PER_RUN s)"
  done
}
