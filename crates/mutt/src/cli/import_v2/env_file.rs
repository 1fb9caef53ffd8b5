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

/// Reads `NAME=value` lines as systemd and shells write them; what is none is told by its number, never by
/// its words, of which one may be a secret.
pub(super) fn read(path: &Path, report: &mut Report) -> Result<V2Env, Failure> {
    let text = std::fs::read_to_string(path).map_err(|why| {
        let why = format!("cannot read {}: {why}", path.display());
        Failure::new(&codes::CONFIG_UNREADABLE, why)
    })?;
    let mut env = V2Env::default();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        match pair(line) {
            Some((name, value)) => {
                env.0.insert(name, value);
            }
            None => report.note(format!(
                "{}, line {}: it is no NAME=value and was not read",
                path.display(),
                at + 1
            )),
        }
    }
    Ok(env)
}

fn pair(line: &str) -> Option<(String, String)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(word) {
        return None;
    }
    let value = value.trim();
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|v| v.split(quote).next());
    let value = match quoted('"').or_else(|| quoted('\'')) {
        Some(value) => value,
        // What stands behind a space and `#` is for people.
        None => value.split(" #").next().unwrap_or(value).trim(),
    };
    Some((name.to_owned(), value.to_owned()))
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
    for note in &notes {
        match (note.warning, note.key) {
            (true, _) => report.note(format!("WARNING: {} is {}", note.name, note.what)),
            (_, None) => report.note(format!("{} is {}", note.name, note.what)),
            (_, Some(_)) if note.name == "VAULT_SECRETS_PATH" => {
                report.note(format!("{} is {}", note.name, note.what));
            }
            (_, Some(_)) => {}
        }
    }
    let dynamic: BTreeMap<String, &String> =
        dynamic.keys().map(|key| (key.to_ascii_uppercase(), key)).collect();
    for name in env.0.keys().filter(|name| !notes.iter().any(|note| note.name == **name)) {
        report.note(match dynamic.get(name) {
            Some(key) => format!("mutt:config:{key} means nothing here"),
            None => {
                format!("{name} is not known: no service of v2 read it, and it means nothing here")
            }
        });
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
            MOOG_WEBHOOK_URL='https://moog/x'\nMOOG_API_KEY=very-secret-key\nPOD_NAME=a\n\
            ; a comment\nOUR_OWN=1\nPASSWORD very-secret-key\nmy key=1\nRETENTION_ENABLED=false\n";
        std::fs::write(&path, text).unwrap();
        let mut report = Report::default();
        let mut env = read(&path, &mut report).unwrap();
        let dynamic = [("unhandled_threshold", "70"), ("no_such_key", "1")];
        let dynamic = dynamic.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        overlay(&mut env, &dynamic);
        into_report(&env, &dynamic, &mut report).unwrap();
        let config = report.config.clone().unwrap();
        let value: toml::Value = toml::from_str(&config).unwrap();
        assert_eq!(value["queue"]["url"].as_str(), Some("redis://redis1:6379"));
        assert_eq!(value["alerter"]["unhandled_threshold"].as_integer(), Some(70));
        let bearer = &value["sinks"]["moog"]["auth"]["bearer"];
        assert_eq!(bearer["env"].as_str(), Some("MOOG_API_KEY"));
        assert!(!config.contains("very-secret"), "{config}");
        assert!(report.notes.iter().any(|note| note.starts_with("POD_NAME is not used")));
        assert!(report.notes.iter().any(|note| note.contains("mutt:config:no_such_key")));
        let told = |words: &str| report.notes.iter().filter(|note| note.contains(words)).count();
        assert_eq!((told("OUR_OWN is not known"), told("was not read")), (1, 2), "{report:?}");
        assert_eq!((told("line 10: "), told("line 11: ")), (1, 1), "{report:?}");
        assert_eq!((told("very-secret"), told("WARNING: RETENTION_ENABLED")), (0, 1), "{report:?}");
    }
}
