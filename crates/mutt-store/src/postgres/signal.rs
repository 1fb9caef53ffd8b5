//! Signals between processes: LISTEN on the keeper's connection, NOTIFY by whoever changes something.

use crate::signal::Signals;

/// What is listened to.
pub(super) const LISTEN: &str = "LISTEN mutt_rules; LISTEN mutt_settings; LISTEN mutt_deliveries";

/// To be sent inside the transaction that changes rules.
pub(crate) const NOTIFY_RULES: &str = "NOTIFY mutt_rules";
/// To be sent inside the transaction that changes settings or lanes.
pub(crate) const NOTIFY_SETTINGS: &str = "NOTIFY mutt_settings";
/// To be sent after the transaction that made deliveries: inside it would make all commits of the
/// database wait for each other's flush. A hint that is lost is found by the period.
pub(crate) const NOTIFY_DELIVERIES: &str = "NOTIFY mutt_deliveries";

/// Rings the bell of a channel.
pub(super) fn ring(signals: &Signals, channel: &str) {
    match channel {
        "mutt_rules" => signals.rules.ring(),
        "mutt_settings" => signals.settings.ring(),
        "mutt_deliveries" => signals.deliveries.ring(),
        _ => {}
    }
}

/// Rings all: after a connection was lost nobody knows what was missed.
pub(super) fn ring_all(signals: &Signals) {
    signals.rules.ring();
    signals.settings.ring();
    signals.deliveries.ring();
}
