//! Signals that something in the store has changed, so that nobody waits for a period. A signal is a
//! hint: it may be lost, and whoever waits for one also looks from time to time.

use tokio::sync::watch;

/// Rung by a store; each counts how often it was rung.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// A new rule-set version stands.
    pub rules: Bell,
    /// Settings or lanes were changed by a person.
    pub settings: Bell,
    /// Deliveries wait that were not there.
    pub deliveries: Bell,
}

/// One signal: any number ring it, any number wait for it.
#[derive(Clone, Debug)]
pub struct Bell(watch::Sender<u64>);

impl Default for Bell {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Bell {
    /// Wakes everybody who listens.
    pub fn ring(&self) {
        self.0.send_modify(|rung| *rung += 1);
    }

    /// To wait with: `changed()` returns at once when it was rung since the last look.
    #[must_use]
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
