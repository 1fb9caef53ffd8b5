//! The User-based Security Model of SNMPv3 (RFC 3414, 3826, 7860): protocols, users and their keys.
//! Who keeps a [`Engine`] gives it the time; nothing here reads a clock.

mod answer;
mod engine;
mod keys;
mod refusal;
mod seal;
#[cfg(test)]
mod tests;

use md5::Md5;
use sha1::Sha1;
use sha2::digest::{Digest, Output};
use sha2::{Sha224, Sha256, Sha384, Sha512};

pub use self::answer::{Answer, Said, read_answer};
pub(super) use self::engine::Opened;
pub use self::engine::{ENGINES_MAX, Engine, Now, TIME_WINDOW, Window};
pub use self::keys::Keys;
pub use self::refusal::{Level, Refusal, Refused, Who};
pub use self::seal::{Outgoing, SCOPED_CONTEXT, seal};

/// The password is repeated until it has this many octets, RFC 3414 section 2.6.
const PASSWORD_OCTETS: usize = 1_048_576;
/// The shortest password that is taken, RFC 3414 section 11.2.
pub const PASSWORD_MIN: usize = 8;
/// The longest name of a user, RFC 3414 section 5.
pub const USER_NAME_MAX: usize = 32;
/// The longest engine id, RFC 3411 section 5.
pub const ENGINE_ID_MAX: usize = 32;

/// An authentication protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// HMAC-MD5-96
    Md5,
    /// HMAC-SHA-96
    Sha1,
    /// HMAC-128-SHA-224
    Sha224,
    /// HMAC-192-SHA-256
    Sha256,
    /// HMAC-256-SHA-384
    Sha384,
    /// HMAC-384-SHA-512
    Sha512,
}

impl Auth {
    /// Each with its name in the configuration.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("MD5", Self::Md5),
        ("SHA-1", Self::Sha1),
        ("SHA-224", Self::Sha224),
        ("SHA-256", Self::Sha256),
        ("SHA-384", Self::Sha384),
        ("SHA-512", Self::Sha512),
    ];

    /// The protocol of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find_map(|(known, auth)| (known == name).then_some(auth))
    }

    /// Octets of a message's digest.
    #[must_use]
    pub const fn mac_octets(self) -> usize {
        match self {
            Self::Md5 | Self::Sha1 => 12,
            Self::Sha224 => 16,
            Self::Sha256 => 24,
            Self::Sha384 => 32,
            Self::Sha512 => 48,
        }
    }

    /// Whether FIPS 140 knows it not.
    #[must_use]
    pub const fn is_refused_by_fips(self) -> bool {
        matches!(self, Self::Md5)
    }

    fn hash(self, parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Md5 => digest::<Md5>(parts),
            Self::Sha1 => digest::<Sha1>(parts),
            Self::Sha224 => digest::<Sha224>(parts),
            Self::Sha256 => digest::<Sha256>(parts),
            Self::Sha384 => digest::<Sha384>(parts),
            Self::Sha512 => digest::<Sha512>(parts),
        }
    }

    fn hash_password(self, password: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => stretch::<Md5>(password),
            Self::Sha1 => stretch::<Sha1>(password),
            Self::Sha224 => stretch::<Sha224>(password),
            Self::Sha256 => stretch::<Sha256>(password),
            Self::Sha384 => stretch::<Sha384>(password),
            Self::Sha512 => stretch::<Sha512>(password),
        }
    }
}

fn digest<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut digest = D::new();
    for part in parts {
        digest.update(part);
    }
    let output: Output<D> = digest.finalize();
    output.to_vec()
}

fn stretch<D: Digest>(password: &[u8]) -> Vec<u8> {
    // Whole repetitions in larger pieces: a password of eight octets would be a call for each.
    let piece = password.repeat(4_096 / password.len() + 1);
    let mut digest = D::new();
    let mut left = PASSWORD_OCTETS;
    while left > 0 {
        let part = left.min(piece.len());
        digest.update(&piece[..part]);
        left -= part;
    }
    digest.finalize().to_vec()
}

/// A privacy protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Privacy {
    /// CBC-DES
    Des,
    /// CFB128-AES-128
    Aes128,
    /// AES-192, key extended as draft-blumenthal-aes-usm-04 says.
    Aes192,
    /// AES-256, key extended as draft-blumenthal-aes-usm-04 says.
    Aes256,
    /// AES-192, key extended as draft-reeder-snmpv3-usm-3desede says; Cisco's.
    Aes192C,
    /// AES-256, key extended as draft-reeder-snmpv3-usm-3desede says; Cisco's.
    Aes256C,
}

