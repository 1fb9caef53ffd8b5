//! The five services that people on call know by name. Each is the same short loop: claim a bounded
//! batch; compute (pure); commit; acknowledge; wait for a signal or a period.

pub mod alerter;
pub mod ingestor;
pub mod moog_forwarder;
pub mod remediation;
pub mod web_ui;

use std::fmt;
use std::str::FromStr;

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
