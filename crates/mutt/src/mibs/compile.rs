//! Files into definitions, with mib-rs (ADR 0007): the only place that knows it. May take memory and
//! time by what the files ask; `live.rs` runs it where that harms nobody. Needs nothing but `report.rs`
//! and `text.rs`, so that the fuzz targets have it without the program.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use mib_rs::{
    BaseType, DiagCode, DiagnosticConfig, IndexEncoding, Kind as MibKind, Loader, Mib, Node,
    Object, ReportingLevel, ResolverStrictness, Severity, Source, SourceCandidate, SourceOrigin,
    Type,
};
use mutt_wire::snmp::names::{
    Base, Convention, DEFINITIONS_MAX, Definition, IndexPart, Kind, NAME_MAX,
};

use super::report::{Entry, PROBLEMS_MAX, Problem, Report, State};
use super::text::{self, Outline};

/// Types in types that are looked through for a convention.
const TYPE_DEPTH_MAX: usize = 32;

/// A file as it is given to the library.
struct Mended {
    file: String,
    text: Arc<[u8]>,
}

/// The modules of all files; the first that has a name counts.
#[derive(Default)]
struct Shelf {
    files: Vec<Mended>,
    modules: BTreeMap<String, usize>,
}

impl Source for Shelf {
    fn find(&self, name: &str) -> io::Result<Option<SourceCandidate>> {
        Ok(self.modules.get(name).and_then(|at| self.files.get(*at)).map(|mended| {
            let origin = SourceOrigin::File { path: PathBuf::from(&mended.file) };
            SourceCandidate::new(
                mended.file.as_str(),
                origin,
                mended.file.as_str(),
                Arc::clone(&mended.text),
            )
        }))
    }

    fn list_modules(&self) -> io::Result<Vec<String>> {
        Ok(self.modules.keys().cloned().collect())
    }
}

/// What was compiled.
#[derive(Debug, Default)]
pub struct Compiled {
    /// In order of their OIDs.
    pub definitions: Vec<Definition>,
    /// What became of each file.
    pub report: Report,
}

/// A file: its bytes, or why there are none.
pub struct Given {
    /// Its name.
    pub file: String,
    /// What was read of it.
    pub bytes: Result<Vec<u8>, Problem>,
}

/// Compiles the files, of which the first that has a module counts.
///
/// # Errors
///
/// When the library gives up as a whole, which no file should make it do.
pub fn compile(files: impl IntoIterator<Item = Given>) -> Result<Compiled, String> {
    let mut report = Report::default();
    let (shelf, asked) = take_in(files, &mut report);
    let config = DiagnosticConfig {
        reporting: ReportingLevel::Default,
        // Whatever is wrong with one module is no reason to lose the others.
        fail_at: Severity::Fatal,
        ..DiagnosticConfig::default()
    };
    let mib = Loader::new()
        .source(Box::new(shelf))
        .resolver_strictness(ResolverStrictness::Permissive)
        .diagnostic_config(config)
        .parallelism(1)
        .load()
        .map_err(|why| why.to_string())?;
    let own: BTreeSet<&str> = asked.iter().map(|(module, ..)| module.as_str()).collect();
    let mut problems = problems(&mib, &own);
    for (module, file, outline, line) in &asked {
        let found = problems.remove(module.as_str()).unwrap_or_default();
        report.add(entry(&mib, module, file, outline, *line, found));
    }
    report.entries.sort_by(|a, b| a.file.cmp(&b.file).then_with(|| a.module.cmp(&b.module)));
    let definitions = definitions(&mib);
    report.names = definitions.len();
    Ok(Compiled { definitions, report })
}

type Asked = (String, String, Outline, usize);

/// Mends every file, and decides which file a module is taken from.
fn take_in(files: impl IntoIterator<Item = Given>, report: &mut Report) -> (Shelf, Vec<Asked>) {
    let mut shelf = Shelf::default();
    let mut asked: Vec<Asked> = Vec::new();
    for Given { file, bytes } in files {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(problem) => {
                report.add(failed(file, "", problem));
                continue;
            }
        };
        report.files += 1;
        let text = text::repair(&bytes);
        let outline = text::outline(&text);
        if let Some(line) = outline.bomb {
            let cause = "brackets are nested too deep for a MIB".to_owned();
            report.add(failed(file, "", problem(line, cause, "take the file away: it is no MIB")));
            continue;
        }
        if outline.modules.is_empty() {
            let cause = "no module begins here (NAME DEFINITIONS ::= BEGIN)".to_owned();
            report.add(failed(
                file,
                "",
                problem(
                    1,
                    cause,
                    "take the file away, or get the MIB anew: this is another kind of file",
                ),
            ));
            continue;
        }
        let at = shelf.files.len();
        for header in &outline.modules {
            if let Some(first) = shelf.modules.get(&header.name).and_then(|at| shelf.files.get(*at))
            {
                let cause =
                    format!("{} has the module {} already and is used", first.file, header.name);
                let fix = "take one of the two away".to_owned();
                let mut entry =
                    failed(file.clone(), &header.name, Problem { line: header.line, cause, fix });
                entry.state = State::Duplicate;
                report.add(entry);
                continue;
            }
            shelf.modules.insert(header.name.clone(), at);
            asked.push((header.name.clone(), file.clone(), outline.clone(), header.line));
        }
        shelf.files.push(Mended { file, text: Arc::from(text::slim(&text).into_bytes()) });
    }
    (shelf, asked)
}

