//! Which crate may see which.

use std::collections::BTreeSet;

use super::{compiled, crates, manifest, none, root};

/// Each crate and what of ours it may name in its Cargo.toml, dev-dependencies included.
/// ARCHITECTURE.md, "Edges", has the same table.
const EDGES: &[(&str, &[&str])] = &[
    ("mutt-model", &[]),
    ("mutt-wire", &["mutt-model"]),
    ("mutt-rules", &["mutt-model"]),
    ("mutt-store", &["mutt-model"]),
    ("mutt-notify", &["mutt-model"]),
    ("mutt-web", &["mutt-model", "mutt-rules", "mutt-store"]),
    ("mutt", &["mutt-model", "mutt-notify", "mutt-rules", "mutt-store", "mutt-web", "mutt-wire"]),
];

/// Crates that are pure: no runtime comes with them, not even through others.
const PURE: [&str; 3] = ["mutt-model", "mutt-wire", "mutt-rules"];

fn table() -> Vec<(String, Vec<String>)> {
    EDGES
        .iter()
        .map(|(name, may)| ((*name).to_owned(), may.iter().map(|m| (*m).to_owned()).collect()))
        .collect()
}

#[test]
fn crates_see_only_what_the_table_allows() {
    let table = table();
    let mut faults = Vec::new();
    for name in crates() {
        let Some((_, may)) = table.iter().find(|(known, _)| *known == name) else {
            faults.push(format!(
                "crate {name}: write an ADR, then add it to EDGES and ARCHITECTURE.md"
            ));
            continue;
        };
        let manifest = manifest(&format!("crates/{name}/Cargo.toml"));
        let sees: BTreeSet<String> = ["dependencies", "dev-dependencies", "build-dependencies"]
            .iter()
            .filter_map(|section| manifest.get(*section)?.as_table())
            .flat_map(|section| section.keys().cloned())
            .filter(|dependency| dependency == "mutt" || dependency.starts_with("mutt-"))
            .collect();
        for seen in sees.iter().filter(|seen| !may.contains(*seen)) {
            faults.push(format!(
                "crates/{name}/Cargo.toml names {seen}: take it out; what both need belongs in mutt-model, what joins them in mutt"
            ));
        }
        for unused in may.iter().filter(|may| !sees.contains(*may)) {
            faults.push(format!(
                "{name} does not use {unused}: take the edge out of EDGES and ARCHITECTURE.md"
            ));
        }
    }
    none(&faults);
}

#[test]
fn the_table_of_edges_stands_in_the_architecture() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let section =
        text.split("\n## Edges\n").nth(1).expect("ARCHITECTURE.md needs a section `## Edges`");
    let section = section.split("\n## ").next().unwrap();
    let rows: Vec<(String, Vec<String>)> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| mutt"))
        .map(|line| {
            let line = format!("mutt{line}");
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let sees = cells[1].split(", ").filter(|c| c.starts_with("mutt")).map(str::to_owned);
            (cells[0].to_owned(), sees.collect())
        })
        .collect();
    assert_eq!(
        rows,
        table(),
        "make the table in ARCHITECTURE.md, \"Edges\", and EDGES in this test the same"
    );
}

#[test]
fn pure_crates_come_without_a_runtime() {
    let mut faults = Vec::new();
    for name in PURE {
        for package in compiled(&["--package", name]) {
            let package = package.split(' ').next().unwrap();
            if ["tokio", "mio", "async-std", "smol", "hyper", "rusqlite"].contains(&package) {
                faults.push(format!(
                    "{name} pulls in {package}: `cargo tree -p {name} -i {package}` says through what; it must stay pure"
                ));
            }
        }
    }
    none(&faults);
}
