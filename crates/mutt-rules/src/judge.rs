//! Judging one event: the first rule by priority, then id, that matches.

use mutt_model::event::Event;
use mutt_model::oid;
use mutt_model::verdict::Verdict;

use crate::compile::CompiledRules;
use crate::index::{Facts, Index};
use crate::regexes::Caches;
use crate::text::fold_into;

/// Buffers that judging reuses from event to event; one for each thread. It may be used with one
/// rule set after another.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The compiled set that `seen` and `caches` belong to.
    owner: u64,
    facts: Facts,
    /// The last event that met each literal, so that a literal counts once in a message.
    seen: Vec<u32>,
    now: u32,
    /// Regex groups that the message calls for.
    called: Vec<u32>,
    caches: Caches,
}

impl Scratch {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn begin(&mut self, rules: &CompiledRules) {
        if self.owner != rules.serial {
            self.owner = rules.serial;
            self.now = 0;
            self.seen.clear();
            self.seen.resize(rules.index.literals(), 0);
            self.caches.reset(rules.index.groups.len());
        }
        self.now = self.now.wrapping_add(1);
        if self.now == 0 {
            self.seen.fill(0);
            self.now = 1;
        }
    }
}

/// The verdict on one event. Pure: the same event and rule set give the same verdict.
#[must_use]
pub fn judge(rules: &CompiledRules, event: &Event<'_>, scratch: &mut Scratch) -> Verdict {
    scratch.begin(rules);
    gather(&rules.index, event, &mut scratch.facts);
    let rank = first_match(&rules.index, event, scratch);
    let winner = rules.outcomes.get(rank as usize);
    rules.places.verdict(winner, event, &scratch.facts.host)
}

fn gather(index: &Index, event: &Event<'_>, facts: &mut Facts) {
    facts.message.clear();
    fold_into(&event.message, &mut facts.message);
    facts.host.clear();
    fold_into(&event.host, &mut facts.host);
    facts.host_id = index.host_id(&facts.host);
    facts.severity = event.severity.map_or(1 << 8, |severity| 1 << severity.number());
    facts.oids = match event.trap_oid.as_deref().and_then(oid::normalise) {
        Some(given) => [oid::other_spelling(&given), Some(given.into_owned())],
        None => [None, None],
    };
}

/// The rank of the first rule that matches; `u32::MAX` when none does.
fn first_match(index: &Index, event: &Event<'_>, scratch: &mut Scratch) -> u32 {
    let Scratch { facts, seen, now, called, caches, .. } = scratch;
    let mut best = index.first_textless(facts);
    called.clear();
    called.extend_from_slice(&index.always);
    index.needles.each(&facts.message, |literal| {
        if seen[literal] != *now {
            seen[literal] = *now;
            best = index.first_contains(literal, facts, best);
            called.extend_from_slice(index.groups_of(literal));
        }
    });
    // Groups are numbered by their first rule, so the first that cannot win ends the search.
    called.sort_unstable();
    called.dedup();
    for number in called.iter() {
        let at = *number as usize;
        let Some(group) = index.groups.get(at) else { continue };
        if group.ranks.first().is_none_or(|first| *first >= best) {
            break;
        }
        let accepts = |rank: u32| rank < best && index.accepts(rank, facts);
        if index.also_held(at, |literal| seen.get(literal) == Some(now))
            && group.ranks.iter().any(|rank| accepts(*rank))
            && let Some(rank) = group.first(at, &event.message, caches, accepts)
        {
            best = rank;
        }
    }
    best
}
