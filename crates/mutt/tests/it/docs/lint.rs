//! The rules that a document keeps, whether or not its blocks can be run here.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use mutt_model::{codes, metrics};
use regex::Regex;

use super::parse::{Block, Kind};

/// Longer documents are cut by the search that answers from them.
const CHARACTERS_MAX: usize = 36_000;
/// A block of more commands is a `muttctl` verb that is missing.
const COMMANDS_MAX: usize = 6;
/// Commands between pipes.
const PIPE_STAGES_MAX: usize = 3;
/// How near a warning stands above what it warns of, in lines.
const WARNING_NEAR: usize = 8;
/// The fields of the header, in order.
const HEADER: [&str; 6] =
    ["Version", "Last Updated", "Maintained By", "Audience", "Prerequisites", "Related Docs"];
/// Commands that need a real host of the field.
const EXTERNAL: &[&str] = &[
    "scripts/test",
    "cd",
    "dnf",
    "firewall-cmd",
    "git",
    "journalctl",
    "restorecon",
    "rustup",
    "semanage",
    "semodule",
    "sysctl",
    "systemctl",
    "systemd-run",
    "ausearch",
    "chronyc",
    "timedatectl",
    "cargo",
];
/// What nobody wants to read at night.
const WORDS: &str =
    r"(?i)\b(simply|just|easy|easily|obviously|coming soon|TODO|should be fine|please note)\b";
/// What a reader would have to replace before it works.
const PLACEHOLDERS: &str = r"<[A-Za-z][A-Za-z _-]*>|YOUR_|/path/to|example\.(com|org|net)|CHANGEME";
/// What ruins a machine or hides a fault.
const DANGERS: &str =
    r"chmod (-R )?777|setenforce 0|curl [^|]*(-k\b|--insecure)|\|\| true|kill -9|sudo -E";

/// What is wrong with a document, each with its line.
pub(crate) fn lint(name: &str, text: &str, blocks: &[Block]) -> Vec<String> {
    let mut faults = Vec::new();
    if text.chars().count() > CHARACTERS_MAX {
        faults.push(format!("{name}: longer than {CHARACTERS_MAX} characters: split it"));
    }
    if name.starts_with("docs/") {
        header(text).into_iter().for_each(|fault| faults.push(format!("{name}: {fault}")));
    }
    super::plan::unplanned(name, text)
        .into_iter()
        .for_each(|fault| faults.push(format!("{name}: {fault}")));
    pairs(blocks).into_iter().for_each(|fault| faults.push(format!("{name}:{fault}")));
    for block in blocks {
        let found = match &block.kind {
            Kind::Run(run) => {
                let mut found = commands(&block.text);
                let above = text.lines().skip(block.line.saturating_sub(WARNING_NEAR + 1));
                let warned = above.take(WARNING_NEAR).any(|line| line.contains("**WARNING:**"));
                if run.destructive && !warned {
                    found.push("destructive without a **WARNING:** directly above".to_owned());
                }
                found
            }
            Kind::External { .. } => external(&block.text),
            _ => Vec::new(),
        };
        found.into_iter().for_each(|fault| faults.push(format!("{name}:{}: {fault}", block.line)));
    }
    // A generated page names what the registries name, also what is gone.
    let names = !name.contains("/reference/");
    prose(text, names).into_iter().for_each(|fault| faults.push(format!("{name}:{fault}")));
    faults
}

/// Every run block shows its output, or says that it has none; every output has its block.
fn pairs(blocks: &[Block]) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut ids, mut shown, mut later) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for block in blocks {
        let fresh = match &block.kind {
            Kind::Run(run) => {
                if run.background {
                    later.insert(run.id.as_str());
                }
                ids.insert(run.id.as_str())
            }
            // What runs in the background prints on and on.
            Kind::Output { of, .. } => shown.insert(of.as_str()) || later.contains(of.as_str()),
            _ => true,
        };
        if !fresh {
            faults.push(format!("{}: its id is taken", block.line));
        }
    }
    for block in blocks {
        match &block.kind {
            Kind::Run(run) if run.expects_none == shown.contains(run.id.as_str()) => {
                let id = &run.id;
                faults.push(format!(
                    "{}: show what {id} prints in a block with out={id}, or say expect=none",
                    block.line
                ));
            }
            Kind::Output { of, .. } if !ids.contains(of.as_str()) => {
                faults.push(format!("{}: no block has the id {of}", block.line));
            }
            _ => {}
        }
    }
    faults
}

