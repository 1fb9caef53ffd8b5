//! Building the tree of names: definitions in order of their OIDs, children together, texts and facts
//! kept once.

use std::collections::HashMap;
use std::ops::Range;

use mutt_model::oid::{self, OID_ARCS_MAX};

use super::super::hint;
use super::builtin::{self, OBJECTS, TRAPS};
use super::direct::{CHUNK, LEAD, MIDDLE, octets_of};
use super::{
    Base, Convention, Definition, EDGE_STEPS, Facts, Form, Found, Kind, NONE, Names, Node, Part,
    Role, Span, TRUNKS, edge,
};

/// Definitions that are taken; what comes after them is left out.
pub const DEFINITIONS_MAX: usize = 2_000_000;

/// Octets that a name, a word, a module's name or a hint may have.
pub const NAME_MAX: usize = 255;

/// Words that one definition may have.
const LABELS_MAX: usize = 10_000;

/// Parts that an index may have.
const INDEX_MAX: usize = OID_ARCS_MAX;

/// Octets that an OID may have which is kept as text.
const OID_TEXT_MAX: usize = 64;

/// What goes into the tree at one OID.
struct Entry {
    definition: Definition,
    form: Form,
    subject: super::Subject,
    severity: Option<u8>,
}

impl From<Definition> for Entry {
    fn from(definition: Definition) -> Self {
        Self { definition, form: Form::Guess, subject: super::Subject::Device, severity: None }
    }
}

/// The built-in names with these.
pub(super) fn build(definitions: Vec<Definition>) -> Names {
    let mut entries: Vec<Entry> = built_in();
    let usable = |definition: &Definition| {
        let arcs = definition.oid.len();
        (1..=OID_ARCS_MAX).contains(&arcs)
            && (1..=NAME_MAX).contains(&definition.name.len())
            && !definition.name.contains('\0')
    };
    entries.extend(definitions.into_iter().take(DEFINITIONS_MAX).filter(usable).map(Entry::from));
    // Stable: what is built in stands first among those of one OID.
    entries.sort_by(|a, b| a.definition.oid.cmp(&b.definition.oid));
    entries.dedup_by(|later, kept| {
        let same = later.definition.oid == kept.definition.oid;
        if same {
            merge(kept, &mut later.definition);
        }
        same
    });
    let mut tree = Tree::default();
    tree.grow(&entries);
    tree.connect_indexes(&entries);
    tree.make_ready();
    tree.names.trunks = TRUNKS.map(|trunk| tree.place(&trunk));
    tree.names
}

/// A name that is built in stays; the first MIB that defines the same OID says the rest of it.
fn merge(kept: &mut Entry, later: &mut Definition) {
    let of = &mut kept.definition;
    if !of.module.is_empty() {
        return;
    }
    // A built-in trap or object stays one, whatever a MIB makes of its OID.
    if of.kind == Kind::Node {
        of.kind = later.kind;
    } else if of.kind != later.kind && !(is_object(of.kind) && is_object(later.kind)) {
        return;
    }
    of.kind = later.kind;
    of.module = std::mem::take(&mut later.module);
    of.base = later.base;
    of.convention = later.convention;
    of.fixed = later.fixed;
    of.index = std::mem::take(&mut later.index);
    if !later.labels.is_empty() {
        of.labels = std::mem::take(&mut later.labels);
    }
    if !later.hint.is_empty() && kept.form != Form::Secret {
        of.hint = std::mem::take(&mut later.hint);
        kept.form = Form::Guess;
    }
}

fn is_object(kind: Kind) -> bool {
    matches!(kind, Kind::Scalar | Kind::Column)
}

fn built_in() -> Vec<Entry> {
    let arcs = |text: &str| oid::arcs(text).unwrap_or_default();
    let places = builtin::PLACES.iter().map(|(oid, name)| {
        Definition { oid: arcs(oid), name: (*name).to_owned(), ..Definition::default() }.into()
    });
    let traps = TRAPS.iter().map(|trap| Entry {
        definition: Definition {
            oid: arcs(trap.oid),
            name: trap.name.to_owned(),
            kind: Kind::Trap,
            ..Definition::default()
        },
        form: Form::Guess,
        subject: trap.subject,
        severity: trap.severity.map(mutt_model::Severity::number),
    });
    let objects = OBJECTS.iter().map(|object| {
        let labels = object.labels.iter().zip(1..);
        Entry {
            definition: Definition {
                oid: arcs(object.oid),
                name: object.name.to_owned(),
                kind: Kind::Column,
                base: object.base,
                hint: object.hint.to_owned(),
                labels: labels.map(|(label, number)| (number, (*label).to_owned())).collect(),
                ..Definition::default()
            },
            form: object.form,
            subject: super::Subject::Device,
            severity: None,
        }
    });
    places.chain(traps).chain(objects).collect()
}

