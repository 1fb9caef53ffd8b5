//! Documents point at what is there: links, anchors, files and names in the code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::{document_files, none, root};

/// A path in backticks is a pointer when it begins so.
const POINTER_STARTS: [&str; 9] = [
    ".ci/",
    ".config/",
    "bench/",
    "crates/",
    "docs/",
    "packaging/",
    "scripts/",
    "testdata/",
    "deploy/",
];

/// The prose lines of a document with their numbers: what is fenced is left out.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fence: Option<&str> = None;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => return Some((number + 1, line)),
            _ => {}
        }
        None
    })
}

/// The targets of `[text](target)` outside backticks.
fn links(line: &str) -> Vec<String> {
    let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    outside
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(|target| target.split(" \"").next().unwrap_or(target).to_owned())
        .collect()
}

/// What stands in backticks.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The anchors of a document, as the usual Markdown hosts make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        for name in line.split("id=\"").skip(1) {
            anchors.insert(name.split('"').next().unwrap_or_default().to_owned());
        }
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let slug: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let count = seen.entry(slug.clone()).or_default();
        anchors.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    anchors
}

/// `a/../b` as `b`, without asking the disk.
fn flat(path: &Path) -> PathBuf {
    let mut flat = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = flat.pop(),
            Component::CurDir => {}
            part => flat.push(part),
        }
    }
    flat
}

