//! The five services that people on call know by name. Each is the same short loop: claim a bounded
//! batch; compute (pure); commit; acknowledge; wait for a signal or a period.

pub mod alerter;
pub mod ingestor;
pub mod moog_forwarder;
pub mod remediation;
pub mod web_ui;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::config::Config;

/// A wait is told of again after this time.
pub const TELL_PERIOD: Duration = Duration::from_secs(60);

/// A wait that is told of once, and then each minute as long as it lasts.
#[derive(Debug, Default)]
pub struct Wait(Option<Duration>);

impl Wait {
    /// Whether it is time to tell of it; notes that it was told. `now` is monotonic.
    pub fn is_news(&mut self, now: Duration) -> bool {
        let news = self.0.is_none_or(|told| now.saturating_sub(told) >= TELL_PERIOD);
        if news {
            self.0 = Some(now);
        }
        news
    }

    /// It is over; says whether it was told of.
    pub fn over(&mut self) -> bool {
        self.0.take().is_some()
    }
}

/// One of the five services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Hears devices and appends to the event queue.
    Ingestor,
    /// Judges events and commits to the store.
    Alerter,
    /// Delivers alerts to sinks.
    MoogForwarder,
    /// REST API and pages.
    WebUi,
    /// Redrives, ages out, retains.
    Remediation,
}

impl Service {
    /// All of them, in flow order.
    pub const ALL: [Self; 5] =
        [Self::Ingestor, Self::Alerter, Self::MoogForwarder, Self::Remediation, Self::WebUi];

    /// What `--only` means: those that it names, or all of them.
    #[must_use]
    pub fn chosen(only: &[Self]) -> &[Self] {
        if only.is_empty() { &Self::ALL } else { only }
    }

    /// Whether it needs the secret of this configuration key.
    #[must_use]
    pub fn needs_secret(self, key: &str) -> bool {
        match key.split('.').next().unwrap_or_default() {
            "ingestor" => self == Self::Ingestor,
            "queue" => matches!(self, Self::Ingestor | Self::Alerter),
            // Removes partitions, and makes one for an archive that is restored.
            "store" if key.starts_with("store.owner.") => {
                matches!(self, Self::Remediation | Self::WebUi)
            }
            "store" => self != Self::Ingestor,
            "sinks" => self == Self::MoogForwarder,
            "web_ui" => self == Self::WebUi,
            _ => false,
        }
    }

    /// Whether it works with the secret of this configuration key: what it needs, and what it uses where
    /// it is there. A process reads no other, so that its Vault policy need not allow more.
    #[must_use]
    pub fn reads_secret(self, key: &str, config: &Config) -> bool {
        let is_owners = key.starts_with("store.owner.");
        self.needs_secret(key)
            || match key.split('.').next().unwrap_or_default() {
                // The depth of the event queue, and the test of a sink.
                "queue" | "sinks" => self == Self::WebUi,
                // Its report, for which it never waits.
                "store" => self == Self::Ingestor && config.ingestor.report && !is_owners,
                _ => false,
            }
    }

    /// The name in `--only`, metrics and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingestor => "ingestor",
            Self::Alerter => "alerter",
            Self::MoogForwarder => "moog-forwarder",
            Self::WebUi => "web-ui",
            Self::Remediation => "remediation",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|service| service.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|s| s.name()).collect();
            format!("no service `{text}`; the services are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_of_once_and_then_each_minute() {
        let mut wait = Wait::default();
        let secs = Duration::from_secs;
        assert!(!wait.over());
        let news: Vec<u64> = (0..130).filter(|s| wait.is_news(secs(*s))).collect();
        assert_eq!(news, [0, 60, 120]);
        assert!(wait.over() && !wait.over());
        assert!(wait.is_news(secs(130)));
    }
}
