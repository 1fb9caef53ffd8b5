//! Our own SNMP engine: whom it knows, what it takes as authentic, and how it answers.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Keys, Level, Outgoing, Refusal, Refused, SCOPED_CONTEXT, User, seal};
use crate::snmp::ber::{INTEGER, OCTET_STRING, Reader, SEQUENCE};
use crate::snmp::encode;
use crate::snmp::message::{SecuredPart, V3};

/// Engines whose clocks and keys are remembered. Only a sender that has shown to know a key is.
pub const ENGINES_MAX: usize = 16_384;
/// Users whose keys are kept for one engine; a device has one or two, our own engine has all.
const KEYS_MAX: usize = 1_024;
/// The parts of the table that is let go when it is full.
const LET_GO: usize = 16;
/// Seconds that a message may differ from its engine's clock, RFC 3414 section 2.2.3.
pub const TIME_WINDOW: u32 = 150;
/// Boots at which an engine stays until it is set up anew.
const BOOTS_LATCHED: u32 = 2_147_483_647;

/// Seconds since our engine started: its time, and what the clocks of others are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now(pub u32);

/// What becomes of a trap outside the time window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Window {
    /// It is refused, as RFC 3414 wants.
    #[default]
    Reject,
    /// It is taken and flagged: for devices whose clocks begin anew or stand still.
    Warn,
}

type Shared = (Arc<User>, Arc<Keys>);

/// What is remembered of an engine.
#[derive(Debug)]
struct Known {
    boots: u32,
    /// The latest time that a message of it said, and when that was.
    time: u32,
    at: u32,
    used: u32,
    /// By the user's place in memory.
    keys: HashMap<usize, Shared>,
}

impl Known {
    fn due(&self, now: Now) -> u32 {
        self.time.saturating_add(now.0.saturating_sub(self.at))
    }
}

/// See the module.
#[derive(Debug)]
pub struct Engine {
    own_id: Vec<u8>,
    boots: u32,
    users: HashMap<Vec<u8>, Vec<Arc<User>>>,
    known: HashMap<Vec<u8>, Known>,
    /// usmStats, in the order of their MIB.
    counts: [u32; 6],
    sent: u32,
}

/// A message that is taken.
#[derive(Debug)]
pub(in crate::snmp) struct Opened<'a> {
    pub(in crate::snmp) level: Level,
    pub(in crate::snmp) user: Arc<User>,
    keys: Option<Arc<Keys>>,
    /// Whether our own engine is its authority.
    pub(in crate::snmp) ours: bool,
    /// Boots and time that were due, of one outside the window.
    pub(in crate::snmp) late: Option<(u32, u32)>,
    data: Data<'a>,
}

#[derive(Debug)]
enum Data<'a> {
    /// As it stands in the message.
    Plain(Reader<'a>),
    Decrypted(Vec<u8>),
}

impl Opened<'_> {
    /// The scoped PDU.
    pub(in crate::snmp) fn reader(&self) -> Reader<'_> {
        match &self.data {
            Data::Plain(reader) => *reader,
            Data::Decrypted(octets) => Reader::new(octets),
        }
    }
}

/// A refusal, and whose keys the report is secured with.
type No = (Refusal, Option<Shared>);

impl Engine {
    /// An engine without users. `boots` counts its starts.
    #[must_use]
    pub fn new(own_id: &[u8], boots: u32) -> Self {
        Self {
            own_id: own_id.to_vec(),
            boots,
            users: HashMap::new(),
            known: HashMap::new(),
            counts: [0; 6],
            sent: 0,
        }
    }

    /// Our engine id.
    #[must_use]
    pub fn own_id(&self) -> &[u8] {
        &self.own_id
    }

    /// Engines that are remembered.
    #[must_use]
    pub fn engines(&self) -> usize {
        self.known.len()
    }

