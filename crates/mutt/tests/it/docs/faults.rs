//! The states of the drills: the program runs (or cannot start), and the fault of one runbook entry
//! is there, injected for real.

use super::states::Step;

/// Name and steps, one for each runbook entry of TROUBLESHOOTING.md.
pub(crate) const FAULTS: &[(&str, &[Step])] = &[
    // The receiver took alerts and is gone; several alerts wait.
    (
        "webhook-down",
        &[
            Step::Start(
                "echo $$ > receiver.pid; exec python3 docs/operations/snippets/webhook_receiver.py",
                RECEIVER,
            ),
            Step::Run(SINK),
            Step::Start(SERVE, WEB_UI),
            Step::Run(LINK_DOWN),
            Step::Run(
                "until muttctl deliveries list --state delivered --json | grep -q edge-r1; do sleep 0.1; done",
            ),
            Step::Run("kill $(cat receiver.pid)"),
            Step::Run(MORE_LINKS_DOWN),
        ],
    ),
    // The event manager's credential was changed; the new one lies in moog-token.new.
    (
        "sink-401",
        &[
            Step::Run(EVENT_MANAGER),
            Step::Start("exec python3 event_manager.py", RECEIVER),
            Step::Run(SINK),
            Step::Run(
                "echo 'auth = { bearer = { file = \"moog-token\" } }' >> mutt.toml
                 umask 077; printf old > moog-token; printf new > moog-token.new",
            ),
            Step::Start(SERVE, WEB_UI),
            Step::Run(LINK_DOWN),
        ],
    ),
    // A core file fills the disk of data_dir.
    (
        "disk-full",
        &[
            Step::Run("mkdir -m 0700 mutt-data; mount -t tmpfs -o size=64m,mode=0700 tmpfs mutt-data"),
            Step::Run("printf '[queue]\\nmin_free = \"16MiB\"\\n' > mutt.toml"),
            Step::Start(SERVE, WEB_UI),
            Step::Run("muttctl send http --message before"),
            Step::Run("dd if=/dev/zero of=mutt-data/core.4711 bs=1M count=64 2>/dev/null || test -s mutt-data/core.4711"),
        ],
    ),
    // Another program has the Ingestor's port.
    (
        "port-taken",
        &[
            Step::Run(
                "printf '[queue]\\nmin_free = \"0B\"\\n' > mutt.toml
                 muttctl serve --config mutt.toml > mutt.log 2>&1 & pid=$!
                 until test -e mutt-data/listeners.json; do sleep 0.1; done
                 kill $pid; wait $pid",
            ),
            Step::Start("exec python3 -m http.server 8080 --bind 127.0.0.1", 8080),
        ],
    ),
    // Token and ingest key were rotated; the people and the senders have the old ones.
    (
        "bad-token",
        &[
            Step::Run(TOKENS),
            Step::Start(SERVE, WEB_UI),
            Step::Run("umask 077; printf old > night-shift.token; printf old > sender.key"),
        ],
    ),
    // rsyslog forwards to a port on which nobody listens.
    (
        "no-events",
        &[
            Step::Start("exec muttctl serve >mutt.log 2>&1", WEB_UI),
            Step::Run(FORWARDING),
            Step::Start("exec rsyslogd -n -f /etc/rsyslog.conf -i NONE", SENDER),
            Step::Run("logger --tcp --server 127.0.0.1 --port 10514 --tag edge-r1 'nobody hears this'"),
        ],
    ),
    // The devices' community was changed; MUTT knows the old one.
    (
        "no-traps",
        &[
            Step::Run(
                "printf '[ingestor.snmp]\\ncommunities = [{ file = \"community\" }]\\n' > mutt.toml
                 umask 077; printf old > community; printf new > community.new",
            ),
            Step::Start(SERVE, WEB_UI),
            Step::Run("muttctl send trap --community-file community.new"),
        ],
    ),
    // A rule with a wrong letter, and one that can never win.
    (
        "rule-does-not-match",
        &[
            Step::Start("exec muttctl serve >mutt.log 2>&1", WEB_UI),
            Step::Run(
                "muttctl rules add '{\"name\":\"uplink\",\"match_string\":\"UPLNK-2-LOST\",\"prod_handling\":\"Page_and_ticket\",\"dev_handling\":\"Ignore\",\"priority\":15}'
                 until curl -s http://127.0.0.1:8082/metrics | grep -q 'mutt_alerter_ruleset_version 2'; do sleep 0.1; done
                 muttctl send syslog --hostname core-r1 '%UPLINK-2-LOST: uplink 1 lost its carrier'
                 until muttctl events list --json | grep -q UPLINK; do sleep 0.1; done",
            ),
        ],
    ),
    // The clock of the host is set back by an hour while MUTT runs; `chronyc makestep` puts it right.
    (
        "wrong-clock",
        &[
            Step::Run(FAKE_CLOCK),
            Step::Start("exec muttctl serve >mutt.log 2>&1", WEB_UI),
            Step::Run("muttctl send http --message before"),
            Step::Run("echo -1h > /etc/clock; until grep -q MUTT-P003 mutt.log; do sleep 0.1; done"),
        ],
    ),
    // A process without the Alerter fills its event queue.
    (
        "queue-full",
        &[
            Step::Run("printf '[queue]\\nmax_events = 1000\\nmin_free = \"0B\"\\n' > mutt.toml"),
            Step::Start(
                "exec muttctl serve --config mutt.toml --only ingestor,moog-forwarder,remediation,web-ui >mutt.log 2>&1",
                WEB_UI,
            ),
            Step::Run(
                "seq 1000 | jq -c '{hostname:\"edge-r1\",message:\"message \\(.)\"}' > records.json
                 muttctl send http --body records.json",
            ),
        ],
    ),
];

