//! What a failed TLS handshake means, for a reader.

/// The library's words about a failed connection, followed by what they mean for a reader.
pub(crate) fn words(error: &str) -> String {
    /// What is found in the library's words, and what it means.
    const MEANS: &[(&str, &str)] = &[
        (
            "UnknownIssuer",
            "the server's certificate is not signed by an authority that is trusted here",
        ),
        ("BadSignature", "the server's certificate is not signed by the authority that it names"),
        ("certificate expired", "the server's certificate has expired, or a clock is wrong"),
        ("not valid yet", "the server's certificate is not valid yet, or a clock is wrong"),
        ("not valid for name", "the server's certificate is not for this name"),
        ("CaUsedAsEndEntity", "the server shows the certificate of an authority as its own"),
        ("InvalidContentType", "the server does not speak TLS on this port"),
        ("CertificateRequired", "the server asks for a client certificate"),
        ("HandshakeFailure", "the server refuses the TLS handshake"),
        ("UnknownCA", "the server does not trust our client certificate"),
        ("BadCertificate", "the server does not take our client certificate"),
        ("CertificateExpired", "our client certificate has expired"),
    ];
    match MEANS.iter().find(|(part, _)| error.contains(part)) {
        Some((_, means)) => format!("{means} ({error})"),
        None => error.to_owned(),
    }
}
