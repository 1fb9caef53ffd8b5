//! The states in which blocks begin (`state=`). Each is a few steps in a new sandbox, in the words
//! that a document would use.

use std::time::Duration;

use super::sandbox::Sandbox;

/// A step on the way to a state.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Runs to its end and must succeed.
    Run(&'static str),
    /// Stays; is ready when the port of loopback answers.
    Start(&'static str, u16),
}

/// Name and steps. A drill adds its own.
pub(crate) const STATES: &[(&str, &[Step])] = &[
    // A clone after `cargo build --release`; nothing runs.
    ("fresh", &[]),
    // `muttctl serve` without configuration.
    ("started", &[Step::Start("muttctl serve", WEB_UI)]),
    // As above, with a sink named `receiver` whose webhook answers 200.
    (
        "running",
        &[RECEIVER, Step::Run(SINK), Step::Start("muttctl serve --config mutt.toml", WEB_UI)],
    ),
];

/// Where the API of a default start listens.
const WEB_UI: u16 = 8090;

/// The receiver that the documents use, on its own port.
const RECEIVER: Step = Step::Start("python3 docs/operations/snippets/webhook_receiver.py", 9099);

const SINK: &str = "cat > mutt.toml <<'END'
[sinks.receiver]
kind = \"webhook\"
url = \"http://127.0.0.1:9099/alerts\"
END";

/// Brings a new sandbox into a state.
#[track_caller]
pub(crate) fn enter(sandbox: &mut Sandbox, name: &str) {
    let found = STATES.iter().find(|(state, _)| *state == name);
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
        }
    }
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
