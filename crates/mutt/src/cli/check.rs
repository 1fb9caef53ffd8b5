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
        output::note(&format!("environment {}: {}", note.name, note.what));
    }
    let overrides = Overrides { data_dir: args.data_dir.clone() };
    let mut errors: Vec<ConfigError> = Vec::new();
    let mut sinks = 0;
    match config::load(args.config.as_deref(), &ProcessEnv, &overrides) {
        Ok(config) => {
            sinks = config.sinks.len();
            errors.extend(config.missing_doors(Service::chosen(&args.only)));
            let mut missing = Vec::new();
            if !args.no_secrets {
                missing.extend(config.unresolved(&ProcessEnv));
            }
            if args.secrets && missing.is_empty() {
                let clock = Clock::System;
                missing.extend(block_on(ask_vault(&config, clock))?);
            }
            let written = config::written(args.config.as_deref(), &ProcessEnv, &mut Vec::new());
            errors.extend(missing.into_iter().map(|mut error| {
                let path: Vec<&str> = error.key.split('.').collect();
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
    let rules = if args.rules.is_empty() { String::new() } else { format!(", {rules} rules") };
    output::note(&format!("the configuration is good: {sinks} sinks{rules}"));
    Ok(())
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
