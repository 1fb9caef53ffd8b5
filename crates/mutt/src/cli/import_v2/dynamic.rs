//! v2's dynamic keys: what is changed while MUTT runs becomes a setting of the store, as a version with
//! its reason; the others stay lines of the configuration.

use std::collections::BTreeMap;
use std::path::Path;

use mutt_model::amount::format_duration;
use mutt_model::{Clock, Timestamp};
use mutt_store::store::{Actor, Settings, SettingsChange, Store, StoreError};

use super::super::failure::Failure;
use super::env_file::V2Env;
use super::report::{Moved, Report};
use super::{REASON, WHO, store_failed};
use crate::config::live::{LiveConfig, live_key};
use crate::config::{Overrides, ProcessEnv, RetentionConfig, read_all, v2};

/// What the report calls them.
const DYNAMIC: &str = "mutt:config";
/// Keys that say how long things are kept, and the one for audited events.
const RETENTION: &str = "store.retention.";
const HANDLED: &str = "store.retention.handled";

/// A dynamic key that is a setting here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// v2's key, without `mutt:config:`.
    from: String,
    key: &'static str,
    value: String,
}

/// The dynamic keys in two parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Dynamic {
    /// Settings of the store.
    pub(super) settings: Vec<Setting>,
    /// What only a file can say, or means nothing.
    pub(super) written: BTreeMap<String, String>,
}

/// Tells the two apart. `env` is v2's environment: a rate is made of two names, of which one may be
/// dynamic alone.
pub(super) fn parts(env: &V2Env, dynamic: &BTreeMap<String, String>) -> Dynamic {
    let mut both = V2Env(env.0.clone());
    super::env_file::overlay(&mut both, dynamic);
    let mut parts = Dynamic::default();
    for (from, value) in dynamic {
        let setting = v2::setting(&from.to_ascii_uppercase(), &both);
        match setting.filter(|(key, _)| live_key(key).is_ok()) {
            Some((key, value)) => {
                parts.settings.push(Setting { from: from.clone(), key, value });
            }
            None => {
                parts.written.insert(from.clone(), value.clone());
            }
        }
    }
    parts
}

/// Compares them with the settings in force and, with `apply`, makes one version of what is missing.
pub(super) async fn import(
    found: &[Setting],
    file: Option<&Path>,
    store: &dyn Store,
    apply: bool,
    report: &mut Report,
) -> Result<(), Failure> {
    let (live, here) = in_force(file, store).await?;
    let edits = compare(found, &live, &here, report);
    if !apply || edits.is_empty() {
        return Ok(());
    }
    let change = SettingsChange::Edit(edits.into_iter().map(|(k, v)| (k, Some(v))).collect());
    let actor = Actor { name: WHO.to_owned(), reason: Some(REASON.to_owned()) };
    let now = Clock::System.wall();
    match store.change_settings(change, Some(here.version), &actor, now).await {
        Ok(_) => Ok(()),
        Err(error @ StoreError::Conflict(_)) => Err(store_failed(&error)
            .hint("somebody changed a setting at the same moment: run the import again")),
        Err(error) => Err(store_failed(&error)),
    }
}

/// The configuration as it was written, and the settings that lie over it.
async fn in_force(
    file: Option<&Path>,
    store: &dyn Store,
) -> Result<(LiveConfig, Settings), Failure> {
    let read = read_all(file, &ProcessEnv, &Overrides::default())
        .map_err(|errors| Failure::config(&errors))?;
    let running = read.config.clone();
    let here = store.settings(None).await.map_err(|error| store_failed(&error))?;
    Ok((LiveConfig::new(read, &running), here))
}

