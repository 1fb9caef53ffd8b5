//! SNMP traps and informs that wait for their response, over UDP and TCP.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use mutt_wire::snmp::encode::{self, Pair, Value};
use mutt_wire::snmp::stream::{Next, next};

use super::{check_heard, datagrams, failed, listener, sent, trap_v3};
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
    let kind = if args.tcp { "snmp_tcp" } else { "snmp_udp" };
    let to = listener(args.to, kind, DEFAULT_PORT);
    let mut link = Link::open(to, args.tcp).map_err(|why| failed(to, why))?;
    let sender = trap_v3::Sender::new(args)?;
    for _ in 0..args.count {
        // Four octets in BER, so that a response is found by them.
        let request = fastrand::i32(0x0100_0000..i32::MAX);
        if let Some(sender) = &sender {
            let pdu = encode::pdu(args.inform, request, uptime(), &args.oid, &pairs)
                .map_err(|why| Failure::usage(why.to_string()))?;
            let done = if args.inform {
                sender.inform(&mut link, &pdu)
            } else {
                sender.trap(&mut link, &pdu)
            };
            done.map_err(|why| failed(to, why))?;
            continue;
        }
        let packet = packet(args, community.as_bytes(), request, &link, &pairs)
            .map_err(|why| Failure::usage(why.to_string()))?;
        if args.inform {
            let answer = |packet: &[u8]| answers(packet, request).then_some(());
            link.ask(&packet, answer).map_err(|why| failed(to, why))?;
        } else {
            link.send(&packet).map_err(|why| failed(to, why))?;
        }
    }
    link.check_heard().map_err(|why| failed(to, why))?;
    sent(args.count, if args.inform { "acknowledged inform" } else { "trap" }, to);
    Ok(())
}

/// The way to the listener.
pub(super) enum Link {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Link {
    fn open(to: SocketAddr, tcp: bool) -> io::Result<Self> {
        if tcp {
            let stream = TcpStream::connect_timeout(&to, INFORM_TIMEOUT)?;
            stream.set_nodelay(true)?;
            return Ok(Self::Tcp(stream));
        }
        datagrams(to).map(Self::Udp)
    }

    fn own_address(&self) -> io::Result<IpAddr> {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp(stream) => stream.local_addr(),
        }
        .map(|address| address.ip())
    }

    pub(super) fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(packet).map(drop),
            Self::Tcp(stream) => stream.write_all(packet),
        }
    }

    /// Sends until a message comes that is the answer.
    pub(super) fn ask<T>(
        &mut self,
        packet: &[u8],
        answer: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<T> {
        let mut buffer = vec![0_u8; 65_535];
        for _ in 0..INFORM_TRIES {
            self.send(packet)?;
            let length = match self {
                Self::Udp(socket) => {
                    socket.set_read_timeout(Some(INFORM_TIMEOUT))?;
                    socket.recv(&mut buffer)
                }
                Self::Tcp(stream) => {
                    stream.set_read_timeout(Some(INFORM_TIMEOUT))?;
                    read_message(stream, &mut buffer)
                }
            };
            match length {
                Ok(length) => {
                    if let Some(answer) = answer(&buffer[..length]) {
                        return Ok(answer);
                    }
                }
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                Err(why) => return Err(why),
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "no response to the inform"))
    }

    /// What the kernel knows of a listener that is not there; the end of a stream.
    fn check_heard(&self) -> io::Result<()> {
        match self {
            Self::Udp(socket) => check_heard(socket),
            Self::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write),
        }
    }
}

fn read_message(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        match next(&buffer[..filled]) {
            Next::Message(length) => return Ok(length),
            Next::NeedMore if filled < buffer.len() => match stream.read(&mut buffer[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            },
            _ => return Err(io::Error::other("what answers speaks no SNMP")),
        }
    }
}

fn packet(
    args: &SendTrap,
    community: &[u8],
    request: i32,
    link: &Link,
    pairs: &[Pair<'_>],
) -> Result<Vec<u8>, encode::NotAnOid> {
    let uptime = uptime();
    match (args.inform, args.snmp_version) {
        (true, _) => encode::inform_v2c(community, request, uptime, &args.oid, pairs),
        (false, TrapVersion::V2c) => encode::trap_v2c(community, request, uptime, &args.oid, pairs),
        (false, TrapVersion::V1) => {
            let agent = match link.own_address() {
                Ok(IpAddr::V4(address)) => address.octets(),
                _ => [0, 0, 0, 0],
            };
            encode::trap_v1(community, agent, uptime, &args.oid, pairs)
        }
    }
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
