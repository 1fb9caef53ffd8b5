//! Signals between processes: LISTEN on the keeper's connection, NOTIFY by whoever changes something.

use super::Conn;
use crate::signal::Signals;

/// What is listened to.
pub(super) const LISTEN: &str = "LISTEN mutt_rules; LISTEN mutt_settings; LISTEN mutt_deliveries";

/// To be sent inside the transaction that changes rules.
pub(crate) const NOTIFY_RULES: &str = "NOTIFY mutt_rules";
/// To be sent inside the transaction that changes settings or lanes.
pub(crate) const NOTIFY_SETTINGS: &str = "NOTIFY mutt_settings";
/// Tells the other processes that deliveries wait; after the transaction that made them. Inside it all
/// commits of the database would wait for each other's flush, and flushed itself it would cost one: a
/// hint that is lost is found by the period.
pub(super) async fn tell_deliveries(conn: &Conn) {
    conn.mark_open();
    let sql = "BEGIN; SET LOCAL synchronous_commit = off; NOTIFY mutt_deliveries; COMMIT";
    if conn.batch(sql).await.is_ok() {
        conn.mark_closed();
    }
}

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
