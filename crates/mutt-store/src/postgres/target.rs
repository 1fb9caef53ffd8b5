//! Where PostgreSQL is and how it is reached: the URL's parts, the role, the passwords in turn.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use mutt_model::codes::{self, Code};
use mutt_model::secret::{LiveSecrets, Secret};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::errors::{hindrance, words};
use super::{PgOptions, PgRole, tls};

/// A process that stands still in the middle of a transaction holds its locks for so long at most: as
/// long as a sink is leased, so that another takes it over as soon as from one that is dead.
const IDLE_IN_TRANSACTION_MAX: Duration = Duration::from_secs(15);

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Not at all.
    Disable,
    /// Encrypted; whoever answers is believed.
    Require,
    /// Encrypted, with a certificate of the given authorities.
    VerifyCa,
    /// And issued for the host's name.
    VerifyFull,
}

impl TlsMode {
    /// Reads libpq's name of it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "disable" => Self::Disable,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// What is wrong, for people: a code and words.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) code: Code,
    pub(super) why: String,
}

/// Everything that a connection needs.
pub(super) struct Target {
    /// One for each host, in the URL's order.
    hosts: Vec<Config>,
    user: String,
    passwords: LiveSecrets,
    /// The configuration key of the passwords, for messages.
    key: &'static str,
    mode: TlsMode,
    files: tls::Files,
    connect_timeout: Duration,
    setup: String,
    pub(super) accept_no_fsync: bool,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("user", &self.user).finish_non_exhaustive()
    }
}

pub(super) type Driver =
    Connection<Socket, <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<Socket>>::Stream>;

/// What of a URL only we know: the mode, the authorities.
type OwnParameters = (Option<TlsMode>, Option<PathBuf>);

/// Takes the parameters that only we know out of the URL.
fn split(url: &str) -> Result<(String, OwnParameters), String> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut ca) = (None, None);
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "sslmode" => {
                mode = Some(TlsMode::parse(value).ok_or_else(|| {
                    format!("sslmode is disable, require, verify-ca or verify-full, not `{value}`")
                })?);
            }
            "sslrootcert" => ca = Some(PathBuf::from(value)),
            _ => kept.push(pair),
        }
    }
    let kept = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    Ok((kept, (mode, ca)))
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

