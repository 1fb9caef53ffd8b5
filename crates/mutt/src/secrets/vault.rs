//! The Vault client: AppRole login, renewal and look-up of the token, and reading secrets of KV
//! version 1 and 2. It makes one request at a time and keeps nothing: token and time are the caller's.
//! No token and no secret stands in any of its errors.

pub mod reference;

use std::path::Path;
use std::time::Duration;

use mutt_model::Secret;
use mutt_model::codes::{self, Code};
use reqwest::{Certificate, Identity, Method, StatusCode, Url};
use serde_json::{Map, Value, json};

use crate::config::VaultConfig;

/// An answer is read up to this length.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// So much of what Vault says of an error is repeated.
const SAID_CHARS_MAX: usize = 200;
/// How long a connection may take; the rest of `vault.timeout` is for the answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What kind of failure it was, for the one who must decide what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultFault {
    /// No answer, or one that is none of Vault's: try again later.
    Away,
    /// It answers and cannot be used until somebody unseals it.
    Sealed,
    /// It refuses who we are.
    Login,
    /// It refuses this request: the policy, or the token has died.
    Denied,
    /// It answers that there is no such thing.
    Absent,
}

/// Why Vault did not give what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct VaultError {
    /// What kind.
    pub fault: VaultFault,
    /// What was asked, what came, what mends it.
    pub why: String,
}

impl VaultError {
    fn new(fault: VaultFault, why: impl Into<String>) -> Self {
        Self { fault, why: why.into() }
    }

    /// No answer.
    #[must_use]
    pub fn away(why: impl Into<String>) -> Self {
        Self::new(VaultFault::Away, why)
    }

    /// We cannot show who we are.
    #[must_use]
    pub fn login(why: impl Into<String>) -> Self {
        Self::new(VaultFault::Login, why)
    }

    /// For `explain`.
    #[must_use]
    pub const fn code(&self) -> &'static Code {
        match self.fault {
            VaultFault::Away => &codes::VAULT_AWAY,
            VaultFault::Sealed => &codes::VAULT_SEALED,
            VaultFault::Login => &codes::VAULT_LOGIN,
            VaultFault::Denied => &codes::VAULT_DENIED,
            VaultFault::Absent => &codes::VAULT_ABSENT,
        }
    }
}

/// What a login or a renewal granted.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The token.
    pub token: Secret,
    /// How long it lives from now; zero: for ever.
    pub ttl: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
}

/// Where a KV engine is mounted, and which version it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// With a slash at its end: `secret/`.
    path: String,
    /// KV version 2 wraps what it holds.
    versioned: bool,
}

/// Speaks to one Vault.
pub struct VaultClient {
    url: Url,
    http: reqwest::Client,
    namespace: Option<String>,
    auth_mount: String,
}

