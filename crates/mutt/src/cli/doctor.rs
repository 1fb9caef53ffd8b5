//! `muttctl doctor`: looks at this host and at the running program, says what is wrong and prints the
//! command that mends it. Exit 1 when something is bad; a warning alone is no failure.

mod host;
mod program;
mod sockets;

use std::path::PathBuf;

use mutt_model::codes;
use serde_json::{Value, json};

use super::api::Api;
use super::args::DoctorArgs;
use super::failure::Failure;
use super::output::{self, Mark};
use crate::config::{self, Config, Overrides, ProcessEnv};

/// What a check found.
pub(super) struct Finding {
    mark: Mark,
    what: String,
    fix: Option<String>,
}

impl Finding {
    fn ok(what: impl Into<String>) -> Self {
        Self { mark: Mark::Good, what: what.into(), fix: None }
    }

    fn warn(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { mark: Mark::Warn, what: what.into(), fix: Some(fix.into()) }
    }

    fn bad(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { mark: Mark::Bad, what: what.into(), fix: Some(fix.into()) }
    }

    fn word(&self) -> &'static str {
        match self.mark {
            Mark::Good => "ok  ",
            Mark::Warn => "warn",
            Mark::Bad => "bad ",
        }
    }
}

/// What the checks look at.
pub(super) struct Context {
    config: Config,
    data_dir: PathBuf,
    /// The running program, when it answers.
    api: Option<Api>,
    /// Its health, when it answers.
    health: Option<Value>,
}

/// A check: its name, and a function that looks.
type Check = (&'static str, fn(&Context) -> Vec<Finding>);

const CHECKS: &[Check] = &[
    ("data directory", host::data_dir),
    ("secrets", host::secrets),
    ("secret files", host::secret_files),
    ("ports", sockets::ports),
    ("receive buffer", host::receive_buffer),
    ("clock", host::clock),
    ("sinks", host::sinks),
    ("services", program::services),
    ("event queue", program::backlog),
    ("ledger", program::ledger),
    ("events", program::silence),
    ("lanes", program::lanes),
    ("rules", program::rules),
    ("retention", program::retention),
    ("store roles", program::roles),
];

/// Runs all checks.
pub(super) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let overrides = Overrides { data_dir: args.data_dir.clone() };
    let config = config::load(args.config.as_deref(), &ProcessEnv, &overrides)
        .map_err(|errors| Failure::config(&errors))?;
    let json = args.target.json;
    let (api, health, first) = program::connect(&args.target, &config.data_dir);
    let context = Context { data_dir: config.data_dir.clone(), config, api, health };
    let mut bad = tell("program", vec![first], json)?;
    for (name, check) in CHECKS {
        bad += tell(name, check(&context), json)?;
    }
    if bad == 0 {
        return Ok(());
    }
    Err(Failure::new(&codes::DOCTOR_FOUND, output::counted(bad, "bad finding")))
}

/// Prints findings and counts the bad ones.
fn tell(name: &str, findings: Vec<Finding>, json: bool) -> Result<usize, Failure> {
    let bad = findings.iter().filter(|finding| finding.mark == Mark::Bad).count();
    for finding in findings {
        if json {
            let value = json!({
                "check": name, "result": finding.word().trim(), "what": finding.what,
                "fix": finding.fix,
            });
            output::line(&value.to_string())?;
            continue;
        }
        let what = output::plain(&finding.what);
        output::marked(finding.mark, finding.word(), &format!("{name}: {what}"))?;
        if let Some(fix) = &finding.fix {
            output::line(&format!("     fix: {}", output::plain(fix)))?;
        }
    }
    Ok(bad)
}
