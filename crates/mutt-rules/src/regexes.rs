//! Regexes tried together: one lazy DFA over the patterns of a group, with its states kept in the
//! caller's scratch under a limit.

use std::sync::OnceLock;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::meta;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, PatternSet};
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
    patterns: Box<[String]>,
    ascii: Option<DFA>,
    unicode: OnceLock<Option<meta::Regex>>,
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
        self.caches.resize_with(groups, || None);
        self.bytes = 0;
    }
}

impl RegexGroup {
    /// Patterns that are known to compile, with the ranks of their rules, ascending.
    pub(crate) fn new(members: Vec<(u32, String)>) -> Self {
        let (ranks, patterns): (Vec<u32>, Vec<String>) = members.into_iter().unzip();
        let ascii = ascii_dfa(&patterns);
        Self {
            ranks: ranks.into_boxed_slice(),
            patterns: patterns.into_boxed_slice(),
            ascii,
            unicode: OnceLock::new(),
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
        let Caches { caches: all, bytes, found } = caches;
        found.clear();
        let mut done = false;
        if let Some(dfa) = self.ascii.as_ref().filter(|_| message.is_ascii()) {
            if *bytes > CACHES_BYTES_MAX {
                all.iter_mut().for_each(|cache| *cache = None);
                *bytes = 0;
            }
            let slot = all.get_mut(at)?;
            let mut before = 0;
            let cache = match slot {
                Some(cache) => {
                    before = cache.memory_usage();
                    cache
                }
                None => slot.insert(Box::new(dfa.create_cache())),
            };
            done = search(dfa, cache, message, found);
            *bytes = (*bytes + cache.memory_usage()).saturating_sub(before);
        }
        if !done {
            found.clear();
            let unicode = self.unicode.get_or_init(|| unicode_regex(&self.patterns));
            unicode.as_ref()?.which_overlapping_matches(&Input::new(message), found);
        }
        if found.is_empty() {
            return None;
        }
        // A pattern set iterates in ascending order, which is the order of rules.
        found.iter().filter_map(|id| self.ranks.get(id.as_usize()).copied()).find(|r| accepts(*r))
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
fn ascii_hir(pattern: &str) -> Option<Hir> {
    let config = syntax::Config::new().case_insensitive(true);
    let plain = pattern.is_ascii()
        && !pattern.contains(r"\x")
        && !pattern.contains(r"\u")
        && !pattern.contains(r"\U");
    if plain && let Ok(hir) = syntax::parse_with(pattern, &config.unicode(false).utf8(false)) {
        return Some(hir);
    }
    syntax::parse_with(pattern, &config).ok()
}

fn ascii_dfa(patterns: &[String]) -> Option<DFA> {
    let hirs: Option<Vec<Hir>> = patterns.iter().map(|pattern| ascii_hir(pattern)).collect();
    let nfa = thompson::Compiler::new()
        .configure(thompson::Config::new().utf8(false).which_captures(WhichCaptures::None))
        .build_many_from_hir(&hirs?)
        .ok()?;
    let config = DFA::config()
        .match_kind(MatchKind::All)
        .unicode_word_boundary(true)
        .cache_capacity(GROUP_CACHE_BYTES)
        .skip_cache_capacity_check(true);
    DFA::builder().configure(config).build_from_nfa(nfa).ok()
}

fn unicode_regex(patterns: &[String]) -> Option<meta::Regex> {
    let config = meta::Config::new()
        .match_kind(MatchKind::All)
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(None)
        .auto_prefilter(false)
        .hybrid_cache_capacity(GROUP_CACHE_BYTES);
    meta::Builder::new()
        .configure(config)
        .syntax(syntax::Config::new().case_insensitive(true))
        .build_many(patterns)
        .ok()
}