    /// Puts users in force. What is known of engines stays; keys of users that are gone do not.
    pub fn set_users(&mut self, users: &[Arc<User>]) {
        self.users.clear();
        for user in users {
            self.users.entry(user.name().to_vec()).or_default().push(Arc::clone(user));
        }
        let places: std::collections::HashSet<usize> = users.iter().map(place).collect();
        for known in self.known.values_mut() {
            known.keys.retain(|place, _| places.contains(place));
        }
    }

    /// Whether a message is authentic and new, and what is in it.
    pub(in crate::snmp) fn open<'a>(
        &mut self,
        v3: &V3<'a>,
        now: Now,
        window: Window,
    ) -> Result<Opened<'a>, Box<Refused>> {
        self.judge(v3, now, window).map_err(|(why, keys)| {
            // RFC 3414 section 3.2: the engine is looked at before anything else, and a sender that
            // takes us for another has to find us first.
            let elsewhere = is_reportable(v3) && v3.engine_id != self.own_id;
            let why = match why {
                Refusal::Malformed | Refusal::SecurityModel | Refusal::Discovery => why,
                _ if elsewhere => Refusal::UnknownEngine,
                _ => why,
            };
            Box::new(self.refuse(v3, why, keys, now))
        })
    }

    fn judge<'a>(&mut self, v3: &V3<'a>, now: Now, window: Window) -> Result<Opened<'a>, No> {
        let no = |why| (why, None);
        if v3.security_model != 3 {
            return Err(no(Refusal::SecurityModel));
        }
        let level = Level::of(v3.flags).ok_or(no(Refusal::Malformed))?;
        let secured = v3.secured.ok_or(no(Refusal::Malformed))?;
        let number = |number: i64| u32::try_from(number).ok().filter(|n| *n <= BOOTS_LATCHED);
        let (Some(boots), Some(time), Some(_)) =
            (number(v3.boots), number(v3.time), number(v3.message_id))
        else {
            return Err(no(Refusal::Malformed));
        };
        if v3.engine_id.len() > super::ENGINE_ID_MAX {
            return Err(no(Refusal::Malformed));
        }
        if v3.engine_id.is_empty() {
            let asks = is_reportable(v3) && level == Level::NoAuth;
            return Err(no(if asks { Refusal::Discovery } else { Refusal::UnknownEngine }));
        }
        let ours = v3.engine_id == self.own_id;
        let candidates = self.candidates(v3, level, ours).map_err(no)?;
        if level == Level::NoAuth {
            let user = candidates.into_iter().next().ok_or(no(Refusal::Level))?;
            if secured.data.tag != SEQUENCE {
                return Err(no(Refusal::Malformed));
            }
            let data = Data::Plain(as_reader(&secured));
            return Ok(Opened { level, user, keys: None, ours, late: None, data });
        }
        let (user, keys) =
            self.authenticate(v3, &secured, candidates).ok_or(no(Refusal::Digest))?;
        let shared = || Some((Arc::clone(&user), Arc::clone(&keys)));
        let pair = (Arc::clone(&user), Arc::clone(&keys));
        self.remember(v3.engine_id, &pair, (boots, time), now);
        let late = match self.check_time(v3, ours, (boots, time), now) {
            Ok(()) => None,
            Err((_, due)) if !ours && window == Window::Warn => Some(due),
            Err((why, _)) => return Err((why, shared())),
        };
        let data = if level == Level::AuthPrivacy {
            let plain = decrypt(v3, &secured, (&user, &keys), (boots, time));
            Data::Decrypted(plain.ok_or((Refusal::Decryption, shared()))?)
        } else if secured.data.tag == SEQUENCE {
            Data::Plain(as_reader(&secured))
        } else {
            return Err(no(Refusal::Malformed));
        };
        Ok(Opened { level, user, keys: Some(keys), ours, late, data })
    }

    /// Users of the message's name that may have sent it: those of its engine, else those of all.
    fn candidates(&self, v3: &V3<'_>, level: Level, ours: bool) -> Result<Vec<Arc<User>>, Refusal> {
        let named = self.users.get(v3.user).ok_or(Refusal::UnknownUser)?;
        let of_engine = |user: &&Arc<User>| user.engine_id() == Some(v3.engine_id);
        let of_all = |user: &&Arc<User>| user.engine_id().is_none();
        let mut found: Vec<&Arc<User>> = named.iter().filter(of_engine).collect();
        if found.is_empty() {
            found = named.iter().filter(of_all).collect();
        }
        if found.is_empty() && ours {
            // An inform is secured with our engine's id, whichever device it comes from.
            found = named.iter().collect();
        }
        if found.is_empty() {
            return Err(Refusal::UnknownEngine);
        }
        found.retain(|user| user.may_send(level));
        if found.is_empty() {
            Err(Refusal::Level)
        } else {
            Ok(found.into_iter().cloned().collect())
        }
    }

    /// The first of them whose key made the digest.
    fn authenticate(
        &self,
        v3: &V3<'_>,
        secured: &SecuredPart<'_>,
        candidates: Vec<Arc<User>>,
    ) -> Option<Shared> {
        let known = self.known.get(v3.engine_id);
        candidates.into_iter().find_map(|user| {
            let kept = known.and_then(|known| known.keys.get(&place(&user)));
            let keys = match kept {
                Some((_, keys)) => Arc::clone(keys),
                None => Arc::new(Keys::new(&user, v3.engine_id)?),
            };
            keys.verify(v3.whole, secured.digest.range()).then_some((user, keys))
        })
    }

    /// Keeps the keys of a sender that has shown to know them, and where its clock stands.
    fn remember(&mut self, engine_id: &[u8], shared: &Shared, clock: (u32, u32), now: Now) {
        if !self.known.contains_key(engine_id) {
            self.make_room();
            let (boots, time) = clock;
            let fresh = Known { boots, time, at: now.0, used: now.0, keys: HashMap::new() };
            self.known.insert(engine_id.to_vec(), fresh);
        }
        let Some(known) = self.known.get_mut(engine_id) else { return };
        known.used = now.0;
        let place = place(&shared.0);
        if !known.keys.contains_key(&place) && known.keys.len() < KEYS_MAX {
            known.keys.insert(place, (Arc::clone(&shared.0), Arc::clone(&shared.1)));
        }
    }

    /// Lets go of those that were silent for longest.
    fn make_room(&mut self) {
        if self.known.len() < ENGINES_MAX {
            return;
        }
        let mut by_use: Vec<(u32, Vec<u8>)> =
            self.known.iter().map(|(id, known)| (known.used, id.clone())).collect();
        by_use.sort_unstable();
        for (_, id) in by_use.into_iter().take(ENGINES_MAX / LET_GO) {
            self.known.remove(&id);
        }
    }

    /// RFC 3414 section 3.2 step 7; takes over the clock of an engine that goes on as it should.
    fn check_time(
        &mut self,
        v3: &V3<'_>,
        ours: bool,
        (boots, time): (u32, u32),
        now: Now,
    ) -> Result<(), (Refusal, (u32, u32))> {
        if ours {
            let due = (self.boots, now.0);
            let within = boots == self.boots
                && self.boots < BOOTS_LATCHED
                && time.abs_diff(now.0) <= TIME_WINDOW;
            let asks = boots == 0 && time == 0 && is_reportable(v3);
            return match (within, asks) {
                (true, _) => Ok(()),
                (_, true) => Err((Refusal::TimeSync, due)),
                _ => Err((Refusal::Time, due)),
            };
        }
        let Some(known) = self.known.get_mut(v3.engine_id) else { return Ok(()) };
        // First what is learned, then what is judged (step 7b): what is newer than all before is never
        // late, however slowly the device's clock runs or however long it stood still.
        if boots > known.boots || (boots == known.boots && time > known.time) {
            (known.boots, known.time, known.at) = (boots, time, now.0);
        }
        let due = (known.boots, known.due(now));
        let old = boots < due.0 || (boots == due.0 && time < due.1.saturating_sub(TIME_WINDOW));
        if old || boots == BOOTS_LATCHED { Err((Refusal::Time, due)) } else { Ok(()) }
    }
}