impl Target {
    /// Reads the options; `role` takes the place of the URL's user.
    pub(super) fn new(options: &PgOptions, role: Option<&PgRole>) -> Result<Self, String> {
        let (url, (url_mode, ca)) = split(&options.url)?;
        let mut config = Config::from_str(&url)
            .map_err(|e| format!("store.url is no PostgreSQL URL: {}", words(&e)))?;
        if config.get_password().is_some() {
            return Err("store.url holds a password; give it by store.password".to_owned());
        }
        if config.get_hosts().is_empty() || config.get_dbname().is_none() {
            return Err(
                "store.url names no host or no database: postgres://user@host/db".to_owned()
            );
        }
        if let Some(role) = role {
            config.user(&role.user);
        }
        if config.get_user().is_none() {
            return Err("store.url names no user: postgres://user@host/db".to_owned());
        }
        let local = config.get_hosts().iter().all(is_local);
        let default = if local { TlsMode::Disable } else { TlsMode::VerifyFull };
        let mode = options.tls.or(url_mode).unwrap_or(default);
        let files = tls::Files {
            ca: options.ca.clone().or(ca),
            cert: options.cert.clone(),
            key: options.key.clone(),
        };
        config
            .ssl_mode(if mode == TlsMode::Disable { SslMode::Disable } else { SslMode::Require })
            .application_name(&options.application)
            .connect_timeout(options.connect_timeout)
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(20))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(20));
        let hosts = hosts(&config)?;
        if mode == TlsMode::Disable || !files.wait() {
            // What is wrong with the files is said at once, where it can be seen at once.
            tls::connector(mode, &files)?;
        }
        // A forgotten transaction holds locks of keys: the server ends it. Nothing weaker than `on`. A plan
        // made once would be one for tables that were empty and for lists of no known length; a v2 that is
        // imported may lie on a server that knows no such setting.
        let setup = format!(
            "SELECT set_config(name, 'force_custom_plan', false) FROM pg_settings
                WHERE name = 'plan_cache_mode';
             SET search_path = mutt; SET statement_timeout = {}; SET lock_timeout = {};
             SET idle_in_transaction_session_timeout = {}; SET jit = off;
             SELECT set_config('synchronous_commit',
                CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
                ELSE current_setting('synchronous_commit') END, false)",
            options.statement_timeout.as_millis(),
            options.lock_timeout.as_millis(),
            IDLE_IN_TRANSACTION_MAX.as_millis(),
        );
        let passwords = role.map_or_else(|| options.passwords.clone(), |r| r.passwords.clone());
        Ok(Self {
            hosts,
            user: config.get_user().unwrap_or_default().to_owned(),
            passwords,
            key: if role.is_some() { "store.owner.password" } else { "store.password" },
            mode,
            files,
            connect_timeout: options.connect_timeout,
            setup,
            accept_no_fsync: options.accept_no_fsync,
        })
    }

    /// The role's name.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// The passwords in force, to see whether they were changed.
    pub(super) fn secrets(&self) -> Arc<[Secret]> {
        self.passwords.get()
    }

    /// What is set on each connection.
    pub(super) fn setup(&self) -> &str {
        &self.setup
    }

    /// Connects to the first host that takes one of the passwords and, of several hosts, writes. The
    /// driver is to be polled before the client answers.
    pub(super) async fn connect(&self) -> Result<(Client, Driver), Trouble> {
        if self.passwords.is_awaited() {
            // Without it, it would be a failed login at the server, or a connection nobody set up.
            let why =
                format!("`{}` was not read yet: PostgreSQL is not asked without it", self.key);
            return Err(Trouble { code: codes::STORE_AWAY, why });
        }
        let (mode, files) = (self.mode, self.files.clone());
        let tls = tokio::task::spawn_blocking(move || tls::connector(mode, &files))
            .await
            .map_err(|why| why.to_string())
            .flatten()
            .map_err(|why| Trouble { code: codes::STORE_TLS, why })?;
        let mut troubles = Vec::new();
        for config in &self.hosts {
            match self.connect_to(config, &tls).await {
                Ok(connected) => return Ok(connected),
                Err(trouble) => troubles.push((config, trouble)),
            }
        }
        Err(worst(troubles))
    }

    async fn connect_to(
        &self,
        config: &Config,
        tls: &MakeRustlsConnect,
    ) -> Result<(Client, Driver), Trouble> {
        let secrets = self.secrets();
        let mut config = config.clone();
        let mut refused = None;
        for secret in secrets.iter().map(Some).chain(secrets.is_empty().then_some(None)) {
            if let Some(secret) = secret {
                config.password(secret.expose());
            }
            let connected = config.connect(tls.clone());
            // The driver's own timeout ends the TCP handshake only.
            let error = match tokio::time::timeout(self.connect_timeout * 2, connected).await {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => error,
                Err(_) => {
                    let why =
                        format!("PostgreSQL did not answer within {:?}", self.connect_timeout * 2);
                    return Err(Trouble { code: codes::STORE_AWAY, why });
                }
            };
            let trouble = trouble(&error);
            if trouble.code != codes::STORE_AUTH {
                return Err(trouble);
            }
            refused = Some(trouble);
        }
        Err(refused.unwrap_or(Trouble { code: codes::STORE_AWAY, why: "no password".to_owned() }))
    }
}

