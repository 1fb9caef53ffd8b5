//! Payload tables: each field against the documented rule of its target.

use std::collections::BTreeMap;
use std::time::Duration;

use mutt_model::IdSource;
use mutt_model::alert::{Alert, AlertState, ClearedBy};
use mutt_model::delivery::{DeliveryState, Notice};
use mutt_model::rule::Handling;
use mutt_model::verdict::Environment;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A delivery for tests: an open link alert.
pub(crate) fn delivery(seq: i64, key: &str, kind: NoticeKind) -> Delivery {
    let mut ids = IdSource::new(u64::try_from(seq).unwrap());
    let at = Timestamp::from_micros(1_754_500_012_345_678 + seq);
    let alert = Alert {
        id: ids.next(at),
        key: key.to_owned(),
        problem: "linkDown".to_owned(),
        host: "edge-r1".to_owned(),
        resource: "ge-0/0/12".to_owned(),
        state: AlertState::Open,
        severity: Severity::CRITICAL,
        count: 3,
        first_seen: Timestamp::from_secs(1_754_500_000),
        last_seen: at,
        cleared_at: None,
        cleared_by: None,
        team: "NetOps".to_owned(),
        decision: Handling::PageAndTicket,
        environment: Environment::Prod,
        rule_id: Some(7),
        message: "linkDown ge-0/0/12".to_owned(),
        event_id: Some(ids.next(at)),
        correlation_id: None,
        clear_after: Duration::from_secs(60),
        acknowledged_by: None,
        acknowledged_at: None,
        told: BTreeMap::from([("other-sink".to_owned(), at)]),
    };
    let event = json!({"source": "snmp", "trap_name": "linkDown", "mnemonic": null});
    Delivery {
        id: ids.next(at),
        sink: "moog".to_owned(),
        seq,
        key: key.to_owned(),
        notice: Notice { kind, alert, event: Some(event), stands_for: 2 },
        state: DeliveryState::Leased,
        reason: None,
        attempts: 0,
        created_at: at,
        due_at: at,
        first_attempt_at: None,
        ended_at: None,
    }
}

fn opened() -> Delivery {
    delivery(1, "linkDown/edge-r1/ge-0/0/12", NoticeKind::Opened)
}

fn body(kind: SinkKind, delivery: &Delivery) -> Value {
    serde_json::from_slice(&render(kind, delivery, "dc1").body).unwrap()
}

fn cleared() -> Delivery {
    let mut delivery = opened();
    delivery.notice.kind = NoticeKind::Cleared;
    let alert = &mut delivery.notice.alert;
    alert.clear(Timestamp::from_secs(1_754_500_100), ClearedBy::Rule);
    delivery
}

#[test]
fn severities_follow_the_table_of_the_target() {
    let table = [(5, "critical"), (5, "critical"), (5, "critical"), (4, "major"), (2, "warning")];
    let low = [(1, "unknown"); 3];
    for (number, (enterprise, cloud)) in (0u8..).zip(table.into_iter().chain(low)) {
        let mut one = opened();
        one.notice.alert.severity = Severity::new(number).unwrap();
        let event = &body(SinkKind::Moogsoft, &one)["events"][0];
        assert_eq!(event["severity"], json!(enterprise), "{number}: an integer, 5 is critical");
        assert_eq!(body(SinkKind::MoogsoftCloud, &one)[0]["severity"], cloud, "{number}");
        one.notice.kind = NoticeKind::Cleared;
        assert_eq!(body(SinkKind::Moogsoft, &one)["events"][0]["severity"], json!(0));
        assert_eq!(body(SinkKind::MoogsoftCloud, &one)[0]["severity"], "clear");
    }
}

#[test]
fn moogsoft_enterprise_fields() {
    let one = opened();
    let body = body(SinkKind::Moogsoft, &one);
    let event = &body["events"][0];
    assert_eq!(body["events"].as_array().unwrap().len(), 1);
    for (field, expected) in [
        ("signature", json!("MUTT::linkDown/edge-r1/ge-0/0/12")),
        ("source_id", json!("edge-r1")),
        ("external_id", json!(one.id.to_string())),
        ("manager", json!("MUTT")),
        ("source", json!("edge-r1")),
        ("class", json!("linkDown")),
        ("agent_location", json!("dc1")),
        ("type", json!("linkDown")),
        ("severity", json!(5)),
        ("description", json!("linkDown ge-0/0/12")),
        ("first_occurred", json!(1_754_500_000)),
        ("agent_time", json!("1754500012")),
    ] {
        assert_eq!(event[field], expected, "{field}");
    }
    let info = &event["custom_info"];
    for (field, expected) in [
        ("team", json!("NetOps")),
        ("decision", json!("Page_and_ticket")),
        ("environment", json!("prod")),
        ("rule_id", json!(7)),
        ("count", json!(3)),
        ("stands_for", json!(2)),
        ("kind", json!("opened")),
        ("correlation_id", Value::Null),
        ("alert_id", json!(one.notice.alert.id.to_string())),
        ("event", one.notice.event.clone().unwrap()),
    ] {
        assert_eq!(info[field], expected, "custom_info.{field}");
    }
}