#[test]
fn links_lead_somewhere() {
    let root = root();
    let mut faults = Vec::new();
    for file in document_files() {
        let folder = root.join(&file.path).parent().unwrap().to_path_buf();
        for (number, line) in prose(&file.text) {
            for link in links(line) {
                if link.contains("://") || link.starts_with("mailto:") {
                    continue;
                }
                let place = format!("{}:{number}", file.path);
                let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
                let target =
                    if path.is_empty() { root.join(&file.path) } else { flat(&folder.join(path)) };
                if !target.exists() {
                    faults.push(format!(
                        "{place}: nothing is at `{link}`: write it or take the link out"
                    ));
                } else if !anchor.is_empty() {
                    let text = std::fs::read_to_string(&target).unwrap_or_default();
                    if !anchors(&text).contains(anchor) {
                        faults.push(format!(
                            "{place}: `{link}` has no such heading: name one that is there"
                        ));
                    }
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn pointers_into_the_code_are_true() {
    let root = root();
    let mut faults = Vec::new();
    for file in document_files() {
        for (number, line) in prose(&file.text) {
            for span in code_spans(line) {
                let is_pointer = POINTER_STARTS.iter().any(|start| span.starts_with(start));
                if !is_pointer || span.contains([' ', '*', '<', '{', '$', '%']) {
                    continue;
                }
                if let Some(fault) = dead(&root, span) {
                    faults.push(format!("{}:{number}: {fault}", file.path));
                }
            }
        }
    }
    none(&faults);
}

/// What is wrong with a pointer: `path`, `path:line`, or `path::name` with a name that the file
/// declares.
fn dead(root: &Path, pointer: &str) -> Option<String> {
    let (path, name) = pointer.split_once("::").unwrap_or((pointer, ""));
    let path = path.split(':').next().unwrap_or(path).trim_end_matches(['.', ',']);
    let target = root.join(path);
    if !target.exists() {
        return Some(format!("`{pointer}` is not there: point at where it went, or take it out"));
    }
    if name.is_empty() {
        return None;
    }
    let text = std::fs::read_to_string(&target).unwrap_or_default();
    let name = name.rsplit("::").next().unwrap_or(name).trim_end_matches("()");
    let is_declared =
        ["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "macro_rules!"]
            .iter()
            .flat_map(|kind| {
                text.match_indices(&format!("{kind} {name}"))
                    .map(|(at, m)| at + m.len())
                    .collect::<Vec<_>>()
            })
            .any(|end| !text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_'));
    (!is_declared).then(|| format!("`{path}` declares no `{name}`: point at where it went"))
}

/// The architecture is read whole by everybody who begins.
const ARCHITECTURE_LINES_MAX: usize = 300;

#[test]
fn the_architecture_stays_readable_at_once() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let lines = text.lines().count();
    assert!(
        lines <= ARCHITECTURE_LINES_MAX,
        "ARCHITECTURE.md has {lines} lines (limit {ARCHITECTURE_LINES_MAX}): move what explains one decision to docs/adr"
    );
}

#[test]
fn every_decision_stands_in_the_index() {
    let index = std::fs::read_to_string(root().join("docs/adr/README.md")).unwrap();
    let mut faults = Vec::new();
    for file in super::files("docs/adr", |name| name != "README.md") {
        let name = file.path.rsplit('/').next().unwrap();
        let number = &name[..4];
        let title = file.text.lines().next().unwrap_or_default();
        let Some(title) = title.strip_prefix(&format!("# ADR {number}: ")) else {
            faults.push(format!("{}: begin with `# ADR {number}: ` and the decision", file.path));
            continue;
        };
        let row = format!("| [{number}]({name}) | {title} |");
        if !index.contains(&row) {
            faults.push(format!("docs/adr/README.md: add `{row} ... |`"));
        }
    }
    none(&faults);
}

#[test]
fn the_reading_of_documents() {
    let text = "# A b: `c`\n\n## A b c\n```\n# no\n[x](y)\n```\n## A b c\n";
    let expected: Vec<&str> = vec!["a-b-c", "a-b-c-1", "a-b-c-2"];
    assert_eq!(anchors(text).into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(links("see [a](b.md#c) and `[x](y)`, [d](e)"), ["b.md#c", "e"]);
    assert_eq!(code_spans("a `b` c `d`").collect::<Vec<_>>(), ["b", "d"]);
    assert_eq!(prose(text).filter(|(_, line)| line.starts_with('[')).count(), 0);
    let root = root();
    assert_eq!(dead(&root, "crates/mutt-model/src/id.rs::Id"), None);
    assert!(dead(&root, "crates/mutt-model/src/id.rs::Idle").is_some());
    assert!(dead(&root, "crates/mutt-model/src/nothing.rs").is_some());
}

/// Words of the shell behind which another command begins.
const ENDS: [&str; 6] = ["|", "&&", ";", ">", "<", "#"];

/// What is wrong with a command of ours as a document names it; it may lack its operands.
fn misnamed(command: &clap::Command, words: &str) -> Option<String> {
    let mut at = command;
    for word in words.split_whitespace().skip(1).take_while(|word| !ENDS.contains(word)) {
        if let Some(flag) = word.strip_prefix("--") {
            let name = flag.split(['=', '.', ',']).next().unwrap_or_default();
            let known = |arg: &clap::Arg| arg.get_long() == Some(name);
            if !at.get_arguments().any(known) {
                return Some(format!("`{words}`: {} has no --{name}", at.get_name()));
            }
        } else if at.has_subcommands() && word.starts_with(|c: char| c.is_ascii_lowercase()) {
            match at.find_subcommand(word.trim_end_matches([',', '.'])) {
                Some(sub) => at = sub,
                None => return Some(format!("`{words}`: {} has no {word}", at.get_name())),
            }
        }
    }
    None
}

#[test]
fn commands_that_documents_and_packages_name_exist() {
    let mut command = mutt::cli::command();
    command.build();
    for wrong in ["muttctl config keys", "muttctl nothing", "muttctl ledger --no-such"] {
        assert!(misnamed(&command, wrong).is_some(), "{wrong}");
    }
    let mut faults = Vec::new();
    for file in document_files().into_iter().chain(super::files("packaging", |_| true)) {
        for (number, line) in prose(&file.text) {
            let named = code_spans(line).filter(|code| code.starts_with("muttctl "));
            let wrong = named.filter_map(|words| misnamed(&command, words));
            faults.extend(wrong.map(|fault| format!("{}:{number}: {fault}", file.path)));
        }
    }
    none(&faults);
}
