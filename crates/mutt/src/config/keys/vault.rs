//! Keys of Vault.

use super::{Key, Kind, key, required};

pub(super) const KEYS: &[Key] = &[
    required(
        "vault.url",
        Kind::Url,
        "Address of Vault (or OpenBao). Beyond loopback it must be https (MUTT-C005).",
    ),
    required("vault.role_id", Kind::Secret, "AppRole role id: a file, variable or credential."),
    required(
        "vault.secret_id",
        Kind::Secret,
        "AppRole secret id: a file, variable or credential. It is read again at each login, so a new one needs no restart.",
    ),
    key(
        "vault.auth_mount",
        Kind::Text,
        "approle",
        "Where the AppRole method is mounted: `vault auth enable -path=NAME approle`.",
        "",
    ),
    key("vault.namespace", Kind::Text, "", "Namespace, where Vault has them.", ""),
    key("vault.ca", Kind::Path, "", "PEM file; trust this CA instead of the host's.", ""),
    key("vault.client_cert", Kind::Path, "", "PEM chain that we show Vault.", ""),
    key("vault.client_key", Kind::Secret, "", "PEM key of vault.client_cert.", ""),
    key(
        "vault.refresh",
        Kind::Duration { min: "1s", max: "1d" },
        "60s",
        "Time between two looks at Vault: a rotated secret is in force at the latest after it. SIGHUP looks at once.",
        "Too high: a rotation takes long. Too low: load on Vault, one request for each path.",
    ),
    key(
        "vault.timeout",
        Kind::Duration { min: "100ms", max: "1m" },
        "5s",
        "How long one request to Vault may take.",
        "Met: the last good secrets stay in force and it is tried again (MUTT-C010).",
    ),
];
