//! `muttctl db`: the schema on PostgreSQL; `muttctl audit`: whether the audit is as it was committed.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use mutt_model::{Clock, Timestamp, codes};
use mutt_store::postgres::{AuditFinding, PgOptions, PostgresStore, identifier, migrate, status};
use mutt_store::state::EngineState;
use mutt_store::store::{OpenError, SignalStore as _, StoreError};
use serde_json::json;

use super::api::block_on;
use super::args::{AuditArgs, AuditVerb, DbArgs, DbVerb};
use super::failure::Failure;
use super::output;
use crate::config::{self, Config, Overrides, ProcessEnv};
use crate::postgres;
use crate::secrets::Keyring;

/// How long `audit verify` waits for the store to be ready.
const READY_MAX: Duration = Duration::from_secs(15);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);

fn options(file: Option<&PathBuf>) -> Result<PgOptions, Failure> {
    let loaded = config::load(file.map(PathBuf::as_path), &ProcessEnv, &Overrides::default());
    options_of(&loaded.map_err(|errors| Failure::config(&errors))?)
}

fn options_of(config: &Config) -> Result<PgOptions, Failure> {
    let keyring = Keyring::new(config, Box::new(ProcessEnv), Clock::System);
    block_on(async {
        keyring.look_at_vault().await;
        keyring.end().await;
        Ok(())
    })?;
    let missing = keyring.missing(|key| key.starts_with("store."));
    if let Some(missing) = missing {
        let why = format!("{}: {}", missing.key, missing.trouble.why);
        return Err(Failure::new(missing.trouble.code, why));
    }
    postgres::options(config, "mutt-ctl", &keyring).map_err(|r| Failure::new(r.code, r.why))
}

fn failed(error: &StoreError) -> Failure {
    let code = match error {
        StoreError::Open(OpenError::Newer { .. }) => &codes::STORE_NEWER,
        StoreError::Open(_) => &codes::STORE_OPEN,
        _ => &codes::STORE_AWAY,
    };
    Failure::new(code, error.to_string())
}

/// A bar on standard error while something long runs; nothing where that is no terminal.
fn bar(words: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0).with_message(words.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    bar
}

/// What stands in the way of an audit that nobody takes back: the words and the mending commands, when
/// the services' role can change or remove what is audited. `None` also when nobody can be asked.
pub(super) fn open_audit(config: &Config) -> Option<(String, String)> {
    let options = options_of(config).ok()?;
    let stands =
        block_on(async { status(&options, &Clock::System).await.map_err(|e| failed(&e)) }).ok()?;
    stands.audit_open.then(|| open_words(&options))
}

fn open_words(options: &PgOptions) -> (String, String) {
    let role = options.user().unwrap_or_default();
    let words = format!(
        "the services' role {role} can change and remove what is audited: it owns the tables or was granted it"
    );
    let named = options.owner.as_ref().map(|owner| owner.user.clone());
    let owner = named.filter(|owner| *owner != role).unwrap_or_else(|| format!("{role}_owner"));
    let (role, owner) = (identifier(&role), identifier(&owner));
    let fix = format!(
        "as a superuser in MUTT's database: CREATE ROLE {owner} LOGIN PASSWORD '...'; \
         REASSIGN OWNED BY {role} TO {owner}; ALTER ROLE {role} NOSUPERUSER; REVOKE UPDATE, DELETE, TRUNCATE ON \
         ALL TABLES IN SCHEMA mutt FROM {role}; then name {owner} in store.owner and run: muttctl db migrate"
    );
    (words, fix)
}

