//! The schemas of the OpenAPI document.

use serde_json::{Map, Value, json};

/// An object schema from `name: type` pairs; a type with `?` may be null.
fn object(fields: &[(&str, &str)], required: &[&str]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|(name, kind)| ((*name).to_owned(), field(kind))).collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn field(kind: &str) -> Value {
    let (kind, null) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
    let schema = match kind {
        "time" => json!({"type": "string", "format": "date-time"}),
        "id" => json!({"type": "string", "format": "uuid"}),
        "severity" => json!({"type": "integer", "minimum": 0, "maximum": 7}),
        "counts" => json!({"type": "object", "additionalProperties": {"type": "integer"}}),
        "handling" => json!({"enum": ["Page_and_ticket", "Page_only", "Ticket_only", "Ignore"]}),
        "any" => json!({}),
        list if list.starts_with("[]") => json!({"type": "array", "items": field(&list[2..])}),
        name if name.starts_with(char::is_uppercase) => super::reference(name),
        name => json!({"type": name}),
    };
    match schema.get("type").and_then(Value::as_str).map(str::to_owned) {
        Some(name) if null => {
            let mut schema = schema;
            schema["type"] = json!([name, "null"]);
            schema
        }
        _ if null => json!({"anyOf": [schema, {"type": "null"}]}),
        _ => schema,
    }
}

/// All schemas by name.
pub(super) fn all() -> Map<String, Value> {
    let mut all = Map::new();
    let mut put = |name: &str, schema: Value| {
        all.insert(name.to_owned(), schema);
    };
    put("Any", json!({"type": "object"}));
    put(
        "Problem",
        object(
            &[
                ("type", "string"),
                ("title", "string"),
                ("status", "integer"),
                ("detail", "string"),
                ("instance", "string"),
                ("code", "string"),
                ("correlation_id", "string"),
            ],
            &["title", "status", "detail", "code", "correlation_id"],
        ),
    );
    put("Reason", strict(object(&[("reason", "string")], &[])));
    status(&mut put);
    retention(&mut put);
    mibs(&mut put);
    events(&mut put);
    alerts(&mut put);
    deliveries(&mut put);
    rules(&mut put);
    all
}

/// Bodies refuse unknown fields.
fn strict(mut schema: Value) -> Value {
    schema["additionalProperties"] = json!(false);
    schema
}

fn mibs(put: &mut dyn FnMut(&str, Value)) {
    let sent = [("name", "string"), ("text", "string"), ("reason", "string")];
    put("MibRequest", strict(object(&sent, &["name", "text"])));
    let fields = [
        ("name", "string"),
        ("bytes", "integer"),
        ("at", "time"),
        ("who", "string"),
        ("modules", "[]string"),
    ];
    put("Mib", object(&fields, &["name"]));
}

fn retention(put: &mut dyn FnMut(&str, Value)) {
    let span = [("host", "string?"), ("since", "time?"), ("until", "time?"), ("reason", "string")];
    put("HoldRequest", strict(object(&span, &["reason"])));
    let mut hold =
        vec![("id", "integer"), ("who", "string"), ("at", "time"), ("archive", "string?")];
    hold.extend(span);
    put("Hold", object(&hold, &["id"]));
    put(
        "Archive",
        object(
            &[
                ("name", "string"),
                ("table", "string"),
                ("from", "time"),
                ("until", "time"),
                ("rows", "integer"),
                ("bytes", "integer"),
                ("sha256", "string"),
                ("written_at", "time"),
                ("restored_at", "time?"),
            ],
            &["name"],
        ),
    );
    let back =
        [("archive", "Archive"), ("rows", "integer"), ("present", "integer"), ("hold", "integer")];
    put("RestoredArchive", object(&back, &[]));
    put(
        "Retention",
        object(
            &[
                ("last_run", "time?"),
                ("holds", "integer"),
                ("archives", "integer"),
                ("archive_bytes", "integer"),
            ],
            &[],
        ),
    );
}