const WEB_UI: u16 = 8090;
const RECEIVER: u16 = 9099;
const SENDER: u16 = 10_514;
const SERVE: &str = "exec muttctl serve --config mutt.toml >mutt.log 2>&1";

/// Probes come often, so that a drill need not wait half a minute.
const SINK: &str = "cat > mutt.toml <<'END'
[queue]
min_free = \"0B\"
[sinks.moog]
kind = \"webhook\"
url = \"http://127.0.0.1:9099/alerts\"
probe_interval = \"1s\"
END";

const LINK_DOWN: &str = "muttctl send syslog --severity err --hostname edge-r1 '%LINK-3-UPDOWN: Interface Gi0/1, changed state to down'";
/// As many as open the breaker.
const MORE_LINKS_DOWN: &str = "seq 2 7 | xargs -I {} muttctl send syslog --severity err --hostname edge-r{} '%LINK-3-UPDOWN: Interface Gi0/1, changed state to down'";

/// Takes alerts from those who have the new credential.
const EVENT_MANAGER: &str = "cat > event_manager.py <<'END'
from http.server import BaseHTTPRequestHandler, HTTPServer


class EventManager(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get('Content-Length', 0)))
        known = self.headers.get('Authorization') == 'Bearer new'
        body = b'{}' if known else b'unknown token'
        self.send_response(200 if known else 401)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)


HTTPServer(('127.0.0.1', 9099), EventManager).serve_forever()
END";

const TOKENS: &str = "mkdir -m 0700 secrets
umask 077; printf new > secrets/night-shift; printf new-key > secrets/rsyslog
cat > mutt.toml <<'END'
[queue]
min_free = \"0B\"
[[web_ui.tokens]]
name = \"night-shift\"
role = \"operator\"
token = { file = \"secrets/night-shift\" }
[[ingestor.http.keys]]
name = \"rsyslog\"
key = { file = \"secrets/rsyslog\" }
END";

/// rsyslog as a site's relay: devices come in on 10514, everything goes on to MUTT.
const FORWARDING: &str = "mkdir -p /etc/rsyslog.d /var/spool/rsyslog
cat > /etc/rsyslog.conf <<'END'
global(workDirectory=\"/var/spool/rsyslog\")
module(load=\"imtcp\")
input(type=\"imtcp\" address=\"127.0.0.1\" port=\"10514\")
include(file=\"/etc/rsyslog.d/mutt.conf\")
END
echo 'action(type=\"omfwd\" target=\"127.0.0.1\" port=\"5541\" protocol=\"udp\")' > /etc/rsyslog.d/mutt.conf";

/// `muttctl` sees the clock that stands in /etc/clock; chronyc puts it right.
const FAKE_CLOCK: &str = "echo +0 > /etc/clock
muttctl=$(readlink -f ../bin/muttctl); fake=$(echo /usr/lib/*/faketime/libfaketimeMT.so.1)
rm ../bin/muttctl
printf '#!/bin/sh\\nexec env LD_PRELOAD=%s FAKETIME_TIMESTAMP_FILE=/etc/clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 %s \"$@\"\\n' \"$fake\" \"$muttctl\" > ../bin/muttctl
printf '#!/bin/sh\\ntest \"$1\" = makestep && echo +0 > /etc/clock && echo 200 OK\\n' > /usr/local/bin/chronyc
chmod 0755 ../bin/muttctl /usr/local/bin/chronyc";