/// Does what the verb says.
pub(super) fn run(args: &DbArgs) -> Result<(), Failure> {
    let options = options(args.config.as_ref())?;
    match args.verb {
        DbVerb::Migrate => {
            let bar = bar("migrating");
            let progress = |done: u64, all: u64| {
                bar.set_length(all);
                bar.set_position(done);
            };
            let done = block_on(async {
                migrate(&options, &Clock::System, &progress).await.map_err(|e| failed(&e))
            });
            bar.finish_and_clear();
            let done = done?;
            if args.json {
                return Ok(output::line(&json!({ "from": done.from, "to": done.to }).to_string())?);
            }
            output::line(&if done.from == done.to {
                format!(
                    "the schema has version {} already; grants and partitions are in place",
                    done.to
                )
            } else {
                format!("the schema went from version {} to {}", done.from, done.to)
            })?;
            Ok(())
        }
        DbVerb::Status => {
            let stands =
                block_on(async { status(&options, &Clock::System).await.map_err(|e| failed(&e)) })?;
            let code = stands.code();
            if args.json {
                let code = code.map(|code| code.id);
                let value = json!({
                    "found": stands.found, "known": stands.known, "code": code,
                    "audit_open": stands.audit_open,
                });
                output::line(&value.to_string())?;
            } else {
                output::line(&format!(
                    "schema version {}, this program knows {}",
                    stands.found, stands.known
                ))?;
                if stands.audit_open {
                    let (words, fix) = open_words(&options);
                    output::line(&format!("{words}\n  fix: {fix}"))?;
                }
            }
            match code {
                None => Ok(()),
                Some(code) => {
                    let known = codes::find(code.id).unwrap_or(&codes::STORE_OLDER);
                    Err(Failure::new(known, code.title))
                }
            }
        }
    }
}

fn said(finding: &AuditFinding) -> String {
    let fault = serde_json::to_value(finding.fault).unwrap_or_default();
    let mut words = fault.as_str().unwrap_or_default().replace('_', " ");
    if let (Some(shard), Some(receipt)) = (finding.shard, finding.receipt) {
        words.push_str(&format!(": receipt {receipt} of shard {shard}"));
    }
    for event in finding.events.iter().take(20) {
        words.push_str(&format!("\n  event {event}"));
    }
    if finding.events.len() > 20 {
        words.push_str(&format!("\n  and {} more", finding.events.len() - 20));
    }
    words
}

/// Compares the audit with its receipts.
pub(super) fn audit(args: &AuditArgs) -> Result<(), Failure> {
    let AuditVerb::Verify { since } = &args.verb;
    let since = match since {
        None => None,
        Some(text) => Some(Timestamp::parse_rfc3339(text).ok_or_else(|| {
            Failure::usage(format!("--since takes a time like 2026-11-24T00:00:00Z, not `{text}`"))
        })?),
    };
    let mut options = options(args.config.as_ref())?;
    // Reading a whole day of the audit takes its time.
    options.statement_timeout = Duration::from_secs(3_600);
    let bar = bar("verifying");
    let progress = |done: u64, all: u64| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let report = block_on(async {
        let store = PostgresStore::open(&options, Clock::System).map_err(|e| failed(&e))?;
        ready(&store).await?;
        store.verify_chain(since, &progress).await.map_err(|e| failed(&e))
    });
    bar.finish_and_clear();
    let report = report?;
    if args.json {
        output::line(&serde_json::to_string(&report).unwrap_or_default())?;
    } else {
        for finding in &report.findings {
            output::line(&said(finding))?;
        }
        output::line(&format!(
            "{} receipts walked, {} rows as committed, {} rows retired by retention",
            report.receipts, report.rows, report.retired
        ))?;
    }
    if report.is_sound() {
        return Ok(());
    }
    let message = format!("{} places differ from what was committed", report.faults);
    Err(Failure::new(&codes::AUDIT_ALTERED, message))
}

async fn ready(store: &PostgresStore) -> Result<(), Failure> {
    let clock = Clock::System;
    let begun = clock.monotonic();
    loop {
        match store.state() {
            EngineState::Ready => return Ok(()),
            EngineState::Away { code, why, .. } if clock.monotonic() - begun > READY_MAX => {
                let code = codes::find(code.id).unwrap_or(&codes::STORE_AWAY);
                return Err(Failure::new(code, why));
            }
            EngineState::Away { .. } => tokio::time::sleep(LOOK).await,
        }
    }
}