fn status(put: &mut dyn FnMut(&str, Value)) {
    let count = |names: &[&'static str]| -> Vec<(&'static str, &'static str)> {
        names.iter().map(|name| (*name, "integer")).collect()
    };
    let mut events =
        count(&["received", "audited", "pending", "duplicates", "lost", "unaccounted"]);
    events.extend([("dropped", "counts"), ("spilled", "counts")]);
    let deliveries =
        count(&["created", "pending", "leased", "held", "delivered", "suppressed", "dead"]);
    put(
        "Ledger",
        json!({"type": "object", "required": ["events", "deliveries"], "properties": {
            "events": object(&events, &[]), "deliveries": object(&deliveries, &[]),
        }}),
    );
    let mut queue = count(&[
        "pending_events",
        "pending_batches",
        "bytes",
        "appended_events",
        "acknowledged_events",
        "lost_events",
    ]);
    queue.extend([
        ("dropped", "counts"),
        ("oldest_received_at", "time?"),
        ("oldest_age_seconds", "integer?"),
        ("set_aside", "[]string"),
        ("spill", "object?"),
        ("spills", "[]object"),
    ]);
    put("Queue", object(&queue, &[]));
    put("Rate", object(&count(&["minute", "audited", "handled", "deliveries"]), &[]));
    put(
        "Health",
        object(
            &[
                ("status", "string"),
                ("version", "string"),
                ("store", "string"),
                ("ruleset", "integer?"),
                ("services", "[]object"),
                ("notices", "[]object"),
            ],
            &["status"],
        ),
    );
    put(
        "Slo",
        object(
            &[("window", "string"), ("objectives", "[]object"), ("not_reported", "string")],
            &["objectives"],
        ),
    );
    put(
        "Change",
        object(
            &[
                ("id", "integer"),
                ("at", "time"),
                ("who", "string"),
                ("object", "string"),
                ("object_id", "string"),
                ("action", "string"),
                ("old", "any"),
                ("new", "any"),
                ("reason", "string?"),
            ],
            &[],
        ),
    );
    put("WhoAmI", object(&[("name", "string"), ("role", "string")], &[]));
    put("BackupRequest", strict(object(&[("file", "string"), ("reason", "string")], &["file"])));
    let change = [("reason", "string"), ("expected_version", "integer")];
    let with = |field: (&'static str, &'static str)| {
        strict(object(&[&[field], &change[..]].concat(), &[field.0]))
    };
    put("SettingRequest", with(("value", "any")));
    put("RollbackRequest", with(("version", "integer")));
    put("UnsetRequest", strict(object(&change, &[])));
    put("Backup", object(&[("file", "string"), ("bytes", "integer")], &[]));
}

const EVENT: &[(&str, &str)] = &[
    ("id", "id"),
    ("received_at", "time"),
    ("device_time", "time?"),
    ("time_note", "string?"),
    ("source", "string"),
    ("listener", "string?"),
    ("peer", "string?"),
    ("host", "string?"),
    ("relay", "string?"),
    ("facility", "string?"),
    ("severity", "severity?"),
    ("app", "string?"),
    ("procid", "string?"),
    ("msgid", "string?"),
    ("mnemonic", "string?"),
    ("resource", "string?"),
    ("message", "string"),
    ("structured_data", "any"),
    ("fields", "any"),
    ("trap_oid", "string?"),
    ("trap_name", "string?"),
    ("varbinds", "any"),
    ("parse", "object"),
    ("raw_base64", "string"),
    ("correlation_id", "string?"),
    ("ruleset", "integer?"),
    ("handled", "boolean?"),
    ("rule_id", "integer?"),
    ("decision", "string?"),
    ("environment", "string?"),
    ("team", "string?"),
    ("alert_id", "id?"),
];

fn events(put: &mut dyn FnMut(&str, Value)) {
    put("Event", object(EVENT, &["id", "received_at", "message"]));
    let lineage = object(
        &[
            ("ruleset", "integer"),
            ("explanation", "Explanation"),
            ("alert", "Alert?"),
            ("timeline", "[]TimelineEntry"),
            ("deliveries", "[]Delivery"),
            ("attempts", "[]Attempt"),
        ],
        &[],
    );
    put(
        "EventLife",
        json!({"allOf": [super::reference("Event"),
            {"type": "object", "properties": {"lineage": lineage}}]}),
    );
    put(
        "Explanation",
        object(
            &[
                ("ruleset", "integer"),
                ("agrees", "boolean"),
                ("verdict", "object"),
                ("tried", "[]object"),
                ("unavailable", "string"),
            ],
            &["tried"],
        ),
    );
}

const ALERT: &[(&str, &str)] = &[
    ("id", "id"),
    ("key", "string"),
    ("problem", "string"),
    ("host", "string?"),
    ("resource", "string?"),
    ("state", "string"),
    ("severity", "severity"),
    ("count", "integer"),
    ("first_seen", "time"),
    ("last_seen", "time"),
    ("cleared_at", "time?"),
    ("cleared_by", "any"),
    ("team", "string?"),
    ("decision", "string"),
    ("environment", "string"),
    ("rule_id", "integer?"),
    ("message", "string"),
    ("event_id", "id?"),
    ("correlation_id", "string?"),
    ("clear_after", "string"),
    ("acknowledged_by", "string?"),
    ("acknowledged_at", "time?"),
];

fn alerts(put: &mut dyn FnMut(&str, Value)) {
    put("Alert", object(ALERT, &["id", "key", "state"]));
    let timeline = json!({"type": "object", "properties": {"timeline": field("[]TimelineEntry")}});
    put("AlertLife", json!({"allOf": [super::reference("Alert"), timeline]}));
    put(
        "TimelineEntry",
        object(
            &[
                ("at", "time"),
                ("what", "string"),
                ("who", "string"),
                ("text", "string?"),
                ("event_id", "id?"),
            ],
            &[],
        ),
    );
    put("NoteRequest", strict(object(&[("text", "string"), ("reason", "string")], &["text"])));
}