/// The tree while it grows.
struct Tree {
    names: Names,
    texts: HashMap<String, Span>,
    lists: HashMap<String, u32>,
    known: HashMap<Facts, u32>,
    /// For each node its entries (those at and below it) and how deep it lies.
    ranges: Vec<(Range<usize>, usize)>,
    /// Rows whose index is to be connected: the entry and where its parts stand.
    rows: Vec<(usize, u32)>,
}

impl Default for Tree {
    fn default() -> Self {
        let names = Names {
            nodes: Vec::new(),
            edges: Vec::new(),
            direct: Vec::new(),
            octets: Vec::new(),
            facts: Vec::new(),
            labels: Vec::new(),
            index: Vec::new(),
            text: String::new(),
            named: 0,
            trunks: [0; 3],
        };
        Self {
            names,
            texts: HashMap::new(),
            lists: HashMap::new(),
            known: HashMap::new(),
            ranges: Vec::new(),
            rows: Vec::new(),
        }
    }
}

impl Tree {
    /// Level by level, so that the children of each place stand together.
    fn grow(&mut self, entries: &[Entry]) {
        self.push_node(0, 0, 0..entries.len(), 0);
        let mut at = 0;
        while let Some((range, depth)) = self.ranges.get(at).cloned() {
            self.grow_node(at, range, depth, entries);
            at += 1;
        }
        self.join();
    }

    /// Makes each node be found by its parent and arc.
    fn join(&mut self) {
        let places = (self.names.nodes.len() * 2).next_power_of_two();
        self.names.edges = vec![NONE; places];
        for (node, at) in self.names.nodes.iter().zip(0..).skip(1) {
            let from = edge(node.parent, node.arc);
            let mut places = (0..EDGE_STEPS).map(|step| from.wrapping_add(step) & (places - 1));
            let free = places.find(|place| self.names.edges.get(*place) == Some(&NONE));
            if let Some(place) = free.and_then(|place| self.names.edges.get_mut(place)) {
                *place = at;
            }
        }
    }

    fn grow_node(&mut self, at: usize, range: Range<usize>, depth: usize, entries: &[Entry]) {
        let arc_of = |entry: usize| entries.get(entry)?.definition.oid.get(depth).copied();
        let mut next = range.start;
        // Its own definition is the shortest and stands first.
        if let Some(entry) =
            entries.get(next).filter(|e| depth > 0 && e.definition.oid.len() == depth)
        {
            let facts = self.facts(next, entry);
            let (oid, name, octets) = self.texts_of(&entry.definition);
            self.names.named += 1;
            if let Some(node) = self.names.nodes.get_mut(at) {
                (node.name, node.oid, node.facts, node.octets) = (name, oid, facts, octets);
                node.plain = is_plain(&entry.definition.name);
                node.depth = u8::try_from(depth).unwrap_or_default();
            }
            next += 1;
        }
        let first_child = self.names.nodes.len();
        while next < range.end {
            let arc = arc_of(next);
            let start = next;
            while next < range.end && arc_of(next) == arc {
                next += 1;
            }
            self.push_node(arc.unwrap_or_default(), at, start..next, depth + 1);
        }
        let children = self.names.nodes.len() - first_child;
        if let Some(node) = self.names.nodes.get_mut(at) {
            (node.first_child, node.children) = (number(first_child), number(children));
        }
    }

    /// OID and name, as they stand in the JSON of a varbind: how long the OID is, where the name stands
    /// and where the octets of the OID.
    fn texts_of(&mut self, of: &Definition) -> (u16, Span, Span) {
        let oid = oid::format(&of.oid);
        if oid.len() > OID_TEXT_MAX {
            return (0, self.fresh(&of.name), Span::default());
        }
        let text = &mut self.names.text;
        text.extend([LEAD, &oid, ".", MIDDLE]);
        let name = self.fresh(&of.name);
        self.names.text.push('.');
        let octets = octets_of(&of.oid);
        let at = number(self.names.octets.len());
        self.names.octets.extend_from_slice(&octets);
        let octets = Span { at, length: u16::try_from(octets.len()).unwrap_or_default() };
        (u16::try_from(oid.len()).unwrap_or_default(), name, octets)
    }

    fn push_node(&mut self, arc: u32, parent: usize, range: Range<usize>, depth: usize) {
        let (name, parent) = (Span::default(), number(parent));
        let (children, first_child, oid, facts) = (0, 0, 0, NONE);
        let (plain, ready, octets) = (false, false, Span::default());
        self.names.nodes.push(Node {
            arc,
            parent,
            first_child,
            children,
            name,
            oid,
            plain,
            ready,
            depth: 0,
            facts,
            octets,
        });
        self.ranges.push((range, depth));
    }

