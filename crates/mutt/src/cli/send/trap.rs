//! SNMP traps v1 and v2c, and informs that wait for their response.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use mutt_wire::snmp::encode::{self, Pair, Value};

use super::{check_heard, datagrams, failed, listener, sent};
use crate::cli::args::{SendTrap, TrapVersion};
use crate::cli::failure::Failure;

/// Where traps are taken when nothing else is said.
const DEFAULT_PORT: u16 = 9162;
/// How long an inform waits for its response, and how often it is sent.
const INFORM_TIMEOUT: Duration = Duration::from_secs(5);
const INFORM_TRIES: usize = 2;

pub(super) fn run(args: &SendTrap) -> Result<(), Failure> {
    let varbinds = args
        .varbinds
        .iter()
        .map(|text| varbind(text))
        .collect::<Result<Vec<(String, Value)>, String>>()
        .map_err(Failure::usage)?;
    let pairs: Vec<Pair<'_>> =
        varbinds.iter().map(|(oid, value)| (oid.as_str(), value.clone())).collect();
    let community = match &args.community_file {
        None => "public".to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|why| failed(path.display(), why))?
            .trim()
            .to_owned(),
    };
    let to = listener(args.to, "snmp_udp", DEFAULT_PORT);
    let socket = datagrams(to).map_err(|why| failed(to, why))?;
    for _ in 0..args.count {
        // Four octets in BER, so that a response is found by them.
        let request = fastrand::i32(0x0100_0000..i32::MAX);
        let packet = packet(args, community.as_bytes(), request, &socket, &pairs)
            .map_err(|why| Failure::usage(why.to_string()))?;
        if args.inform {
            inform(&socket, &packet, request).map_err(|why| failed(to, why))?;
        } else {
            socket.send(&packet).map_err(|why| failed(to, why))?;
        }
    }
    check_heard(&socket).map_err(|why| failed(to, why))?;
    sent(args.count, if args.inform { "acknowledged inform" } else { "trap" }, to);
    Ok(())
}

fn packet(
    args: &SendTrap,
    community: &[u8],
    request: i32,
    socket: &UdpSocket,
    pairs: &[Pair<'_>],
) -> Result<Vec<u8>, encode::NotAnOid> {
    let uptime = uptime();
    match (args.inform, args.snmp_version) {
        (true, _) => encode::inform_v2c(community, request, uptime, &args.oid, pairs),
        (false, TrapVersion::V2c) => encode::trap_v2c(community, request, uptime, &args.oid, pairs),
        (false, TrapVersion::V1) => {
            let agent = match socket.local_addr().map(|address| address.ip()) {
                Ok(IpAddr::V4(address)) => address.octets(),
                _ => [0, 0, 0, 0],
            };
            encode::trap_v1(community, agent, uptime, &args.oid, pairs)
        }
    }
}

/// Sends until the response with this request id comes.
fn inform(socket: &UdpSocket, packet: &[u8], request: i32) -> std::io::Result<()> {
    socket.set_read_timeout(Some(INFORM_TIMEOUT))?;
    let mut buffer = [0_u8; 65_535];
    for _ in 0..INFORM_TRIES {
        socket.send(packet)?;
        match socket.recv(&mut buffer) {
            Ok(length) if answers(&buffer[..length], request) => return Ok(()),
            Ok(_) => {}
            Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(why) => return Err(why),
        }
    }
    Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "no response to the inform"))
}

/// A response PDU (0xA2) that carries the request id.
fn answers(packet: &[u8], request: i32) -> bool {
    let id = request.to_be_bytes();
    packet.contains(&0xA2) && packet.windows(id.len()).any(|window| window == id)
}

/// `OID=TYPE:VALUE`
fn varbind(text: &str) -> Result<(String, Value), String> {
    let wrong =
        || format!("`{text}` is no varbind: write OID=TYPE:VALUE, as 1.3.6.1.2.1.1.3.0=t:42");
    let (oid, value) = text.split_once('=').ok_or_else(wrong)?;
    let (letter, value) = value.split_once(':').ok_or_else(wrong)?;
    let mut letters = letter.chars();
    let (Some(letter), None) = (letters.next(), letters.next()) else { return Err(wrong()) };
    Ok((oid.to_owned(), Value::parse(letter, value)?))
}

/// Hundredths of a second since this host started.
fn uptime() -> u32 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split_whitespace().next().unwrap_or("0");
    let hundredths: String = seconds.chars().filter(char::is_ascii_digit).collect();
    hundredths.parse::<u64>().map_or(0, |number| u32::try_from(number % (1 << 32)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varbinds_are_read_as_snmptrap_writes_them() {
        assert_eq!(varbind("1.3.6.1=i:12"), Ok(("1.3.6.1".to_owned(), Value::Integer(12))));
        let text = Value::Octets(b"a=b:c".to_vec());
        assert_eq!(varbind("1.3=s:a=b:c"), Ok(("1.3".to_owned(), text)));
        assert!(varbind("1.3.6.1").unwrap_err().contains("OID=TYPE:VALUE"));
        assert!(varbind("1.3=i:many").is_err());
    }

    #[test]
    fn a_response_is_known_by_its_request_id() {
        assert!(answers(&[0x30, 0xA2, 2, 4, 1, 2, 3, 4], 0x0102_0304));
        assert!(!answers(&[0x30, 0xA2, 2, 4, 1, 2, 3, 5], 0x0102_0304));
    }
}
