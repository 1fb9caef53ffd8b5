//! Regexes tried together: one lazy DFA over the patterns of a group, with its states kept in the
//! caller's scratch under a limit. Texts that are not ASCII have a DFA of their own, which may find too
//! much; what it finds is then confirmed pattern by pattern.

mod loose;

use std::sync::OnceLock;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::meta;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, PatternID, PatternSet};
use regex_syntax::hir::Hir;

/// Most patterns in one group.
pub(crate) const GROUP_PATTERNS_MAX: usize = 256;
/// Most bytes of lazily built states for one group.
const GROUP_CACHE_BYTES: usize = 1024 * 1024;
/// Most bytes of lazily built states in one scratch; then all are dropped and built anew.
const CACHES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Patterns that are tried together, most important rule first.
#[derive(Debug)]
pub(crate) struct RegexGroup {
    /// The rule of each pattern, ascending.
    pub(crate) ranks: Box<[u32]>,
    patterns: Box<[Pattern]>,
    /// For ASCII texts; exact. Both are built when a message first calls for them.
    ascii: OnceLock<Option<Automaton>>,
    /// For other texts; it finds every pattern that matches, and more.
    loose: OnceLock<Option<Automaton>>,
}

#[derive(Debug)]
struct Automaton {
    dfa: Box<DFA>,
    /// Whether what it finds for each pattern is a match indeed.
    exact: Box<[bool]>,
}

#[derive(Debug)]
struct Pattern {
    text: Box<str>,
    regex: OnceLock<Option<Box<meta::Regex>>>,
}

impl Pattern {
    fn is_match(&self, message: &str) -> bool {
        let regex = self.regex.get_or_init(|| small_regex(&self.text).map(Box::new));
        regex.as_ref().is_some_and(|regex| regex.is_match(message))
    }
}

/// The lazily built states of all groups, and the set of patterns found last.
#[derive(Debug)]
pub(crate) struct Caches {
    caches: Vec<Option<Box<Cache>>>,
    bytes: usize,
    found: PatternSet,
}

impl Default for Caches {
    fn default() -> Self {
        Self { caches: Vec::new(), bytes: 0, found: PatternSet::new(GROUP_PATTERNS_MAX) }
    }
}

impl Caches {
    /// Makes room for another rule set.
    pub(crate) fn reset(&mut self, groups: usize) {
        self.caches.clear();
        self.caches.resize_with(groups * 2, || None);
        self.bytes = 0;
    }

    /// Which patterns are found in `message`, in `found`; false when the search was given up.
    fn search(&mut self, slot: usize, dfa: &DFA, message: &str) -> bool {
        if self.bytes > CACHES_BYTES_MAX {
            self.caches.iter_mut().for_each(|cache| *cache = None);
            self.bytes = 0;
        }
        let Some(slot) = self.caches.get_mut(slot) else { return false };
        let before = slot.as_ref().map_or(0, |cache| cache.memory_usage());
        let cache = slot.get_or_insert_with(|| Box::new(dfa.create_cache()));
        let done = search(dfa, cache, message, &mut self.found);
        self.bytes = (self.bytes + cache.memory_usage()).saturating_sub(before);
        done
    }
}

impl RegexGroup {
    /// Patterns that are known to compile, with the ranks of their rules, ascending.
    pub(crate) fn new(members: Vec<(u32, String)>) -> Self {
        let pattern = |(rank, text): (u32, String)| {
            (rank, Pattern { text: text.into_boxed_str(), regex: OnceLock::new() })
        };
        let (ranks, patterns): (Vec<u32>, Vec<Pattern>) = members.into_iter().map(pattern).unzip();
        Self {
            ranks: ranks.into_boxed_slice(),
            patterns: patterns.into_boxed_slice(),
            ascii: OnceLock::new(),
            loose: OnceLock::new(),
        }
    }

