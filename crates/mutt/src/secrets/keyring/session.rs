//! The session at Vault: a token that is renewed in time and replaced before it dies.

use std::collections::BTreeMap;
use std::time::Duration;

use mutt_model::{Clock, Secret};
use serde_json::{Map, Value};

use crate::config::{EnvSource, VaultConfig};
use crate::secrets::SecretRef;
use crate::secrets::vault::{Granted, Mount, VaultClient, VaultError, VaultFault};

/// A token is renewed after this part of its life, give or take [`JITTER`].
const RENEW_AT: f64 = 2.0 / 3.0;
/// So that many processes do not come at one time.
const JITTER: f64 = 0.05;

/// A token with its time.
#[derive(Debug)]
struct Held {
    token: Secret,
    /// When it dies; `None`: never.
    dies_at: Option<Duration>,
    renew_at: Option<Duration>,
    renewable: bool,
    /// How long a life the login granted: a renewal that grants less than half of it nears the end
    /// that no renewal passes.
    first_ttl: Duration,
}

impl Held {
    fn new(granted: Granted, now: Duration, first_ttl: Option<Duration>) -> Self {
        let ttl = granted.ttl;
        let mortal = !ttl.is_zero();
        let part = RENEW_AT + JITTER * (fastrand::f64() * 2.0 - 1.0);
        Self {
            token: granted.token,
            dies_at: mortal.then(|| now.saturating_add(ttl)),
            renew_at: mortal.then(|| now.saturating_add(ttl.mul_f64(part))),
            renewable: granted.renewable,
            first_ttl: first_ttl.unwrap_or(ttl),
        }
    }

    fn is_alive(&self, now: Duration) -> bool {
        self.dies_at.is_none_or(|at| now < at)
    }

    fn is_due(&self, now: Duration) -> bool {
        self.renew_at.is_some_and(|at| now >= at)
    }
}

/// How often which login ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Logins {
    pub(super) ok: u64,
    pub(super) refused: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Session {
    client: Option<VaultClient>,
    held: Option<Held>,
    mounts: BTreeMap<String, Mount>,
    pub(super) logins: Logins,
    /// Why no new token could be had while the old one still works.
    pub(super) login_trouble: Option<VaultError>,
}

impl Session {
    /// When it should be looked after again, though no secret is due.
    pub(super) fn due_at(&self) -> Option<Duration> {
        if self.login_trouble.is_some() { None } else { self.held.as_ref()?.renew_at }
    }

    /// Makes sure that there is a token that lives: logs in, renews, or logs in anew.
    pub(super) async fn ready(
        &mut self,
        config: &VaultConfig,
        env: &(dyn EnvSource + Send + Sync),
        clock: &Clock,
    ) -> Result<(), VaultError> {
        if self.client.is_none() {
            let key = config.client_key.as_ref().map(|key| local(key, "client_key", env));
            self.client = Some(VaultClient::new(config, key.transpose()?.as_ref())?);
        }
        let now = clock.monotonic();
        if self.held.as_ref().is_some_and(|held| !held.is_alive(now)) {
            self.held = None;
        }
        let Some(held) = &self.held else { return self.login(config, env, clock).await };
        if !held.is_due(now) {
            return Ok(());
        }
        if held.renewable && self.renew(clock).await? {
            return Ok(());
        }
        // The old token works to its end: what keeps us from a new one is told, and tried again.
        match self.login(config, env, clock).await {
            Ok(()) => self.login_trouble = None,
            Err(error) => self.login_trouble = Some(error),
        }
        Ok(())
    }

    /// `false` when only a login helps.
    async fn renew(&mut self, clock: &Clock) -> Result<bool, VaultError> {
        let (Some(client), Some(held)) = (&self.client, &self.held) else { return Ok(false) };
        match client.renew(&held.token).await {
            Ok(granted) => {
                let first = held.first_ttl;
                let enough = granted.ttl.is_zero() || granted.ttl * 2 >= first;
                self.held = Some(Held::new(granted, clock.monotonic(), Some(first)));
                tracing::debug!("the token of Vault was renewed");
                Ok(enough)
            }
            Err(error) if error.fault == VaultFault::Sealed => Err(error),
            // A token past its last renewal is answered with a failure of the server: a login tells the
            // one from the other.
            Err(_) => Ok(false),
        }
    }