#[test]
fn a_clear_keeps_the_identity_and_has_its_own_time() {
    let (problem, clear) = (opened(), cleared());
    for (kind, at, identity) in [
        (SinkKind::Moogsoft, "/events/0/agent_time", "/events/0/signature"),
        (SinkKind::MoogsoftCloud, "/0/time", "/0/deduplication_key"),
    ] {
        let (problem, clear) = (body(kind, &problem), body(kind, &clear));
        assert_eq!(problem.pointer(identity).unwrap(), clear.pointer(identity).unwrap());
        let time = clear.pointer(at).unwrap();
        assert_eq!(time.to_string().trim_matches('"'), "1754500100");
    }
}

#[test]
fn moogsoft_cloud_fields() {
    let body = body(SinkKind::MoogsoftCloud, &opened());
    let event = &body[0];
    for (field, expected) in [
        ("source", json!("edge-r1")),
        ("check", json!("linkDown")),
        ("severity", json!("critical")),
        ("description", json!("linkDown ge-0/0/12")),
        ("time", json!(1_754_500_012)),
        ("manager", json!("MUTT")),
        ("type", json!("linkDown")),
    ] {
        assert_eq!(event[field], expected, "{field}");
    }
    let tags = event["tags"].as_object().unwrap();
    assert!(tags.values().all(|tag| tag.as_str().is_some_and(|text| !text.is_empty())), "{tags:?}");
    assert_eq!((&tags["team"], &tags["rule_id"]), (&json!("NetOps"), &json!("7")));
    assert!(!tags.contains_key("correlation_id"), "absent is left out");
}

#[test]
fn what_a_target_requires_is_never_empty_and_never_too_long() {
    let mut one = opened();
    one.notice.event = None;
    let alert = &mut one.notice.alert;
    alert.host.clear();
    alert.message = "  ".to_owned();
    let event = &body(SinkKind::Moogsoft, &one)["events"][0];
    assert_eq!(event["source"], "unknown");
    assert_eq!(event["description"], "linkDown opened");
    assert_eq!(event["type"], "mutt");
    assert_eq!(event["custom_info"]["event"], Value::Null);
    one.notice.alert.message = "ä".repeat(40_000);
    one.notice.alert.host = "h".repeat(40_000);
    let event = &body(SinkKind::MoogsoftCloud, &one)[0];
    for field in ["source", "description"] {
        let length = event[field].as_str().unwrap().len();
        assert!(length <= TEXT_MAX && length > TEXT_MAX - 2, "{field}: {length}");
    }
}

#[test]
fn the_webhook_has_all_of_the_delivery() {
    let one = opened();
    let rendered = render(SinkKind::Webhook, &one, "dc 1");
    let body: Value = serde_json::from_slice(&rendered.body).unwrap();
    let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["delivery_id", "kind", "stands_for", "alert", "event"]);
    assert_eq!(body["alert"]["key"], "linkDown/edge-r1/ge-0/0/12");
    assert_eq!(body["alert"].get("told"), None, "what other sinks were told stays here");
    let headers: BTreeMap<&str, String> = rendered.headers.into_iter().collect();
    assert_eq!(headers["idempotency-key"], one.id.to_string());
    assert_eq!(headers["ce-id"], one.id.to_string());
    assert_eq!(headers["ce-type"], "io.mutt.alert.opened.v1");
    assert_eq!(headers["ce-source"], "/mutt/dc%201");
    assert_eq!(headers["ce-time"], "2025-08-06T17:06:52.345679Z");
    assert_eq!(headers["ce-subject"], "linkDown/edge-r1/ge-0/0/12");
}

#[test]
fn a_long_key_is_cut_and_stays_itself() {
    let fits = "k".repeat(SIGNATURE_MAX - 6);
    assert_eq!(signature(&fits), format!("MUTT::{fits}"));
    let one = format!("{fits}1");
    let two = format!("{fits}2");
    assert_eq!(signature(&one).len(), SIGNATURE_MAX);
    assert_ne!(signature(&one), signature(&two));
    assert!(signature(&"ä".repeat(700)).len() <= SIGNATURE_MAX);
}

proptest! {
    #[test]
    fn no_text_of_a_device_breaks_a_header_or_the_body(key in any::<String>(), location in any::<String>()) {
        let one = delivery(1, &key, NoticeKind::Repeated);
        for kind in SinkKind::ALL {
            let rendered = render(kind, &one, &location);
            let body: Value = serde_json::from_slice(&rendered.body).unwrap();
            prop_assert!(!body.is_null());
            for (name, value) in rendered.headers {
                prop_assert!(value.bytes().all(|b| b.is_ascii_graphic()), "{}: {}", name, value);
            }
        }
        prop_assert!(signature(&key).len() <= SIGNATURE_MAX);
    }
}
