//! The generated references are what the registries say, and every code has been provoked.

use std::path::PathBuf;

use mutt::reference::{pages, undated};
use mutt_model::codes;

use crate::provoked::folder;

fn documents() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations/reference")
}

#[test]
fn the_committed_references_are_what_the_registries_say() {
    for page in pages(&folder(), "2026-11-23") {
        let committed = std::fs::read_to_string(documents().join(page.file)).unwrap_or_default();
        let (old, new) = (undated(&committed), undated(&page.text));
        let line = old.lines().zip(new.lines()).position(|(old, new)| old != new);
        assert!(
            old == new,
            "docs/operations/reference/{} is not what the registries say (line {:?}); run scripts/gen-reference",
            page.file,
            line.map(|line| line + 1)
        );
    }
}

#[test]
fn every_reference_is_generated_and_stands_in_the_list_of_documents() {
    let list = std::fs::read_to_string(documents().join("../README.md")).unwrap();
    let files: Vec<&str> = pages(&folder(), "2026-11-23").iter().map(|page| page.file).collect();
    for file in &files {
        assert!(
            list.contains(&format!("](reference/{file})")),
            "docs/operations/README.md: {file}"
        );
    }
    for file in std::fs::read_dir(documents()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(files.contains(&name.as_str()), "{name} is not generated any more");
    }
}

#[test]
fn every_code_is_provoked_by_a_test() {
    let tests = crate::tidy::test_sources();
    let kept = |id: &str| folder().join(format!("{id}.txt")).is_file();
    let missing: Vec<&str> = codes::all()
        .map(|code| code.id)
        .filter(|id| !kept(id) || !tests.contains(&format!("\"{id}\"")))
        .collect();
    assert!(
        missing.is_empty(),
        "{missing:?}: provoke the code in a test: crate::provoked::provoked(CODE, seen)"
    );
    for file in std::fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(codes::find(name.trim_end_matches(".txt")).is_some(), "{name}: the code is gone");
    }
}

#[test]
fn commands_named_on_code_pages_are_understood() {
    for code in codes::all() {
        let lines = code.check.iter().chain(code.fix);
        for line in lines.filter(|line| line.starts_with("muttctl ") && !line.contains(": ")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Err(wrong) = mutt::cli::command().try_get_matches_from(&words) else { continue };
            assert!(!wrong.use_stderr(), "{}: `{line}`: {wrong}", code.id);
        }
    }
}
