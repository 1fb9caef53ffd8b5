//! Who may send and how much, and which silence is told.

use mutt_model::source::quiet::QuietPolicy;
use serde::Serialize;

use super::IngestorConfig;
use crate::net::network::Network;
use crate::services::ingestor::sources::Policy;
use crate::services::ingestor::sources::policy::Limit;

/// `[[ingestor.limits]]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitConfig {
    /// Which sources.
    pub sources: Vec<Network>,
    /// Events a second of each.
    #[serde(serialize_with = "super::rate_text")]
    pub rate: Option<f64>,
    /// Events at once.
    pub burst: u64,
}

/// `[remediation.quiet]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuietConfig {
    /// Whether silence is told.
    pub enabled: bool,
    /// A source must have been heard over so long a time.
    #[serde(with = "mutt_model::amount::duration_text")]
    pub history: std::time::Duration,
    /// Silence of so many usual gaps is unusual.
    pub factor: u64,
    /// Silence that is shorter is never unusual.
    #[serde(with = "mutt_model::amount::duration_text")]
    pub floor: std::time::Duration,
}

impl QuietConfig {
    /// As the watch knows it.
    #[must_use]
    pub fn policy(&self) -> QuietPolicy {
        QuietPolicy {
            enabled: self.enabled,
            history: self.history,
            factor: u32::try_from(self.factor).unwrap_or(u32::MAX),
            floor: self.floor,
        }
    }
}

impl IngestorConfig {
    /// Who may send, and how much.
    #[must_use]
    pub fn policy(&self) -> Policy {
        #[expect(clippy::cast_precision_loss, reason = "at most ten million")]
        let limit = |limit: &LimitConfig| {
            Some(Limit {
                sources: limit.sources.clone(),
                rate: limit.rate?,
                burst: limit.burst as f64,
            })
        };
        Policy {
            allow: self.allow.clone(),
            syslog: self.syslog.allow.clone(),
            snmp: self.snmp.allow.clone(),
            http: self.http.as_ref().map(|http| http.allow.clone()).unwrap_or_default(),
            limits: self.limits.iter().filter_map(limit).collect(),
        }
    }
}
