//! Named fail points: the crash tests end the process at an exact step. Unarmed, one relaxed load.
//!
//! Armed by the program from the environment `MUTT_FAILPOINT` (`name`, `name:3` for the third time, or
//! `name=words` where the point is met with a text that has these words), for tests only.

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
    "redis.append.before_send",
    "redis.append.after_answer",
    "redis.ack.before_send",
    "redis.ack.after_answer",
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
    "alerter.judge",
    "alerter.after_judge",
    "alerter.before_ack",
    "forwarder.before_attempt",
    "forwarder.after_attempt",
    "forwarder.after_record",
    "import.rules.after_change",
    "import.settings.after_change",
    "import.audit.before_commit",
    "import.audit.after_commit",
    "import.queue.after_stage",
    "import.queue.after_append",
    "import.queue.after_done",
];

static ARMED: AtomicBool = AtomicBool::new(false);
static POINT: OnceLock<Point> = OnceLock::new();

#[derive(Debug)]
struct Point {
    name: String,
    /// Times until it is due.
    left: AtomicU32,
    /// It is due wherever it is met with these words.
    words: Option<String>,
}

/// Arms one fail point: `name`, `name:N` or `name=words`. Only the first call counts.
///
/// # Errors
///
/// When the name is not in [`NAMES`] or N is no number from 1.
pub fn arm(spec: &str) -> Result<(), String> {
    let (spec, words) = match spec.split_once('=') {
        Some((spec, words)) => (spec, Some(words.to_owned())),
        None => (spec, None),
    };
    let (name, times) = spec.split_once(':').unwrap_or((spec, "1"));
    if !NAMES.contains(&name) {
        return Err(format!("no fail point `{name}`; known: {}", NAMES.join(", ")));
    }
    let times: u32 = times.parse().map_err(|_| format!("`{times}` is no number"))?;
    if times == 0 {
        return Err("a fail point counts from 1".to_owned());
    }
    let left = AtomicU32::new(times);
    let _ = POINT.set(Point { name: name.to_owned(), left, words });
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
        .is_some_and(|point| point.name == name && point.left.fetch_sub(1, Ordering::AcqRel) == 1)
}

/// Ends the process when the step `name` is armed with words that stand in this text: something that
/// kills whoever works on it, again and again.
pub fn hit_on(name: &str, text: &str) {
    if !ARMED.load(Ordering::Relaxed) {
        return;
    }
    debug_assert!(NAMES.contains(&name), "undeclared fail point {name}");
    let Some(Point { name: armed, words: Some(words), .. }) = POINT.get() else { return };
    if armed == name && text.contains(words.as_str()) {
        std::process::abort();
    }
}

/// Ends the process as `kill -9` would when the step `name` is due.
pub fn hit(name: &str) {
    if due(name) {
        std::process::abort();
    }
}
