//! `muttctl mib`: what of a folder's MIBs loads and why the rest does not, what an OID is called, and
//! the uploads of a running MUTT.

use std::path::{Path, PathBuf};

use mutt_model::{codes, oid};
use mutt_wire::snmp::names::{Kind, Names};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, block_on, body};
use super::args::{MibArgs, MibVerb, Target};
use super::failure::Failure;
use super::objects::reason;
use super::output::{self, Column, Mark};
use crate::mibs::compile::{self, Compiled};
use crate::mibs::report::{Entry, Report, State};
use crate::mibs::{apart, files, live, table};

const UPLOADS: &[Column] = &[
    ("NAME", "/name"),
    ("BYTES", "/bytes"),
    ("AT", "/at"),
    ("WHO", "/who"),
    ("MODULES", "/modules"),
];

/// Does what the verb says.
pub(super) fn run(args: &MibArgs) -> Result<(), Failure> {
    let target = &args.target;
    match &args.verb {
        MibVerb::Check { dirs } => check(dirs, target.json),
        MibVerb::Resolve { what, dirs } => resolve(what, dirs, target.json),
        MibVerb::List => list(target),
        MibVerb::Upload { file, name, reason: why } => {
            let name =
                name.clone().or_else(|| Some(file.file_name()?.to_string_lossy().into_owned()));
            let name = name.ok_or_else(|| Failure::usage("name a file"))?;
            upload(target, file, &name, why.reason.as_deref())
        }
        MibVerb::Delete { name, reason: why } => {
            let done =
                format!("{name} is deleted; its names are gone in every Ingestor within seconds");
            super::objects::act(
                target,
                Method::DELETE,
                &["mibs", name],
                &body([reason(why)]),
                &done,
            )
            .map(drop)
        }
        MibVerb::Compile { out, aside, first, dirs } => compile_here(out, aside, *first, dirs),
    }
}

/// The folders that are named, or those of a program that was started here.
fn folders(dirs: &[PathBuf]) -> Vec<PathBuf> {
    if !dirs.is_empty() {
        return dirs.to_vec();
    }
    let data_dir = ["mutt-data", "/var/lib/mutt"].map(PathBuf::from);
    let data_dir = data_dir.into_iter().find(|dir| dir.is_dir()).unwrap_or_default();
    let mut folders = vec![data_dir.join(live::UPLOADED)];
    folders.extend(live::folders(&data_dir, &[]));
    folders
}

fn compiled(dirs: &[PathBuf]) -> Result<Compiled, Failure> {
    for dir in dirs {
        if !dir.exists() {
            return Err(Failure::usage(format!("{}: no such file or folder", dir.display())));
        }
    }
    let given = !dirs.is_empty();
    let dirs = folders(dirs);
    if !given {
        // Another data_dir or ingestor.snmp.mib_dirs is not known here.
        let looked: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        output::note(&format!("looking in {}", looked.join(", ")));
    }
    let failed = |why: String| Failure::new(&codes::INGEST_MIBS, why);
    let place = scratch().map_err(|why| failed(why.to_string()))?;
    let out = place.join(live::COMPILED);
    let made = apart::compile_and_wait(&out, &dirs).map_err(|fault| fault.to_string());
    let digest = files::digest(&files::list(&dirs));
    let read = made.map(|()| table::read(&out, &digest));
    // A folder that stays costs nothing but its place.
    let _ = std::fs::remove_dir_all(&place);
    read.map_err(failed)?
        .ok_or_else(|| failed("the files were changed meanwhile: try again".to_owned()))
}

/// A folder of this process's own.
fn scratch() -> std::io::Result<PathBuf> {
    let name = format!("muttctl-mib-{}-{:016x}", std::process::id(), fastrand::u64(..));
    let path = std::env::temp_dir().join(name);
    let mut make = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut make, 0o700);
    make.create(&path)?;
    Ok(path)
}

fn check(dirs: &[PathBuf], json: bool) -> Result<(), Failure> {
    let report = compiled(dirs)?.report;
    if json {
        for entry in &report.entries {
            output::line(&serde_json::to_string(entry).unwrap_or_default())?;
        }
        let summary = json!({"summary": {
            "files": report.files, "loaded": report.loaded, "partial": report.partial,
            "failed": report.failed, "duplicate": report.duplicate, "names": report.names,
        }});
        output::line(&summary.to_string())?;
    } else {
        told(&report)?;
    }
    if report.has_failures() { Err(Failure::quiet(super::EXIT_FAILED)) } else { Ok(()) }
}

fn told(report: &Report) -> Result<(), Failure> {
    for entry in report.entries.iter().filter(|entry| entry.state != State::Loaded) {
        let (mark, word) = match entry.state {
            State::Partial => (Mark::Warn, "partial"),
            State::Duplicate => (Mark::Warn, "twice"),
            State::Failed | State::Loaded => (Mark::Bad, "failed"),
        };
        output::marked(mark, word, &heading(entry))?;
        for problem in &entry.problems {
            let line =
                if problem.line > 0 { format!("line {}: ", problem.line) } else { String::new() };
            output::line(&format!("    {line}{}", problem.cause))?;
            output::line(&format!("      -> {}", problem.fix))?;
        }
        if entry.more > 0 {
            output::line(&format!("    and {} more", entry.more))?;
        }
    }
    Ok(output::line(&report.summary())?)
}

