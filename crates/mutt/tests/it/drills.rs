//! The drills: each runbook entry of TROUBLESHOOTING.md is followed from top to bottom against the real
//! program with the real fault, and in the end no event is unaccounted for.

use crate::docs;

const RUNBOOK: &str = "docs/operations/TROUBLESHOOTING.md";
/// What an entry has, in this order.
const PARTS: [&str; 7] = [
    "**Symptom.**",
    "**Is it real?**",
    "**Find the cause",
    "**Fix",
    "**Verify",
    "**Undo.**",
    "**Escalate**",
];

/// One test for each fault, so that they run beside each other.
macro_rules! drills {
    ($($test:ident: $state:literal names $named:literal,)*) => {
        /// State and what names the fault: doctor's finding, or a message with its code.
        const DRILLS: &[(&str, &str)] = &[$(($state, $named)),*];
        $(#[test] fn $test() { docs::drill(RUNBOOK, $state); })*
    };
}

drills! {
    webhook_down: "webhook-down" names "moog does not answer (MUTT-F005)",
    sink_answers_401: "sink-401" names "moog is held (MUTT-F002)",
    disk_full: "disk-full" names "nothing more is accepted (MUTT-I004)",
    port_taken: "port-taken" names "(ingestor.http.listen) is taken by",
    bad_token: "bad-token" names "bad  program: MUTT-W001",
    no_events: "no-events" names "no event was ever heard",
    no_traps: "no-traps" names "events dropped so far: community",
    rule_does_not_match: "rule-does-not-match" names "message does not contain",
    wrong_clock: "wrong-clock" names "(MUTT-P003)",
    queue_full: "queue-full" names "it is full (MUTT-I004",
}

#[test]
fn every_entry_names_its_fault_and_ends_with_a_balanced_ledger() {
    let mut faults = Vec::new();
    for (state, named) in DRILLS {
        let shown = docs::shown(RUNBOOK, state).concat();
        for wanted in [*named, "events.unaccounted"] {
            if !shown.contains(wanted) {
                faults.push(format!("{state}: no output shows `{wanted}`"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What SERVICE_OPERATIONS says of a sink, a credential, the Alerter, the disk and the clock is drilled.
#[test]
fn every_row_of_what_is_away_has_its_drill() {
    let (guide, runbook) =
        (docs::read("docs/operations/SERVICE_OPERATIONS.md"), docs::read(RUNBOOK));
    let rows = guide.lines().skip_while(|l| !l.starts_with("| away | what happens")).skip(2);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 5, "{rows:?}");
    for row in rows {
        let (_, link) = row.split_once("TROUBLESHOOTING.md#").expect(row);
        let (anchor, _) = link.split_once(')').unwrap();
        let entry = runbook.split("\n#").find(|entry| {
            let head = entry.lines().next().unwrap_or_default().trim_start_matches(['#', ' ']);
            let kept = |c: &char| c.is_alphanumeric() || *c == ' ' || *c == '-';
            let head: String = head.to_lowercase().chars().filter(kept).collect();
            head.replace(' ', "-") == anchor
        });
        let entry = entry.unwrap_or_else(|| panic!("no entry {anchor}"));
        let drilled = DRILLS.iter().any(|(state, _)| entry.contains(&format!("state={state}")));
        assert!(drilled, "{anchor} has no drill");
    }
}

#[test]
fn every_entry_has_its_parts_in_order() {
    let text = docs::read(RUNBOOK);
    let entries: Vec<&str> =
        text.split("\n#").filter(|entry| entry.contains("**Symptom.**")).collect();
    assert_eq!(entries.len(), DRILLS.len(), "each entry has a drill, each drill an entry");
    for entry in entries {
        let title = entry.lines().next().unwrap_or_default();
        let places: Vec<Option<usize>> = PARTS.iter().map(|part| entry.find(part)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{title}: {places:?}");
    }
}
