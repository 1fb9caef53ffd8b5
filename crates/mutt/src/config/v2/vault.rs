//! v2's names of Vault: what opens it, and references to the secrets that v2 read there.

use super::super::env::EnvSource;
use super::super::error::Origin;
use super::super::tree::{self, Node};
use super::{Engines, credential};

/// v2 asked Vault when both were there.
const ADDRESS: &str = "VAULT_ADDR";
const ROLE: &str = "VAULT_ROLE_ID";
/// Where v2 looked when it was not told.
const SECRET_ID_FILE: &str = "/etc/mutt/secrets/vault_secret_id";
const PATH: &str = "secret/mutt";
/// The mount that v2 looked below, whatever its path said.
const MOUNT: &str = "secret/";

/// What is said of a name of Vault where it was not asked.
pub(super) const NOT_ASKED: &str =
    "not used: Vault is asked where both VAULT_ADDR and VAULT_ROLE_ID are set";

fn given(env: &dyn EnvSource, name: &str) -> Option<String> {
    env.var(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Mount and path of v2's secrets; `None` where v2 did not ask Vault.
pub(super) fn place(env: &dyn EnvSource) -> Option<String> {
    given(env, ADDRESS).and(given(env, ROLE))?;
    let path = given(env, "VAULT_SECRETS_PATH").unwrap_or_else(|| PATH.to_owned());
    let path = path.trim_matches('/');
    let is_whole = path.starts_with(MOUNT);
    Some(if is_whole { path.to_owned() } else { format!("{MOUNT}{path}") })
}

/// What is said of v2's path.
pub(super) fn found_at(env: &dyn EnvSource, written: &str) -> String {
    let place = place(env).unwrap_or_default();
    let path = written.trim().trim_matches('/');
    let below = match path.starts_with(MOUNT) {
        true => format!(
            "; v2 itself looked below the mount `secret` once more, at {MOUNT}{path}: write that where your secrets lie there"
        ),
        false => String::new(),
    };
    format!("understood as the place of the secrets that no other name gives: {place}#NAME{below}")
}

/// The sections and references, where the file does not speak of Vault itself.
pub(super) fn apply(env: &dyn EnvSource, root: &mut Node, engines: Engines, moog: bool) {
    let Some(place) = place(env).filter(|_| root.get(&["vault"]).is_none()) else { return };
    let from = |name: &str| Origin::Env(name.to_owned());
    let url = given(env, ADDRESS).unwrap_or_default();
    root.set(&["vault", "url"], Node::text(&url, from(ADDRESS)));
    root.set(&["vault", "role_id", "env"], Node::text(ROLE, from(ROLE)));
    let (name, file) = ("VAULT_SECRET_ID_FILE", given(env, "VAULT_SECRET_ID_FILE"));
    let file = file.unwrap_or_else(|| SECRET_ID_FILE.to_owned());
    root.set(&["vault", "secret_id", "file"], Node::text(&file, from(name)));

    let at = |key: &str| format!("{{ vault = {:?} }}", format!("{place}#{key}"));
    let pair =
        |key: &str| format!("[{}, {}]", at(&format!("{key}_CURRENT")), at(&format!("{key}_NEXT")));
    let one = |key: &str| credential(key, &at(key));
    let secrets: [(&[&str], bool, String); 5] = [
        (&["queue", "password"], engines.redis, pair("REDIS_PASS")),
        (&["store", "password"], engines.postgres, pair("DB_PASS")),
        (&["ingestor", "http", "keys"], true, one("INGEST_API_KEY")),
        (&["web_ui", "tokens"], true, one("WEBUI_API_KEY")),
        (&["sinks", "moog", "auth"], moog, one("MOOG_API_KEY")),
    ];
    let origin = from("VAULT_SECRETS_PATH");
    for (key, is_used, written) in secrets {
        if is_used
            && root.get(key).is_none()
            && let Ok(node) = tree::parse_value(&written, &origin)
        {
            root.set(key, node);
        }
    }
}
