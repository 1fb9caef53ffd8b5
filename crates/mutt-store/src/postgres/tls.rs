//! TLS towards PostgreSQL: which certificates are believed, and the client's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mutt_model::LiveSecrets;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::TlsMode;

/// The files that TLS may need.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    /// PEM.
    pub(super) key: Option<LiveSecrets>,
}

/// Believes a chain, or anything, but not by the name.
#[derive(Debug)]
struct Lenient {
    /// `None`: whoever answers.
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |e: rustls_pki_types::pem::Error| format!("cannot read {}: {e}", path.display());
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(wrong)?.collect();
    let found = found.map_err(wrong)?;
    if found.is_empty() {
        return Err(format!("{} holds no certificate", path.display()));
    }
    Ok(found)
}

fn verifier(mode: TlsMode, ca: Option<&Path>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let provider = Arc::new(ring::default_provider());
    if !matches!(mode, TlsMode::VerifyCa | TlsMode::VerifyFull) {
        return Ok(Arc::new(Lenient { chain: None, provider }));
    }
    let mut roots = RootCertStore::empty();
    match ca {
        Some(ca) => {
            for certificate in certificates(ca)? {
                roots.add(certificate).map_err(|e| format!("{}: {e}", ca.display()))?;
            }
        }
        // What the host trusts.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|e| {
            format!(
                "PostgreSQL's certificate cannot be verified: {e}; name the file of its certificate \
                 authorities (store.tls.ca)"
            )
        })?;
    if mode == TlsMode::VerifyFull {
        return Ok(chain);
    }
    Ok(Arc::new(Lenient { chain: Some(chain), provider }))
}

impl Files {
    /// Whether a key is named that was not read yet.
    pub(super) fn wait(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.get().is_empty())
    }
}

/// What tokio-postgres makes TLS with, from the files as they are now. Reads files: not for a thread
/// that must not block. Unused with [`TlsMode::Disable`].
pub(super) fn connector(mode: TlsMode, files: &Files) -> Result<MakeRustlsConnect, String> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier(mode, files.ca.as_deref())?);
    let config = match (&files.cert, &files.key) {
        (Some(cert), Some(key)) => {
            let pem = key.get();
            let pem = pem.first().ok_or("the client's key (store.tls.key) was not read yet")?;
            let key_der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes())
                .map_err(|_| "the client's key (store.tls.key) is no PEM key".to_owned())?;
            config
                .with_client_auth_cert(certificates(cert)?, key_der)
                .map_err(|e| format!("{}: {e}", cert.display()))?
        }
        (None, None) => config.with_no_client_auth(),
        _ => return Err("the client's certificate and its key come together".to_owned()),
    };
    Ok(MakeRustlsConnect::new(config))
}
