//! The names of objects and notifications: built in, and what MIBs gave, as one tree of OIDs that is
//! looked up by longest prefix without allocation.

mod build;
pub(super) mod builtin;
pub(super) mod direct;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use mutt_model::{Severity, oid};
use serde::{Deserialize, Serialize};

use self::direct::{LEAD, MIDDLE};
use super::arcs::{self, Arcs};

pub use self::build::{DEFINITIONS_MAX, NAME_MAX};

/// snmpTrapOID.0
pub(super) const SNMP_TRAP_OID: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];
/// snmpTrapEnterprise.0
pub(super) const SNMP_TRAP_ENTERPRISE: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 4, 3, 0];
/// The same as its octets.
pub(super) const SNMP_TRAP_OID_OCTETS: &[u8] = &[0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0];
/// sysUpTime.0
pub(super) const SYS_UP_TIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3, 0];
/// snmpTrapAddress.0
pub(super) const SNMP_TRAP_ADDRESS: &[u32] = &[1, 3, 6, 1, 6, 3, 18, 1, 3, 0];

/// Where nearly every OID of a notification begins: mib-2, enterprises, snmpModules.
const TRUNKS: [[u32; 6]; 3] = [[1, 3, 6, 1, 2, 1], [1, 3, 6, 1, 4, 1], [1, 3, 6, 1, 6, 3]];

/// What a definition is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A place in the tree: a group, a table, an identity.
    #[default]
    Node,
    /// An object with one instance.
    Scalar,
    /// A row of a table; it has the index.
    Row,
    /// A column of a table.
    Column,
    /// A notification (NOTIFICATION-TYPE, TRAP-TYPE).
    Trap,
}

/// What an object's value is on the wire, as far as showing it depends on that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// Not known.
    #[default]
    Any,
    /// A number.
    Integer,
    /// OCTET STRING.
    Octets,
    /// BITS.
    Bits,
    /// OBJECT IDENTIFIER.
    Oid,
    /// IpAddress.
    Address,
}

/// Textual conventions whose value means more than its DISPLAY-HINT says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// None of them.
    #[default]
    None,
    /// InetAddressType: says what an InetAddress beside it is.
    InetType,
    /// InetAddress: an address whose kind its neighbour or its length says.
    InetAddress,
    /// DateAndTime.
    Date,
}

/// How the octets of an object are meant, where nothing else says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// Guess: text when printable, a date when it can be one, else hexadecimal.
    #[default]
    Guess,
    /// Always text (DisplayString, SnmpAdminString).
    Text,
    /// Always hexadecimal (masks, codes).
    Hex,
    /// A community: never shown.
    Secret,
}

/// What a notification is about: where its resource comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// The device itself.
    #[default]
    Device,
    /// An interface, by ifDescr, ifName or ifIndex.
    Interface,
    /// A BGP peer, by bgpPeerRemoteAddr or the instance of its row.
    BgpPeer,
    /// An OSPF neighbour, by ospfNbrRtrId, ospfNbrIpAddr or the instance of its row.
    OspfNeighbour,
    /// A physical part, by entPhysicalName.
    Part,
}

/// What an object of this name says of a notification, in whichever MIB it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// Nothing but itself.
    #[default]
    Plain,
    /// It belongs to the envelope, says nothing to people and differs between v1 and v2c: it stands
    /// in `varbinds`, not in the message.
    Envelope,
    InterfaceDescription,
    InterfaceName,
    InterfaceIndex,
    BgpPeerAddress,
    OspfRouterId,
    OspfAddress,
    PartName,
}

impl Role {
    fn of(name: &str) -> Self {
        match name {
            "sysUpTime" | "snmpTrapOID" | "snmpTrapAddress" | "snmpTrapCommunity"
            | "snmpTrapEnterprise" => Self::Envelope,
            "ifDescr" => Self::InterfaceDescription,
            "ifName" => Self::InterfaceName,
            "ifIndex" => Self::InterfaceIndex,
            "bgpPeerRemoteAddr" => Self::BgpPeerAddress,
            "ospfNbrRtrId" => Self::OspfRouterId,
            "ospfNbrIpAddr" => Self::OspfAddress,
            "entPhysicalName" => Self::PartName,
            _ => Self::Plain,
        }
    }
}

