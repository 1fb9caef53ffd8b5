//! The index over a rule set's match conditions: which rules can match at all is read from one scan
//! of the message, two look-ups of the host and a few of the trap OID; only those are confirmed.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::BuildError;
use mutt_model::oid;
use mutt_model::rule::{MatchType, Rule};

use crate::literals::{required, weight};
use crate::needles::Needles;
use crate::regexes::{GROUP_PATTERNS_MAX, RegexGroup};
use crate::text::{cut, fold};

/// Needles of contains longer than this are looked for by their start and then confirmed.
const NEEDLE_BYTES_MAX: usize = 128;

/// The conditions of one rule that are no text to look for.
#[derive(Debug)]
pub(crate) struct Conditions {
    /// Bit n: severity n will do; bit 8: no severity will do.
    severities: u16,
    /// 0: any host.
    host: u32,
    trap_oid: Option<Box<str>>,
    /// The whole needle where the literal is only its start.
    needle: Option<Box<str>>,
}

/// A rule under a literal or OID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    host: u32,
    rank: u32,
}

/// Rules under one literal or OID, by host, then rank.
type Entries = Box<[Entry]>;

/// What the index needs to know of an event.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The folded message.
    pub(crate) message: String,
    /// The folded host.
    pub(crate) host: String,
    /// The trap OID in both spellings.
    pub(crate) oids: [Option<String>; 2],
    /// The severity's bit.
    pub(crate) severity: u16,
    /// The host's number among the hosts that rules name; 0: none names it.
    pub(crate) host_id: u32,
}

/// The index; ranks are positions in the order of judging.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) conditions: Vec<Conditions>,
    hosts: HashMap<String, u32>,
    pub(crate) needles: Needles,
    contains: Vec<Entries>,
    groups_of: Vec<Box<[u32]>>,
    /// Ascending by their first rule.
    pub(crate) groups: Vec<RegexGroup>,
    /// Groups whose patterns have no literal.
    pub(crate) always: Vec<u32>,
    /// For each group the second set of literals, of which the message must hold one, if there is a set.
    also: Vec<Box<[usize]>>,
    /// Rules with neither text nor OID.
    textless: Entries,
    by_oid: HashMap<String, Entries>,
}

impl Index {
    /// Indexes rules that are known to be valid, in the order of judging.
    ///
    /// # Errors
    ///
    /// The short literals together are more than can be looked for.
    pub(crate) fn build(rules: &[Rule]) -> Result<Self, BuildError> {
        let mut builder = Builder::default();
        for (rank, rule) in (0_u32..).zip(rules) {
            builder.add(rank, rule);
        }
        builder.finish()
    }

    /// The number of a host that rules name.
    pub(crate) fn host_id(&self, host: &str) -> u32 {
        if self.hosts.is_empty() { 0 } else { self.hosts.get(host).copied().unwrap_or(0) }
    }

    /// Whether the conditions of a rule hold that are no text to look for.
    pub(crate) fn accepts(&self, rank: u32, facts: &Facts) -> bool {
        let Some(conditions) = self.conditions.get(rank as usize) else { return false };
        conditions.severities & facts.severity != 0
            && (conditions.host == 0 || conditions.host == facts.host_id)
            && conditions.trap_oid.as_deref().is_none_or(|wanted| {
                facts.oids.iter().flatten().any(|given| oid::is_prefix(wanted, given))
            })
            && conditions.needle.as_deref().is_none_or(|needle| {
                memchr::memmem::find(facts.message.as_bytes(), needle.as_bytes()).is_some()
            })
    }

    /// The first rule under a contains literal, if it is before `best`.
    pub(crate) fn first_contains(&self, literal: usize, facts: &Facts, best: u32) -> u32 {
        self.contains.get(literal).map_or(best, |entries| self.first_of(entries, facts, best))
    }

