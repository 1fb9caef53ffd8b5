//! `[vault]`: where Vault is and how MUTT shows it who it is.

use std::path::PathBuf;
use std::time::Duration;

use mutt_model::amount;
use mutt_model::codes;
use serde::Serialize;

use super::Config;
use super::error::{ConfigError, Origin};
use super::tree::Node;
use crate::secrets::SecretRef;

/// `[vault]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VaultConfig {
    /// Where it is.
    pub url: String,
    /// AppRole role id.
    pub role_id: SecretRef,
    /// AppRole secret id.
    pub secret_id: SecretRef,
    /// Where AppRole is mounted.
    pub auth_mount: String,
    /// Namespace of Vault Enterprise and OpenBao.
    pub namespace: Option<String>,
    /// Trust this CA instead of the host's.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub client_cert: Option<PathBuf>,
    /// Its key.
    pub client_key: Option<SecretRef>,
    /// Secrets are read again this often.
    #[serde(with = "amount::duration_text")]
    pub refresh: Duration,
    /// One request may take this long.
    #[serde(with = "amount::duration_text")]
    pub timeout: Duration,
}

/// What about `[vault]` no single key can tell.
pub(super) fn check(config: &Config, root: &Node, errors: &mut Vec<ConfigError>) {
    let origin = |path: &[&str]| root.get(path).map_or(Origin::Default, |node| node.origin.clone());
    let Some(vault) = &config.vault else {
        if let Some((key, _)) = config.secret_refs().into_iter().find(|(_, r)| r.is_vault()) {
            let path: Vec<&str> = key.split('.').collect();
            let message = format!(
                "`{key}` names a secret in Vault, but there is no [vault]; name vault.url, vault.role_id and vault.secret_id"
            );
            errors.push(ConfigError::value(root.origin_of(&path), &key, message));
        }
        return;
    };
    let own = [("role_id", Some(&vault.role_id)), ("secret_id", Some(&vault.secret_id))];
    for (name, reference) in own.into_iter().chain([("client_key", vault.client_key.as_ref())]) {
        if reference.is_some_and(SecretRef::is_vault) {
            let key = format!("vault.{name}");
            let message = format!(
                "`{key}` opens Vault and cannot lie in it; allowed: {{ file = \"PATH\" }}, {{ env = \"NAME\" }} or {{ credential = \"NAME\" }}"
            );
            errors.push(ConfigError::value(&origin(&["vault", name]), &key, message));
        }
    }
    if vault.client_cert.is_some() != vault.client_key.is_some() {
        let message = "`vault.client_cert` and `vault.client_key` go together".to_owned();
        errors.push(ConfigError::value(&origin(&["vault"]), "vault.client_cert", message));
    }
    let url = reqwest::Url::parse(&vault.url).ok();
    let Some(url) = url.filter(|url| url.scheme() == "http") else { return };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let loopback = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if !loopback {
        errors.push(ConfigError {
            code: &codes::CONFIG_UNSAFE,
            origin: origin(&["vault", "url"]),
            key: "vault.url".to_owned(),
            message: format!(
                "`vault.url`: {host} is beyond loopback and http would carry every secret in clear; allowed: https://"
            ),
        });
    }
}
