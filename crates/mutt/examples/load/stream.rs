//! Lines over TCP, plain or in TLS.

use std::io::{ErrorKind, Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::{BLOCK, Kind, Plan};

/// Takes connections and reads them to their end, on threads that end with the process.
pub(crate) fn discard(address: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind(address)?;
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                while connection.read(&mut buffer).is_ok_and(|count| count > 0) {}
            });
        }
    });
    Ok(())
}

pub(crate) fn send(plan: &Plan, _number: usize, lines: &[Vec<u8>], start: Instant) -> u64 {
    match connect(plan) {
        Ok(mut peer) => write_lines(plan, peer.as_mut(), lines, start),
        Err(why) => {
            eprintln!("load: {}: {why}", plan.address);
            0
        }
    }
}

fn connect(plan: &Plan) -> Result<Box<dyn Write>, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(plan.address)?;
    stream.set_write_timeout(Some(Duration::from_millis(200)))?;
    if plan.kind == Kind::Tcp {
        return Ok(Box::new(stream));
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&plan.ca)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?;
    Ok(Box::new(StreamOwned::new(client, stream)))
}

fn write_lines(plan: &Plan, peer: &mut dyn Write, lines: &[Vec<u8>], start: Instant) -> u64 {
    let block: Vec<u8> =
        lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
    let length = block.len() / BLOCK;
    let end = start + Duration::from_secs(plan.seconds);
    let (step, mut written) = (plan.step(10), 0u64);
    while !plan.is_over(start, written) {
        let from = (usize::try_from(written).unwrap_or(0) % BLOCK) * length;
        let lines = step.min((block.len() - from) / length);
        if !write_until(peer, &block[from..from + lines * length], end) {
            break;
        }
        written += lines as u64;
        plan.wait(start, written);
    }
    // What TLS still holds back is waited for, within bounds.
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end && peer.flush().is_err_and(|error| is_slow(&error)) {}
    written
}

fn is_slow(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Writes whole lines; a peer that no longer reads ends the load when its time is over.
fn write_until(peer: &mut dyn Write, mut bytes: &[u8], end: Instant) -> bool {
    while !bytes.is_empty() {
        match peer.write(bytes) {
            Ok(0) => return false,
            Ok(count) => bytes = &bytes[count..],
            Err(error) if is_slow(&error) => {
                if Instant::now() >= end {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
    true
}
