//! `muttctl explain`: the page of an error code, or the life of one event.

use mutt_model::codes::{self, Code};
use serde_json::{Value, json};

use super::api::{Api, block_on};
use super::args::ExplainArgs;
use super::failure::Failure;
use super::output::{self, cell};
use super::rules::explanation;
use crate::config::nearest;

/// A code needs no running program; an event does.
pub(super) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    if let Some(code) = codes::find(&args.what) {
        return page(code, args.target.json);
    }
    if args.what.parse::<mutt_model::Id>().is_ok() {
        return life(args);
    }
    let hint = match nearest(&args.what.to_ascii_uppercase(), codes::all().map(|code| code.id)) {
        Some(known) => format!("did you mean {known}?"),
        None => "codes look like MUTT-I004, event ids like 01980f5e-7c1a-7000-8000-...".to_owned(),
    };
    Err(Failure::usage(format!("`{}` is no error code and no event id", args.what)).hint(hint))
}

fn page(code: &Code, json: bool) -> Result<(), Failure> {
    if json {
        let value = json!({
            "code": code.id, "title": code.title, "means": code.means, "causes": code.causes,
            "check": code.check, "fix": code.fix,
        });
        return Ok(output::line(&value.to_string())?);
    }
    output::heading(&format!("{}: {}", code.id, code.title))?;
    output::line(code.means)?;
    for (heading, lines) in
        [("Likely causes", code.causes), ("Check", code.check), ("Fix", code.fix)]
    {
        output::line("")?;
        output::heading(heading)?;
        for line in lines {
            output::line(&format!("  {line}"))?;
        }
    }
    Ok(())
}

fn life(args: &ExplainArgs) -> Result<(), Failure> {
    let api = Api::new(&args.target)?;
    let event = block_on(api.get(&["events", &args.what], &[]))?;
    if args.target.json {
        return Ok(output::line(&event.to_string())?);
    }
    output::heading("Event")?;
    for (name, at) in [
        ("received", "/received_at"),
        ("from", "/peer"),
        ("listener", "/listener"),
        ("host", "/host"),
        ("severity", "/severity"),
        ("message", "/message"),
        ("parsed as", "/parse/format"),
        ("parse status", "/parse/status"),
    ] {
        output::line(&format!("  {name:12} {}", cell(&event, at)))?;
    }
    let lineage = &event["lineage"];
    output::line("")?;
    output::heading(&format!("Judged by rule set {}", cell(lineage, "/ruleset")))?;
    explanation(&lineage["explanation"])?;
    if lineage["explanation"]["agrees"] == Value::Bool(false) {
        output::warning("judged again, another rule wins than was recorded; please report it");
    }
    output::line("")?;
    output::heading("Alert")?;
    if lineage["alert"].is_null() {
        output::line("  none")?;
    } else {
        let alert = &lineage["alert"];
        output::line(&format!(
            "  {} {} {} count {}",
            cell(alert, "/id"),
            cell(alert, "/state"),
            cell(alert, "/key"),
            cell(alert, "/count")
        ))?;
    }
    section("Timeline", &lineage["timeline"], &["/at", "/what", "/who", "/text"])?;
    section(
        "Deliveries",
        &lineage["deliveries"],
        &["/created_at", "/sink", "/notice/kind", "/state", "/reason", "/id"],
    )?;
    section(
        "Attempts",
        &lineage["attempts"],
        &["/at", "/sink", "/outcome", "/status", "/latency_ms", "/detail"],
    )
}

fn section(heading: &str, items: &Value, columns: &[&str]) -> Result<(), Failure> {
    let Some(items) = items.as_array().filter(|items| !items.is_empty()) else { return Ok(()) };
    output::line("")?;
    output::heading(heading)?;
    for item in items {
        let cells: Vec<String> = columns.iter().map(|at| cell(item, at)).collect();
        output::line(&format!("  {}", cells.join("  ")))?;
    }
    Ok(())
}
