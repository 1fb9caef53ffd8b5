//! `muttctl check`: configuration and rule files without starting anything.

use mutt_model::Clock;

use super::api::block_on;
use super::args::CheckArgs;
use super::failure::Failure;
use super::{output, rule_file};
use crate::config::{self, Config, ConfigError, Overrides, ProcessEnv, v2};
use crate::secrets::Keyring;
use crate::services::Service;

/// Reports every error with its place; what v2 left in the environment is said too.
pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    for note in v2::notes(&ProcessEnv) {
        let words = format!("environment {}: {}", note.name, note.what);
        if note.warning {
            output::warning(&words);
        } else {
            output::note(&words);
        }
    }
    let overrides = Overrides { data_dir: args.data_dir.clone() };
    let mut errors: Vec<ConfigError> = Vec::new();
    let mut sinks = 0;
    match config::load(args.config.as_deref(), &ProcessEnv, &overrides) {
        Ok(config) => {
            sinks = config.sinks.len();
            if let Some(dir) = unit_cannot_write(&config) {
                output::warning(&format!(
                    "store.archive.dir = {dir} is outside {STATE_DIR}, which is all that the units let MUTT write to: run systemctl edit mutt-remediation (and mutt) and add, below [Service], ReadWritePaths={dir}"
                ));
            }
            errors.extend(config.missing_doors(Service::chosen(&args.only)));
            let mut missing = Vec::new();
            if !args.no_secrets {
                missing.extend(config.unresolved(&ProcessEnv));
                missing.extend(config.unusable_tls(&ProcessEnv));
            }
            if args.secrets && missing.is_empty() {
                let clock = Clock::System;
                missing.extend(block_on(ask_vault(&config, clock))?);
            }
            let written = config::written(args.config.as_deref(), &ProcessEnv, &mut Vec::new());
            errors.extend(missing.into_iter().map(|mut error| {
                // A list of tables is one place.
                let name = |part| str::split(part, '[').next().unwrap_or(part);
                let path: Vec<&str> = error.key.split('.').map(name).collect();
                error.origin = written.origin_of(&path).clone();
                error
            }));
        }
        Err(found) => errors.extend(found),
    }
    let mut rules = 0;
    for file in &args.rules {
        match rule_file::read(file) {
            Ok(found) => {
                rules += found.len();
                for finding in mutt_rules::lint(&rule_file::as_set(&found)) {
                    let place = format!("{}, rule {}", file.display(), finding.rule_id);
                    output::warning(&format!("{place}: {}", finding.message));
                }
            }
            Err(found) => errors.extend(found),
        }
    }
    if !errors.is_empty() {
        return Err(Failure::config(&errors));
    }
    let rules = if args.rules.is_empty() {
        String::new()
    } else {
        format!(", {}", output::counted(rules, "rule"))
    };
    let sinks = output::counted(sinks, "sink");
    output::note(&format!("the configuration is good: {sinks}{rules}"));
    Ok(())
}

/// `StateDirectory` of the units.
const STATE_DIR: &str = "/var/lib/mutt";

/// The folder of archives, where a unit as it was installed must not write. Whoever keeps the data
/// elsewhere runs MUTT without these units, or has changed them.
fn unit_cannot_write(config: &Config) -> Option<std::path::Display<'_>> {
    let dir = config.store.archive.dir.as_ref()?;
    let by_a_unit = config.data_dir.starts_with(STATE_DIR);
    (by_a_unit && dir.is_absolute() && !dir.starts_with(STATE_DIR)).then(|| dir.display())
}

/// The secrets that Vault does not give.
async fn ask_vault(config: &Config, clock: Clock) -> Result<Vec<ConfigError>, Failure> {
    let keyring = Keyring::new(config, Box::new(ProcessEnv), clock);
    keyring.look_at_vault().await;
    let found = keyring.unresolved();
    keyring.end().await;
    let error = |(key, error): (String, crate::secrets::SecretError)| {
        let mut found = ConfigError::secret(&key, &error.why);
        found.code = error.code;
        found
    };
    Ok(found.into_iter().map(error).collect())
}