/// One definition, as a loader of MIBs gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its OID.
    pub oid: Vec<u32>,
    /// Its name.
    pub name: String,
    /// The module that defines it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub module: String,
    /// What it is.
    #[serde(default)]
    pub kind: Kind,
    /// The type of its value.
    #[serde(default)]
    pub base: Base,
    /// Its DISPLAY-HINT, empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// See [`Convention`].
    #[serde(default)]
    pub convention: Convention,
    /// The words for its numbers (enumeration) or for its bits (BITS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<(i64, String)>,
    /// Octets that it always has; 0 when their number varies.
    #[serde(default)]
    pub fixed: u16,
    /// The index, of a row only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub index: Vec<IndexPart>,
}

/// One part of a row's INDEX.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPart {
    /// The object that it is; empty when the clause names a type.
    pub oid: Vec<u32>,
    /// Its type.
    pub base: Base,
    /// Octets that it always has; 0 when their number varies.
    #[serde(default)]
    pub fixed: u16,
    /// Whether its length is left out (IMPLIED).
    #[serde(default)]
    pub implied: bool,
}

const NONE: u32 = u32::MAX;

/// A piece of [`Names::text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Span {
    at: u32,
    length: u16,
}

/// A place in the tree. Its children stand together, in order of their arcs.
#[derive(Clone, Copy, Debug)]
struct Node {
    arc: u32,
    parent: u32,
    first_child: u32,
    children: u32,
    /// Empty: a place without a name.
    name: Span,
    /// The octets of its OID as text, which stands before the name as JSON wants it; 0 where it would
    /// be long.
    oid: u16,
    /// Whether JSON escapes nothing of the name.
    plain: bool,
    /// Whether it is an object whose instance of one arc is shown as that number, below which nothing
    /// stands and whose value's octets are all that says what it is.
    ready: bool,
    /// Arcs of its OID, where its octets are kept.
    depth: u8,
    facts: u32,
    /// Its OID in [`Names::octets`]; empty where it is not kept.
    octets: Span,
}

/// What is the same for many definitions, kept once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Facts {
    kind: Kind,
    base: Base,
    convention: Convention,
    form: Form,
    subject: Subject,
    role: Role,
    severity: Option<u8>,
    fixed: u16,
    hint: Span,
    /// Octets of text that the hint shows in one piece; 0 when it means no text.
    text: u16,
    /// Octets of printable ASCII that are shown as they are, up to which number; 0: none.
    printable: u16,
    /// Whether numbers are shown by their digits, and their words need no escapes.
    numbers: bool,
    module: Span,
    /// First and number in [`Names::labels`], in order of their numbers.
    labels: (u32, u32),
    /// First and number in [`Names::index`].
    index: (u32, u32),
}

/// A part of an index, resolved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    facts: u32,
    pub(super) base: Base,
    pub(super) fixed: u16,
    pub(super) implied: bool,
}

/// The names in force: data, built once and only read.
#[derive(Debug)]
pub struct Names {
    nodes: Vec<Node>,
    /// The nodes by their parent and arc: a power of two of places, [`NONE`] where one is free. A node
    /// that finds none of its places free is found among the children of its parent.
    edges: Vec<u32>,
    /// The nodes by the octets of their OID, in the same way; one without a place is found by the tree.
    direct: Vec<u32>,
    octets: Vec<u8>,
    facts: Vec<Facts>,
    labels: Vec<(i64, Span)>,
    index: Vec<Part>,
    text: String,
    /// Definitions with a name.
    named: usize,
    /// The places of [`TRUNKS`]; 0 where one is not in the tree.
    trunks: [u32; 3],
}

/// Places of [`Names::edges`] that are looked at for one child.
const EDGE_STEPS: usize = 8;

