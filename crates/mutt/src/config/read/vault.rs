//! The section of Vault.

use super::{Reader, Table, value};
use crate::config::VaultConfig;

/// `None` when there is no `[vault]`.
pub(super) fn vault(r: &mut Reader<'_>, root: &Table<'_>) -> Option<VaultConfig> {
    let table = root.written("vault")?;
    Some(VaultConfig {
        url: r.field(&table, "url", value::url).unwrap_or_default(),
        role_id: r.secret(&table, "role_id"),
        secret_id: r.secret(&table, "secret_id"),
        auth_mount: r.text(&table, "auth_mount").trim_matches('/').to_owned(),
        namespace: r.field(&table, "namespace", value::text),
        ca: r.path(&table, "ca"),
        client_cert: r.path(&table, "client_cert"),
        client_key: r.field(&table, "client_key", |_, value| value::secret(value)),
        refresh: r.duration(&table, "refresh"),
        timeout: r.duration(&table, "timeout"),
    })
}
