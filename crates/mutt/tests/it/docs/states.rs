//! The states in which blocks begin (`state=`). Each is a few steps in a new sandbox, in the words
//! that a document would use.

use std::time::Duration;

use super::execute::{one, output_of};
use super::parse::{self, Kind};
use super::sandbox::Sandbox;

/// A step on the way to a state.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Runs to its end and must succeed.
    Run(&'static str),
    /// Stays; is ready when the port of loopback answers.
    Start(&'static str, u16),
    /// What a reader of these blocks of a document has done.
    Follow(Blocks),
}

/// A document, its block to begin with (none: the first), and the block before which to end.
pub(crate) type Blocks = (&'static str, Option<&'static str>, &'static str);

/// Name and steps. A drill adds its own.
pub(crate) const STATES: &[(&str, &[Step])] = &[
    // A clone after `cargo build --release`; nothing runs.
    ("fresh", &[]),
    // `muttctl serve` without configuration.
    ("started", &[Step::Start("muttctl serve", WEB_UI)]),
    // As the installation guide leaves it; nothing runs.
    ("installed", &[GUIDE]),
    // And MUTT runs, as its unit would run it.
    ("installed-running", &[GUIDE, Step::Start(AS_THE_UNIT, WEB_UI)]),
    // As the installation guide leaves it, beside a Vault that is unsealed.
    ("vault", &[GUIDE, Step::Start(VAULT, 8200)]),
    // And MUTT's AppRole and a secret are there.
    ("vault-used", &[GUIDE, Step::Start(VAULT, 8200), VAULT_USED]),
    // As the installation guide leaves it, beside Redis and PostgreSQL as their packages leave them.
    ("servers", &[GUIDE, REDIS, POSTGRES]),
    // And set up for MUTT, as the guide of the production engines says; no service runs.
    ("engines", &[GUIDE, REDIS, POSTGRES, ENGINES]),
    // And all five services run over them as processes of their own.
    ("production", &[GUIDE, REDIS, POSTGRES, ENGINES, APART]),
    // As "installed-running" and "production", and backups were made.
    ("backed-up", &[GUIDE, Step::Start(AS_THE_UNIT, WEB_UI), BACKUP]),
    ("backed-up-production", &[GUIDE, REDIS, POSTGRES, ENGINES, APART, BACKUP_OF_POSTGRES]),
    // As "installed-running" with a folder for archives, and an event of a hundred days ago.
    ("archived", &[GUIDE, Step::Run(LONG_AGO), Step::Start(AS_THE_UNIT, WEB_UI)]),
    // What the Python MUTT left: its environment file, its Redis with four items, and its database with
    // the user `reader`; nothing of MUTT runs.
    ("v2", &[Step::Start(V2_REDIS, 6379), POSTGRES, Step::Run(V2_TABLES), Step::Run(V2_ITEMS)]),
    // `muttctl serve` with a sink named `receiver` whose webhook answers 200.
    (
        "running",
        &[RECEIVER, Step::Run(SINK), Step::Start("muttctl serve --config mutt.toml", WEB_UI)],
    ),
];

/// Where the API of a default start listens.
pub(crate) const WEB_UI: u16 = 8090;

/// The receiver that the documents use, on its own port.
const RECEIVER: Step = Step::Start("python3 docs/operations/snippets/webhook_receiver.py", 9099);

const V2_REDIS: &str = "redis-server --port 6379 --bind 127.0.0.1 --save '' --dir .";

const V2_TABLES: &str =
    "psql='setpriv --reuid postgres --regid postgres --clear-groups psql -qXv ON_ERROR_STOP=1'
$psql -c 'CREATE DATABASE v2'
cat testdata/v2/schema.sql testdata/v2/events.sql - <<'END' | $psql -d v2
CREATE ROLE reader LOGIN PASSWORD 'of-the-reader';
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
END
(umask 077 && echo of-the-reader > db-password)";

const V2_ITEMS: &str = r#"cat > mutt.env <<'END'
UNHANDLED_THRESHOLD=50
MOOG_WEBHOOK_URL=https://moog.corp.internal/events
MOOG_API_KEY=a-secret-of-the-site
END
event='{"hostname": "edge-r1", "message": "LINK-DOWN", "timestamp": "2025-11-10T10:00:00Z"}'
redis-cli LPUSH mutt:ingest_queue "$event" "$event" '[1, 2]'
redis-cli LPUSH mutt:dlq:alerter "$event""#;

/// Where the server is not installed, the blocks that need it are skipped by name.
const VAULT: &str = "if command -v bao >/dev/null; \
    then exec bao server -dev -dev-root-token-id=of-the-documents; \
    else exec python3 -m http.server --bind 127.0.0.1 8200; fi";

/// Redis with the configuration of its package.
const REDIS: Step = Step::Start(
    "install -d -o redis -g redis /run/redis /var/lib/redis
exec setpriv --reuid redis --regid redis --clear-groups \
    redis-server /etc/redis/redis.conf --daemonize no --logfile ''",
    6379,
);

/// PostgreSQL with a new cluster: peers on the socket, passwords on loopback.
const POSTGRES: Step = Step::Start(
    "programs=\"$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)\"
install -d -o postgres -g postgres /run/postgresql /var/lib/postgresql/mutt
as='setpriv --reuid postgres --regid postgres --clear-groups'
$as \"$programs/initdb\" -D /var/lib/postgresql/mutt -U postgres -E UTF8 --locale=C \
    --auth-local=peer --auth-host=scram-sha-256 --no-sync
exec $as \"$programs/postgres\" -D /var/lib/postgresql/mutt -k /run/postgresql \
    -c listen_addresses=127.0.0.1 -c shared_buffers=32MB",
    5432,
);

/// What the units start, on one host.
const APART: Step = Step::Start(
    "as='setpriv --reuid mutt --regid mutt --init-groups'
serve=\"$as --inh-caps +net_bind_service --ambient-caps +net_bind_service muttctl serve\"
serve=\"$serve --config /etc/mutt/mutt.toml --only\"
$serve ingestor & $serve alerter & $serve moog-forwarder & $serve remediation & $serve web-ui & wait",
    WEB_UI,
);

const AS_THE_UNIT: &str = "setpriv --reuid mutt --regid mutt --init-groups \
    --inh-caps +net_bind_service --ambient-caps +net_bind_service \
    muttctl serve --config /etc/mutt/mutt.toml";

/// MUTT is installed: systemd comes to start it.
const GUIDE: Step = Step::Follow(("docs/operations/INSTALLATION_GUIDE.md", None, "check"));
/// Its engines are set up: the services come to start.
const ENGINES: Step = Step::Follow(("docs/operations/PRODUCTION_ENGINES.md", None, "migrated"));
/// MUTT's part of Vault is set up; without Vault nothing is.
const VAULT_USED: Step =
    Step::Follow(("docs/operations/INSTALLATION_GUIDE.md", Some("vault-policy"), "vault-check"));
/// Each store is backed up.
const BACKUP: Step =
    Step::Follow(("docs/operations/BACKUP_RECOVERY.md", Some("event"), "pg-event"));
const BACKUP_OF_POSTGRES: Step =
    Step::Follow(("docs/operations/BACKUP_RECOVERY.md", Some("pg-event"), "etc"));

/// Retention is for Remediation of the next start: it comes round each second there.
const LONG_AGO: &str = "install -d -o mutt -g mutt -m 0750 /var/lib/mutt/archives
cat >> /etc/mutt/mutt.toml <<'END'
[store.archive]
dir = \"/var/lib/mutt/archives\"
[remediation]
interval = \"1s\"
END
fake=$(echo /usr/lib/*/faketime/libfaketimeMT.so.1)
MUTT__REMEDIATION__INTERVAL=1d setpriv --reuid mutt --regid mutt --init-groups \
    --inh-caps +net_bind_service --ambient-caps +net_bind_service \
    env LD_PRELOAD=$fake FAKETIME=-100d FAKETIME_DONT_FAKE_MONOTONIC=1 \
    muttctl serve --config /etc/mutt/mutt.toml > /tmp/long-ago.log 2>&1 & pid=$!
since=$(date -u -d '120 days ago' +%FT%TZ)
until muttctl send syslog --to 127.0.0.1:514 --hostname edge-r9 'of a hundred days ago' \
    && muttctl events list --host edge-r9 --since $since | grep -q edge-r9; do sleep 0.1; done
kill $pid; wait $pid";

const SINK: &str = "cat > mutt.toml <<'END'
[sinks.receiver]
kind = \"webhook\"
url = \"http://127.0.0.1:9099/alerts\"
END";

/// Brings a new sandbox into a state.
#[track_caller]
pub(crate) fn enter(sandbox: &mut Sandbox, name: &str) {
    let found = STATES.iter().chain(super::faults::FAULTS).find(|(state, _)| *state == name);
    let (_, steps) = found.unwrap_or_else(|| panic!("no such state: {name}"));
    for step in *steps {
        match step {
            Step::Run(text) => {
                let ended = sandbox.run(text, Duration::from_secs(30));
                assert_eq!(ended.exit, 0, "state {name}: {text}\n{}", ended.output);
            }
            Step::Start(text, port) => {
                sandbox.start(name, text);
                sandbox.wait_for_port(*port);
            }
            Step::Follow(blocks) => follow(sandbox, *blocks),
        }
    }
}

/// Does what a document says.
#[track_caller]
fn follow(sandbox: &mut Sandbox, (name, from, until): Blocks) {
    let blocks = parse::blocks(&super::read(name)).unwrap();
    let mut began = from.is_none();
    for block in &blocks {
        if let Kind::Run(run) = &block.kind {
            if run.id == until {
                return;
            }
            began |= from == Some(run.id.as_str());
        }
        match &block.kind {
            _ if !began => {}
            Kind::Run(run) if !run.needs.iter().all(|program| sandbox.has(program)) => {}
            Kind::Run(run) if run.background => sandbox.start(&run.id, &block.text),
            Kind::Run(run) => {
                let shown = output_of(&blocks, &run.id);
                one(sandbox, &format!("{name}:{}", block.line), run, &block.text, shown);
            }
            Kind::Static { file: Some(file), .. } => sandbox.save(file, &block.text),
            _ => {}
        }
    }
    panic!("{name} has no block {until}");
}

#[test]
fn every_state_can_be_entered() {
    if let Some(why) = super::sandbox::missing() {
        println!("skipped: states are not entered: {why}");
        return;
    }
    for (name, _) in STATES {
        enter(&mut Sandbox::new(&super::root()), name);
    }
}