    /// The regex groups that a literal calls for.
    pub(crate) fn groups_of(&self, literal: usize) -> &[u32] {
        self.groups_of.get(literal).map_or(&[], |groups| groups)
    }

    /// Whether the message holds a literal of the group's second set.
    pub(crate) fn also_held(&self, group: usize, held: impl Fn(usize) -> bool) -> bool {
        let second = self.also.get(group).map_or(&[][..], |second| second);
        second.is_empty() || second.iter().any(|literal| held(*literal))
    }

    /// How many literals there are.
    pub(crate) fn literals(&self) -> usize {
        self.contains.len()
    }

    /// The first rule that needs no text.
    pub(crate) fn first_textless(&self, facts: &Facts) -> u32 {
        let mut best = self.first_of(&self.textless, facts, u32::MAX);
        if self.by_oid.is_empty() {
            return best;
        }
        for given in facts.oids.iter().flatten() {
            let mut prefix = given.as_str();
            loop {
                if let Some(entries) = self.by_oid.get(prefix) {
                    best = self.first_of(entries, facts, best);
                }
                let Some((shorter, _)) = prefix.rsplit_once('.') else { break };
                prefix = shorter;
            }
        }
        best
    }

    fn first_of(&self, entries: &[Entry], facts: &Facts, best: u32) -> u32 {
        let any = self.first_with_host(entries, 0, facts, best);
        if facts.host_id == 0 {
            any
        } else {
            self.first_with_host(entries, facts.host_id, facts, any)
        }
    }

    fn first_with_host(&self, entries: &[Entry], host: u32, facts: &Facts, best: u32) -> u32 {
        let from = if host == 0 { 0 } else { entries.partition_point(|entry| entry.host < host) };
        entries[from..]
            .iter()
            .take_while(|entry| entry.host == host && entry.rank < best)
            .find(|entry| self.accepts(entry.rank, facts))
            .map_or(best, |entry| entry.rank)
    }
}

/// Regexes with their ranks, and the literals that call for them.
///
/// The message must hold one literal of each set; there are at most two sets.
type Grouped = BTreeMap<Vec<Vec<String>>, Vec<(u32, String)>>;

#[derive(Default)]
struct Builder {
    conditions: Vec<Conditions>,
    hosts: HashMap<String, u32>,
    literals: HashMap<String, usize>,
    contains: Vec<Vec<Entry>>,
    textless: Vec<Entry>,
    by_oid: HashMap<String, Vec<Entry>>,
    regexes: Vec<(u32, String, Vec<Vec<String>>)>,
}

impl Builder {
    fn add(&mut self, rank: u32, rule: &Rule) {
        let mut conditions = self.conditions_of(rule);
        let entry = Entry { host: conditions.host, rank };
        let text = rule.match_string.as_deref();
        match (rule.match_type, text) {
            (MatchType::Contains, Some(text)) => {
                let folded = fold(text);
                let literal = cut(&folded, NEEDLE_BYTES_MAX);
                if literal.len() < folded.len() {
                    conditions.needle = Some(folded.as_str().into());
                }
                let at = self.literal(literal);
                self.contains[at].push(entry);
            }
            (MatchType::Regex, Some(text)) => {
                self.regexes.push((rank, text.to_owned(), required(text)));
            }
            _ => match &conditions.trap_oid {
                Some(oid) => self.by_oid.entry(oid.to_string()).or_default().push(entry),
                None => self.textless.push(entry),
            },
        }
        self.conditions.push(conditions);
    }

    fn conditions_of(&mut self, rule: &Rule) -> Conditions {
        let host = rule.host.as_deref().map_or(0, |host| {
            let next = u32::try_from(self.hosts.len() + 1).unwrap_or(u32::MAX);
            *self.hosts.entry(fold(host)).or_insert(next)
        });
        let trap_oid = rule.trap_oid.as_deref().and_then(oid::normalise);
        Conditions {
            severities: severity_bits(rule),
            host,
            trap_oid: trap_oid.map(|oid| oid.as_ref().into()),
            needle: None,
        }
    }