/// Where in [`Names::edges`] the search for a child begins.
#[inline]
fn edge(node: u32, arc: u32) -> usize {
    let mixed = (u64::from(node) << 32 | u64::from(arc)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize
}

const NO_FACTS: &Facts = &Facts {
    kind: Kind::Node,
    base: Base::Any,
    convention: Convention::None,
    form: Form::Guess,
    subject: Subject::Device,
    role: Role::Plain,
    severity: None,
    fixed: 0,
    hint: Span { at: 0, length: 0 },
    text: 0,
    printable: 0,
    numbers: false,
    module: Span { at: 0, length: 0 },
    labels: (0, 0),
    index: (0, 0),
};

static BUILTIN: LazyLock<Names> = LazyLock::new(|| build::build(Vec::new()));

impl Names {
    /// What is known without any MIB.
    #[must_use]
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// The built-in names and these. What is built in keeps its name; of several definitions of one
    /// OID the first counts.
    #[must_use]
    pub fn with(definitions: Vec<Definition>) -> Self {
        build::build(definitions)
    }

    /// Definitions with a name.
    #[must_use]
    pub fn len(&self) -> usize {
        self.named
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.named == 0
    }

    /// The longest prefix of an OID that has a name.
    #[must_use]
    pub fn find<'n>(&'n self, oid: &str) -> Option<Found<'n>> {
        self.find_arcs(Arcs::of(oid).known())
    }

    /// The same for arcs, where the OID before it is likely to be of the same row.
    #[inline]
    pub(super) fn find_beside<'n>(
        &'n self,
        arcs: &[u32],
        beside: &mut Beside,
    ) -> Option<Found<'n>> {
        let row = beside.arcs.get(..beside.count).unwrap_or_default();
        if let Some([column, ..]) = arcs.strip_prefix(row)
            && !row.is_empty()
            && let Some(child) = self.child_at(beside.node, *column)
            && let Some(node) = self.nodes.get(child as usize)
            && node.children == 0
            && node.name.length > 0
        {
            return Some(Found { names: self, node, length: row.len() + 1 });
        }
        let found = self.find_arcs(arcs)?;
        let row = found.length - 1;
        if let (Some(from), Some(to)) = (arcs.get(..row), beside.arcs.get_mut(..row)) {
            to.copy_from_slice(from);
            (beside.node, beside.count) = (found.node.parent, row);
        }
        Some(found)
    }

    /// The same for arcs.
    #[inline]
    pub(super) fn find_arcs<'n>(&'n self, arcs: &[u32]) -> Option<Found<'n>> {
        self.walk(arcs).0
    }

    /// The same, and how many of the arcs stand in the tree, with a name or without.
    #[inline]
    pub(super) fn walk<'n>(&'n self, arcs: &[u32]) -> (Option<Found<'n>>, usize) {
        let (mut at, mut used) = (0, 0);
        let mut found = None;
        // The trunks are built in, so that each has a name.
        if let Some((six, _)) = arcs.split_first_chunk::<6>()
            && let Some(trunk) = TRUNKS.iter().position(|trunk| trunk == six)
            && let Some(node) = self.nodes.get(self.trunks[trunk] as usize)
            && node.name.length > 0
        {
            (at, used) = (self.trunks[trunk], 6);
            found = Some(Found { names: self, node, length: used });
        }
        for arc in arcs.get(used..).unwrap_or_default() {
            let Some(child) = self.child_at(at, *arc) else { break };
            let Some(node) = self.nodes.get(child as usize) else { break };
            (at, used) = (child, used + 1);
            if node.name.length > 0 {
                found = Some(Found { names: self, node, length: used });
            }
            if node.children == 0 {
                break;
            }
        }
        (found, used)
    }

    #[inline]
    fn child_at(&self, node: u32, arc: u32) -> Option<u32> {
        let at = edge(node, arc);
        for step in 0..EDGE_STEPS {
            let child =
                *self.edges.get(at.wrapping_add(step) & self.edges.len().wrapping_sub(1))?;
            if child == NONE {
                return None;
            }
            let of = self.nodes.get(child as usize)?;
            if of.arc == arc && of.parent == node {
                return Some(child);
            }
        }
        let node = self.nodes.get(node as usize)?;
        let first = node.first_child as usize;
        let children = self.nodes.get(first..first + node.children as usize)?;
        let at = children.binary_search_by_key(&arc, |child| child.arc).ok()?;
        Some(node.first_child + at as u32)
    }

    /// The notification with this OID, in whichever spelling.
    #[must_use]
    pub fn find_trap<'n>(&'n self, trap_oid: &str) -> Option<Found<'n>> {
        self.find_trap_arcs(&Arcs::of(trap_oid))
    }

    /// The same for arcs.
    pub(super) fn find_trap_arcs<'n>(&'n self, trap_oid: &Arcs) -> Option<Found<'n>> {
        let (found, known) = self.walk(trap_oid.known());
        self.trap_of(trap_oid, found, known)
    }

    /// The same where it is known what was found for the OID, and how many arcs stand in the tree.
    #[inline]
    pub(super) fn trap_of<'n>(
        &'n self,
        trap_oid: &Arcs,
        found: Option<Found<'n>>,
        known: usize,
    ) -> Option<Found<'n>> {
        let exact =
            |oid: &Arcs, found: &Found<'_>| found.is_exact(oid) && found.kind() == Kind::Trap;
        found.filter(|found| exact(trap_oid, found)).or_else(|| {
            // The spellings differ in the last two arcs only.
            if known + 2 < trap_oid.known().len() {
                return None;
            }
            let other = trap_oid.other_spelling()?;
            self.find_arcs(other.known()).filter(|found| exact(&other, found))
        })
    }

    /// The scalar or column that this OID is, or is an instance of.
    #[must_use]
    pub fn find_object<'n>(&'n self, oid: &str) -> Option<Found<'n>> {
        self.find(oid).filter(Found::is_object)
    }

    /// The OIDs that have this name, with a module in front (`IF-MIB::ifDescr`) or without. Looks at
    /// everything: for people, not for the way of an event.
    #[must_use]
    pub fn oids_of(&self, name: &str) -> Vec<String> {
        let (module, name) = match name.split_once("::") {
            Some((module, name)) => (Some(module), name),
            None => (None, name),
        };
        let fits = |node: &&Node| {
            node.name.length > 0
                && self.text(node.name) == name
                && module.is_none_or(|module| self.text(self.facts_of(node).module) == module)
        };
        self.nodes.iter().filter(fits).map(|node| self.oid_of(node)).collect()
    }

    /// Every name with its OID, in no order that means something.
    pub fn iter(&self) -> impl Iterator<Item = (String, &str)> {
        let named = self.nodes.iter().filter(|node| node.name.length > 0);
        named.map(|node| (self.oid_of(node), self.text(node.name)))
    }

    fn oid_of(&self, node: &Node) -> String {
        let mut way = vec![node.arc];
        let mut at = node.parent;
        // The root is its own parent, and its arc is none.
        while let Some(above) = self.nodes.get(at as usize).filter(|_| at != 0) {
            way.push(above.arc);
            at = above.parent;
        }
        way.reverse();
        oid::format(&way)
    }

    #[inline]
    fn facts_of(&self, node: &Node) -> &Facts {
        self.facts.get(node.facts as usize).unwrap_or(NO_FACTS)
    }

    fn text(&self, span: Span) -> &str {
        let at = span.at as usize;
        self.text.get(at..at + usize::from(span.length)).unwrap_or("")
    }

    fn label(&self, facts: &Facts, number: i64) -> Option<&str> {
        self.word(facts, number).map(|word| self.text(word))
    }

    #[inline]
    fn word(&self, facts: &Facts, number: i64) -> Option<Span> {
        let (first, count) = (facts.labels.0 as usize, facts.labels.1 as usize);
        let labels = self.labels.get(first..first + count)?;
        // Nearly every enumeration counts up from its first number.
        let next = number.wrapping_sub(labels.first()?.0) as usize;
        if let Some(label) = labels.get(next).filter(|label| label.0 == number) {
            return Some(label.1);
        }
        let at = labels.binary_search_by_key(&number, |label| label.0).ok()?;
        Some(labels.get(at)?.1)
    }
}

