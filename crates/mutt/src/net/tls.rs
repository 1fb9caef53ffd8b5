//! Server TLS: certificate and key from files, an optional client CA, reloaded when a file changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use mutt_model::Secret;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Gives the PEM key as it is now: a rotation brings a new key with the new certificate.
pub type KeySource = Arc<dyn Fn() -> Result<Secret, String> + Send + Sync>;

/// Where a listener's TLS comes from.
#[derive(Clone)]
pub struct TlsFiles {
    /// PEM chain, leaf first.
    pub cert: PathBuf,
    /// See [`KeySource`].
    pub key: KeySource,
    /// PEM certificates of the authorities that client certificates must come from.
    pub client_ca: Option<PathBuf>,
    /// Whether TLS 1.3 clients are given tickets to resume with. A client that only writes never reads
    /// them, and a socket that is closed over unread bytes resets the connection: what the client wrote
    /// last would be lost.
    pub tickets: bool,
    /// Differs when the key may have changed.
    pub key_version: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl std::fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsFiles").field("cert", &self.cert).finish_non_exhaustive()
    }
}

/// The TLS that a listener offers now.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: ArcSwapOption<ServerConfig>,
    changed: std::sync::Mutex<Changed>,
}

/// What was read last, and what was told of it.
#[derive(Debug, Default)]
struct Changed {
    stamps: Option<Stamps>,
    told: Option<String>,
}

/// Differs when a file or the key may have changed.
type Stamps = (Vec<Option<SystemTime>>, u64);

/// Whether a listener could offer TLS with these.
///
/// # Errors
///
/// Words that name the file and what is wrong with it.
pub fn try_out(cert: &Path, key: Secret, client_ca: Option<&Path>) -> Result<(), String> {
    install_provider();
    let key: KeySource = Arc::new(move || Ok(key.clone()));
    let (cert, client_ca) = (cert.to_owned(), client_ca.map(Path::to_owned));
    config(&TlsFiles { cert, key, client_ca, tickets: false, key_version: Arc::new(|| 0) })
        .map(drop)
}

/// Makes ring the process's one TLS provider; later calls change nothing.
pub fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Words that name the file and what is wrong with it.
    pub fn load(files: TlsFiles) -> Result<Self, String> {
        install_provider();
        let stamps = stamps(&files);
        let current = ArcSwapOption::from_pointee(config(&files)?);
        let changed = Changed { stamps: Some(stamps), told: None };
        Ok(Self { files, current, changed: std::sync::Mutex::new(changed) })
    }

    /// TLS whose key is still waited for: connections are closed until it is there.
    #[must_use]
    pub fn waiting(files: TlsFiles) -> Self {
        install_provider();
        Self { files, current: ArcSwapOption::empty(), changed: std::sync::Mutex::default() }
    }

    /// The configuration for the next connection; what changed is read again first. What cannot be
    /// read leaves the last good configuration in force; `None` while there never was one.
    #[must_use]
    pub fn current(&self) -> Option<Arc<ServerConfig>> {
        if let Ok(mut changed) = self.changed.lock() {
            let now = Some(stamps(&self.files));
            if changed.stamps != now {
                match config(&self.files) {
                    Ok(config) => {
                        self.current.store(Some(Arc::new(config)));
                        *changed = Changed { stamps: now, told: None };
                    }
                    Err(why) if changed.told.as_ref() != Some(&why) => {
                        tracing::warn!(
                            code = %mutt_model::codes::CONFIG_SECRET, why,
                            "certificate and key cannot be used; the last good ones stay"
                        );
                        changed.told = Some(why);
                    }
                    Err(_) => {}
                }
            }
        }
        self.current.load_full()
    }
}

fn stamps(files: &TlsFiles) -> Stamps {
    let stamp = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    let mut stamps = vec![stamp(&files.cert)];
    stamps.extend(files.client_ca.as_deref().map(stamp));
    (stamps, (files.key_version)())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let list: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|e| wrong(&e))?
        .collect::<Result<_, _>>()
        .map_err(|e| wrong(&e))?;
    if list.is_empty() { Err(wrong(&"no certificate in the file")) } else { Ok(list) }
}

fn config(files: &TlsFiles) -> Result<ServerConfig, String> {
    let chain = certificates(&files.cert)?;
    let key = (files.key)()?;
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
        .map_err(|e| format!("the TLS key: {e}"))?;
    let builder = match &files.client_ca {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority).map_err(|e| format!("{}: {e}", path.display()))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .map_err(|e| format!("{}: {e}", path.display()))?;
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|e| format!("{} and its key: {e}", files.cert.display()))?;
    if !files.tickets {
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}