/// The lines of a block that begin a command: no comments, no here-documents, no continuations.
fn command_lines(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    let mut goes_on = false;
    while let Some(line) = lines.next() {
        let begins = !goes_on;
        goes_on = line.ends_with('\\');
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        if begins {
            found.push(line.trim());
        }
        if let Some((_, end)) = line.split_once("<<") {
            let end = end.trim_start_matches('-').trim().trim_matches(['\'', '"']).to_owned();
            lines.by_ref().find(|line| line.trim() == end);
        }
    }
    found
}

fn commands(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = command_lines(text);
    if lines.len() > COMMANDS_MAX {
        faults.push(format!("more than {COMMANDS_MAX} commands: split it"));
    }
    for line in lines {
        if line.starts_with("for ") || line.starts_with("while ") || line.starts_with("$ ") {
            faults.push(format!("no loops and no prompts: {line}"));
        }
        if line.split(" | ").count() > PIPE_STAGES_MAX {
            faults.push(format!("more than {PIPE_STAGES_MAX} commands in a pipe: {line}"));
        }
    }
    for (pattern, why) in [(PLACEHOLDERS, "a placeholder"), (DANGERS, "not in a document")] {
        let found = Regex::new(pattern).unwrap().find(text).map(|found| found.as_str().to_owned());
        faults.extend(found.map(|found| format!("{why}: {found}")));
    }
    faults
}

fn external(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for line in command_lines(text) {
        let line = line.strip_prefix("sudo ").unwrap_or(line);
        let verb = line.split_whitespace().next().unwrap_or_default();
        if !EXTERNAL.contains(&verb) {
            faults.push(format!("`{verb}` can be run here: tag it run (or add it to EXTERNAL)"));
        }
    }
    faults
}

fn header(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut lines = text.lines().skip(1).filter(|line| !line.is_empty());
    let mut fields = Vec::new();
    for name in HEADER {
        let line = lines.next().unwrap_or_default();
        match line.strip_prefix(&format!("**{name}:** ")) {
            Some(value) if !value.trim().is_empty() => fields.push(value.trim()),
            _ => faults.push(format!("the header lacks **{name}:** in its place: {line:?}")),
        }
    }
    if !text.starts_with("# ") || lines.next() != Some("---") {
        faults.push("begin with `# Title`, the header, and `---`".to_owned());
    }
    if let [version, date, by, ..] = fields[..] {
        if version != env!("CARGO_PKG_VERSION") {
            faults.push(format!("Version {version} is not that of the workspace"));
        }
        if !Regex::new(r"^20\d\d-[01]\d-[0-3]\d$").unwrap().is_match(date) {
            faults.push(format!("Last Updated is no date (YYYY-MM-DD): {date}"));
        }
        if by != "Operations Team" {
            faults.push(format!("Maintained By is the Operations Team: {by}"));
        }
    }
    faults
}

/// Words, headings and codes.
fn prose(text: &str, names: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let words = Regex::new(WORDS).unwrap();
    let code = Regex::new(r"MUTT-[A-Z]\d{3}\b").unwrap();
    let metric = Regex::new(r"\bmutt_[a-z_]+\b").unwrap();
    let (mut headings, mut fenced) = (BTreeSet::new(), false);
    for (at, line) in text.lines().enumerate() {
        let at = at + 1;
        for found in code.find_iter(line).filter(|found| codes::find(found.as_str()).is_none()) {
            faults.push(format!("{at}: no such code: {}", found.as_str()));
        }
        for found in metric.find_iter(line).filter(|found| names && !is_metric(found.as_str())) {
            faults.push(format!("{at}: no such metric: {}", found.as_str()));
        }
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let found =
                words.find(line).map(|found| format!("{at}: not this word: {}", found.as_str()));
            faults.extend(found);
            if line.starts_with('#') && !headings.insert(line.trim_start_matches('#').trim()) {
                faults.push(format!("{at}: a heading of this name stands above: {line}"));
            }
        }
    }
    faults
}

