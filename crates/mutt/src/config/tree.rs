//! What was written: a tree of values, each with the place where it stands.

use std::collections::BTreeMap;
use std::path::Path;

use mutt_model::codes;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin};

/// A configuration file is at most this long.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1 << 20;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where.
    pub origin: Origin,
    /// What.
    pub value: Value,
}

/// A value as TOML knows it; floats and dates are no values of ours and stay text.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// true or false.
    Flag(bool),
    /// A list.
    List(Vec<Node>),
    /// A table.
    Table(BTreeMap<String, Node>),
    /// A float or date, as written.
    Other(String),
}

impl Value {
    /// What it is, for messages.
    #[must_use]
    pub fn what(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Number(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(_) => "a float or date",
        }
    }
}

impl Node {
    /// An empty table.
    #[must_use]
    pub fn empty() -> Self {
        Self { origin: Origin::Default, value: Value::Table(BTreeMap::new()) }
    }

    /// Text from a place.
    #[must_use]
    pub fn text(text: &str, origin: Origin) -> Self {
        Self { origin, value: Value::Text(text.to_owned()) }
    }

    /// The node at a path of table keys.
    #[must_use]
    pub fn get(&self, path: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        match &self.value {
            Value::Table(table) => table.get(*first)?.get(rest),
            _ => None,
        }
    }

    /// Where the path, or as much of it as was written, stands.
    #[must_use]
    pub fn origin_of(&self, path: &[&str]) -> &Origin {
        let inner = path.split_first().and_then(|(first, rest)| match &self.value {
            Value::Table(table) => table.get(*first).map(|node| (node, rest)),
            // A list of tables is one place: its first.
            Value::List(items) => items.first().map(|node| (node, path)),
            _ => None,
        });
        inner.map_or(&self.origin, |(node, rest)| node.origin_of(rest))
    }

    /// Sets the node at a path, making tables on the way; what is no table there is replaced.
    pub fn set(&mut self, path: &[&str], node: Self) {
        let Some((first, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if !matches!(self.value, Value::Table(_)) {
            self.value = Value::Table(BTreeMap::new());
        }
        if let Value::Table(table) = &mut self.value {
            let origin = node.origin.clone();
            table
                .entry((*first).to_owned())
                .or_insert_with(|| Self { origin, value: Value::Table(BTreeMap::new()) })
                .set(rest, node);
        }
    }

    /// As JSON, without places.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Text(text) | Value::Other(text) => text.as_str().into(),
            Value::Number(number) => (*number).into(),
            Value::Flag(flag) => (*flag).into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Table(table) => {
                let map = table.iter().map(|(name, node)| (name.clone(), node.to_json()));
                serde_json::Value::Object(map.collect())
            }
        }
    }

    /// From JSON; everything stands at one place. Nulls are left out.
    #[must_use]
    pub fn from_json(json: &serde_json::Value, origin: &Origin) -> Self {
        let value = match json {
            serde_json::Value::Null => Value::Table(BTreeMap::new()),
            serde_json::Value::Bool(flag) => Value::Flag(*flag),
            serde_json::Value::Number(number) => {
                number.as_i64().map_or_else(|| Value::Other(number.to_string()), Value::Number)
            }
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Array(items) => {
                Value::List(items.iter().map(|item| Self::from_json(item, origin)).collect())
            }
            serde_json::Value::Object(map) => Value::Table(
                map.iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(name, value)| (name.clone(), Self::from_json(value, origin)))
                    .collect(),
            ),
        };
        Self { origin: origin.clone(), value }
    }

    /// The entries when it is a table.
    #[must_use]
    pub fn table(&self) -> Option<&BTreeMap<String, Self>> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

/// Reads a file; what is wrong with it as a whole goes to `errors`.
pub fn read_file(path: &Path, errors: &mut Vec<ConfigError>) -> Node {
    let name = path.display().to_string();
    let unreadable = |why: String| ConfigError {
        code: &codes::CONFIG_UNREADABLE,
        origin: Origin::File { path: name.clone(), line: 0 },
        key: String::new(),
        message: why,
    };
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > CONFIG_FILE_BYTES_MAX => {
            errors.push(unreadable(format!(
                "the file is longer than {}",
                mutt_model::amount::format_size(CONFIG_FILE_BYTES_MAX)
            )));
            return Node::empty();
        }
        Ok(_) => {}
        Err(why) => {
            errors.push(unreadable(format!("cannot read the file: {why}")));
            return Node::empty();
        }
    }
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, &name, errors),
        Err(why) => {
            errors.push(unreadable(format!("cannot read the file: {why}")));
            Node::empty()
        }
    }
}

/// Parses the text of a file; every syntax error is reported.
pub fn parse(text: &str, name: &str, errors: &mut Vec<ConfigError>) -> Node {
    let (table, wrong) = DeTable::parse_recoverable(text);
    let whole = wrong.is_empty();
    for error in wrong {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        errors.push(ConfigError {
            code: &codes::CONFIG_SYNTAX,
            origin: Origin::File { path: name.to_owned(), line },
            key: String::new(),
            message: format!("not TOML: {}", error.message()),
        });
    }
    if !whole {
        // What was recovered from a broken file would only make errors that are none.
        return Node::empty();
    }
    let origin =
        |offset: usize| Origin::File { path: name.to_owned(), line: line_of(text, offset) };
    Node { origin: origin(0), value: Value::Table(convert_table(table.get_ref(), &origin)) }
}

/// Parses one TOML value, as an environment variable holds it.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse_value(text: &str, origin: &Origin) -> Result<Node, String> {
    let line = format!("v = {text}");
    let table = DeTable::parse(&line).map_err(|why| why.message().to_owned())?;
    let mut entries = convert_table(table.get_ref(), &|_| origin.clone());
    match entries.remove("v") {
        Some(node) if entries.is_empty() => Ok(node),
        _ => Err("more than one value".to_owned()),
    }
}

fn convert_table(table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) -> BTreeMap<String, Node> {
    table
        .iter()
        .map(|(key, value)| {
            // The key's place, not the value's: a table's value begins at its first header.
            let at = origin(key.span().start);
            (
                key.get_ref().to_string(),
                Node { origin: at, value: convert(value.get_ref(), origin) },
            )
        })
        .collect()
}

fn convert(value: &DeValue<'_>, origin: &dyn Fn(usize) -> Origin) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::Other(number.to_string()), Value::Number),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Float(float) => Value::Other(float.to_string()),
        DeValue::Datetime(date) => Value::Other(date.to_string()),
        DeValue::Array(list) => Value::List(
            list.iter()
                .map(|item| Node {
                    origin: origin(item.span().start),
                    value: convert(item.get_ref(), origin),
                })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(convert_table(table, origin)),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
}
