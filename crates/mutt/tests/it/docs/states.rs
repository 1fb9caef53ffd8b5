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

/// Where the server is not installed, the blocks that need it are skipped by name.
const VAULT: &str = "if command -v bao >/dev/null; \
    then exec bao server -dev -dev-root-token-id=of-the-documents; \
    else exec python3 -m http.server --bind 127.0.0.1 8200; fi";

const AS_THE_UNIT: &str = "setpriv --reuid mutt --regid mutt --init-groups \
    --inh-caps +net_bind_service --ambient-caps +net_bind_service \
    muttctl serve --config /etc/mutt/mutt.toml";

/// The guide's block at which MUTT is installed.
const INSTALLED_AT: &str = "check";

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
            Step::Guide => install(sandbox),
        }
    }
}

/// Does what the installation guide says, with its own blocks.
#[track_caller]
fn install(sandbox: &mut Sandbox) {
    let guide = super::read("docs/operations/INSTALLATION_GUIDE.md");
    for block in parse::blocks(&guide).unwrap() {
        match block.kind {
            Kind::Run(run) if run.id == INSTALLED_AT => return,
            Kind::Run(run) => {
                let ended = sandbox.run(&block.text, run.timeout);
                assert_eq!(ended.exit, 0, "installing, {}: {}", run.id, ended.output);
            }
            Kind::Static { file: Some(file), .. } => sandbox.save(&file, &block.text),
            _ => {}
        }
    }
    panic!("the installation guide has no block {INSTALLED_AT}");
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