fn problem(line: usize, cause: String, fix: &str) -> Problem {
    Problem { line, cause, fix: fix.to_owned() }
}

fn failed(file: String, module: &str, problem: Problem) -> Entry {
    Entry {
        file,
        module: module.to_owned(),
        state: State::Failed,
        names: 0,
        placeless: false,
        problems: vec![problem],
        more: 0,
    }
}

/// What the library found wrong with one module.
#[derive(Default)]
struct Wrong {
    problems: Vec<Problem>,
    /// Imports that a module which is there does not have.
    unmet: Vec<Problem>,
    /// Modules that are in no file: the line, and what is wanted of them.
    absent: BTreeMap<String, (usize, Vec<String>)>,
    /// Definitions without a place, and the line of the first.
    orphans: usize,
    orphan: Option<(usize, String)>,
    /// Types that nobody defines.
    types: BTreeMap<String, usize>,
}

/// What of the library's findings keeps names or types away, by module.
fn problems<'m>(mib: &'m Mib, own: &BTreeSet<&str>) -> HashMap<&'m str, Wrong> {
    let report = mib.diagnostic_report();
    let mut all: HashMap<String, Wrong> = HashMap::new();
    for entry in report.iter() {
        let found = entry.diagnostic();
        let Some(module) = found.module.as_deref().filter(|module| own.contains(module)) else {
            continue;
        };
        let position = entry.byte_positions().ok().flatten();
        let line = position
            .map_or(0, |(start, _)| usize::try_from(u64::from(start.line())).unwrap_or(0) + 1);
        let wrong = all.entry(module.to_owned()).or_default();
        let message = found.message.clone();
        match found.code {
            DiagCode::ImportModuleNotFound => {
                // `... "symbol" from "MODULE" ...`
                let module =
                    quoted(&message, 1).or_else(|| quoted(&message, 0)).unwrap_or_default();
                let first = wrong.absent.entry(module.to_owned()).or_insert((line, Vec::new()));
                first.0 = line.min(first.0);
                first.1.extend(quoted(&message, 0).map(str::to_owned));
            }
            DiagCode::ImportNotFound => {
                let fix =
                    "add the edition of that module which defines it, and take the older one away";
                wrong.unmet.push(problem(line, message, fix));
            }
            DiagCode::ParseError | DiagCode::UnexpectedCharacter => {
                let fix = "mend this line, or get the file anew from its vendor";
                wrong.problems.push(problem(line, message, fix));
            }
            DiagCode::OidOrphan | DiagCode::OidRecursive => {
                wrong.orphans += 1;
                if wrong.orphan.as_ref().is_none_or(|first| line < first.0) {
                    wrong.orphan = Some((line, message));
                }
            }
            DiagCode::TypeUnknown => {
                let first = wrong.types.entry(message).or_insert(line);
                *first = line.min(*first);
            }
            _ => {}
        }
    }
    let named =
        mib.modules().filter_map(|module| Some((module.name(), all.remove(module.name())?)));
    named.collect()
}

/// A name in quotes in a message, the first at 0.
fn quoted(message: &str, at: usize) -> Option<&str> {
    message.split('"').nth(at * 2 + 1).filter(|name| !name.is_empty())
}