impl Engine {
    /// Counts a refusal; the report is for a sender that asks for one.
    pub(in crate::snmp) fn refuse(
        &mut self,
        v3: &V3<'_>,
        why: Refusal,
        keys: Option<Shared>,
        now: Now,
    ) -> Refused {
        let Some((at, counter)) = why.counter() else { return Refused::new(why, v3, None) };
        self.counts[at] = self.counts[at].wrapping_add(1);
        let count = self.counts[at];
        let report = is_reportable(v3).then(|| {
            let pdu = encode::report_pdu(&request_id(v3), counter, count);
            let is_time = matches!(why, Refusal::Time | Refusal::TimeSync);
            // What a sender sets its clock by is authenticated; nothing else can be.
            let keys = keys.filter(|_| is_time);
            let level = if keys.is_some() { Level::Auth } else { Level::NoAuth };
            let keys = keys.as_ref().map(|(user, keys)| (user.as_ref(), keys.as_ref()));
            self.write(v3, level, keys, (&self.own_id, SCOPED_CONTEXT), &pdu, now)
        });
        self.sent = self.sent.wrapping_add(1);
        Refused::new(why, v3, report.flatten())
    }

    /// An answer under the security of the question.
    pub(in crate::snmp) fn answer(
        &mut self,
        v3: &V3<'_>,
        opened: &Opened<'_>,
        context: (&[u8], &[u8]),
        pdu: &[u8],
        now: Now,
    ) -> Option<Vec<u8>> {
        self.sent = self.sent.wrapping_add(1);
        let keys = opened.keys.as_ref().map(|keys| (opened.user.as_ref(), keys.as_ref()));
        self.write(v3, opened.level, keys, context, pdu, now)
    }

