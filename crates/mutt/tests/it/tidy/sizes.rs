//! How long files and functions are. No size is expected; what is over the limit says why.

use super::{none, rust_files};

/// A longer file is an entry in [`LONG_FILES`].
const FILE_LINES_MAX: usize = 800;
/// A longer function is an entry in [`LONG_FUNCTIONS`].
const FUNCTION_LINES_MAX: usize = 100;
/// The share of functions above this is printed.
const FUNCTION_LINES_MANY: usize = 70;

/// Files over the limit: path and why it is one thing.
const LONG_FILES: &[(&str, &str)] = &[];
/// Functions over the limit: path, name and why it is one thing.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[];

/// A function and how many lines it has, from its `fn` to its closing brace.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// The functions of a formatted file: the closing brace stands under the first letter.
fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let mut in_body = false;
        for (number, line) in lines.iter().enumerate().skip(start) {
            let code = line.split(" // ").next().unwrap_or(line).trim_end();
            if !in_body {
                if code.ends_with('{') {
                    in_body = true;
                } else if code.ends_with(';') || code.ends_with('}') {
                    break;
                }
            } else if code == end {
                found.push(Function { name, line: start + 1, lines: number - start + 1 });
                break;
            }
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let mut rest = line.trim_start();
    loop {
        if let Some(name) = rest.strip_prefix("fn ") {
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            return (end > 0).then(|| name[..end].to_owned());
        }
        let word = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "extern \"C\" "]
            .iter()
            .find(|word| rest.starts_with(**word))?;
        rest = &rest[word.len()..];
    }
}

#[test]
fn functions_are_found_with_their_lines() {
    let text = "impl A {\n    pub async fn one(\n        &self,\n    ) -> u8 {\n        if x {\n        }\n        1\n    }\n    fn two();\n    fn three() {}\n}\n";
    let expected = vec![Function { name: "one".to_owned(), line: 2, lines: 7 }];
    assert_eq!(functions(text), expected);
}

#[test]
fn files_and_functions_keep_their_size() {
    let (mut faults, mut file_lines, mut function_lines) = (Vec::new(), Vec::new(), Vec::new());
    let (mut allowed_files, mut allowed_functions) = (LONG_FILES.to_vec(), LONG_FUNCTIONS.to_vec());
    for file in rust_files() {
        let lines = file.text.lines().count();
        file_lines.push(lines);
        if lines > FILE_LINES_MAX {
            let known = allowed_files.iter().position(|(path, _)| *path == file.path);
            match known {
                Some(known) => _ = allowed_files.swap_remove(known),
                None => faults.push(format!(
                    "{} has {lines} lines (limit {FILE_LINES_MAX}): split it by responsibility, or say in LONG_FILES why it is one thing",
                    file.path
                )),
            }
        }
        for function in functions(&file.text) {
            function_lines.push(function.lines);
            if function.lines <= FUNCTION_LINES_MAX {
                continue;
            }
            let known = allowed_functions
                .iter()
                .position(|(path, name, _)| *path == file.path && *name == function.name);
            match known {
                Some(known) => _ = allowed_functions.swap_remove(known),
                None => faults.push(format!(
                    "{}:{} `{}` has {} lines (limit {FUNCTION_LINES_MAX}): split it into steps with names, or say in LONG_FUNCTIONS why it is one thing",
                    file.path, function.line, function.name, function.lines
                )),
            }
        }
    }
    for (path, _) in allowed_files {
        faults.push(format!("{path} is no longer too long: take it out of LONG_FILES"));
    }
    for (path, name, _) in allowed_functions {
        faults
            .push(format!("{path} `{name}` is no longer too long: take it out of LONG_FUNCTIONS"));
    }
    file_lines.sort_unstable();
    function_lines.sort_unstable();
    let many = function_lines.iter().filter(|lines| **lines > FUNCTION_LINES_MANY).count();
    println!(
        "{} files, median {} lines, p90 {}; {} functions, median {}, {:.1} % over {FUNCTION_LINES_MANY} lines",
        file_lines.len(),
        file_lines[file_lines.len() / 2],
        file_lines[file_lines.len() * 9 / 10],
        function_lines.len(),
        function_lines[function_lines.len() / 2],
        many as f64 * 100.0 / function_lines.len() as f64
    );
    none(&faults);
}