/// Declared, as it stands or with what the exposition format adds to its name.
fn is_metric(name: &str) -> bool {
    // Crates, and the role that owns the tables on PostgreSQL.
    const OTHERS: [&str; 7] = [
        "mutt_model",
        "mutt_wire",
        "mutt_rules",
        "mutt_store",
        "mutt_notify",
        "mutt_web",
        "mutt_owner",
    ];
    let bare =
        ["_total", "_sum", "_count", "_bucket"].iter().find_map(|end| name.strip_suffix(end));
    OTHERS.contains(&name)
        || metrics::ALL.iter().any(|metric| metric.name == name || Some(metric.name) == bare)
}

/// Shell syntax of every block that a reader may paste, also of those that are not run.
pub(crate) fn syntax(name: &str, blocks: &[Block]) -> Vec<String> {
    let pasted = |kind: &Kind| matches!(kind, Kind::Run(_) | Kind::External { .. });
    let wrong = blocks.iter().filter(|block| pasted(&block.kind)).filter_map(|block| {
        let checked = Command::new("bash").args(["-n", "-c", &block.text]).output().unwrap();
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        (!checked.status.success()).then(|| format!("{name}:{}: {said}", block.line))
    });
    wrong.collect()
}

/// The documents of a folder that the rules hold for; README.md is with those of operations.
pub(crate) fn documents(root: &Path, folder: &str) -> Vec<String> {
    let mut found: Vec<String> = std::fs::read_dir(root.join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    found.extend((folder == "docs/operations").then(|| "README.md".to_owned()));
    found.sort();
    found
}

#[test]
fn rules_are_kept() {
    let cases = [
        ("```bash run id=a\nls\n```", "show what a prints"),
        ("```bash run id=a expect=none\nls YOUR_HOST\n```", "a placeholder: YOUR_"),
        ("```bash run id=a expect=none\nls <host>\n```", "a placeholder: <host>"),
        ("```bash run id=a expect=none\ncat <<EOF\n<13>x\nEOF\n```", ""),
        ("```bash run id=a expect=none\nls | a | b | c\n```", "in a pipe"),
        ("```bash run id=a expect=none\nfor x in 1; do ls; done\n```", "no loops"),
        ("```bash run id=a expect=none\n1\n2\n3\n4\n5\n6\n7\n```", "more than 6"),
        ("```bash run id=a expect=none\n1 \\\n2 \\\n3 \\\n4 \\\n5 \\\n6 \\\n7\n```", ""),
        ("```bash run id=a expect=none destructive\nls\n```", "WARNING"),
        ("> **WARNING:** x\n\n```bash run id=a expect=none destructive\nls\n```", ""),
        ("```bash external reason=x\nls\n```", "`ls` can be run here"),
        ("```bash external reason=x\nsudo dnf install x\n```", ""),
        ("```text out=a\n```", "no block has the id a"),
        ("You simply do it", "not this word: simply"),
        ("MUTT-Z999", "no such code"),
        ("mutt_nothing_total", "no such metric"),
        ("mutt_queue_oldest_seconds, mutt_ingest_kernel_drops_total", ""),
        ("# A\n# A", "a heading of this name"),
    ];
    for (text, expected) in cases {
        let blocks = super::parse::blocks(text).unwrap();
        let found = lint("README.md", text, &blocks).join("\n");
        assert!(
            found.contains(expected) && found.is_empty() == expected.is_empty(),
            "{text}: {found}"
        );
    }
    let found = lint("docs/x.md", "# T\n\n**Version:** 0.1\n", &[]).join("\n");
    assert!(found.contains("lacks **Last Updated:**"), "{found}");
    let found =
        lint("docs/operations/UPGRADE_MIGRATION.md", "## Upgrade planning\n", &[]).join("\n");
    assert!(found.contains("a section \"Rollback procedures\""), "{found}");
    assert!(!found.contains("\"Upgrade planning\""), "{found}");
}