    fn write(
        &self,
        v3: &V3<'_>,
        level: Level,
        keys: Option<(&User, &Keys)>,
        context: (&[u8], &[u8]),
        pdu: &[u8],
        now: Now,
    ) -> Option<Vec<u8>> {
        let out = Outgoing {
            message_id: v3.message_id,
            reportable: false,
            engine_id: &self.own_id,
            time: (self.boots, now.0),
            user: v3.user,
            keys,
            level,
            context,
            // The boots never come again, and within one start no number does.
            salt: u64::from(self.boots) << 32 | u64::from(self.sent),
        };
        seal(&out, pdu)
    }
}

/// The request id of a question that is not encrypted, as it came; else 0.
fn request_id(v3: &V3<'_>) -> Vec<u8> {
    let plain = v3.secured.filter(|secured| secured.data.tag == SEQUENCE);
    let scoped =
        plain.and_then(|secured| crate::snmp::message::read_scoped(&mut as_reader(&secured)).ok());
    let id = scoped.and_then(|scoped| scoped.pdu.inside().expect(INTEGER).ok());
    match id {
        Some(id) if id.content.len() <= 4 => id.whole.to_vec(),
        _ => encode::integer(INTEGER, 0),
    }
}

/// A reader that stands before the scoped PDU.
fn as_reader<'a>(secured: &SecuredPart<'a>) -> Reader<'a> {
    Reader::at(secured.data.whole, secured.data.content_at - header_octets(secured))
}

fn header_octets(secured: &SecuredPart<'_>) -> usize {
    secured.data.whole.len() - secured.data.content.len()
}

fn decrypt(
    v3: &V3<'_>,
    secured: &SecuredPart<'_>,
    (user, keys): (&User, &Keys),
    time: (u32, u32),
) -> Option<Vec<u8>> {
    if secured.data.tag != OCTET_STRING {
        return None;
    }
    let mut data = secured.data.content.to_vec();
    keys.decrypt(user, v3.engine_id, time, secured.salt.content, &mut data)?;
    // A wrong key gives noise: what does not begin as a scoped PDU is none.
    crate::snmp::message::read_scoped(&mut Reader::new(&data)).ok()?;
    Some(data)
}

fn place(user: &Arc<User>) -> usize {
    Arc::as_ptr(user) as usize
}

fn is_reportable(v3: &V3<'_>) -> bool {
    v3.flags & 4 != 0
}
