//! Headers of both versions, what is none, and the promise that no byte behind the header is asked for.

use proptest::prelude::*;

use super::*;

fn v2(version_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend([version_command, family]);
    header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend(body);
    header
}

/// Reads as a connection does: never more than was asked for.
fn read(stream: &[u8]) -> (Parsed, usize) {
    let mut have = 0;
    loop {
        match parse(&stream[..have]) {
            Parsed::NeedMore(more) if have < stream.len() => {
                assert!(more > 0);
                have = stream.len().min(have + more);
            }
            other => return (other, have),
        }
    }
}

fn check(header: &[u8], client: Option<&str>) {
    let mut stream = header.to_vec();
    stream.extend(b"<13>message\n");
    let (parsed, read) = read(&stream);
    let client = client.map(|text| text.parse().unwrap());
    assert_eq!(parsed, Parsed::Header { consumed: header.len(), client }, "{header:?}");
    assert_eq!(read, header.len(), "bytes behind the header were asked for");
}

fn refused(stream: &[u8], why: &str) {
    let found = read(stream).0;
    assert!(matches!(found, Parsed::Malformed(words) if words.contains(why)), "{found:?}");
}

#[test]
fn headers_name_the_client() {
    check(b"PROXY TCP4 192.0.2.7 192.0.2.1 40022 514\r\n", Some("192.0.2.7:40022"));
    check(b"PROXY TCP4 1.1.1.1 1.1.1.2 0 65535\r\n", Some("1.1.1.1:0"));
    check(b"PROXY TCP6 2001:db8::7 2001:db8::1 40022 514\r\n", Some("[2001:db8::7]:40022"));
    check(b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", Some("192.0.2.7:1"));
    check(b"PROXY UNKNOWN\r\n", None);
    check(b"PROXY UNKNOWN ffff:f...f:ffff ffff::1 65535 65535\r\n", None);
    let v4 = [192, 0, 2, 7, 192, 0, 2, 1, 0x9c, 0x56, 2, 2];
    check(&v2(0x21, 0x11, &v4), Some("192.0.2.7:40022"));
    let mut with_tlvs = v4.to_vec();
    with_tlvs.extend([3, 0, 4, 1, 2, 3, 4]);
    check(&v2(0x21, 0x11, &with_tlvs), Some("192.0.2.7:40022"));
    let mut v6 = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets().to_vec();
    v6.extend([0; 16]);
    v6.extend([0x9c, 0x56, 2, 2]);
    check(&v2(0x21, 0x21, &v6), Some("[2001:db8::7]:40022"));
    check(&v2(0x20, 0x00, &[]), None);
    check(&v2(0x20, 0x11, &v4), None);
    check(&v2(0x21, 0x00, &[]), None);
    check(&v2(0x21, 0x31, &[b'/'; 216]), None);
}

#[test]
fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
    refused(b"<13>message\n", "does not begin");
    refused(b"P<13>", "does not begin");
    assert_eq!(parse(b"<"), Parsed::Malformed("it does not begin with a PROXY header"));
    refused(
        b"PROXY TCP4 192.0.2.7 192.0.2.1 40022 514\n<13>message and no end of the line",
        "CR LF",
    );
    refused(&[b"PROXY ".as_slice(), &[b'x'; 200]].concat(), "does not end");
    refused(b"PROXY TCP4 192.0.2.7\r192.0.2.1 1 2\r\n", "CR LF");
    for wrong in [
        "TCP4 2001:db8::7 ::1 1 2",
        "TCP6 192.0.2.7 192.0.2.1 1 2",
        "TCP4 192.0.2.7 192.0.2.1 65536 2",
        "TCP4 192.0.2.7 192.0.2.1 01 2",
        "TCP4 192.0.2.7 192.0.2.1 +1 2",
        "TCP4 192.0.2.7 192.0.2.1 1",
        "TCP4 192.0.2.7 192.0.2.1 1 2 3",
        "TCP4  192.0.2.7 192.0.2.1 1 2",
        "UDP4 192.0.2.7 192.0.2.1 1 2",
    ] {
        refused(format!("PROXY {wrong}\r\n").as_bytes(), "family, addresses or ports");
    }
    refused(b"PROXY TCP4 192.0.2.\xff 192.0.2.1 1 2\r\n", "no ASCII");
    assert_eq!(parse(b"PROXY UDP4\r\n"), Parsed::Malformed("the line of version 1 is too short"));
    refused(&v2(0x11, 0x11, &[0; 12]), "version, command");
    refused(&v2(0x22, 0x11, &[0; 12]), "version, command");
    refused(&v2(0x21, 0x41, &[0; 12]), "version, command");
    refused(&v2(0x21, 0x11, &[0; 11]), "cut off");
    refused(&v2(0x21, 0x21, &[0; 35]), "cut off");
    refused(&v2(0x21, 0x11, &vec![0; HEADER_BYTES_MAX]), "too long");
}

proptest! {
    #[test]
    fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let _ = read(&[SIGNATURE, &bytes].concat());
        let _ = read(&[WORD, &bytes].concat());
    }

    #[test]
    fn every_client_is_read_back(ip: u32, port: u16, six: bool) {
        let (from, word) = if six {
            let ip = Ipv6Addr::from(u128::from(ip) << 64 | 1);
            (SocketAddr::from((ip, port)), "TCP6")
        } else {
            (SocketAddr::from((Ipv4Addr::from(ip), port)), "TCP4")
        };
        let header = format!("PROXY {word} {} {} {port} 514\r\n", from.ip(), from.ip());
        check(header.as_bytes(), Some(&from.to_string()));
    }
}
