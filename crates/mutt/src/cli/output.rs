//! What is printed: data to standard output as a table or one JSON object a line, words to standard
//! error. Colour only where a terminal wants it (`NO_COLOR` is respected).

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use mutt_model::codes::Code;
use serde_json::Value;

const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const GREEN: &str = "\u{1b}[32m";
const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

/// A column of a table: its heading, and where its value lies in the object.
pub(super) type Column = (&'static str, &'static str);

/// How a word is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
}

impl Mark {
    const fn colour(self) -> &'static str {
        match self {
            Self::Good => GREEN,
            Self::Warn => YELLOW,
            Self::Bad => RED,
        }
    }
}

/// A line of data.
pub(super) fn line(text: &str) -> io::Result<()> {
    writeln!(anstream::stdout(), "{text}")
}

/// A line of data whose first word is marked.
pub(super) fn marked(mark: Mark, word: &str, text: &str) -> io::Result<()> {
    writeln!(anstream::stdout(), "{}{word}{RESET} {text}", mark.colour())
}

/// A heading within data for people.
pub(super) fn heading(text: &str) -> io::Result<()> {
    writeln!(anstream::stdout(), "{BOLD}{text}{RESET}")
}

/// Bytes of data as they are.
pub(super) fn raw(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// A word to the person in front; never data. Standard error that is gone is nobody's loss.
pub(super) fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// `error[MUTT-X000]: ...`
pub(super) fn error(code: &Code, message: &str) {
    let _ = writeln!(anstream::stderr(), "{RED}error[{code}]{RESET}: {message}");
}

/// `warning: ...`
pub(super) fn warning(message: &str) {
    let _ = writeln!(anstream::stderr(), "{YELLOW}warning{RESET}: {message}");
}

/// `hint: ...`
pub(super) fn hint(text: &str) {
    let _ = writeln!(anstream::stderr(), "{BOLD}hint{RESET}: {text}");
}

/// Objects: one JSON object a line, or a table.
pub(super) fn items(items: &[Value], columns: &[Column], json: bool) -> io::Result<()> {
    if json {
        return items.iter().try_for_each(|item| line(&item.to_string()));
    }
    if items.is_empty() {
        note("nothing found");
        return Ok(());
    }
    let rows = items.iter().map(|item| columns.iter().map(|(_, at)| cell(item, at)).collect());
    table(columns.iter().map(|(heading, _)| *heading).collect(), rows.collect())
}

/// One object: JSON on one line, or a line for each field.
pub(super) fn object(value: &Value, json: bool) -> io::Result<()> {
    if json {
        return line(&value.to_string());
    }
    let mut fields = Vec::new();
    flatten(value, "", &mut fields);
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    fields.iter().try_for_each(|(name, text)| line(&format!("{name:width$}  {text}")))
}

/// Rows under headings. Where standard output is no terminal: tabs, nothing cut, no wrapping.
pub(super) fn table(headings: Vec<&str>, rows: Vec<Vec<String>>) -> io::Result<()> {
    if !io::stdout().is_terminal() {
        line(&headings.join("\t"))?;
        return rows.iter().try_for_each(|row| line(&row.join("\t")));
    }
    line(&arranged(headings, rows).trim_fmt())
}

/// As a terminal shows it: times to the second, and what people copy (ids) or compare (times) whole.
fn arranged(headings: Vec<&str>, rows: Vec<Vec<String>>) -> Table {
    let is_id: Vec<bool> = headings.iter().map(|heading| *heading == "ID").collect();
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|row| row.into_iter().map(to_the_second).collect()).collect();
    let is_time = |at: usize| rows.iter().any(|row| row.get(at).is_some_and(|cell| time(cell)));
    let whole: Vec<bool> = is_id.iter().enumerate().map(|(at, id)| *id || is_time(at)).collect();
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(headings)
        .add_rows(rows);
    for (column, whole) in table.column_iter_mut().zip(whole) {
        if whole {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

fn time(cell: &str) -> bool {
    cell.len() >= 20 && mutt_model::Timestamp::parse_rfc3339(cell).is_some()
}

/// A cell that is a time loses its fraction.
fn to_the_second(cell: String) -> String {
    match cell.split_once('.') {
        Some((seconds, fraction)) if fraction.ends_with('Z') && time(&cell) => {
            format!("{seconds}Z")
        }
        _ => cell,
    }
}

/// Cells of a line that follows others: short times on a terminal, as in a table.
pub(super) fn cells(item: &Value, columns: &[Column]) -> Vec<String> {
    let cells = columns.iter().map(|(_, at)| cell(item, at));
    if io::stdout().is_terminal() { cells.map(to_the_second).collect() } else { cells.collect() }
}

/// `1 finding`, `2 findings`.
pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The text of a value in a cell; control characters are made visible, so that a message from the
/// network cannot drive the terminal.
pub(super) fn cell(item: &Value, pointer: &str) -> String {
    text(item.pointer(pointer).unwrap_or(&Value::Null))
}

/// A value as one line of text.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    }
}

/// Text without control characters.
pub(super) fn plain(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| match c {
            '\n' | '\t' | '\r' => " ".to_owned(),
            c if c.is_control() => c.escape_unicode().to_string(),
            c => c.to_string(),
        })
        .collect()
}

fn flatten(value: &Value, name: &str, fields: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(value, &name, fields);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (at, value) in items.iter().enumerate() {
                flatten(value, &format!("{name}[{at}]"), fields);
            }
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(text).collect();
            fields.push((name.to_owned(), items.join(", ")));
        }
        other => fields.push((name.to_owned(), text(other))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_cannot_drive_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb c");
        assert_eq!(cell(&json!({"a": {"b": 7}}), "/a/b"), "7");
        assert_eq!(cell(&json!({"a": null}), "/a"), "");
    }

    #[test]
    fn a_terminal_gets_short_times_and_whole_ids() {
        let at = "2026-11-23T12:00:00.123456Z";
        let id = "01980f5e-7c1a-7000-8000-000000000000";
        let row = [at, &"many words ".repeat(20), id].map(str::to_owned).to_vec();
        let mut table = arranged(vec!["RECEIVED", "MESSAGE", "ID"], vec![row]);
        table.set_width(80);
        let shown = table.trim_fmt();
        assert!(shown.contains("2026-11-23T12:00:00Z ") && shown.contains(id), "{shown}");
        let check = |text: &str, expected: &str| assert_eq!(to_the_second(text.into()), expected);
        check(at, "2026-11-23T12:00:00Z");
        check("2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z");
        check("version 1.2Z", "version 1.2Z");
        check(&format!("at {at}"), &format!("at {at}"));
    }

    #[test]
    fn an_object_is_flattened_by_its_paths() {
        let mut fields = Vec::new();
        flatten(&json!({"a": {"b": 1}, "c": [1, 2], "d": [{"e": "x"}]}), "", &mut fields);
        let shown: Vec<String> = fields.iter().map(|(n, t)| format!("{n}={t}")).collect();
        assert_eq!(shown, ["a.b=1", "c=1, 2", "d[0].e=x"]);
    }
}
