//! The states in which blocks begin (`state=`). Each is a few steps in a new sandbox, in the words
//! that a document would use.

use std::time::Duration;

use super::parse::{self, Kind};
use super::sandbox::Sandbox;

/// A step on the way to a state.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Runs to its end and must succeed.
    Run(&'static str),
    /// Stays; is ready when the port of loopback answers.
    Start(&'static str, u16),
    /// What a reader of the installation guide has done when systemd comes to start MUTT.
    Guide,
    /// What a reader of the guide of the production engines has done when the services come to start.
    Engines,
}

/// Name and steps. A drill adds its own.
pub(crate) const STATES: &[(&str, &[Step])] = &[
    // A clone after `cargo build --release`; nothing runs.
    ("fresh", &[]),
    // `muttctl serve` without configuration.
    ("started", &[Step::Start("muttctl serve", WEB_UI)]),
    // As the installation guide leaves it; nothing runs.
    ("installed", &[Step::Guide]),
    // And MUTT runs, as its unit would run it.
    ("installed-running", &[Step::Guide, Step::Start(AS_THE_UNIT, WEB_UI)]),
    // As the installation guide leaves it, beside a Vault that is unsealed.
    ("vault", &[Step::Guide, Step::Start(VAULT, 8200)]),
    // As the installation guide leaves it, beside Redis and PostgreSQL as their packages leave them.
    ("servers", &[Step::Guide, REDIS, POSTGRES]),
    // And set up for MUTT, as the guide of the production engines says; no service runs.
    ("engines", &[Step::Guide, REDIS, POSTGRES, Step::Engines]),
    // And all five services run over them as processes of their own.
    ("production", &[Step::Guide, REDIS, POSTGRES, Step::Engines, APART]),
    // What the Python MUTT left: its environment file, and its Redis with four items; nothing runs.
    ("v2", &[Step::Start(V2_REDIS, 6379), Step::Run(V2_ITEMS)]),
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

/// The guides and their blocks at which MUTT is installed, and at which its engines are set up.
const GUIDE: (&str, &str) = ("docs/operations/INSTALLATION_GUIDE.md", "check");
const ENGINES: (&str, &str) = ("docs/operations/PRODUCTION_ENGINES.md", "migrated");

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
            Step::Guide => follow(sandbox, GUIDE),
            Step::Engines => follow(sandbox, ENGINES),
        }
    }
}

/// Does what a guide says, with its own blocks, until this one.
#[track_caller]
fn follow(sandbox: &mut Sandbox, (guide, until): (&str, &str)) {
    for block in parse::blocks(&super::read(guide)).unwrap() {
        match block.kind {
            Kind::Run(run) if run.id == until => return,
            Kind::Run(run) => {
                let ended = sandbox.run(&block.text, run.timeout);
                assert_eq!(ended.exit, 0, "{guide}, {}: {}", run.id, ended.output);
            }
            Kind::Static { file: Some(file), .. } => sandbox.save(&file, &block.text),
            _ => {}
        }
    }
    panic!("{guide} has no block {until}");
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
