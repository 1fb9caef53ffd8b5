//! `muttctl queue`: status over the REST API, and a look at the files that changes nothing.

use mutt_model::codes;
use serde_json::{Value, json};

use super::args::{QueueArgs, QueueVerb};
use super::failure::Failure;
use super::{objects, output};
use crate::config::{QUEUE_DIR, SPILL_DIR};

/// Does what the verb says.
pub(super) fn run(args: &QueueArgs) -> Result<(), Failure> {
    match &args.verb {
        QueueVerb::Status => objects::show(&args.target, &["queue"]),
        QueueVerb::Check { data_dir } => {
            let (queue, spill) = (data_dir.join(QUEUE_DIR), data_dir.join(SPILL_DIR));
            // An Ingestor before Redis has a spill and no queue of its own.
            let queue_checked = if queue.is_dir() || !spill.is_dir() {
                check(&queue, args.target.json)
            } else {
                Ok(())
            };
            if spill.is_dir() {
                output::note(&format!("the spill in {}:", spill.display()));
                check(&spill, args.target.json)?;
            }
            queue_checked
        }
    }
}

fn check(dir: &std::path::Path, json: bool) -> Result<(), Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(&codes::QUEUE_OPEN, format!("cannot check {}: {why}", dir.display()))
            .hint("name the data directory with --data-dir")
    };
    if !dir.is_dir() {
        return Err(failed(&"there is no such folder"));
    }
    let report = mutt_store::queue::check(dir).map_err(|why| failed(&why))?;
    let value = serde_json::to_value(&report).unwrap_or_default();
    if json {
        output::line(&value.to_string())?;
    } else {
        let segments = value["segments"].as_array().cloned().unwrap_or_default();
        let segments: Vec<Value> = segments.into_iter().map(with_damage).collect();
        let columns = [
            ("FILE", "/file"),
            ("BYTES", "/bytes"),
            ("RECORDS", "/records"),
            ("EVENTS", "/events"),
            ("DAMAGE", "/shown"),
        ];
        output::items(&segments, &columns, false)?;
        for damage in &report.damage {
            output::line(&format!("damage: {damage}"))?;
        }
        for file in &report.set_aside {
            output::line(&format!("set aside earlier: {file}"))?;
        }
        output::line(&format!(
            "{} events wait of {} ever appended",
            report.pending_events, report.appended_events
        ))?;
    }
    if report.is_sound() {
        return Ok(());
    }
    Err(Failure::new(&codes::ALERTER_QUEUE_DAMAGED, "the event queue is damaged")
        .hint("the next start salvages what is readable and counts the rest in lost; keep a copy of the folder first"))
}

fn with_damage(mut segment: Value) -> Value {
    let damage: Vec<&str> =
        segment["damage"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let shown = damage.join("; ");
    segment["shown"] = json!(shown);
    segment
}
