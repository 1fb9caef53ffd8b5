//! Named fail points: the crash tests end the process at an exact step. Unarmed, one relaxed load.
//!
//! Armed by the program from the environment `MUTT_FAILPOINT` (`name` or `name:3` for the third
//! time), for tests only.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Every fail point, in the order an event meets them. A test arms each one.
pub const NAMES: &[&str] = &[
    "queue.append.before_write",
    "queue.append.torn_write",
    "queue.append.before_sync",
    "queue.append.after_sync",
    "queue.roll.after_create",
    "queue.ack.before_write",
    "queue.ack.after_write",
    "queue.trim.before_unlink",
    "queue.recover.before_truncate",
    "queue.recover.after_truncate",
    "spill.append.before_store",
    "spill.append.after_store",
    "spill.drain.after_claim",
    "spill.drain.before_ack",
    "spill.drain.after_ack",
    "store.commit.before_begin",
    "store.commit.before_commit",
    "store.commit.after_commit",
    "store.archive.before_verify",
    "store.archive.before_rename",
    "store.archive.after_rename",
    "store.archive.before_remove",
    "store.archive.after_remove",
    "alerter.after_judge",
    "alerter.before_ack",
    "forwarder.before_attempt",
    "forwarder.after_attempt",
    "forwarder.after_record",
];

static ARMED: AtomicBool = AtomicBool::new(false);
static POINT: OnceLock<(String, AtomicU32)> = OnceLock::new();

/// Arms one fail point: `name` or `name:N`. Only the first call counts.
///
/// # Errors
///
/// When the name is not in [`NAMES`] or N is no number from 1.
pub fn arm(spec: &str) -> Result<(), String> {
    let (name, times) = spec.split_once(':').unwrap_or((spec, "1"));
    if !NAMES.contains(&name) {
        return Err(format!("no fail point `{name}`; known: {}", NAMES.join(", ")));
    }
    let times: u32 = times.parse().map_err(|_| format!("`{times}` is no number"))?;
    if times == 0 {
        return Err("a fail point counts from 1".to_owned());
    }
    let _ = POINT.set((name.to_owned(), AtomicU32::new(times)));
    ARMED.store(true, Ordering::Release);
    Ok(())
}

/// Whether the step `name` is the armed one and its turn has come. The caller aborts (or tears a
/// write first).
#[must_use]
pub fn due(name: &str) -> bool {
    if !ARMED.load(Ordering::Relaxed) {
        return false;
    }
    debug_assert!(NAMES.contains(&name), "undeclared fail point {name}");
    POINT
        .get()
        .is_some_and(|(armed, left)| armed == name && left.fetch_sub(1, Ordering::AcqRel) == 1)
}

/// Ends the process as `kill -9` would when the step `name` is due.
pub fn hit(name: &str) {
    if due(name) {
        std::process::abort();
    }
}
