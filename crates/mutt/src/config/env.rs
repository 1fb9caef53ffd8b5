//! The one place that reads the environment. `MUTT__SECTION__KEY` overrides a key of the file; a list
//! or table is written as TOML.

use super::error::{ConfigError, Origin};
use super::keys::{self, Kind};
use super::tree::{self, Node};

/// Where environment variables come from; a test gives its own.
pub trait EnvSource {
    /// All variables.
    fn vars(&self) -> Vec<(String, String)>;

    /// One variable.
    fn var(&self, name: &str) -> Option<String> {
        self.vars().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl EnvSource for ProcessEnv {
    fn vars(&self) -> Vec<(String, String)> {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// An empty environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEnv;

impl EnvSource for NoEnv {
    fn vars(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

impl EnvSource for Vec<(&str, &str)> {
    fn vars(&self) -> Vec<(String, String)> {
        self.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }
}

/// Lays the `MUTT__` variables over what the file says.
pub fn apply(env: &dyn EnvSource, root: &mut Node, errors: &mut Vec<ConfigError>) {
    let mut vars = env.vars();
    vars.sort();
    for (name, value) in vars {
        let Some(rest) = name.strip_prefix("MUTT__") else { continue };
        let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let origin = Origin::Env(name.clone());
        match node(&path, &value, &origin) {
            Ok(node) => root.set(&path, node),
            Err(why) => errors.push(ConfigError::value(
                &origin,
                &path.join("."),
                format!("`{}`: {why}", path.join(".")),
            )),
        }
    }
}

/// Plain text for keys that hold text, TOML for all others; text that is no TOML stays text, so that
/// the key's own check says what is allowed.
pub(super) fn node(path: &[&str], value: &str, origin: &Origin) -> Result<Node, String> {
    let textual = keys::find(path).is_some_and(|key| key.kind.is_text());
    let trimmed = value.trim();
    if textual && !trimmed.starts_with(['"', '\'']) {
        return Ok(Node::text(value, origin.clone()));
    }
    match tree::parse_value(trimmed, origin) {
        Ok(node) => Ok(node),
        Err(why) if trimmed.starts_with(['[', '{', '"', '\'']) => {
            Err(format!("not TOML: {why}; write a list as [\"...\"], a table as {{ key = ... }}"))
        }
        Err(_) => Ok(Node::text(value, origin.clone())),
    }
}

impl Kind {
    /// Whether a value of this kind is written as text in the environment without quotes.
    fn is_text(self) -> bool {
        !matches!(
            self,
            Self::Count { .. }
                | Self::Flag
                | Self::Addresses
                | Self::Texts
                | Self::Networks
                | Self::SourcePatterns
                | Self::Decisions
                | Self::Environments
                | Self::Secret
                | Self::Secrets
                | Self::SecretList
        )
    }
}
