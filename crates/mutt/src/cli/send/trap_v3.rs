//! SNMPv3 as a device speaks it: traps under the device's own engine, informs under the listener's,
//! which it asks for first.

use std::io;
use std::path::Path;

use mutt_model::Clock;
use mutt_wire::snmp::encode;
use mutt_wire::snmp::usm::{
    Answer, Auth, Keys, Level, Outgoing, Privacy, SCOPED_CONTEXT, Said, User, read_answer, seal,
};

use super::failed;
use super::trap::Link;
use crate::cli::args::SendTrap;
use crate::cli::failure::Failure;
use crate::config::nearest;
use crate::services::ingestor::snmp_engine::octets;

/// The engine id's first octets: the enterprise number of documentation, and the format "text".
const ENGINE_PREFIX: [u8; 5] = [0x80, 0x00, 0x7e, 0xd9, 0x04];
/// Informs may be told once where the listener's clock stands.
const SYNC_TRIES: usize = 2;

/// A device with its user.
pub(super) struct Sender {
    user: User,
    level: Level,
    engine_id: Vec<u8>,
}

impl Sender {
    /// `None` when another version is wanted.
    pub(super) fn new(args: &SendTrap) -> Result<Option<Self>, Failure> {
        let Some(name) = &args.v3_user else { return Ok(None) };
        let auth = match (&args.v3_auth, &args.v3_auth_file) {
            (Some(name), Some(file)) => Some((protocol(name, &Auth::NAMES)?, password(file)?)),
            _ => None,
        };
        let privacy = match (&args.v3_priv, &args.v3_priv_file) {
            (Some(name), Some(file)) => Some((protocol(name, &Privacy::NAMES)?, password(file)?)),
            _ => None,
        };
        let engine_id = match &args.v3_engine {
            Some(text) => {
                let digits = text.trim_start_matches("0x").replace(':', "");
                let wrong = || Failure::usage(format!("`{text}` is no engine id in hexadecimal"));
                octets(&digits).filter(|id| (5..=32).contains(&id.len())).ok_or_else(wrong)?
            }
            None => host_engine(),
        };
        let level = match (&auth, &privacy) {
            (None, _) => Level::NoAuth,
            (Some(_), None) => Level::Auth,
            (Some(_), Some(_)) => Level::AuthPrivacy,
        };
        let user = User::new(
            name.as_bytes(),
            None,
            auth.as_ref().map(|(auth, password)| (*auth, password.as_bytes())),
            privacy.as_ref().map(|(privacy, password)| (*privacy, password.as_bytes())),
        )
        .map_err(|fault| Failure::usage(format!("--v3-user: {fault}")))?;
        Ok(Some(Self { user, level, engine_id }))
    }

    /// Sends a trap. Boots are 1 for ever and the time is that of the day, so that it never steps back
    /// from one call to the next.
    pub(super) fn trap(&self, link: &mut Link, pdu: &[u8]) -> io::Result<()> {
        let time = u32::try_from(Clock::System.wall().secs().rem_euclid(1 << 31)).unwrap_or(0);
        link.send(&self.message(&self.engine_id, (1, time), pdu)?.1)
    }

    /// Asks who the listener is, then sends the inform until it is answered.
    pub(super) fn inform(&self, link: &mut Link, pdu: &[u8]) -> io::Result<()> {
        let message_id = i64::from(fastrand::i32(1..i32::MAX));
        let probe = Outgoing {
            message_id,
            reportable: true,
            engine_id: b"",
            time: (0, 0),
            user: b"",
            keys: None,
            level: Level::NoAuth,
            context: (b"", SCOPED_CONTEXT),
            salt: 0,
        };
        let probe = seal(&probe, &encode::discovery_pdu(fastrand::i32(1..i32::MAX)));
        let probe = probe.ok_or_else(|| io::Error::other("the question cannot be written"))?;
        let found = link.ask(&probe, |raw| {
            read_answer(raw, None).filter(|answer| answer.message_id == message_id)
        })?;
        let (engine_id, mut time) = (found.engine_id, found.time);
        let keys = Keys::new(&self.user, &engine_id);
        let keys = keys.as_ref().map(|keys| (&self.user, keys));
        for _ in 0..SYNC_TRIES {
            let (message_id, packet) = self.message(&engine_id, time, pdu)?;
            let answer = link.ask(&packet, |raw| {
                read_answer(raw, keys).filter(|answer| answer.message_id == message_id)
            })?;
            match answer {
                Answer { said: Said::Response(0), level, .. } if level == self.level => {
                    return Ok(());
                }
                Answer { said: Said::Report(name), time: due, level: Level::Auth, .. }
                    if name == "usmStatsNotInTimeWindows" =>
                {
                    time = due;
                }
                Answer { said: Said::Report(name), .. } => {
                    return Err(io::Error::other(format!("the listener reports {name}")));
                }
                Answer { said: Said::Response(status), level, .. } => {
                    let why = format!("a response of status {status} at level {}", level.name());
                    return Err(io::Error::other(why));
                }
            }
        }
        Err(io::Error::other("the listener does not agree about its own time"))
    }

    fn message(
        &self,
        engine_id: &[u8],
        time: (u32, u32),
        pdu: &[u8],
    ) -> io::Result<(i64, Vec<u8>)> {
        let message_id = i64::from(fastrand::i32(1..i32::MAX));
        let keys = Keys::new(&self.user, engine_id);
        let out = Outgoing {
            message_id,
            reportable: pdu.first() == Some(&0xa6),
            engine_id,
            time,
            user: self.user.name(),
            keys: keys.as_ref().map(|keys| (&self.user, keys)),
            level: self.level,
            context: (engine_id, SCOPED_CONTEXT),
            salt: salt()?,
        };
        let sealed = seal(&out, pdu).ok_or_else(|| io::Error::other("it cannot be secured"))?;
        Ok((message_id, sealed))
    }
}

/// A salt must never come twice, and this program remembers nothing.
fn salt() -> io::Result<u64> {
    use ring::rand::SecureRandom as _;
    let mut eight = [0; 8];
    let filled = ring::rand::SystemRandom::new().fill(&mut eight);
    filled.map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(u64::from_be_bytes(eight))
}

fn protocol<T: Copy>(name: &str, known: &[(&'static str, T)]) -> Result<T, Failure> {
    let found = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, protocol)| *protocol).ok_or_else(|| {
        let names = known.iter().map(|(name, _)| *name);
        let hint = match nearest(name, names.clone()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("one of {}", names.collect::<Vec<_>>().join(", ")),
        };
        Failure::usage(format!("`{name}` is no protocol of SNMPv3; {hint}"))
    })
}

fn password(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file).map_err(|why| failed(file.display(), why))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn host_engine() -> Vec<u8> {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let name = name.unwrap_or_else(|| "muttctl".to_owned());
    let room = 32 - ENGINE_PREFIX.len();
    [&ENGINE_PREFIX[..], &name.as_bytes()[..name.len().min(room)]].concat()
}