/// Warns when retention, as it is in force, does not cover what was imported.
pub(super) async fn covers(
    oldest: Option<Timestamp>,
    file: Option<&Path>,
    store: &dyn Store,
    report: &mut Report,
) -> Result<(), Failure> {
    let Some(oldest) = oldest else { return Ok(()) };
    let (live, here) = in_force(file, store).await?;
    let kept = live.with(&here).config.store.retention.handled;
    let now = Clock::System.wall();
    if oldest >= now.minus(kept) {
        return Ok(());
    }
    let days = now.since(oldest).as_secs().div_ceil(86_400);
    report.note(format!(
        "{HANDLED} is {} and the oldest imported event is of {oldest}, {days} days ago: retention will \
         remove what is older. Before MUTT starts, set {HANDLED} to more than {days}d (3650d at \
         most); what is to stay longer is held with `muttctl hold add`",
        format_duration(kept),
    ));
    Ok(())
}

/// Whether a new value keeps nothing longer than what is in force.
fn not_longer(now: &RetentionConfig, new: &RetentionConfig) -> bool {
    new.handled <= now.handled && new.alerts <= now.alerts && new.changes <= now.changes
}

/// What is to be set; everything else is told.
fn compare(
    found: &[Setting],
    live: &LiveConfig,
    here: &Settings,
    report: &mut Report,
) -> BTreeMap<String, String> {
    let mut edits = BTreeMap::new();
    let now = live.with(here).config;
    for Setting { from, key, value } in found {
        let name = format!("mutt:config:{from}");
        report.count(DYNAMIC).found += 1;
        let one = [((*key).to_owned(), value.clone())].into();
        let tried = live.with(&Settings { version: here.version, values: one });
        if let Some(why) = tried.ignored.get(*key) {
            report.refuse(DYNAMIC, from, format!("as {key} = {value}: {why}"));
            continue;
        }
        match here.values.get(*key) {
            Some(there) if there == value => report.count(DYNAMIC).there += 1,
            Some(there) => {
                report.count(DYNAMIC).there += 1;
                report.note(format!(
                    "{key} is set to {there} here, and {name} says {value}; left as it is"
                ));
            }
            // Laid over the file, it would remove what the file keeps, and what was imported.
            None if key.starts_with(RETENTION)
                && not_longer(&now.store.retention, &tried.config.store.retention) =>
            {
                report.count(DYNAMIC).there += 1;
                if tried.config.store.retention != now.store.retention {
                    report.note(format!(
                        "{name} says {value} for {key}, which keeps longer here; left as it is. To \
                         shorten it, once you know what that removes: muttctl config set {key} {value}"
                    ));
                }
            }
            None => {
                report.count(DYNAMIC).taken += 1;
                report.settings.push(Moved {
                    from: name,
                    key: (*key).to_owned(),
                    value: value.clone(),
                });
                edits.insert((*key).to_owned(), value.clone());
            }
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_live_here_becomes_a_setting_and_the_rest_stays_written() {
        let file = V2Env(env(&[("MOOG_RATE_LIMIT", "50"), ("MOOG_RATE_PERIOD", "1")]));
        let dynamic = env(&[
            ("unhandled_threshold", "70"),
            ("unhandled_expiry_seconds", "3600"),
            ("moog_rate_limit", "100"),
            ("event_retention_days", "60"),
            ("log_level", "WARNING"),
            ("max_ingest_queue_size", "200000"),
            ("slo_window_hours", "24"),
            ("no_such_key", "1"),
        ]);
        let parts = parts(&file, &dynamic);
        let made: Vec<(&str, &str, &str)> =
            parts.settings.iter().map(|s| (s.from.as_str(), s.key, s.value.as_str())).collect();
        let expected = [
            ("event_retention_days", "store.retention.handled", "60d"),
            ("log_level", "log.level", "warn"),
            ("moog_rate_limit", "sinks.moog.rate", "100/s"),
            ("unhandled_expiry_seconds", "alerter.unhandled_window", "3600s"),
            ("unhandled_threshold", "alerter.unhandled_threshold", "70"),
        ];
        assert_eq!(made, expected);
        let written: Vec<&str> = parts.written.keys().map(String::as_str).collect();
        assert_eq!(written, ["max_ingest_queue_size", "no_such_key", "slo_window_hours"]);
    }
}
