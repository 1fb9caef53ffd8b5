//! The HTTP client of a sink: one per sink, TLS by ring, redirects never followed, no proxy from the
//! environment.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Proxy, Url};

use super::resolver::{Guarded, never_a_sink};
use super::scrub::Scrub;
use crate::sink::{Auth, BuildError, SinkConfig};

/// Connections kept open for a sink that is quiet.
const IDLE_CONNECTIONS: usize = 8;
const USER_AGENT: &str = concat!("mutt/", env!("CARGO_PKG_VERSION"));

/// What a sink needs of its client.
pub(super) struct Parts {
    pub(super) url: Url,
    pub(super) auth: Option<(HeaderName, HeaderValue)>,
    pub(super) client: Client,
    pub(super) scrub: Scrub,
}

/// Checks a configuration and makes the client.
pub(super) fn prepare(config: &SinkConfig) -> Result<Parts, BuildError> {
    let url = check_url(config.url.expose())?;
    if config.timeout.is_zero() || config.connect_timeout.is_zero() {
        return Err(BuildError::Timeout);
    }
    let mut scrub = Scrub::default();
    scrub_url(&url, &mut scrub);
    let auth = config.auth.as_ref().map(|auth| header_of(auth, &mut scrub)).transpose()?;
    let client = client_of(config, &url, &mut scrub)?;
    Ok(Parts { url, auth, client, scrub })
}

/// Integration keys stand in paths and queries, and receivers like to echo both. Shorter values are
/// no keys, and masking them would spoil what is read.
fn scrub_url(url: &Url, scrub: &mut Scrub) {
    const KEY_MIN: usize = 6;
    let values: Vec<_> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
    let parts = [url.as_str(), url.path(), url.query().unwrap_or_default()];
    for part in parts.into_iter().chain(values.iter().map(String::as_str)) {
        if part.len() >= KEY_MIN {
            scrub.add(part);
        }
    }
}

fn check_url(text: &str) -> Result<Url, BuildError> {
    let url = Url::parse(text).map_err(|_| BuildError::Url("is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(BuildError::Url("must begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BuildError::Url("must not hold a user or password; use auth"));
    }
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err(BuildError::Url("names no host"));
    };
    let literal = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    if literal.is_ok_and(never_a_sink) {
        return Err(BuildError::Url("names a link-local, multicast or unspecified address"));
    }
    Ok(url)
}

/// The header of a credential; what it is made of is never kept in an attempt.
fn header_of(auth: &Auth, scrub: &mut Scrub) -> Result<(HeaderName, HeaderValue), BuildError> {
    let (name, value) = match auth {
        Auth::Bearer(token) => {
            refuse_empty(token.expose())?;
            scrub.add(token.expose());
            ("authorization", format!("Bearer {}", token.expose()))
        }
        Auth::Basic { user, password } => {
            if user.contains(':') {
                return Err(BuildError::Auth("has a colon in its user, which Basic cannot carry"));
            }
            let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
            scrub.add(password.expose());
            scrub.add(&pair);
            ("authorization", format!("Basic {pair}"))
        }
        Auth::Header { name, value } => {
            refuse_empty(value.expose())?;
            scrub.add(value.expose());
            (name.as_str(), value.expose().to_owned())
        }
    };
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| BuildError::Auth("names no valid header"))?;
    let mut value = HeaderValue::from_str(&value)
        .map_err(|_| BuildError::Auth("holds characters that a header cannot carry"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn refuse_empty(value: &str) -> Result<(), BuildError> {
    if value.is_empty() { Err(BuildError::Auth("is empty")) } else { Ok(()) }
}

fn client_of(config: &SinkConfig, url: &Url, scrub: &mut Scrub) -> Result<Client, BuildError> {
    // Fails only where a provider is already installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .dns_resolver(Guarded)
        .retry(reqwest::retry::never())
        .connect_timeout(config.connect_timeout)
        .read_timeout(config.timeout)
        .timeout(config.timeout)
        .pool_max_idle_per_host(IDLE_CONNECTIONS);
    if let Some(proxy) = &config.proxy {
        if let Ok(url) = Url::parse(proxy.expose()) {
            scrub.add(url.password().unwrap_or_default());
        }
        let proxy = Proxy::all(proxy.expose()).map_err(|_| BuildError::Proxy)?;
        builder = builder.proxy(proxy);
    }
    if let Some(pem) = &config.ca_pem {
        let certificates = Certificate::from_pem_bundle(pem).map_err(|_| BuildError::Ca)?;
        if certificates.is_empty() {
            return Err(BuildError::Ca);
        }
        builder = builder.tls_certs_only(certificates);
    } else if url.scheme() == "http" && config.proxy.is_none() {
        // No TLS happens: a machine without trusted certificates can serve it too.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| BuildError::Client(super::classify::describe(error)))
}
