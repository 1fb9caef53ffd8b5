//! What is compiled with us: how much, and why.

use super::{compiled, crates, manifest, none, root};

/// Packages that the Linux build compiles at most, our own included.
const PACKAGES_MAX: usize = 420;

#[test]
fn the_linux_build_stays_small() {
    let packages = compiled(&["--workspace"]);
    println!("{} packages compile into the Linux build (at most {PACKAGES_MAX})", packages.len());
    assert!(
        packages.len() <= PACKAGES_MAX,
        "{} packages (at most {PACKAGES_MAX}): `cargo tree -e normal,build` shows who brings them; turn features off or do without",
        packages.len()
    );
}

#[test]
fn every_crate_uses_the_workspace_lints_and_versions() {
    let mut faults = Vec::new();
    for name in crates() {
        let path = format!("crates/{name}/Cargo.toml");
        let manifest = manifest(&path);
        let is_inherited = |value: Option<&toml::Value>| {
            value.and_then(|v| v.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
        };
        if !is_inherited(manifest.get("lints")) {
            faults.push(format!("{path}: add `[lints]` with `workspace = true`"));
        }
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(section) = manifest.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            for (dependency, value) in section {
                if !is_inherited(Some(value)) {
                    faults.push(format!(
                        "{path}: {dependency} belongs in the root's [workspace.dependencies]; here `{{ workspace = true }}`"
                    ));
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn every_dependency_is_used_and_says_why_it_is_there() {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let table = text.split("[workspace.dependencies]\n").nth(1).unwrap();
    let table = table.split("\n[").next().unwrap();
    let used: Vec<toml::Table> =
        crates().iter().map(|name| manifest(&format!("crates/{name}/Cargo.toml"))).collect();
    let is_used = |name: &str| {
        ["dependencies", "dev-dependencies", "build-dependencies"].iter().any(|section| {
            used.iter().any(|m| m.get(*section).is_some_and(|s| s.get(name).is_some()))
        })
    };
    let mut faults = Vec::new();
    let mut group_has_reason = false;
    for line in table.lines() {
        match line.split_once(" = ") {
            None if line.starts_with("# ") => group_has_reason = true,
            None => group_has_reason = false,
            Some((name, value)) => {
                if !is_used(name) {
                    faults.push(format!("Cargo.toml: no crate uses {name}: take it out"));
                }
                if !group_has_reason && !value.contains(" # ") && !value.contains("path = ") {
                    faults.push(format!("Cargo.toml: say in a comment why {name} is there, at its line or above its group"));
                }
            }
        }
    }
    none(&faults);
}
