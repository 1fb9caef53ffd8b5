#!/bin/sh
# restart_service.sh SERVICE PORT: stops the process of a service that listens on this port of loopback, and
# starts it again, where no systemd does it. Returns when the service is ready.
set -eu
pid="$(ss -Hlntp "sport = :$2" | grep -o 'pid=[0-9]*' | cut -d= -f2)"
kill -TERM "$pid"
timeout 40 tail --pid="$pid" -f /dev/null
setpriv --reuid mutt --regid mutt --init-groups --inh-caps +net_bind_service --ambient-caps +net_bind_service \
    muttctl serve --config /etc/mutt/mutt.toml --only "$1" >"/tmp/$1.log" 2>&1 &
until curl -fs -o /dev/null "http://127.0.0.1:$2/health/ready"; do sleep 0.2; done
echo "$1 is ready again"