    /// The first rule in order whose pattern is found in `message` and which `accepts` takes.
    pub(crate) fn first(
        &self,
        at: usize,
        message: &str,
        caches: &mut Caches,
        accepts: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        caches.found.clear();
        let ascii = message.is_ascii();
        let automaton = if ascii {
            self.ascii.get_or_init(|| self.automaton(ascii_hir)).as_ref()
        } else {
            self.loose.get_or_init(|| self.automaton(loose::hir)).as_ref()
        };
        let slot = at * 2 + usize::from(!ascii);
        let done = automaton.filter(|automaton| caches.search(slot, &automaton.dfa, message));
        if done.is_some() && caches.found.is_empty() {
            return None;
        }
        let matches = |at: usize, pattern: &Pattern| match done {
            Some(automaton) => {
                PatternID::new(at).is_ok_and(|at| caches.found.contains(at))
                    && (automaton.exact.get(at) == Some(&true) || pattern.is_match(message))
            }
            // For a fault of the automaton only.
            None => pattern.is_match(message),
        };
        let mut members = self.patterns.iter().zip(&self.ranks).enumerate();
        let first = members.find(|(at, (pattern, rank))| accepts(**rank) && matches(*at, pattern));
        first.map(|(_, (_, rank))| *rank)
    }

    fn automaton(&self, hir: impl Fn(&str) -> Option<(Hir, bool)>) -> Option<Automaton> {
        let hirs: Option<Vec<(Hir, bool)>> =
            self.patterns.iter().map(|pattern| hir(&pattern.text)).collect();
        let (hirs, exact): (Vec<Hir>, Vec<bool>) = hirs?.into_iter().unzip();
        Some(Automaton { dfa: Box::new(lazy_dfa(&hirs)?), exact: exact.into_boxed_slice() })
    }
}

/// Whether the search came to an end; it does not only where a Unicode word boundary meets a
/// non-ASCII byte.
fn search(dfa: &DFA, cache: &mut Cache, message: &str, found: &mut PatternSet) -> bool {
    let input = Input::new(message);
    // Whether anything matches at all is told faster than what, and mostly nothing does.
    match dfa.try_search_fwd(cache, &input.clone().earliest(true)) {
        Ok(None) => true,
        Ok(Some(hit)) if dfa.pattern_len() == 1 => found.insert(hit.pattern()),
        Ok(Some(_)) => dfa.try_which_overlapping_matches(cache, &input, found).is_ok(),
        Err(_) => false,
    }
}

/// On an ASCII text a regex means the same with and without Unicode classes, which take a hundred
/// times the room. Escaped and non-ASCII characters may fold to ASCII ones, so those stay as they are.
fn ascii_hir(pattern: &str) -> Option<(Hir, bool)> {
    let config = syntax::Config::new().case_insensitive(true);
    let plain = pattern.is_ascii()
        && !pattern.contains(r"\x")
        && !pattern.contains(r"\u")
        && !pattern.contains(r"\U");
    if plain && let Ok(hir) = syntax::parse_with(pattern, &config.unicode(false).utf8(false)) {
        return Some((hir, true));
    }
    Some((syntax::parse_with(pattern, &config).ok()?, true))
}

fn lazy_dfa(hirs: &[Hir]) -> Option<DFA> {
    let nfa = thompson::Compiler::new()
        .configure(thompson::Config::new().utf8(false).which_captures(WhichCaptures::None))
        .build_many_from_hir(hirs)
        .ok()?;
    let config = DFA::config()
        .match_kind(MatchKind::All)
        .unicode_word_boundary(true)
        .cache_capacity(GROUP_CACHE_BYTES)
        .skip_cache_capacity_check(true);
    DFA::builder().configure(config).build_from_nfa(nfa).ok()
}

/// A regex that takes little room; it is needed for few messages.
fn small_regex(pattern: &str) -> Option<meta::Regex> {
    let config = meta::Config::new()
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(None)
        .hybrid(false)
        .dfa(false)
        .onepass(false);
    meta::Builder::new()
        .configure(config)
        .syntax(syntax::Config::new().case_insensitive(true))
        .build(pattern)
        .ok()
}