fn deliveries(put: &mut dyn FnMut(&str, Value)) {
    put(
        "Delivery",
        object(
            &[
                ("id", "id"),
                ("sink", "string"),
                ("seq", "integer"),
                ("key", "string"),
                ("notice", "object"),
                ("state", "string"),
                ("reason", "string?"),
                ("attempt_count", "integer"),
                ("created_at", "time"),
                ("due_at", "time"),
                ("first_attempt_at", "time?"),
                ("ended_at", "time?"),
                ("alert_id", "id"),
                ("event_id", "id?"),
            ],
            &["id", "sink", "state"],
        ),
    );
    let attempts = json!({"type": "object", "properties": {"attempts": field("[]Attempt")}});
    put("DeliveryLife", json!({"allOf": [super::reference("Delivery"), attempts]}));
    put(
        "Attempt",
        object(
            &[
                ("at", "time"),
                ("outcome", "string"),
                ("status", "integer?"),
                ("latency_ms", "integer"),
                ("class", "string"),
                ("detail", "string"),
                ("delivery_id", "id"),
                ("sink", "string"),
            ],
            &[],
        ),
    );
    put("ReplayRequest", strict(object(&[("force", "boolean"), ("reason", "string")], &[])));
    let filter = strict(object(
        &[("state", "string"), ("sink", "string"), ("reason", "string"), ("limit", "integer")],
        &[],
    ));
    let mut many = strict(object(&[("force", "boolean"), ("reason", "string")], &["filter"]));
    many["properties"]["filter"] = filter;
    put("ReplayManyRequest", many);
    put("Replayed", object(&[("replayed", "integer"), ("passed_over", "integer")], &[]));
    put(
        "Sink",
        object(
            &[
                ("name", "string"),
                ("sink", "string"),
                ("configured", "boolean"),
                ("route", "object?"),
                ("held_by", "string?"),
                ("held_reason", "string?"),
                ("held_since", "time?"),
                ("breaker", "string?"),
                ("pending", "integer"),
                ("held", "integer"),
                ("dead", "integer"),
                ("last_ok_at", "time?"),
                ("last_error", "string?"),
                ("last_error_at", "time?"),
                ("owner", "string?"),
            ],
            &["name"],
        ),
    );
    put(
        "SinkTest",
        object(
            &[
                ("ok", "boolean"),
                ("status", "integer?"),
                ("latency_ms", "integer"),
                ("detail", "string"),
            ],
            &["ok"],
        ),
    );
}

const RULE: &[(&str, &str)] = &[
    ("name", "string?"),
    ("match_string", "string?"),
    ("match_type", "string"),
    ("trap_oid", "string?"),
    ("syslog_severity", "severity?"),
    ("severity_max", "severity?"),
    ("host", "string?"),
    ("priority", "integer"),
    ("prod_handling", "handling"),
    ("dev_handling", "handling"),
    ("team_assignment", "string?"),
    ("is_active", "boolean"),
    ("action", "string"),
    ("problem", "string?"),
    ("key", "string?"),
    ("resource", "string?"),
    ("alert_severity", "severity?"),
    ("clear_after", "string"),
    ("description", "string?"),
];

fn rules(put: &mut dyn FnMut(&str, Value)) {
    let mut fields = RULE.to_vec();
    fields.insert(0, ("id", "integer"));
    let mut shape = |fields: &[(&str, &str)], name: &str, required: &[&str], body: bool| {
        let mut schema = object(fields, required);
        schema["properties"]["match_type"] = json!({"enum": ["contains", "regex", "oid_prefix"]});
        schema["properties"]["action"] = json!({"enum": ["problem", "clear"]});
        if body {
            schema["properties"]["reason"] = json!({"type": "string"});
            schema = strict(schema);
        }
        put(name, schema);
    };
    shape(&fields, "Rule", &["id"], false);
    shape(&fields, "RuleRequest", &["prod_handling", "dev_handling"], true);
    fields.push(("expected_version", "integer"));
    shape(&fields, "RuleReplacement", &["prod_handling", "dev_handling"], true);
    shape(&fields, "RulePatch", &[], true);
    put(
        "RuleTestRequest",
        strict(object(&[("rule", "RuleRequest?"), ("events", "[]any")], &["events"])),
    );
    put("RuleTest", object(&[("ruleset", "integer"), ("results", "[]object")], &[]));
    put("DevHost", object(&[("id", "string"), ("hostname", "string")], &[]));
    let expected = ("expected_version", "integer");
    let dev = [("hostname", "string"), ("reason", "string"), expected];
    put("DevHostRequest", strict(object(&dev[..2], &["hostname"])));
    put("DevHostUpdate", strict(object(&dev, &["hostname"])));
    let team =
        [("hostname", "string"), ("team_assignment", "string"), ("reason", "string"), expected];
    put("Team", object(&[("id", "string"), team[0], team[1]], &[]));
    put("TeamRequest", strict(object(&team[..3], &["hostname", "team_assignment"])));
    put("TeamUpdate", strict(object(&team, &["team_assignment"])));
}