/// One configuration for each host: one that stands still must not keep from the others, and the
/// driver's own way through them knows no such limit.
fn hosts(config: &Config) -> Result<Vec<Config>, String> {
    let (hosts, ports) = (config.get_hosts(), config.get_ports());
    if !matches!(ports.len(), 0 | 1) && ports.len() != hosts.len() {
        return Err("store.url names ports for some hosts only".to_owned());
    }
    let port_of = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let one = |(at, host): (usize, &Host)| {
        let mut one = Config::new();
        match host {
            Host::Tcp(name) => one.host(name),
            Host::Unix(path) => one.host_path(path),
        };
        one.port(port_of(at)).ssl_mode(config.get_ssl_mode());
        one.user(config.get_user().unwrap_or_default());
        one.dbname(config.get_dbname().unwrap_or_default());
        one.channel_binding(config.get_channel_binding());
        if let Some(options) = config.get_options() {
            one.options(options);
        }
        if let Some(name) = config.get_application_name() {
            one.application_name(name);
        }
        if let Some(timeout) = config.get_connect_timeout() {
            one.connect_timeout(*timeout);
        }
        if let Some(timeout) = config.get_tcp_user_timeout() {
            one.tcp_user_timeout(*timeout);
        }
        one.keepalives(config.get_keepalives()).keepalives_idle(config.get_keepalives_idle());
        if let Some(interval) = config.get_keepalives_interval() {
            one.keepalives_interval(interval);
        }
        if let Some(retries) = config.get_keepalives_retries() {
            one.keepalives_retries(retries);
        }
        if hosts.len() > 1 {
            one.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        one
    };
    Ok(hosts.iter().enumerate().map(one).collect())
}

/// What is told of hosts of which none could be used: what a person must mend goes before what passes.
fn worst(mut troubles: Vec<(&Config, Trouble)>) -> Trouble {
    if troubles.len() == 1
        && let Some((_, trouble)) = troubles.pop()
    {
        return trouble;
    }
    let order = [codes::STORE_AUTH, codes::STORE_TLS, codes::STORE_READ_ONLY];
    let code = order.into_iter().find(|code| troubles.iter().any(|(_, t)| t.code == *code));
    let said = troubles.iter().map(|(config, trouble)| {
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        let port = config.get_ports().first().copied().unwrap_or_default();
        format!("{host}:{port}: {}", trouble.why)
    });
    let why = said.collect::<Vec<_>>().join("; ");
    Trouble { code: code.unwrap_or(codes::STORE_AWAY), why }
}

/// What a failed connection means.
pub(super) fn trouble(error: &tokio_postgres::Error) -> Trouble {
    let why = words(error);
    let refused = error.code().is_some_and(|code| {
        *code == SqlState::INVALID_PASSWORD
            || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION
    }) || error.to_string().contains("authentication");
    let tls = ["TLS", "fatal alert", "invalid peer certificate"];
    let code = match hindrance(error) {
        Some(code) => code,
        None if refused => codes::STORE_AUTH,
        None if error.code().is_none() && tls.iter().any(|part| why.contains(part)) => {
            return Trouble { code: codes::STORE_TLS, why: crate::handshake::words(&why) };
        }
        None if why.contains("database does not allow writes") => codes::STORE_READ_ONLY,
        None => codes::STORE_AWAY,
    };
    Trouble { code, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_that_was_not_read_yet_is_waited_for() {
        let options = PgOptions {
            passwords: LiveSecrets::named(),
            ..PgOptions::new("postgres://mutt@127.0.0.1:1/mutt")
        };
        let trouble = Target::new(&options, None).unwrap().connect().await.err().unwrap();
        assert_eq!(trouble.code.id, codes::STORE_AWAY.id);
        assert!(trouble.why.contains("`store.password` was not read yet"), "{}", trouble.why);
    }

    #[test]
    fn urls_are_read_and_refused_with_words() {
        let check = |url: &str, expected: Result<TlsMode, &str>| {
            let got = Target::new(&PgOptions { ca: None, ..PgOptions::new(url) }, None);
            match expected {
                Ok(_) => assert!(got.is_ok(), "{url}: {got:?}"),
                Err(words) => {
                    let error = got.unwrap_err();
                    assert!(error.contains(words), "{url}: {error}");
                }
            }
        };
        check("postgres://mutt@%2Frun%2Fpg/mutt", Ok(TlsMode::Disable));
        check("postgres://mutt@127.0.0.1:5433/mutt", Ok(TlsMode::Disable));
        check("postgres://mutt@db1,db2/mutt?sslmode=require", Ok(TlsMode::Require));
        check("postgres://mutt@db1/mutt?sslrootcert=/nowhere.pem", Err("/nowhere.pem"));
        check("postgres://mutt@db1/mutt?sslmode=prefer", Err("sslmode is"));
        check("postgres://mutt:secret@db1/mutt", Err("store.password"));
        check("postgres://mutt@localhost", Err("no database"));
        check("postgres://localhost/mutt", Err("no user"));
    }
}
