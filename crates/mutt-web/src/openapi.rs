//! The OpenAPI 3.1 document, made from the table of routes.

mod schemas;

use serde_json::{Map, Value, json};

use crate::routes::{Access, Reply, Route, api};

/// The document of this version.
#[must_use]
pub fn document(version: &str) -> Value {
    let mut paths = Map::new();
    for route in api() {
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        entry[route.method.to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "MUTT REST API", "version": version,
            "description": "Lists are newest first and answer items and next_cursor. Refusals are \
                RFC 9457 problem details with an error code. Each role may do what the ones before \
                it may: viewer, operator, admin. A write to rules, development hosts, teams and \
                settings may carry If-Match (412) or expected_version (409).",
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"apiKey": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-KEY"},
                "session": {"type": "apiKey", "in": "cookie", "name": "mutt_session"},
            },
        },
    })
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [tag(route.path)],
        "parameters": parameters(route),
        "responses": responses(route),
    });
    match route.access {
        Access::Public => operation["security"] = json!([]),
        Access::Needs(role) => operation["x-mutt-role"] = json!(role.name()),
    }
    if let Some(body) = route.body {
        operation["requestBody"] = json!({
            "required": body != "Reason" && body != "UnsetRequest" && body != "ReplayRequest",
            "content": {"application/json": {"schema": reference(body)}},
        });
    }
    operation
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fn operation_id(route: &Route) -> String {
    let mut id = route.method.to_ascii_lowercase();
    for part in segments(route.path) {
        id.push('_');
        id.extend(part.chars().filter(|c| !matches!(c, '{' | '}')).map(|c| match c {
            c if c.is_ascii_alphanumeric() => c,
            _ => '_',
        }));
    }
    id
}

fn tag(path: &str) -> &str {
    if path.starts_with("/api/v1/") {
        return "v1";
    }
    segments(path).nth(2).unwrap_or("document")
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = segments(route.path).filter_map(|part| part.strip_prefix('{')).map(|name| {
        let name = name.trim_end_matches('}');
        json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})
    });
    let in_query = route.params.iter().map(|(name, kind, words)| {
        json!({"name": name, "in": "query", "description": words, "schema": {"type": kind}})
    });
    let if_match = conditional(route).then(|| {
        json!({"name": "If-Match", "in": "header", "schema": {"type": "string"},
            "description": "The ETag of what was looked at; 412 when that stands no more."})
    });
    in_path.chain(in_query).chain(if_match).collect()
}

/// Whether a write may be bound to what its maker looked at.
fn conditional(route: &Route) -> bool {
    let kinds = ["rules", "dev-hosts", "teams", "config"];
    matches!(route.method, "PUT" | "PATCH" | "DELETE")
        && route.path.starts_with("/api/v2/")
        && kinds.contains(&tag(route.path))
}

fn responses(route: &Route) -> Value {
    let json_body = |schema: Value| json!({"application/json": {"schema": schema}});
    let (status, words, content) = match route.reply {
        Reply::Object(schema) | Reply::Set(schema) => {
            ("200", "The object.", json_body(reference(schema)))
        }
        Reply::Created(schema) => ("201", "The new object.", json_body(reference(schema))),
        Reply::List(schema) => {
            let mut list = json!({
                "type": "object", "required": ["items", "next_cursor"],
                "properties": {
                    "items": {"type": "array", "items": reference(schema)},
                    "next_cursor": {"type": ["string", "null"]},
                },
            });
            if matches!(schema, "Event" | "Alert" | "Delivery") {
                list["properties"]["complete"] = json!({
                    "type": "boolean",
                    "description": "False when the scan budget was met: go on with the cursor.",
                });
            }
            ("200", "A page.", json_body(list))
        }
        Reply::Nothing => ("204", "Done.", Value::Null),
        Reply::Events => {
            ("200", "A stream.", json!({"text/event-stream": {"schema": {"type": "string"}}}))
        }
    };
    let mut success = json!({"description": words});
    if !content.is_null() {
        success["content"] = content;
    }
    let mut answers = json!({
        status: success,
        "default": {
            "description": "A refusal, with its error code.",
            "content": {"application/problem+json": {"schema": reference("Problem")}},
        },
    });
    if matches!(route.reply, Reply::Set(_)) {
        answers["201"] = answers["200"].clone();
        answers["201"]["description"] = "The object, which was not set before.".into();
    }
    answers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (name, inner) in map {
                    match inner.as_str().filter(|_| name == "$ref") {
                        Some(text) => {
                            found.insert(text.rsplit('/').next().unwrap().to_owned());
                        }
                        None => references(inner, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_schema_that_is_named_exists_and_every_one_that_exists_is_named() {
        let document = document("3.0.0");
        let mut named = BTreeSet::new();
        references(&document, &mut named);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let known: BTreeSet<String> = schemas.keys().cloned().collect();
        assert_eq!(named, known);
    }

    #[test]
    fn operation_ids_are_unique_and_documents_hold_every_route() {
        let document = document("3.0.0");
        let mut ids = BTreeSet::new();
        for route in api() {
            let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(ids.insert(id.clone()), "{id} stands twice");
            assert!(!route.summary.is_empty(), "{id} has no summary");
        }
    }
}
