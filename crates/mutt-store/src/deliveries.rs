//! Deliveries without an engine: their states, the brief that their writers see, and what of a key need
//! not go.

use mutt_model::Id;
use mutt_model::delivery::NoticeKind;

/// Waits for its turn: pending, or held where its lane is.
pub(crate) const WAITING: i64 = 0;
pub(crate) const LEASED: i64 = 1;
pub(crate) const DELIVERED: i64 = 3;
pub(crate) const SUPPRESSED: i64 = 4;
pub(crate) const DEAD: i64 = 5;

/// So many waiting deliveries of one key are looked at when it is coalesced.
pub(crate) const COALESCE_MAX: i64 = 1_000;
/// Rounds of suppressing and looking again in one call; what is left comes with the next call.
pub(crate) const ROUNDS_MAX: usize = 8;
/// A filter without a limit replays this many in one call.
pub(crate) const REPLAY_MAX: u64 = 10_000;
/// Why a clear is suppressed whose problem never reached the sink.
pub(crate) const PROBLEM_DEAD: &str = "problem dead";
pub(crate) const COALESCED: &str = "coalesced";
pub(crate) const PAIR_NEVER_LEFT: &str = "pair never left";

const KINDS: [NoticeKind; 5] = [
    NoticeKind::Opened,
    NoticeKind::Repeated,
    NoticeKind::SeverityChanged,
    NoticeKind::Reminder,
    NoticeKind::Cleared,
];

/// A kind as stores keep it.
pub(crate) fn kind_number(kind: NoticeKind) -> i64 {
    KINDS.iter().position(|k| *k == kind).and_then(|at| i64::try_from(at).ok()).unwrap_or(0)
}

/// A kind as a store kept it.
pub(crate) fn kind(number: i64) -> NoticeKind {
    usize::try_from(number).ok().and_then(|at| KINDS.get(at).copied()).unwrap_or(NoticeKind::Opened)
}

/// A delivery as its writers see it.
#[derive(Clone, Debug)]
pub(crate) struct Brief {
    pub(crate) seq: i64,
    pub(crate) id: Id,
    pub(crate) sink: String,
    pub(crate) key: String,
    pub(crate) kind: NoticeKind,
    pub(crate) state: i64,
    pub(crate) alert_id: Id,
    pub(crate) attempts: i64,
    pub(crate) stands_for: i64,
}

/// What of a key need not go while the limiter holds back.
#[derive(Debug, Default)]
pub(crate) struct Relief<'a> {
    /// The repeat that stands for all, and how many it stands for then.
    pub(crate) newest: Option<(&'a Brief, i64)>,
    /// Those that end suppressed, in this order, with the reason.
    pub(crate) over: Vec<(&'a Brief, &'static str)>,
}

/// Whether coalescing can do anything for this head: only then is what waits behind it needed.
pub(crate) fn may_coalesce(head: &Brief) -> bool {
    head.kind.coalesces() || head.kind == NoticeKind::Opened
}

/// Looks at a head and what waits behind it in its key, oldest first: repeats become the newest of
/// them; opened and cleared, both never tried, need not be heard of at all.
pub(crate) fn relief<'a>(head: &'a Brief, waiting: &'a [Brief]) -> Relief<'a> {
    let repeats = waiting
        .iter()
        .take_while(|next| next.alert_id == head.alert_id && next.kind.coalesces())
        .count();
    if head.kind == NoticeKind::Opened {
        return pair_never_left(head, waiting, repeats);
    }
    let Some(newest) = repeats.checked_sub(1).map(|last| &waiting[last]) else {
        return Relief::default();
    };
    let stands_for =
        head.stands_for + waiting[..repeats].iter().map(|row| row.stands_for).sum::<i64>();
    let over = std::iter::once(head).chain(&waiting[..repeats - 1]);
    Relief { newest: Some((newest, stands_for)), over: over.map(|row| (row, COALESCED)).collect() }
}

fn pair_never_left<'a>(head: &'a Brief, waiting: &'a [Brief], repeats: usize) -> Relief<'a> {
    let cleared = waiting
        .get(repeats)
        .filter(|row| row.alert_id == head.alert_id && row.kind == NoticeKind::Cleared);
    let untried = |row: &Brief| row.attempts == 0;
    let between = &waiting[..repeats];
    let Some(cleared) = cleared.filter(|row| untried(row)) else { return Relief::default() };
    if !untried(head) || !between.iter().all(untried) {
        return Relief::default();
    }
    let mut over: Vec<_> = between.iter().map(|row| (row, COALESCED)).collect();
    over.extend([(cleared, PAIR_NEVER_LEFT), (head, PAIR_NEVER_LEFT)]);
    Relief { newest: None, over }
}
