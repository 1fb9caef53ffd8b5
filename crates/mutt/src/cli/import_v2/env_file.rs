//! v2's environment file and dynamic keys as the text of a mutt.toml; secrets stay references.

use std::collections::BTreeMap;
use std::path::Path;

use mutt_model::codes;

use super::super::failure::Failure;
use super::report::Report;
use crate::config::{EnvSource, v2};

/// What v2's services saw: names and values.
#[derive(Debug, Default)]
pub(super) struct V2Env(pub(super) BTreeMap<String, String>);

impl EnvSource for V2Env {
    fn vars(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// Reads `NAME=value` lines as systemd and shells write them.
pub(super) fn read(path: &Path) -> Result<V2Env, Failure> {
    let text = std::fs::read_to_string(path).map_err(|why| {
        let why = format!("cannot read {}: {why}", path.display());
        Failure::new(&codes::CONFIG_UNREADABLE, why)
    })?;
    Ok(V2Env(text.lines().filter_map(pair).collect()))
}

fn pair(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
    let value = value.trim();
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|v| v.split(quote).next());
    let value = match quoted('"').or_else(|| quoted('\'')) {
        Some(value) => value,
        // What stands behind a space and `#` is for people.
        None => value.split(" #").next().unwrap_or(value).trim(),
    };
    Some((name.trim().to_owned(), value.to_owned()))
}

/// A dynamic key went before the environment in v2; the names differ by their case alone.
pub(super) fn overlay(env: &mut V2Env, dynamic: &BTreeMap<String, String>) {
    for (key, value) in dynamic {
        env.0.insert(key.to_ascii_uppercase(), value.clone());
    }
}

/// Puts the configuration into the report, with what of it means nothing any more.
pub(super) fn into_report(
    env: &V2Env,
    dynamic: &BTreeMap<String, String>,
    report: &mut Report,
) -> Result<(), Failure> {
    let json = v2::tree(env).to_json();
    let text = toml::to_string(&json).map_err(|why| {
        Failure::new(&codes::CONFIG_BAD_VALUE, format!("cannot write the configuration: {why}"))
    })?;
    report.config = Some(text);
    let notes = v2::notes(env);
    for note in notes.iter().filter(|note| note.key.is_none()) {
        report.note(format!("{} is {}", note.name, note.what));
    }
    for key in dynamic.keys() {
        let upper = key.to_ascii_uppercase();
        if !notes.iter().any(|note| note.name == upper) {
            report.note(format!("mutt:config:{key} means nothing here"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_file_becomes_toml_and_a_secret_stays_a_reference() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mutt.env");
        let text = "# v2\nexport REDIS_HOST=redis1\nREDIS_TLS_ENABLED=\"false\"\nUNHANDLED_THRESHOLD=50 # few\n\
            MOOG_WEBHOOK_URL='https://moog/x'\nMOOG_API_KEY=very-secret-key\nPOD_NAME=a\n";
        std::fs::write(&path, text).unwrap();
        let mut env = read(&path).unwrap();
        let dynamic = [("unhandled_threshold", "70"), ("no_such_key", "1")];
        let dynamic = dynamic.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        overlay(&mut env, &dynamic);
        let mut report = Report::default();
        into_report(&env, &dynamic, &mut report).unwrap();
        let config = report.config.unwrap();
        let value: toml::Value = toml::from_str(&config).unwrap();
        assert_eq!(value["queue"]["url"].as_str(), Some("redis://redis1:6379"));
        assert_eq!(value["alerter"]["unhandled_threshold"].as_integer(), Some(70));
        let bearer = &value["sinks"]["moog"]["auth"]["bearer"];
        assert_eq!(bearer["env"].as_str(), Some("MOOG_API_KEY"));
        assert!(!config.contains("very-secret"), "{config}");
        assert!(report.notes.iter().any(|note| note.starts_with("POD_NAME is not used")));
        assert!(report.notes.iter().any(|note| note.contains("no_such_key")));
    }
}
