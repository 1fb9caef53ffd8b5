//! Why a v3 message is not taken, and what is known of its sender.

use crate::snmp::message::V3;

/// How a message is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Not at all.
    NoAuth,
    /// Authenticated.
    Auth,
    /// Authenticated and encrypted.
    AuthPrivacy,
}

impl Level {
    /// What the flags of a message say; `None` for privacy without authentication.
    #[must_use]
    pub const fn of(flags: u8) -> Option<Self> {
        match flags & 3 {
            0 => Some(Self::NoAuth),
            1 => Some(Self::Auth),
            3 => Some(Self::AuthPrivacy),
            _ => None,
        }
    }

    /// As SNMP's documents and programs call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoAuth => "noAuthNoPriv",
            Self::Auth => "authNoPriv",
            Self::AuthPrivacy => "authPriv",
        }
    }
}

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A sender of informs asks for our engine id: the protocol's first step, nothing is lost.
    Discovery,
    /// It asks for our boots and time: the second step.
    TimeSync,
    /// It cannot be read.
    Malformed,
    /// Another security model than the User-based one.
    SecurityModel,
    /// An engine for which no user of this name is configured, or that we are not.
    UnknownEngine,
    /// No such user.
    UnknownUser,
    /// A level that the user is not configured for.
    Level,
    /// A wrong digest: another password or protocol, or forged.
    Digest,
    /// Too old, or of a device whose clock cannot be trusted.
    Time,
    /// Authentic, and not encrypted as configured.
    Decryption,
}

impl Refusal {
    /// Each of them.
    pub const ALL: [Self; 10] = [
        Self::Discovery,
        Self::TimeSync,
        Self::Malformed,
        Self::SecurityModel,
        Self::UnknownEngine,
        Self::UnknownUser,
        Self::Level,
        Self::Digest,
        Self::Time,
        Self::Decryption,
    ];

    /// The reason in metrics and ledger.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Discovery => "usm_discovery",
            Self::TimeSync => "usm_time_sync",
            Self::Malformed => "usm_malformed",
            Self::SecurityModel => "usm_security_model",
            Self::UnknownEngine => "usm_unknown_engine",
            Self::UnknownUser => "usm_unknown_user",
            Self::Level => "usm_unsupported_level",
            Self::Digest => "usm_wrong_digest",
            Self::Time => "usm_not_in_time_window",
            Self::Decryption => "usm_decryption_error",
        }
    }

    /// Whether a notification was dropped; the first steps of an inform are none.
    #[must_use]
    pub const fn is_drop(self) -> bool {
        !matches!(self, Self::Discovery | Self::TimeSync)
    }

    /// Its counter in SNMP-USER-BASED-SM-MIB (usmStats).
    pub(super) const fn counter(self) -> Option<(usize, &'static str)> {
        Some(match self {
            Self::Level => (0, "1.3.6.1.6.3.15.1.1.1.0"),
            Self::Time | Self::TimeSync => (1, "1.3.6.1.6.3.15.1.1.2.0"),
            Self::UnknownUser => (2, "1.3.6.1.6.3.15.1.1.3.0"),
            Self::UnknownEngine | Self::Discovery => (3, "1.3.6.1.6.3.15.1.1.4.0"),
            Self::Digest => (4, "1.3.6.1.6.3.15.1.1.5.0"),
            Self::Decryption => (5, "1.3.6.1.6.3.15.1.1.6.0"),
            Self::Malformed | Self::SecurityModel => return None,
        })
    }
}

/// Of whom a refused message says that it is; nothing of it is proved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Who {
    /// The engine id in hexadecimal.
    pub engine_id: String,
    /// The user's name.
    pub user: String,
    /// The level's name.
    pub level: &'static str,
    /// How often the engine has started, as the message says.
    pub boots: u32,
    /// The engine's seconds since then, as the message says.
    pub time: u32,
}

impl Who {
    /// As the message's envelope says.
    pub(in crate::snmp) fn of(v3: &V3<'_>) -> Self {
        Self {
            engine_id: crate::snmp::digits::hex(v3.engine_id),
            user: String::from_utf8_lossy(v3.user).into_owned(),
            level: Level::of(v3.flags).map_or("none", Level::name),
            boots: u32::try_from(v3.boots).unwrap_or(0),
            time: u32::try_from(v3.time).unwrap_or(0),
        }
    }
}

/// A message that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub why: Refusal,
    /// Of whom.
    pub who: Who,
    /// The report that its sender is owed.
    pub report: Option<Vec<u8>>,
}

impl Refused {
    /// Of a message whose envelope cannot be read.
    pub(in crate::snmp) fn unreadable() -> Self {
        Self { why: Refusal::Malformed, who: Who::default(), report: None }
    }

    pub(super) fn new(why: Refusal, v3: &V3<'_>, report: Option<Vec<u8>>) -> Self {
        Self { why, who: Who::of(v3), report }
    }
}
