//! A document as its blocks: what is run, what is parsed, what is shown.

use std::collections::BTreeMap;
use std::time::Duration;

/// Languages of blocks that a reader would paste into a shell.
const SHELLS: [&str; 7] = ["bash", "sh", "shell", "console", "shell-session", "zsh", "terminal"];
/// Languages of blocks that show and are never pasted.
const SHOWN: [&str; 3] = ["text", "mermaid", "markdown"];

/// How long a block may take when it does not say.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A block that is run as printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) id: String,
    /// Begin anew in this state; none: go on where the block before ended.
    pub(crate) state: Option<String>,
    pub(crate) exit: i32,
    pub(crate) timeout: Duration,
    /// Repeat until it ends and shows as printed, at most so long.
    pub(crate) retry: Option<Duration>,
    /// Leave it running until the state ends.
    pub(crate) background: bool,
    /// A port of loopback that a background block opens when it is ready.
    pub(crate) ready: Option<u16>,
    /// Programs without which the block is skipped by name.
    pub(crate) needs: Vec<String>,
    /// Says that there is nothing to show.
    pub(crate) expects_none: bool,
    /// Run it on a terminal, where tables are drawn for people.
    pub(crate) terminal: bool,
    /// Destroys something: a warning must stand above it.
    pub(crate) destructive: bool,
}

/// How an output block is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matching {
    /// Line for line.
    Same,
    /// Each line stands somewhere in the output, in this order.
    Contains,
    /// Line for line; `...` stands for anything, a line of it for any lines.
    Elided,
    /// Each line is a regular expression that a whole line of the output meets, in this order.
    Regex,
}

/// What a block is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Run(Box<Run>),
    /// What the block `of` prints.
    Output {
        of: String,
        matching: Matching,
    },
    /// Parsed as `kind`; written to `file` of the sandbox when the reader is told to save it there.
    Static {
        kind: String,
        file: Option<String>,
    },
    /// Cannot be run here, and why.
    External {
        reason: String,
    },
    /// Shown only.
    Shown,
}

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Where the fence opens.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// All blocks of a document; what is wrong with their tags, as `line: fault`.
pub(crate) fn blocks(text: &str) -> Result<Vec<Block>, Vec<String>> {
    let (mut blocks, mut faults) = (Vec::new(), Vec::new());
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let start = line.trim_start();
        if !start.starts_with("```") {
            continue;
        }
        let indent = line.len() - start.len();
        let fence: String = start.chars().take_while(|c| *c == '`').collect();
        let info = &start[fence.len()..];
        let mut body = String::new();
        for (_, inside) in lines.by_ref() {
            if inside.trim() == fence {
                break;
            }
            let spaces = inside.len() - inside.trim_start().len();
            body.push_str(&inside[spaces.min(indent)..]);
            body.push('\n');
        }
        match kind(info) {
            Ok(kind) => blocks.push(Block { line: at + 1, kind, text: body }),
            Err(fault) => faults.push(format!("{}: {fault}", at + 1)),
        }
    }
    if faults.is_empty() { Ok(blocks) } else { Err(faults) }
}

/// The kind that an info string gives.
fn kind(info: &str) -> Result<Kind, String> {
    let mut words = words(info)?.into_iter();
    let language = words.next().map(|(name, _)| name).unwrap_or_default();
    let mut tags: BTreeMap<String, Option<String>> = words.collect();
    let kind = if tags.contains_key("run") {
        Kind::Run(Box::new(run(&mut tags)?))
    } else if tags.remove("external").is_some() {
        Kind::External { reason: value(&mut tags, "reason")?.ok_or("say why: reason=\"...\"")? }
    } else if let Some(kind) = value(&mut tags, "static")? {
        Kind::Static { kind, file: value(&mut tags, "file")? }
    } else if let Some(of) = value(&mut tags, "out")? {
        let matching = match value(&mut tags, "match")?.as_deref() {
            None | Some("same") => Matching::Same,
            Some("contains") => Matching::Contains,
            Some("elided") => Matching::Elided,
            Some("regex") => Matching::Regex,
            Some(other) => return Err(format!("no such match: {other}")),
        };
        Kind::Output { of, matching }
    } else if SHELLS.contains(&language.as_str()) {
        return Err("a shell block without a tag: `run`, or `external reason=`".to_owned());
    } else if SHOWN.contains(&language.as_str()) {
        Kind::Shown
    } else if language.is_empty() {
        return Err("a block without a language: `text`, or what it is".to_owned());
    } else {
        return Err(format!("a {language} block without a tag: `static={language}`"));
    };
    match tags.keys().next() {
        Some(tag) => Err(format!("no such tag here: {tag}")),
        None => Ok(kind),
    }
}