fn entry(
    mib: &Mib,
    module: &str,
    file: &str,
    outline: &Outline,
    line: usize,
    found: Wrong,
) -> Entry {
    let Wrong { mut problems, unmet, absent, orphans, orphan, types } = found;
    if let Some((line, message)) = orphan {
        let cause =
            format!("{orphans} definitions have no place in the tree; the first: {message}");
        let fix = "add what the imports above miss; without such a line the file is not whole";
        problems.push(problem(line, cause, fix));
    }
    for (message, line) in types {
        let cause = format!("{message}: its values are shown as they come");
        problems.push(problem(line, cause, "add the module that defines the type, and import it"));
    }
    let last = outline.modules.last().is_some_and(|header| header.name == module);
    if outline.unfinished && last {
        let cause = "the module has no END: the file may be cut off".to_owned();
        problems.push(problem(line, cause, "get the file anew"));
    }
    let loaded = mib.module(module);
    let names = loaded.map_or(0, |module| module.nodes().count());
    let things = loaded.map_or(0, |module| module.types().count()) + names;
    if loaded.is_none() {
        let cause = "the module could not be read".to_owned();
        problems.push(problem(line, cause, "mend this line, or get the file anew from its vendor"));
    }
    // What is missing and missed by nothing (well-known names are known without) is no fault.
    if !problems.is_empty() {
        problems.extend(unmet);
        problems.extend(absent.into_iter().map(|(module, (line, names))| Problem {
            line,
            cause: format!("imports {} from {module}, which is in no file", names.join(", ")),
            fix: format!("add the file that has the module {module}"),
        }));
    }
    problems.sort_by_key(|problem| problem.line);
    let state = match (problems.is_empty(), things) {
        (true, _) => State::Loaded,
        (false, 0) => State::Failed,
        (false, _) => State::Partial,
    };
    let more = problems.len().saturating_sub(PROBLEMS_MAX);
    problems.truncate(PROBLEMS_MAX);
    let placeless = orphans > 0 || loaded.is_none();
    Entry {
        file: file.to_owned(),
        module: module.to_owned(),
        state,
        names,
        placeless,
        problems,
        more,
    }
}

/// Everything that has a name, in order of the OIDs.
fn definitions(mib: &Mib) -> Vec<Definition> {
    let named = mib.root_node().subtree().filter(|node| !node.name().is_empty());
    named.take(DEFINITIONS_MAX).map(definition).collect()
}

fn definition(node: Node<'_>) -> Definition {
    let mut made = Definition {
        oid: node.oid().to_vec(),
        name: cut(node.name()),
        module: node.module().map(|module| cut(module.name())).unwrap_or_default(),
        ..Definition::default()
    };
    if node.notification().is_some() {
        made.kind = Kind::Trap;
        return made;
    }
    let Some(object) = node.object() else { return made };
    made.kind = match object.kind() {
        MibKind::Scalar => Kind::Scalar,
        MibKind::Column => Kind::Column,
        MibKind::Row => Kind::Row,
        _ => Kind::Node,
    };
    if made.kind == Kind::Row {
        made.index = object.effective_indexes().map(index_part).collect();
        return made;
    }
    if made.kind == Kind::Node {
        return made;
    }
    made.base = base(object.ty());
    made.hint = cut(object.effective_display_hint());
    made.fixed = fixed(object);
    made.convention = convention(object.ty());
    let words =
        if made.base == Base::Bits { object.effective_bits() } else { object.effective_enums() };
    made.labels = words.iter().map(|word| (word.value, cut(&word.label))).collect();
    made
}

fn index_part(part: mib_rs::Index<'_>) -> IndexPart {
    let object = part.object();
    let base = match part.encoding() {
        IndexEncoding::Integer => Base::Integer,
        IndexEncoding::IpAddress => Base::Address,
        IndexEncoding::FixedString => Base::Octets,
        IndexEncoding::LengthPrefixed | IndexEncoding::Implied => match base(part.ty()) {
            Base::Oid => Base::Oid,
            _ => Base::Octets,
        },
        IndexEncoding::Unknown => Base::Any,
    };
    IndexPart {
        oid: object.and_then(|o| o.node()).map(|node| node.oid().to_vec()).unwrap_or_default(),
        base,
        fixed: match part.encoding() {
            IndexEncoding::FixedString => u16::try_from(part.fixed_size().0).unwrap_or(0),
            _ => 0,
        },
        implied: part.implied(),
    }
}

fn base(of: Option<Type<'_>>) -> Base {
    match of.map(Type::effective_base) {
        Some(
            BaseType::Integer32
            | BaseType::Unsigned32
            | BaseType::Counter32
            | BaseType::Counter64
            | BaseType::Gauge32
            | BaseType::TimeTicks
            | BaseType::Integer64
            | BaseType::Unsigned64,
        ) => Base::Integer,
        Some(BaseType::IpAddress) => Base::Address,
        Some(BaseType::OctetString) => Base::Octets,
        Some(BaseType::ObjectIdentifier) => Base::Oid,
        Some(BaseType::Bits) => Base::Bits,
        Some(BaseType::Opaque | BaseType::Sequence | BaseType::Unknown) | None => Base::Any,
    }
}

fn fixed(object: Object<'_>) -> u16 {
    match object.effective_sizes() {
        [only] if only.min == only.max => {
            only.min.as_u64().and_then(|size| u16::try_from(size).ok()).unwrap_or(0)
        }
        _ => 0,
    }
}

fn convention(mut of: Option<Type<'_>>) -> Convention {
    for _ in 0..TYPE_DEPTH_MAX {
        let Some(now) = of else { break };
        match now.name() {
            "InetAddressType" => return Convention::InetType,
            "InetAddress" => return Convention::InetAddress,
            "DateAndTime" => return Convention::Date,
            _ => of = now.parent(),
        }
    }
    Convention::None
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(NAME_MAX)).unwrap_or("").to_owned()
}
