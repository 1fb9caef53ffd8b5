//! The fault matrix names tests that are there, a short one and a long one for each row.

use super::{root, rust_files};

/// Rows that the production engines must survive, and those of senders that mean no good.
const ROWS: [u32; 29] = [
    1, 2, 3, 4, 5, 6, 10, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 41, 43, 44, 45, 46, 47,
    48, 49, 50, 51,
];
/// Rows that `scripts/soak` runs in a long form by their number.
const NUMBERED: std::ops::RangeInclusive<u32> = 24..=35;

/// The lines of the matrix: row, short tests, long tests.
fn lines(text: &str) -> Vec<(u32, Vec<String>, Vec<String>)> {
    let section = text.split("\n## Fault matrix\n").nth(1).expect("no section `Fault matrix`");
    let section = section.split("\n## ").next().unwrap();
    let names = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let line = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split('|').map(str::trim).collect();
        Some((cells[0].parse().ok()?, names(cells[2]), names(cells[3])))
    };
    section.lines().filter_map(line).collect()
}

#[test]
fn every_row_of_the_fault_matrix_has_its_tests() {
    let text = std::fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let files = rust_files();
    // `a::b::name` stands in tests/it/a/b.rs of some crate, written out, as a line of a macro or as a
    // module of tests; `a::b::tests::name` in src/a/b.rs or src/a/b/tests.rs.
    let is_there = |test: &str| {
        let Some((module, name)) = test.rsplit_once("::") else { return false };
        let module = module.replace("::", "/");
        let inner = module.strip_suffix("/tests").unwrap_or(&module);
        let paths = [
            format!("/tests/it/{module}.rs"),
            format!("/src/{module}.rs"),
            format!("/src/{inner}.rs"),
        ];
        let declared = [format!("fn {name}("), format!("    {name} \""), format!("mod {name} {{")];
        let stands = |path: &str| paths.iter().any(|end| path.ends_with(end.as_str()));
        let mut of_it = files.iter().filter(|file| stands(&file.path));
        of_it.any(|file| declared.iter().any(|words| file.text.contains(words)))
    };
    let mut faults = Vec::new();
    let lines = lines(&text);
    for row in ROWS {
        let Some((_, short, long)) = lines.iter().find(|line| line.0 == row) else {
            faults.push(format!("row {row} is not in the fault matrix of CONTRIBUTING.md"));
            continue;
        };
        if short.is_empty() {
            faults.push(format!("row {row} has no short test"));
        }
        for test in short.iter().chain(long).filter(|test| !is_there(test)) {
            faults.push(format!("row {row}: there is no test `{test}`"));
        }
        // By its number scripts/soak finds the long form.
        let numbered = format!("::soak_row_{row:02}_");
        if NUMBERED.contains(&row) && !long.iter().any(|test| test.contains(&numbered)) {
            faults.push(format!("row {row} has no long test whose name has `{numbered}`"));
        }
    }
    super::none(&faults);
}