fn run(tags: &mut BTreeMap<String, Option<String>>) -> Result<Run, String> {
    tags.remove("run");
    let seconds = |text: String| {
        let number = text.trim_end_matches('s').parse().map_err(|_| format!("no seconds: {text}"));
        number.map(Duration::from_secs)
    };
    let expect = value(tags, "expect")?;
    if expect.as_deref().is_some_and(|e| e != "none") {
        return Err("expect= knows only none; show the output in a block with out=".to_owned());
    }
    let exit =
        value(tags, "exit")?.map_or(Ok(0), |t| t.parse().map_err(|_| format!("no exit: {t}")));
    let ready = value(tags, "ready")?.map(|t| t.parse().map_err(|_| format!("no port: {t}")));
    Ok(Run {
        id: value(tags, "id")?.ok_or("name it: id=...")?,
        state: value(tags, "state")?,
        exit: exit?,
        timeout: value(tags, "timeout")?.map_or(Ok(TIMEOUT), seconds)?,
        retry: value(tags, "retry")?.map(seconds).transpose()?,
        background: tags.remove("background").is_some(),
        ready: ready.transpose()?,
        needs: value(tags, "needs")?
            .map(|t| t.split(',').map(ToOwned::to_owned).collect())
            .unwrap_or_default(),
        expects_none: expect.is_some(),
        terminal: tags.remove("terminal").is_some(),
        destructive: tags.remove("destructive").is_some(),
    })
}

/// Takes a tag that must have a value.
fn value(
    tags: &mut BTreeMap<String, Option<String>>,
    name: &str,
) -> Result<Option<String>, String> {
    match tags.remove(name) {
        None => Ok(None),
        Some(Some(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(format!("{name} needs a value: {name}=...")),
    }
}

/// `a b=c d="e f"` as names and values.
fn words(info: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let mut found = Vec::new();
    let mut rest = info.trim();
    while !rest.is_empty() {
        let end = rest.find([' ', '=']).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        let after = &rest[end..];
        let (text, after) = match after.strip_prefix('=') {
            None => (None, after),
            Some(quoted) if quoted.starts_with('"') => {
                let close =
                    quoted[1..].find('"').ok_or_else(|| format!("no closing quote: {info}"))?;
                (Some(quoted[1..=close].to_owned()), &quoted[close + 2..])
            }
            Some(plain) => {
                let end = plain.find(' ').unwrap_or(plain.len());
                (Some(plain[..end].to_owned()), &plain[end..])
            }
        };
        found.push((name, text));
        rest = after.trim_start();
    }
    Ok(found)
}

#[test]
fn blocks_are_read() {
    let text = "x\n```bash run id=a state=fresh exit=78 retry=5s\nmuttctl check\n```\n\n  ```text out=a match=elided\n  a\n    ...\n  ```\n```toml static=toml file=/etc/x\n```\n```bash external reason=\"needs dnf\"\ndnf\n```\n";
    let found = blocks(text).unwrap();
    assert_eq!(found.len(), 4);
    let Kind::Run(run) = &found[0].kind else { panic!("{:?}", found[0]) };
    assert_eq!((run.id.as_str(), run.state.as_deref(), run.exit), ("a", Some("fresh"), 78));
    assert_eq!(run.retry, Some(Duration::from_secs(5)));
    assert_eq!(found[0].text, "muttctl check\n");
    assert_eq!(found[1].kind, Kind::Output { of: "a".into(), matching: Matching::Elided });
    assert_eq!((found[1].line, found[1].text.as_str()), (6, "a\n  ...\n"));
    assert_eq!(found[3].kind, Kind::External { reason: "needs dnf".into() });
}

#[test]
fn a_block_without_its_tag_is_a_fault() {
    let cases = [
        ("bash", "without a tag"),
        ("sh", "without a tag"),
        ("", "without a language"),
        ("toml", "static=toml"),
        ("bash run", "id="),
        ("bash run id=a soon", "no such tag"),
        ("bash run id=a expect=some", "expect="),
        ("bash external", "say why"),
        ("text out=a match=near", "no such match"),
    ];
    for (info, expected) in cases {
        let found = blocks(&format!("```{info}\nls\n```\n")).unwrap_err().join("\n");
        assert!(found.contains(expected) && found.starts_with("1: "), "{info}: {found}");
    }
    assert_eq!(blocks("```text\nls\n```\n").unwrap().len(), 1);
}