fn heading(entry: &Entry) -> String {
    if entry.module.is_empty() {
        entry.file.clone()
    } else {
        format!("{} {}", entry.file, entry.module)
    }
}

/// OIDs to their names, or names to their OIDs.
fn resolve(what: &[String], dirs: &[PathBuf], json: bool) -> Result<(), Failure> {
    let names = Names::with(compiled(dirs)?.definitions);
    let mut unknown = Vec::new();
    let lines = if what == ["-"] {
        let lines: Result<Vec<String>, _> = std::io::stdin().lines().collect();
        lines.map_err(|why| Failure::usage(format!("standard input: {why}")))?
    } else {
        what.to_vec()
    };
    for what in lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()) {
        let found = resolved(&names, what);
        if found.is_empty() {
            unknown.push(what.to_owned());
        }
        for each in found {
            resolved_line(&each, json)?;
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let why = format!("in no MIB of these folders: {}", unknown.join(", "));
    Err(Failure::new(&codes::API_NOT_FOUND, why).hint("name the folder with --dir DIR"))
}

fn resolved(names: &Names, what: &str) -> Vec<Value> {
    if let Some(oid) = oid::normalise(what) {
        return described(names, &oid).into_iter().collect();
    }
    let (name, instance) = match what.find('.') {
        Some(at) => what.split_at(at),
        None => (what, ""),
    };
    let oids = names.oids_of(name).into_iter().map(|oid| oid + instance);
    oids.filter_map(|oid| described(names, &oid)).collect()
}

fn resolved_line(each: &Value, json: bool) -> std::io::Result<()> {
    if json {
        return output::line(&each.to_string());
    }
    let text = |field: &str| each.get(field).and_then(Value::as_str).unwrap_or("");
    let module = match text("module") {
        "" => String::new(),
        module => format!("{module}::"),
    };
    output::line(&format!("{} = {module}{} ({})", text("oid"), text("name"), text("kind")))
}

fn described(names: &Names, oid: &str) -> Option<Value> {
    // The other spelling of a trap only where nothing has this one.
    let exact = names.find(oid).filter(|found| found.instance(oid).is_empty());
    let found = exact.or_else(|| names.find_trap(oid)).or_else(|| names.find(oid))?;
    let name =
        if found.kind() == Kind::Trap { found.name().to_owned() } else { found.display(oid) };
    Some(json!({
        "oid": oid,
        "name": name,
        "node": found.name(),
        "instance": found.instance(oid),
        "module": found.module(),
        "kind": found.kind(),
        "hint": found.hint(),
    }))
}

fn list(target: &Target) -> Result<(), Failure> {
    let api = Api::new(target)?;
    let items = block_on(api.whole(&["mibs"]))?;
    Ok(output::items(&items, UPLOADS, target.json)?)
}

fn upload(target: &Target, file: &Path, name: &str, why: Option<&str>) -> Result<(), Failure> {
    let unreadable = |why: std::io::Error| Failure::usage(format!("{}: {why}", file.display()));
    let bytes = files::read(file).map_err(unreadable)?;
    // The store keeps text: what the file is written in is mended here.
    let text = crate::mibs::mended(&bytes);
    let payload = body([
        ("name", Some(name.into())),
        ("text", Some(text.into())),
        ("reason", why.map(Value::from)),
    ]);
    let done =
        format!("{name} is uploaded; its names are in force in every Ingestor within seconds");
    let answer = super::objects::act(target, Method::POST, &["mibs"], &payload, &done)?;
    let modules = answer["modules"].as_array().map_or(0, Vec::len);
    if modules == 0 {
        output::warning("no module begins in it (NAME DEFINITIONS ::= BEGIN): it gives no names");
    }
    Ok(())
}

/// The process that compiles, with limits of its own: what a file does to it is done to nobody else.
fn compile_here(
    out: &Path,
    aside: &[String],
    first: Option<usize>,
    dirs: &[PathBuf],
) -> Result<(), Failure> {
    let seconds = apart::TIME_MAX.as_secs();
    // A system that refuses a limit leaves the others.
    let _ = setrlimit(Resource::RLIMIT_AS, apart::MEMORY_MAX, apart::MEMORY_MAX);
    let _ = setrlimit(Resource::RLIMIT_CPU, seconds, seconds);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    // Should memory run out, this process goes first, and not its parent.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let mut listing = files::list(dirs);
    let digest = files::digest(&listing);
    for pair in aside.chunks_exact(2) {
        listing.set_aside(Path::new(&pair[0]), &pair[1]);
    }
    listing.files.truncate(first.unwrap_or(usize::MAX));
    let failed = |why: String| Failure::new(&codes::INGEST_MIBS, why);
    let compiled = compile::compile(files::given(&listing)).map_err(failed)?;
    table::write(out, &digest, &compiled).map_err(|why| failed(format!("{}: {why}", out.display())))
}