    fn facts(&mut self, at: usize, entry: &Entry) -> u32 {
        let of = &entry.definition;
        let index = (number(self.names.index.len()), number(of.index.len().min(INDEX_MAX)));
        if !of.index.is_empty() {
            self.rows.push((at, index.0));
            self.names.index.extend(of.index.iter().take(INDEX_MAX).map(|part| Part {
                facts: NONE,
                base: part.base,
                fixed: part.fixed,
                implied: part.implied,
            }));
        }
        let hint = cut(&of.hint);
        let text = hint::text_length(hint).unwrap_or_default();
        let printable = match (hint, entry.form) {
            ("", Form::Guess | Form::Text) => u16::MAX,
            ("", Form::Hex | Form::Secret) => 0,
            _ => text,
        };
        let plain_words = of.labels.iter().all(|(_, word)| is_plain(word));
        let facts = Facts {
            kind: of.kind,
            base: of.base,
            convention: of.convention,
            form: entry.form,
            subject: entry.subject,
            role: if is_object(of.kind) { Role::of(&of.name) } else { Role::Plain },
            severity: entry.severity,
            fixed: of.fixed,
            hint: self.shared(hint),
            text,
            printable,
            numbers: matches!(hint, "" | "d") && plain_words,
            module: self.shared(&of.module),
            labels: self.labels(&of.labels),
            index: if of.index.is_empty() { (0, 0) } else { index },
        };
        let next = number(self.names.facts.len());
        let at = *self.known.entry(facts).or_insert(next);
        if at == next {
            self.names.facts.push(facts);
        }
        at
    }

    /// The same words of many objects are kept once.
    fn labels(&mut self, labels: &[(i64, String)]) -> (u32, u32) {
        if labels.is_empty() {
            return (0, 0);
        }
        let mut sorted: Vec<&(i64, String)> = labels.iter().take(LABELS_MAX).collect();
        sorted.sort_by_key(|label| label.0);
        sorted.dedup_by_key(|label| label.0);
        let made: Vec<(i64, Span)> =
            sorted.into_iter().map(|(number, label)| (*number, self.shared(label))).collect();
        let key: String = made.iter().map(|(n, span)| format!("{n} {} ", span.at)).collect();
        if let Some(first) = self.lists.get(&key) {
            return (*first, number(made.len()));
        }
        let first = number(self.names.labels.len());
        self.lists.insert(key, first);
        let count = number(made.len());
        self.names.labels.extend(made);
        (first, count)
    }

    fn shared(&mut self, text: &str) -> Span {
        let text = cut(text);
        if text.is_empty() {
            return Span::default();
        }
        if let Some(span) = self.texts.get(text) {
            return *span;
        }
        let span = self.fresh(text);
        self.texts.insert(text.to_owned(), span);
        span
    }

    fn fresh(&mut self, text: &str) -> Span {
        let text = cut(text);
        let at = number(self.names.text.len());
        self.names.text.push_str(text);
        Span { at, length: u16::try_from(text.len()).unwrap_or_default() }
    }

    /// When every definition has its facts, the parts of each index are given theirs.
    fn connect_indexes(&mut self, entries: &[Entry]) {
        for (entry, first) in std::mem::take(&mut self.rows) {
            let Some(entry) = entries.get(entry) else { continue };
            for (part, at) in entry.definition.index.iter().take(INDEX_MAX).zip(first..) {
                let facts = self.facts_at(&part.oid);
                let Some(made) = self.names.index.get_mut(at as usize) else { continue };
                made.facts = facts;
                let own = self.names.facts.get(facts as usize);
                if let Some(own) = own.filter(|_| made.base == Base::Any) {
                    (made.base, made.fixed) = (own.base, own.fixed);
                }
            }
        }
    }

    /// Says of which definitions the texts are ready, and makes them be found at once.
    fn make_ready(&mut self) {
        let names = &self.names;
        let ready: Vec<bool> = names.nodes.iter().map(|node| is_ready(names, node)).collect();
        for (node, ready) in self.names.nodes.iter_mut().zip(ready) {
            node.ready = ready;
        }
        self.names.text.push_str(&" ".repeat(CHUNK));
        self.names.join_octets();
    }

    fn facts_at(&self, oid: &[u32]) -> u32 {
        match self.place(oid) {
            0 => NONE,
            place => self.names.nodes.get(place as usize).map_or(NONE, |node| node.facts),
        }
    }

    /// Where this OID stands; 0, the root, where it is not in the tree.
    fn place(&self, oid: &[u32]) -> u32 {
        let mut at = 0;
        for arc in oid {
            let Some(child) = self.names.child_at(at, *arc) else { return 0 };
            at = child;
        }
        at
    }
}

fn is_ready(names: &Names, node: &Node) -> bool {
    let facts = names.facts_of(node);
    let found = Found { names, node, length: 0 };
    // An index of one number without words is shown as that number, as one of no known type is.
    let numbered = match found.index() {
        [] => true,
        [part] => matches!(part.base, Base::Integer | Base::Any) && !found.part(part).has_labels(),
        _ => false,
    };
    node.plain
        && node.children == 0
        && node.octets.length > 0
        && numbered
        && is_object(facts.kind)
        && facts.form != Form::Secret
        && facts.base != Base::Bits
        && matches!(facts.convention, Convention::None | Convention::InetType)
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(NAME_MAX)).unwrap_or("")
}

/// Everything here is far below 2^32: definitions are counted and texts are cut.
fn number(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(NONE)
}
