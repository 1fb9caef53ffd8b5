//! `muttctl sources`: who is heard, what each listener counted, and silence that is nobody's business.

use reqwest::Method;
use serde_json::Value;

use super::api::body;
use super::args::{Reason, SourcesVerb, Target};
use super::failure::Failure;
use super::objects::{act, given, list, reason, show, whole};
use super::output::Column;

const SOURCES: &[Column] = &[
    ("HOST", "/host"),
    ("FROM", "/peer"),
    ("STATE", "/state"),
    ("FORMAT", "/format"),
    ("LAST SEEN", "/last_seen"),
    ("EVENTS", "/events"),
    ("PER S", "/rate_minute"),
    ("SKEW MS", "/skew_ms"),
    ("PARTIAL", "/partial"),
    ("FAILED", "/failed"),
    ("DROPPED", "/dropped"),
    ("HELD", "/held"),
    ("MUTED", "/muted"),
    ("ID", "/id"),
];
const LISTENERS: &[Column] = &[
    ("LISTENER", "/listener"),
    ("HOST", "/host"),
    ("ARRIVED", "/received"),
    ("STORED", "/stored"),
    ("DROPPED", "/dropped"),
    ("KERNEL DROPS", "/kernel_drops"),
    ("GIVEN BACK", "/given_back"),
    ("UNACCOUNTED", "/unaccounted"),
    ("WAITING", "/waiting_bytes"),
    ("BUFFER", "/buffer_bytes"),
];

/// Does what the command says.
pub(super) fn run(target: &Target, verb: SourcesVerb) -> Result<(), Failure> {
    let post = |id: &str, what: &str, why: &Reason, done: &str| {
        let payload: Value = body([reason(why)]);
        act(target, Method::POST, &["sources", id, what], &payload, &format!("{done} {id}"))
            .map(drop)
    };
    match verb {
        SourcesVerb::List { q, state, relay, limit } => {
            let query = given([("q", q), ("state", state), ("relay", relay)]);
            list(target, "sources", query, &limit, SOURCES)
        }
        SourcesVerb::Show { id } => show(target, &["sources", &id]),
        SourcesVerb::Listeners => whole(target, "listeners", LISTENERS),
        SourcesVerb::Mute { id, reason } => post(&id, "mute", &reason, "muted"),
        SourcesVerb::Unmute { id, reason } => post(&id, "unmute", &reason, "watched again:"),
        SourcesVerb::Forget { id, reason } => post(&id, "forget", &reason, "forgotten:"),
    }
}
