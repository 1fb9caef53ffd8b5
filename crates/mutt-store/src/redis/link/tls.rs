//! TLS towards Redis: the trust and the client's certificate, read anew for each connection.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsConnector;

use crate::redis::RedisTls;

/// What a new connection is made with. Reads files: not for a thread that must not block.
pub(super) fn connector(files: &RedisTls) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &files.ca {
        for authority in certificates(path)? {
            roots.add(authority).map_err(|why| format!("{}: {why}", path.display()))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(
                "this machine trusts no certificate authority: name the file of yours in `queue.tls`"
                    .into(),
            );
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?
        .with_root_certificates(roots);
    let config = match (&files.cert, &files.key) {
        (Some(cert), Some(key)) => {
            let pem = key.get();
            let pem = pem
                .first()
                .ok_or("the key of our certificate (`queue.tls.key`) was not read yet")?;
            let private = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes())
                .map_err(|_| "`queue.tls.key` is no PEM key")?;
            builder
                .with_client_auth_cert(certificates(cert)?, private)
                .map_err(|why| format!("{} and its key: {why}", cert.display()))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err("a client certificate needs both its chain and its key".into()),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let list: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|why| wrong(&why))?
        .collect::<Result<_, _>>()
        .map_err(|why| wrong(&why))?;
    if list.is_empty() { Err(wrong(&"no certificate in the file")) } else { Ok(list) }
}