impl Privacy {
    /// Each with its name in the configuration.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("DES", Self::Des),
        ("AES-128", Self::Aes128),
        ("AES-192", Self::Aes192),
        ("AES-256", Self::Aes256),
        ("AES-192-C", Self::Aes192C),
        ("AES-256-C", Self::Aes256C),
    ];

    /// The protocol of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find_map(|(known, privacy)| (known == name).then_some(privacy))
    }

    /// Whether FIPS 140 knows it not.
    #[must_use]
    pub const fn is_refused_by_fips(self) -> bool {
        matches!(self, Self::Des)
    }

    const fn key_octets(self) -> usize {
        match self {
            Self::Des | Self::Aes128 => 16,
            Self::Aes192 | Self::Aes192C => 24,
            Self::Aes256 | Self::Aes256C => 32,
        }
    }

    const fn is_reeder(self) -> bool {
        matches!(self, Self::Aes192C | Self::Aes256C)
    }
}

/// What a password gives: the hash over a mebibyte, made once for each user.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    auth: Auth,
    octets: Vec<u8>,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

impl MasterKey {
    /// Password to key, RFC 3414 section A.2; `None` for a password without octets.
    #[must_use]
    pub fn new(auth: Auth, password: &[u8]) -> Option<Self> {
        let octets = (!password.is_empty()).then(|| auth.hash_password(password))?;
        Some(Self { auth, octets })
    }

    /// The key that holds at one engine.
    fn localised(&self, engine_id: &[u8]) -> Vec<u8> {
        self.auth.hash(&[&self.octets, engine_id, &self.octets])
    }

    /// The same, as long as the privacy protocol needs it.
    fn localised_for(&self, privacy: Privacy, engine_id: &[u8]) -> Vec<u8> {
        let mut key = self.localised(engine_id);
        let mut last = key.clone();
        while key.len() < privacy.key_octets() {
            last = if privacy.is_reeder() {
                // Costs a mebibyte: done only for a sender that has shown to know the key.
                let octets = self.auth.hash_password(&last);
                Self { auth: self.auth, octets }.localised(engine_id)
            } else {
                self.auth.hash(&[&key])
            };
            key.extend_from_slice(&last);
        }
        key.truncate(privacy.key_octets());
        key
    }
}

/// Why there can be no such user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserFault {
    /// A password of fewer than [`PASSWORD_MIN`] octets.
    ShortPassword,
    /// Privacy without authentication.
    PrivacyAlone,
    /// A name of no or too many octets.
    Name,
    /// An engine id of no or too many octets.
    EngineId,
}

impl std::fmt::Display for UserFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ShortPassword => write!(f, "a password of fewer than {PASSWORD_MIN} octets"),
            Self::PrivacyAlone => f.write_str("privacy without authentication"),
            Self::Name => write!(f, "a name that is not of 1 to {USER_NAME_MAX} octets"),
            Self::EngineId => write!(f, "an engine id that is not of 5 to {ENGINE_ID_MAX} octets"),
        }
    }
}

impl std::error::Error for UserFault {}

/// A user with the master keys of one pair of passwords. A password that is being changed makes two
/// users of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: Vec<u8>,
    engine_id: Option<Vec<u8>>,
    auth: Option<MasterKey>,
    privacy: Option<(Privacy, MasterKey)>,
}

impl User {
    /// A user of every engine, or of one. Hashes a mebibyte for each password.
    ///
    /// # Errors
    ///
    /// See [`UserFault`].
    pub fn new(
        name: &[u8],
        engine_id: Option<&[u8]>,
        auth: Option<(Auth, &[u8])>,
        privacy: Option<(Privacy, &[u8])>,
    ) -> Result<Self, UserFault> {
        if !(1..=USER_NAME_MAX).contains(&name.len()) {
            return Err(UserFault::Name);
        }
        if engine_id.is_some_and(|id| !(5..=ENGINE_ID_MAX).contains(&id.len())) {
            return Err(UserFault::EngineId);
        }
        let master = |auth, password: &[u8]| match MasterKey::new(auth, password) {
            Some(key) if password.len() >= PASSWORD_MIN => Ok(key),
            _ => Err(UserFault::ShortPassword),
        };
        let privacy = match (auth, privacy) {
            (None, Some(_)) => return Err(UserFault::PrivacyAlone),
            (Some((auth, _)), Some((privacy, password))) => {
                Some((privacy, master(auth, password)?))
            }
            (_, None) => None,
        };
        Ok(Self {
            name: name.to_vec(),
            engine_id: engine_id.map(<[u8]>::to_vec),
            auth: auth.map(|(auth, password)| master(auth, password)).transpose()?,
            privacy,
        })
    }

    /// The name, as it stands in messages.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The one engine that this user is of.
    #[must_use]
    pub fn engine_id(&self) -> Option<&[u8]> {
        self.engine_id.as_deref()
    }

    /// Whether a message of this level may be this user's. One without authentication is not taken for
    /// a user who has a key: anyone could have sent it.
    fn may_send(&self, level: Level) -> bool {
        match level {
            Level::NoAuth => self.auth.is_none(),
            Level::Auth => self.auth.is_some(),
            Level::AuthPrivacy => self.privacy.is_some(),
        }
    }
}
