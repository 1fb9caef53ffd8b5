//! Rule files: `[[rules]]` tables in TOML, or a JSON list (or `{"rules": [...]}`), as `rules export`
//! writes them and `check` and `rules import` read them.

use std::path::Path;

use mutt_model::codes;
use mutt_model::rule::{Rule, RuleSet};
use serde_json::Value;

use crate::config::tree::{self, Node};
use crate::config::{ConfigError, Origin, nearest};

/// A rule with the place where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    /// Where.
    pub origin: Origin,
    /// The rule.
    pub rule: Rule,
}

/// Reads and validates a rule file.
pub(super) fn read(path: &Path) -> Result<Vec<Written>, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let name = path.display().to_string();
    let root = if path.extension().is_some_and(|ext| ext == "json") {
        read_json(path, &name, &mut errors)
    } else {
        tree::read_file(path, &mut errors)
    };
    let nodes = rule_nodes(&root, &name, &mut errors);
    let mut rules = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        match rule(node, at) {
            Ok(rule) => rules.push(Written { origin: node.origin.clone(), rule }),
            Err(found) => errors.extend(found),
        }
    }
    if errors.is_empty() { Ok(rules) } else { Err(errors) }
}

fn wrong(origin: &Origin, key: &str, message: String) -> ConfigError {
    ConfigError {
        code: &codes::CONFIG_RULE_FILE,
        origin: origin.clone(),
        key: key.to_owned(),
        message,
    }
}

fn read_json(path: &Path, name: &str, errors: &mut Vec<ConfigError>) -> Node {
    let origin = |line| Origin::File { path: name.to_owned(), line };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(why) => {
            errors.push(ConfigError {
                code: &codes::CONFIG_UNREADABLE,
                origin: origin(0),
                key: String::new(),
                message: format!("cannot read the file: {why}"),
            });
            return Node::empty();
        }
    };
    match serde_json::from_str::<Value>(&text) {
        Ok(value) => Node::from_json(&value, &origin(1)),
        Err(why) => {
            errors.push(wrong(&origin(why.line()), "", format!("not JSON: {why}")));
            Node::empty()
        }
    }
}

fn rule_nodes(root: &Node, name: &str, errors: &mut Vec<ConfigError>) -> Vec<Node> {
    if let tree::Value::List(items) = &root.value {
        return items.clone();
    }
    let mut nodes = Vec::new();
    for (key, node) in root.table().into_iter().flatten() {
        match (key.as_str(), &node.value) {
            ("rules" | "rule", tree::Value::List(items)) => nodes.clone_from(items),
            ("dev_hosts" | "teams" | "version", _) => {}
            _ => errors.push(wrong(
                &node.origin,
                key,
                format!("unknown key `{key}` in a rule file; rules stand in [[rules]] tables"),
            )),
        }
    }
    if nodes.is_empty() && errors.is_empty() {
        let origin = Origin::File { path: name.to_owned(), line: 1 };
        errors.push(wrong(&origin, "rules", "no [[rules]] table in the file".to_owned()));
    }
    nodes
}

/// One rule: its fields, then what they mean together.
fn rule(node: &Node, at: usize) -> Result<Rule, Vec<ConfigError>> {
    let shown = format!("rules[{at}]");
    let value = node.to_json();
    let rule: Rule = serde_json::from_value(value).map_err(|why| {
        vec![wrong(&node.origin, &shown, with_suggestion(&shown, &why.to_string()))]
    })?;
    let found = match mutt_rules::validate(&rule) {
        Ok(()) => return Ok(rule),
        Err(found) => found,
    };
    Err(found
        .into_iter()
        .map(|error| {
            let origin = node.get(&[error.field]).map_or(&node.origin, |node| &node.origin);
            let key = format!("{shown}.{}", error.field);
            let hint = error.suggestion.map(|hint| match hint.contains(' ') {
                true => format!("; {hint}"),
                false => format!("; did you mean `{hint}`?"),
            });
            let message = format!("`{key}`: {}{}", error.message, hint.unwrap_or_default());
            wrong(origin, &key, message)
        })
        .collect())
}

/// serde says which field is unknown and which are known; the nearest one is what is meant.
fn with_suggestion(shown: &str, why: &str) -> String {
    let mut quoted = why.split('`').skip(1).step_by(2);
    let unknown = quoted.next().filter(|_| why.starts_with("unknown"));
    match unknown.and_then(|unknown| nearest(unknown, quoted)) {
        Some(known) => {
            let head = why.split(", expected").next().unwrap_or(why);
            format!("{shown}: {head}; did you mean `{known}`?")
        }
        None => format!("{shown}: {why}"),
    }
}

/// The rules of a file as a set, for linting; a rule without an id gets its place.
pub(super) fn as_set(rules: &[Written]) -> RuleSet {
    let mut set = RuleSet { version: 1, ..RuleSet::default() };
    for (id, written) in (1..).zip(rules) {
        set.rules.push(Rule { id, ..written.rule.clone() });
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(name: &str, text: &str) -> Result<Vec<Written>, Vec<ConfigError>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn rules_are_read_from_toml_and_json() {
        let toml = "[[rules]]\nmatch_string = \"down\"\nprod_handling = \"Page_only\"\ndev_handling = \"Ignore\"\n";
        let rules = read_text("r.toml", toml).unwrap();
        assert_eq!(rules[0].rule.match_string.as_deref(), Some("down"));
        let json =
            r#"[{"match_string":"down","prod_handling":"Page_only","dev_handling":"Ignore"}]"#;
        assert_eq!(read_text("r.json", json).unwrap()[0].rule, rules[0].rule);
    }

    #[test]
    fn a_wrong_rule_is_named_with_its_line() {
        let check = |text: &str, line: usize, words: &str| {
            let errors = read_text("r.toml", text).unwrap_err();
            assert_eq!((errors[0].code.id, errors[0].line()), ("MUTT-C007", line), "{errors:?}");
            assert!(errors[0].message.contains(words), "{}", errors[0].message);
        };
        let good = "prod_handling = \"Page_only\"\ndev_handling = \"Ignore\"\n";
        check(
            &format!("\n[[rules]]\nmatch_sting = \"a\"\n{good}"),
            2,
            "did you mean `match_string`?",
        );
        check("[[rules]]\nmatch_string = \"a\"\n", 1, "prod_handling");
        check("[rule_set]\n", 1, "unknown key `rule_set`");
        check("", 1, "no [[rules]] table");
    }
}