/// The row in which an OID was found.
#[derive(Debug, Default)]
pub(super) struct Beside {
    arcs: [u32; 16],
    /// Arcs of it; 0 while there is none.
    count: usize,
    node: u32,
}

/// A definition that was found.
#[derive(Clone, Copy)]
pub struct Found<'n> {
    names: &'n Names,
    node: &'n Node,
    /// How many arcs of the OID it is.
    length: usize,
}

impl std::fmt::Debug for Found<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::{}", self.module(), self.name())
    }
}

impl<'n> Found<'n> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'n str {
        self.names.text(self.node.name)
    }

    /// The module that defines it; empty when that is not known.
    #[must_use]
    pub fn module(&self) -> &'n str {
        self.names.text(self.facts().module)
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.facts().kind
    }

    /// What follows it in the OID that was looked up, without the dot between.
    #[must_use]
    pub fn instance<'o>(&self, oid: &'o str) -> &'o str {
        arcs::behind(oid, self.length).unwrap_or_default()
    }

    /// The type of its value.
    #[must_use]
    pub fn base(&self) -> Base {
        self.facts().base
    }

    /// Its DISPLAY-HINT, empty without one.
    #[must_use]
    pub fn hint(&self) -> &'n str {
        self.names.text(self.facts().hint)
    }

    /// See [`Convention`].
    #[must_use]
    pub fn convention(&self) -> Convention {
        self.facts().convention
    }

    /// The MIB's word for a number of an enumeration, or for a bit.
    #[must_use]
    pub fn label(&self, number: i64) -> Option<&'n str> {
        self.names.label(self.facts(), number)
    }

    /// Whether it has words for its numbers or bits.
    #[must_use]
    pub fn has_labels(&self) -> bool {
        self.facts().labels.1 > 0
    }

    /// The name with the instance that the OID has, its index decoded as far as it is known:
    /// `ifDescr.12`, `ipAddressIfIndex.ipv4."192.0.2.1"`.
    #[must_use]
    pub fn display(&self, oid: &str) -> String {
        let mut out = String::new();
        self.display_arcs(&Arcs::of(oid), &mut out);
        out
    }

    /// The same, appended.
    pub(super) fn display_arcs(&self, oid: &Arcs, out: &mut String) {
        out.push_str(self.name());
        super::instance::write(self, oid, self.length, out);
    }

    /// Whether its name is followed by nothing but the numbers of the instance, and JSON escapes
    /// nothing of it.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.node.plain && self.index().is_empty()
    }

    /// How many arcs of the OID it is.
    #[inline]
    pub(super) fn arcs(&self) -> usize {
        self.length
    }

    /// Its OID as text, where that is at hand.
    #[inline]
    pub(super) fn oid_text(&self) -> Option<&'n str> {
        let (name, length) = (self.node.name.at as usize, usize::from(self.node.oid));
        let end = name.checked_sub(if length == 0 { 0 } else { MIDDLE.len() + 1 })?;
        self.names.text.get(end.checked_sub(length)?..end).filter(|text| !text.is_empty())
    }

    /// What stands before the instance in the JSON of a varbind: [`LEAD`], its OID and a dot. Empty for
    /// one that is not ready.
    #[inline]
    pub(super) fn lead(&self) -> &'n str {
        let end = (self.node.name.at as usize).saturating_sub(MIDDLE.len());
        let length = LEAD.len() + usize::from(self.node.oid) + 1;
        self.names.text.get(end.saturating_sub(length)..end).unwrap_or_default()
    }

    /// What stands between the OID and the instance in its name: [`MIDDLE`], the name and a dot.
    #[inline]
    pub(super) fn middle(&self) -> &'n str {
        let name = self.node.name.at as usize;
        let end = name + usize::from(self.node.name.length) + 1;
        self.names.text.get(name.saturating_sub(MIDDLE.len())..end).unwrap_or_default()
    }

    /// Whether nothing follows it in the OID.
    #[inline]
    pub(super) fn is_exact(&self, oid: &Arcs) -> bool {
        oid.is_whole() && oid.known().len() == self.length
    }

    /// Whether it is a scalar or a column.
    #[inline]
    pub(super) fn is_object(&self) -> bool {
        matches!(self.kind(), Kind::Scalar | Kind::Column)
    }

    pub(super) fn role(&self) -> Role {
        self.facts().role
    }

    /// Octets of text that its hint shows in one piece; 0 when it means no text.
    pub(super) fn text_hint(&self) -> usize {
        usize::from(self.facts().text)
    }

    pub(super) fn form(&self) -> Form {
        self.facts().form
    }

    pub(super) fn subject(&self) -> Subject {
        self.facts().subject
    }

    pub(super) fn severity(&self) -> Option<Severity> {
        self.facts().severity.and_then(Severity::new)
    }

    /// The parts of the index of the row that this column is in.
    pub(super) fn index(&self) -> &'n [Part] {
        if self.kind() != Kind::Column {
            return &[];
        }
        let Some(row) = self.names.nodes.get(self.node.parent as usize) else { return &[] };
        let (first, count) = self.names.facts_of(row).index;
        self.names.index.get(first as usize..first as usize + count as usize).unwrap_or(&[])
    }

    /// Hint, convention and words of a part of the index.
    pub(super) fn part(&self, part: &Part) -> PartFacts<'n> {
        let facts = self.names.facts.get(part.facts as usize).unwrap_or(NO_FACTS);
        PartFacts { names: self.names, facts }
    }

    #[inline]
    fn facts(&self) -> &'n Facts {
        self.names.facts_of(self.node)
    }
}

/// What the object says that a part of an index is.
pub(super) struct PartFacts<'n> {
    names: &'n Names,
    facts: &'n Facts,
}

impl<'n> PartFacts<'n> {
    pub(super) fn hint(&self) -> &'n str {
        self.names.text(self.facts.hint)
    }

    pub(super) fn convention(&self) -> Convention {
        self.facts.convention
    }

    pub(super) fn label(&self, number: i64) -> Option<&'n str> {
        self.names.label(self.facts, number)
    }

    fn has_labels(&self) -> bool {
        self.facts.labels.1 > 0
    }
}
