//! Streams of syslog as real senders write them: TLS, RELP, the PROXY protocol, and senders that mean no
//! good, whose neighbours must not notice.

mod abuse;
mod proxy;
mod relp;
mod tls;
mod udp;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use crate::support::Setup;
use crate::tls::authority;

/// Certificates of a test: MUTT's (`ingest.test`) and a sender's (`sender.test`), of one authority.
fn certificates(folder: &Path) {
    let (ca_pem, ca) = authority();
    std::fs::write(folder.join("ca.pem"), ca_pem).unwrap();
    for (name, host) in [("server", "ingest.test"), ("client", "sender.test")] {
        // syslog-ng compares the certificate with what it connects to.
        let names = vec![host.to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), cert.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// A table of a listener with TLS; `client_ca`: senders must show a certificate.
fn tls_listener(folder: &Path, listen: &str, client_ca: bool) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    let ca = if client_ca { format!(", client_ca = {:?}", path("ca.pem")) } else { String::new() };
    format!(
        "{{ listen = {listen:?}, cert = {:?}, key = {{ file = {:?} }}{ca} }}",
        path("server.pem"),
        path("server.key"),
    )
}

/// A program with listeners for TLS and RELP, whose certificates lie in its folder.
fn with_tls(client_ca: bool) -> Setup {
    let mut setup = Setup::new();
    certificates(setup.folder());
    let table = tls_listener(setup.folder(), "127.0.0.1:0", client_ca);
    let lines = format!("tls = [{table}]\nrelp = [\"127.0.0.1:0\", {table}]");
    setup.set("ingestor.syslog", &lines);
    setup
}

/// A sender's configuration as the documents give it, with these words in place of those.
fn snippet(name: &str, changes: &[(&str, &str)]) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations/snippets").join(name);
    let mut text = std::fs::read_to_string(path).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{name} has no {from}");
        text = text.replace(from, to);
    }
    text
}

/// The same with MUTT's address and the certificates of a test.
fn snippet_for(name: &str, port: &str, address: SocketAddr, folder: Option<&Path>) -> String {
    let digits: String = port.chars().filter(char::is_ascii_digit).collect();
    let mut text = snippet(name, &[(port, &port.replace(&digits, &address.port().to_string()))]);
    if let Some(folder) = folder {
        for (written, name) in
            [("mutt-ca.pem", "ca.pem"), ("sender.pem", "client.pem"), ("sender.key", "client.key")]
        {
            let place = folder.join(name).display().to_string();
            text = text.replace(&format!("/etc/ssl/mutt/{written}"), &place);
        }
        // rsyslog looks for the name in the certificate; it is another one than the address here.
        text = text.replace("Peers=\"mutt.example.net\"", "Peers=\"ingest.test\"");
        text = text.replace("Peer=[\"mutt.example.net\"]", "Peer=[\"ingest.test\"]");
    }
    text.replace("mutt.example.net", &address.ip().to_string())
}

/// A connection that gives up after a while.
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Writes, and reads until the program closes; a reset is an end, too.
fn write_and_read(stream: &mut TcpStream, bytes: &[u8]) -> String {
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