    async fn login(
        &mut self,
        config: &VaultConfig,
        env: &(dyn EnvSource + Send + Sync),
        clock: &Clock,
    ) -> Result<(), VaultError> {
        let role_id = local(&config.role_id, "role_id", env)?;
        let secret_id = local(&config.secret_id, "secret_id", env)?;
        let Some(client) = &self.client else { return Ok(()) };
        match client.login(&role_id, &secret_id).await {
            Ok(granted) => {
                self.logins.ok += 1;
                let ttl = granted.ttl.as_secs();
                tracing::info!(ttl_seconds = ttl, "logged in at Vault");
                let old = self.held.replace(Held::new(granted, clock.monotonic(), None));
                self.login_trouble = None;
                if let Some(old) = old {
                    client.revoke(&old.token).await;
                }
                Ok(())
            }
            Err(error) => {
                self.logins.refused += u64::from(error.fault == VaultFault::Login);
                Err(error)
            }
        }
    }

    /// The keys of the secret at a path. A refusal by a token that turns out to be dead is answered by
    /// a login and asked again, once.
    pub(super) async fn read(
        &mut self,
        path: &str,
        config: &VaultConfig,
        env: &(dyn EnvSource + Send + Sync),
        clock: &Clock,
    ) -> Result<Map<String, Value>, VaultError> {
        let error = match self.read_once(path).await {
            Err(error) if error.fault == VaultFault::Denied => error,
            other => return other,
        };
        if let (Some(client), Some(held)) = (&self.client, &self.held)
            && client.is_alive(&held.token).await?
        {
            return Err(error);
        }
        self.held = None;
        self.login(config, env, clock).await?;
        self.read_once(path).await
    }

    async fn read_once(&mut self, path: &str) -> Result<Map<String, Value>, VaultError> {
        let (Some(client), Some(held)) = (&self.client, &self.held) else {
            return Err(VaultError::away("there is no session"));
        };
        let known = self.mounts.remove(path);
        let mount = match known {
            Some(mount) => mount,
            None => client.find(&held.token, path).await?,
        };
        let read = client.read(&held.token, &mount, path).await;
        // A refusal may come from an engine that was mounted anew as another version: look again then.
        let sure =
            !matches!(&read, Err(e) if matches!(e.fault, VaultFault::Denied | VaultFault::Absent));
        if sure {
            self.mounts.insert(path.to_owned(), mount);
        }
        read
    }

    /// After a failure of the connection: certificates may have been replaced since it was made.
    pub(super) fn reconnect(&mut self) {
        self.client = None;
    }

    /// Gives the token back, as far as Vault answers.
    pub(super) async fn end(&mut self) {
        if let (Some(client), Some(held)) = (&self.client, self.held.take()) {
            client.revoke(&held.token).await;
        }
    }
}

/// What opens Vault lies on this host.
fn local(
    reference: &SecretRef,
    name: &str,
    env: &(dyn EnvSource + Send + Sync),
) -> Result<Secret, VaultError> {
    reference.resolve_in(env).map_err(|error| VaultError::login(format!("vault.{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(secs: u64) -> Granted {
        Granted { token: Secret::new("t"), ttl: Duration::from_secs(secs), renewable: true }
    }

    #[test]
    fn a_token_is_due_after_two_thirds_of_its_life() {
        let held = Held::new(granted(300), Duration::from_secs(1_000), None);
        let at = held.renew_at.unwrap().as_secs();
        assert!((1_184..=1_216).contains(&at), "{at}");
        assert!(held.is_alive(Duration::from_secs(1_299)));
        assert!(!held.is_alive(Duration::from_secs(1_300)));
    }

    #[test]
    fn a_token_without_an_end_is_never_due() {
        let held = Held::new(granted(0), Duration::ZERO, None);
        assert!(held.is_alive(Duration::MAX) && !held.is_due(Duration::MAX));
    }
}