impl std::fmt::Debug for VaultClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultClient").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl VaultClient {
    /// Makes the client; connects nothing. `client_key` is the PEM key of `vault.client_cert`.
    ///
    /// # Errors
    ///
    /// When a certificate cannot be read or used.
    pub fn new(config: &VaultConfig, client_key: Option<&Secret>) -> Result<Self, VaultError> {
        crate::net::tls::install_provider();
        let away = |why: String| VaultError::new(VaultFault::Away, why);
        let url = Url::parse(&config.url).map_err(|e| away(format!("vault.url: {e}")))?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("mutt/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT.min(config.timeout))
            .timeout(config.timeout)
            .pool_max_idle_per_host(1);
        if let Some(path) = &config.ca {
            let pem = read("vault.ca", path)?;
            let list = Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if list.is_empty() {
                return Err(away(format!("vault.ca: {} holds no certificate", path.display())));
            }
            builder = builder.tls_certs_only(list);
        } else if url.scheme() == "http" {
            // No TLS happens: a machine without trusted certificates can do without them.
            builder = builder.tls_certs_only([]);
        }
        if let (Some(path), Some(key)) = (&config.client_cert, client_key) {
            let mut pem = read("vault.client_cert", path)?;
            pem.push(b'\n');
            pem.extend_from_slice(key.expose().as_bytes());
            let identity = Identity::from_pem(&pem)
                .map_err(|_| away("vault.client_cert and its key do not fit".to_owned()))?;
            builder = builder.identity(identity);
        }
        let http = builder.build().map_err(|error| away(words(&error)))?;
        let (namespace, auth_mount) = (config.namespace.clone(), config.auth_mount.clone());
        Ok(Self { url, http, namespace, auth_mount })
    }

    /// Logs in by AppRole.
    ///
    /// # Errors
    ///
    /// [`VaultFault::Login`] when Vault knows us no (more), otherwise what keeps it from answering.
    pub async fn login(&self, role_id: &Secret, secret_id: &Secret) -> Result<Granted, VaultError> {
        let path = format!("auth/{}/login", self.auth_mount);
        let body = json!({ "role_id": role_id.expose(), "secret_id": secret_id.expose() });
        let hidden = [role_id.expose(), secret_id.expose()];
        let answer = self.call(Method::POST, &path, None, Some(&body), &hidden).await?;
        if !answer.status.is_success() {
            let why = format!(
                "the login at {path} was refused ({}): role_id or secret_id is wrong, expired or used up; make a new one: vault write -f auth/{}/role/ROLE/secret-id",
                answer.said(),
                self.auth_mount
            );
            return Err(VaultError::new(VaultFault::Login, why));
        }
        granted(&answer.body).ok_or_else(|| strange(&path))
    }

    /// Prolongs the token's life.
    ///
    /// # Errors
    ///
    /// [`VaultFault::Denied`] when it is dead.
    pub async fn renew(&self, token: &Secret) -> Result<Granted, VaultError> {
        let path = "auth/token/renew-self";
        let answer = self.call(Method::POST, path, Some(token), Some(&json!({})), &[]).await?;
        if !answer.status.is_success() {
            return Err(answer.refused(path));
        }
        granted(&answer.body).ok_or_else(|| strange(path))
    }

    /// Whether the token lives.
    ///
    /// # Errors
    ///
    /// What keeps Vault from answering.
    pub async fn is_alive(&self, token: &Secret) -> Result<bool, VaultError> {
        let answer =
            self.call(Method::GET, "auth/token/lookup-self", Some(token), None, &[]).await?;
        Ok(answer.status.is_success())
    }

    /// Gives the token back. Whether that works is no concern of ours: it dies by itself.
    pub async fn revoke(&self, token: &Secret) {
        let path = "auth/token/revoke-self";
        let _ = self.call(Method::POST, path, Some(token), Some(&json!({})), &[]).await;
    }

    /// Finds the KV engine behind a path. Where the token may not ask for mounts, both versions are
    /// tried with the first part of the path as the mount.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be told.
    pub async fn find(&self, token: &Secret, path: &str) -> Result<Mount, VaultError> {
        let ask = format!("sys/internal/ui/mounts/{path}");
        let answer = self.call(Method::GET, &ask, Some(token), None, &[]).await?;
        if answer.status.is_success() {
            let data = &answer.body["data"];
            let mount = data["path"].as_str().ok_or_else(|| strange(&ask))?;
            if !matches!(data["type"].as_str(), Some("kv" | "generic")) {
                let why = format!("{mount} is no KV engine: references name secrets of KV only");
                return Err(VaultError::new(VaultFault::Absent, why));
            }
            let versioned = data["options"]["version"].as_str() == Some("2");
            return Ok(Mount { path: mount.to_owned(), versioned });
        }
        let first = path.split('/').next().unwrap_or(path);
        let mut refused = None;
        for versioned in [true, false] {
            let mount = Mount { path: format!("{first}/"), versioned };
            match self.read(token, &mount, path).await {
                Ok(_) => return Ok(mount),
                Err(error) if matches!(error.fault, VaultFault::Denied | VaultFault::Absent) => {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| strange(&ask)))
    }

    /// Reads a secret: its keys with their values.
    ///
    /// # Errors
    ///
    /// [`VaultFault::Denied`] by policy or for a dead token, [`VaultFault::Absent`] when there is none.
    pub async fn read(
        &self,
        token: &Secret,
        mount: &Mount,
        path: &str,
    ) -> Result<Map<String, Value>, VaultError> {
        let inside = path.strip_prefix(mount.path.as_str()).unwrap_or_default();
        let between = if mount.versioned { "data/" } else { "" };
        let api = format!("{}{between}{inside}", mount.path);
        let answer = self.call(Method::GET, &api, Some(token), None, &[]).await?;
        if !answer.status.is_success() {
            return Err(answer.refused(&api));
        }
        let pointer = if mount.versioned { "/data/data" } else { "/data" };
        match answer.body.pointer(pointer) {
            Some(Value::Object(keys)) => Ok(keys.clone()),
            _ => Err(VaultError::new(VaultFault::Absent, format!("there is no secret at {api}"))),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Option<&Value>,
        hidden: &[&str],
    ) -> Result<Answer, VaultError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/v1/{path}", self.url.path().trim_end_matches('/')));
        let mut request = self.http.request(method, url).header("x-vault-request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if let Some(token) = token {
            let value = reqwest::header::HeaderValue::from_str(token.expose());
            let mut value = value.map_err(|_| strange("login"))?;
            value.set_sensitive(true);
            request = request.header("x-vault-token", value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let away = |error: reqwest::Error| {
            let why = format!("{} does not answer: {}", self.url, words(&error));
            VaultError::new(VaultFault::Away, why)
        };
        let mut response = request.send().await.map_err(away)?;
        let status = response.status();
        if status.is_redirection() {
            let why = format!(
                "{} answers {status} for {path}: name in vault.url the address that it leads to",
                self.url
            );
            return Err(VaultError::new(VaultFault::Away, why));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(away)? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                let why = format!("the answer for {path} is longer than {ANSWER_BYTES_MAX} bytes");
                return Err(VaultError::new(VaultFault::Away, why));
            }
            bytes.extend_from_slice(&chunk);
        }
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let mut hidden = hidden.to_vec();
        hidden.extend(token.map(Secret::expose));
        let answer = Answer { status, errors: errors_of(&body, &hidden), body };
        self.usable(answer, path)
    }

    /// Tells a Vault that cannot work from one that refuses.
    fn usable(&self, answer: Answer, path: &str) -> Result<Answer, VaultError> {
        let status = answer.status;
        if status.is_success() || (status.is_client_error() && answer.body["errors"].is_array()) {
            // Over its limit of requests: no refusal of ours.
            if status != StatusCode::TOO_MANY_REQUESTS {
                return Ok(answer);
            }
        }
        // A deleted version of KV 2 is a 404 with data and without errors.
        if status == StatusCode::NOT_FOUND && answer.body["data"].is_object() {
            return Ok(answer);
        }
        let said = answer.said();
        if said.contains("sealed") {
            let why = format!("{} is sealed: vault operator unseal", self.url);
            return Err(VaultError::new(VaultFault::Sealed, why));
        }
        if said.contains("not initialized") {
            let why = format!("{} is not initialised: vault operator init", self.url);
            return Err(VaultError::new(VaultFault::Sealed, why));
        }
        let why = format!("{} answers {said} for {path}", self.url);
        Err(VaultError::new(VaultFault::Away, why))
    }
}

struct Answer {
    status: StatusCode,
    errors: String,
    body: Value,
}

impl Answer {
    /// The status with what Vault says of it.
    fn said(&self) -> String {
        if self.errors.is_empty() {
            self.status.to_string()
        } else {
            format!("{}: {}", self.status.as_u16(), self.errors)
        }
    }

    fn refused(&self, path: &str) -> VaultError {
        if self.status == StatusCode::NOT_FOUND {
            let why = format!(
                "there is no secret at {path}; a reference names mount and path without data/"
            );
            return VaultError::new(VaultFault::Absent, why);
        }
        let why = format!(
            "Vault refuses {path} ({}): its policy needs path \"{path}\" {{ capabilities = [\"read\"] }}",
            self.said()
        );
        VaultError::new(VaultFault::Denied, why)
    }
}

fn strange(path: &str) -> VaultError {
    let why = format!("the answer for {path} is none that Vault gives");
    VaultError::new(VaultFault::Away, why)
}

fn granted(body: &Value) -> Option<Granted> {
    let auth = body.get("auth")?;
    let token = auth["client_token"].as_str().filter(|token| !token.is_empty())?;
    Some(Granted {
        token: Secret::new(token),
        ttl: Duration::from_secs(auth["lease_duration"].as_u64().unwrap_or(0)),
        renewable: auth["renewable"].as_bool().unwrap_or(false),
    })
}

/// What Vault says is wrong, in one short line without what we sent.
fn errors_of(body: &Value, hidden: &[&str]) -> String {
    let errors = body["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut text = errors.collect::<Vec<_>>().join("; ");
    for secret in hidden.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "***");
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().take(SAID_CHARS_MAX).collect()
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, VaultError> {
    std::fs::read(path)
        .map_err(|e| VaultError::new(VaultFault::Away, format!("{key}: {}: {e}", path.display())))
}

/// The innermost causes of a failed request; its URL holds no secret and is named by the caller.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took longer than vault.timeout".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vault_says_is_shortened_and_shows_nothing_of_what_was_sent() {
        let body = json!({ "errors": ["bad\n\t* id s3cret of role r0le", "more"] });
        assert_eq!(errors_of(&body, &["s3cret", "r0le", ""]), "bad * id *** of role ***; more");
        let long = json!({ "errors": ["x".repeat(1_000)] });
        assert_eq!(errors_of(&long, &[]).len(), SAID_CHARS_MAX);
    }

    #[test]
    fn a_grant_needs_a_token() {
        let body =
            json!({ "auth": { "client_token": "t", "lease_duration": 10, "renewable": true } });
        let grant = granted(&body).unwrap();
        assert_eq!((grant.ttl, grant.renewable), (Duration::from_secs(10), true));
        assert!(granted(&json!({ "auth": { "client_token": "" } })).is_none());
        assert!(granted(&json!({ "auth": null })).is_none());
    }
}
