//! The house rules that no compiler holds: edges between crates, sizes, words that must not stand,
//! documents that point at what is there. Each fault says what to do about it.

mod dependencies;
mod documents;
mod edges;
mod matrix;
mod registries;
mod sizes;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders that hold nothing of ours, or nothing that is read as text.
const NOT_OURS: [&str; 5] = ["target", ".git", "mutt-data", "node_modules", "testdata"];

/// The root of the workspace.
fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// A text file of the project.
struct File {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

/// All text files under `folder` whose name `wanted` accepts, in the order of their paths.
fn files(folder: &str, wanted: impl Fn(&str) -> bool) -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !NOT_OURS.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if wanted(&name)
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                let path = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                found.push(File { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The sources of the system tests, one after the other.
pub(crate) fn test_sources() -> String {
    let files = rust_files().into_iter().filter(|file| file.path.contains("/tests/it/"));
    files.map(|file| file.text).collect()
}

/// All Rust files of the workspace.
fn rust_files() -> Vec<File> {
    files("crates", |name| has_extension(name, "rs"))
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|e| e == extension)
}

/// The documents whose links and pointers must be true.
fn document_files() -> Vec<File> {
    let root = root();
    let mut found = files("docs", |name| has_extension(name, "md"));
    for name in ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "STYLE.md"] {
        if let Ok(text) = std::fs::read_to_string(root.join(name)) {
            found.push(File { path: name.to_owned(), text });
        }
    }
    found
}

/// A parsed Cargo.toml.
fn manifest(path: &str) -> toml::Table {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    text.parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of the crates, as their folders are called.
fn crates() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("crates")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What `cargo tree` compiles for Linux, one `name vVERSION` each, without repeats.
fn compiled(arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(root())
        .args(["tree", "--frozen", "--prefix", "none", "--format", "{p}"])
        .args(["--edges", "normal,build", "--target", "x86_64-unknown-linux-gnu"])
        .args(arguments);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "cargo tree failed; when Cargo.lock is behind, run `cargo check` once and commit it:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let mut packages: Vec<String> = text
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .filter(|package| !package.is_empty())
        .collect();
    packages.sort();
    packages.dedup();
    packages
}

/// Fails with all faults at once.
#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n  {}", faults.len(), faults.join("\n  "));
}