    fn literal(&mut self, literal: &str) -> usize {
        if let Some(at) = self.literals.get(literal) {
            return *at;
        }
        self.literals.insert(literal.to_owned(), self.contains.len());
        self.contains.push(Vec::new());
        self.contains.len() - 1
    }

    /// Regexes by the sets of literals that call for them: the two sets whose literals are long and
    /// which few regexes share, so that one group does not grow over all of them and few messages call.
    fn grouped(&mut self) -> Grouped {
        let regexes = std::mem::take(&mut self.regexes);
        let mut uses: HashMap<String, usize> = HashMap::new();
        for literal in regexes.iter().flat_map(|(_, _, sets)| sets.iter().flatten()) {
            *uses.entry(literal.clone()).or_default() += 1;
        }
        let shared = |set: &[String]| set.iter().filter_map(|l| uses.get(l)).max().copied();
        let mut grouped = Grouped::new();
        for (rank, pattern, mut sets) in regexes {
            sets.sort_by_key(|set| {
                let burden = shared(set).unwrap_or(0) * 1_000 / weight(set).pow(2).max(1);
                (burden, set.len(), std::cmp::Reverse(weight(set)))
            });
            sets.truncate(2);
            grouped.entry(sets).or_default().push((rank, pattern));
        }
        grouped
    }

    fn finish(mut self) -> Result<Index, BuildError> {
        let grouped = self.grouped();
        let chunks = grouped.iter().flat_map(|(set, members)| {
            members.chunks(GROUP_PATTERNS_MAX).map(move |chunk| (set, chunk))
        });
        let mut parts: Vec<_> = chunks.collect();
        parts.sort_by_key(|(_, members)| members.first().map(|(rank, _)| *rank));
        let mut always = Vec::new();
        let mut also: Vec<Box<[usize]>> = Vec::new();
        let mut calls: Vec<(usize, u32)> = Vec::new();
        let mut groups = Vec::with_capacity(parts.len());
        for (number, (sets, members)) in (0_u32..).zip(parts) {
            match sets.first() {
                Some(set) => calls.extend(set.iter().map(|l| (self.literal(l), number))),
                None => always.push(number),
            }
            let second = sets.get(1).map_or(&[][..], |set| set);
            also.push(second.iter().map(|literal| self.literal(literal)).collect());
            groups.push(RegexGroup::new(members.to_vec()));
        }
        let mut groups_of = vec![Vec::new(); self.contains.len()];
        for (literal, group) in calls {
            groups_of[literal].push(group);
        }
        Ok(Index {
            needles: needles(&self.literals)?,
            conditions: self.conditions,
            hosts: self.hosts,
            contains: self.contains.into_iter().map(sorted).collect(),
            groups_of: groups_of.into_iter().map(Vec::into_boxed_slice).collect(),
            groups,
            always,
            also,
            textless: sorted(self.textless),
            by_oid: self.by_oid.into_iter().map(|(oid, list)| (oid, sorted(list))).collect(),
        })
    }
}

/// Bit n: an event of severity n will do; bit 8: one without severity will do.
pub(crate) fn severity_bits(rule: &Rule) -> u16 {
    let max = rule.severity_max.map_or(0x1ff, |max| (2_u16 << max.number()) - 1);
    let only = rule.syslog_severity.map_or(0x1ff, |only| 1 << only.number());
    max & only
}

fn sorted(mut entries: Vec<Entry>) -> Entries {
    entries.sort_unstable();
    entries.into_boxed_slice()
}

fn needles(literals: &HashMap<String, usize>) -> Result<Needles, BuildError> {
    let mut patterns = vec![""; literals.len()];
    for (literal, at) in literals {
        patterns[*at] = literal;
    }
    Needles::new(&patterns)
}
