//! HTTP ingest over TLS: a client certificate where a CA is named, plaintext refused, and a rotation of
//! certificate and key that takes effect with the next connection.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::support::{Program, Setup};

/// An authority, as PEM and as issuer.
pub(crate) fn authority() -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    // A name of its own: what it signs must not look as if it had signed itself.
    let name = format!("authority {}", fastrand::u64(..));
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let cert = params.self_signed(&key).unwrap();
    (cert.pem(), Issuer::new(params, key))
}

/// A certificate and its key for every loopback address that a test's program may have.
pub(crate) fn issued(issuer: &Issuer<'_, KeyPair>, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let cert =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
    (cert.pem(), key.serialize_pem())
}

pub(crate) fn client(
    program: &Program,
    roots: &str,
    identity: Option<(String, String)>,
) -> reqwest::Client {
    mutt::net::tls::install_provider();
    let root = reqwest::Certificate::from_pem(roots.as_bytes()).unwrap();
    let mut builder =
        reqwest::Client::builder().tls_certs_only([root]).resolve("ingest.test", program.http());
    if let Some((cert, key)) = identity {
        builder = builder.identity(reqwest::Identity::from_pem((cert + &key).as_bytes()).unwrap());
    }
    builder.build().unwrap()
}

pub(crate) async fn post(
    program: &Program,
    client: &reqwest::Client,
) -> Result<u16, reqwest::Error> {
    let url = format!("https://ingest.test:{}/ingest", program.http().port());
    let body = r#"{"hostname":"h","message":"m"}"#;
    let answer =
        client.post(url).header("x-api-key", program.ingest_key()).body(body).send().await?;
    Ok(answer.status().as_u16())
}

fn write(dir: &Path, cert: &str, key: &str) {
    std::fs::write(dir.join("key.pem"), key).unwrap();
    std::fs::write(dir.join("cert.pem"), cert).unwrap();
}

#[tokio::test]
async fn ingest_over_tls_with_client_certificates_and_a_rotation() {
    let mut setup = Setup::new();
    let dir = setup.folder().to_path_buf();
    let (ca_pem, ca) = authority();
    let (cert, key) = issued(&ca, "ingest.test");
    write(&dir, &cert, &key);
    std::fs::write(dir.join("ca.pem"), &ca_pem).unwrap();
    let path = |name: &str| dir.join(name).display().to_string();
    let tls = format!(
        "tls = {{ cert = {:?}, key = {{ file = {:?} }}, client_ca = {:?} }}",
        path("cert.pem"),
        path("key.pem"),
        path("ca.pem")
    );
    let program = setup.set("ingestor.http", &tls).start();

    let known = Some(issued(&ca, "sender.test"));
    assert_eq!(post(&program, &client(&program, &ca_pem, known.clone())).await.unwrap(), 200);
    let (_, stranger) = authority();
    let unknown = Some(issued(&stranger, "sender.test"));
    assert!(
        post(&program, &client(&program, &ca_pem, unknown)).await.is_err(),
        "unknown authority"
    );
    assert!(post(&program, &client(&program, &ca_pem, None)).await.is_err(), "no certificate");
    let plain = format!("http://{}/ingest", program.http());
    assert!(reqwest::Client::new().post(plain).body("{}").send().await.is_err(), "plaintext");

    let (new_pem, new_ca) = authority();
    let (cert, key) = issued(&new_ca, "ingest.test");
    write(&dir, &cert, &key);
    assert_eq!(post(&program, &client(&program, &new_pem, known.clone())).await.unwrap(), 200);
    assert!(
        post(&program, &client(&program, &ca_pem, known)).await.is_err(),
        "the old one is gone"
    );
    assert_eq!(program.at_rest().events.audited, 2);
}
