//! The secrets that a configuration refers to, each under the key that names it.

use super::{Config, ConfigError, EnvSource, SinkAuth, TlsConfig, snmp};
use crate::net;
use crate::secrets::SecretRef;

impl Config {
    /// All secret references with the key that names them; current and next stand under one key.
    #[must_use]
    pub fn secret_refs(&self) -> Vec<(String, &SecretRef)> {
        let mut all = Vec::new();
        self.engine_secrets(&mut all);
        all.extend(self.tls().into_iter().map(|(key, tls)| (format!("{key}.key"), &tls.key)));
        for key in self.ingestor.http.iter().flat_map(|http| &http.keys) {
            all.extend(key.key.iter().map(|r| (ingest_key_slot(&key.name), r)));
        }
        for community in &self.ingestor.snmp.communities {
            all.push(("ingestor.snmp.communities".to_owned(), community));
        }
        all.extend(self.ingestor.snmp.users.iter().flat_map(snmp::SnmpUser::secret_refs));
        for (name, sink) in &self.sinks {
            match &sink.auth {
                Some(SinkAuth::Bearer(secret)) => {
                    all.push((format!("sinks.{name}.auth.bearer"), secret));
                }
                Some(SinkAuth::Basic { password, .. }) => {
                    all.push((format!("sinks.{name}.auth.basic.password"), password));
                }
                Some(SinkAuth::Header { value, .. }) => {
                    all.push((format!("sinks.{name}.auth.header.value"), value));
                }
                None => {}
            }
        }
        for token in &self.web_ui.tokens {
            all.extend(token.token.iter().map(|r| (token_slot(&token.name), r)));
        }
        all
    }

    /// Certificate and key of each listener that has them, with the key of their table.
    fn tls(&self) -> Vec<(String, &TlsConfig)> {
        let mut all = Vec::new();
        let http = self.ingestor.http.as_ref().and_then(|http| http.tls.as_ref());
        all.extend(http.map(|tls| ("ingestor.http.tls".to_owned(), tls)));
        let syslog = &self.ingestor.syslog;
        for (name, doors) in [("tls", &syslog.tls), ("relp", &syslog.relp)] {
            let doors = doors.iter().enumerate();
            all.extend(doors.filter_map(|(at, door)| {
                Some((format!("ingestor.syslog.{name}[{at}]"), door.tls.as_ref()?))
            }));
        }
        all.extend(self.web_ui.tls.iter().map(|tls| ("web_ui.tls".to_owned(), tls)));
        all
    }

    /// The certificates of listeners that cannot be read or do not belong to their key, as errors. A key
    /// that is not there is told by [`Config::unresolved`]; one in Vault is not asked for.
    #[must_use]
    pub fn unusable_tls(&self, env: &dyn EnvSource) -> Vec<ConfigError> {
        let local = self.tls().into_iter().filter(|(_, tls)| !tls.key.is_vault());
        let unusable = local.filter_map(|(key, tls)| {
            let secret = tls.key.resolve_in(env).ok()?;
            let why = net::tls::try_out(&tls.cert, secret, tls.client_ca.as_deref()).err()?;
            Some(ConfigError::secret(&format!("{key}.cert"), &why))
        });
        unusable.collect()
    }

    /// What opens Vault, where there is one.
    #[must_use]
    pub fn vault_refs(&self) -> Vec<(String, &SecretRef)> {
        let Some(vault) = &self.vault else { return Vec::new() };
        let mut all =
            vec![("vault.role_id", &vault.role_id), ("vault.secret_id", &vault.secret_id)];
        all.extend(vault.client_key.as_ref().map(|key| ("vault.client_key", key)));
        all.into_iter().map(|(key, reference)| (key.to_owned(), reference)).collect()
    }

    /// The secrets on this host that cannot be resolved or used now, as errors; Vault is not asked.
    #[must_use]
    pub fn unresolved(&self, env: &dyn EnvSource) -> Vec<ConfigError> {
        self.vault_refs()
            .into_iter()
            .chain(self.secret_refs())
            .filter(|(_, secret)| !secret.is_vault())
            .filter_map(|(key, secret)| {
                let why = match secret.resolve_in(env) {
                    Ok(value) => snmp::unfit(&key, &value)?,
                    Err(why) => why.to_string(),
                };
                Some(ConfigError::secret(&key, &why))
            })
            .collect()
    }
}

/// The key under which an ingest key's secrets stand.
#[must_use]
pub fn ingest_key_slot(name: &str) -> String {
    format!("ingestor.http.keys.{name}.key")
}

/// The key under which a token's secrets stand.
#[must_use]
pub fn token_slot(name: &str) -> String {
    format!("web_ui.tokens.{name}.token")
}

/// The key under which a sink's credential stands; `None` for a sink without one.
#[must_use]
pub fn sink_slot(name: &str, auth: Option<&SinkAuth>) -> Option<String> {
    let key = match auth? {
        SinkAuth::Bearer(_) => "bearer",
        SinkAuth::Basic { .. } => "basic.password",
        SinkAuth::Header { .. } => "header.value",
    };
    Some(format!("sinks.{name}.auth.{key}"))
}
