//! Prints how many events one core judges a second with 10, 100, 1,000 and 10,000 rules. Run in release;
//! arguments are other numbers of rules, `rounds=N` is how often the 4,000 events are judged, `plain`
//! leaves out what is not the main figure.
//!
//! Rules: 70 % contains, each with a text of its own that begins and ends in words which hundreds of
//! others share; 30 % regex. Of the regexes one in twelve has no literal of three bytes or more, so
//! that nothing but running it tells whether it matches; half hold no literal but a subject and a
//! state, which a hundred others share; the rest have a literal of their own.
//!
//! Events: three in ten match a rule, spread over the whole set; seven in ten match none, although
//! each of them holds a subject and a state that rules look for. Unhandled events cost the shape of
//! their message too, as in service. `é` stands for the same events with a character that is not ASCII.
#![expect(clippy::print_stdout, reason = "an example speaks to its reader")]

use std::hint::black_box;

use mutt_model::Clock;
use mutt_model::event::{Event, Severity, Source};
use mutt_model::id::Id;
use mutt_model::rule::{Handling, MatchType, Rule, RuleSet};
use mutt_model::time::Timestamp;
use mutt_rules::{
    CompileOptions, CompiledRules, RuleError, Scratch, first_rule_set, judge, template,
};

const EVENTS: usize = 4_000;
const ROUNDS: usize = 25;
const SUBJECTS: [&str; 12] = [
    "interface",
    "neighbor",
    "power supply",
    "fan tray",
    "session",
    "tunnel",
    "module",
    "peer",
    "certificate",
    "process",
    "license",
    "transceiver",
];
const STATES: [&str; 8] = [
    "failed",
    "restarted",
    "expired",
    "mismatch",
    "unreachable",
    "degraded",
    "removed",
    "limit reached",
];

fn rule(n: usize) -> Rule {
    let (subject, state) = (SUBJECTS[n % SUBJECTS.len()], STATES[(n / 12) % STATES.len()]);
    let mut rule = Rule::contains(&format!("{subject} unit-{n:05} {state}"), Handling::PageOnly);
    rule.id = i64::try_from(n).unwrap_or(0) + 1;
    if n % 10 < 3 {
        rule.match_type = MatchType::Regex;
        rule.match_string = Some(match n % 20 {
            2 if n % 40 == 2 => without_literal(n / 40),
            0..5 => format!(r"{subject} unit-{n:05} (?:now )?{state}"),
            // Nothing but the subject and the state, which hundreds of rules share, is literal here.
            _ => format!(
                r"{subject} [a-z]+\W{}[0-9]{}[0-9]{}\b.* {state} \(code \d+\)",
                n / 10_000,
                n / 100 % 10,
                n % 10
            ),
        });
    }
    rule
}

/// The k-th regex without a literal that could be looked for.
fn without_literal(k: usize) -> String {
    let (low, high) = (k % 10, char::from(b'a' + u8::try_from(k / 10 % 26).unwrap_or(0)));
    match k % 3 {
        0 => format!(r"\b\d{{1,3}}-[a-z]{{2}}-[{high}z][{low}x]\d\b"),
        1 => format!(r"(?:up|dn|ok)[:=]\d*[{low}][{high}_]\d{{2}}\b"),
        _ => format!(r"\b[0-9a-f]{{4}}[{high}{low}]\W+\w[{high}]\d"),
    }
}

fn message(n: usize, rules: usize) -> String {
    let (subject, state) = (SUBJECTS[n % 12], STATES[(n / 12) % 8]);
    if n % 10 >= 3 {
        // Words that rules look for, and yet no rule's text.
        return format!(
            "%PLATFORM-4-NOTE: {subject} slot {} reports {state} counters 0x{n:08x}, last change 00:12:{:02} by line card {}",
            n % 16,
            n % 60,
            n % 8
        );
    }
    let wanted = n * 7 % rules;
    let (subject, state) = (SUBJECTS[wanted % 12], STATES[(wanted / 12) % 8]);
    format!(
        "%PLATFORM-2-ALARM: {subject} unit-{wanted:05} {state} (code {}) on line card {} of the chassis in rack {}",
        n % 90,
        n % 8,
        n % 40
    )
}

fn events(messages: &[String]) -> Vec<Event<'_>> {
    let at = Timestamp::from_secs(1_700_000_000);
    let event = |text| {
        let mut event = Event::from_raw(
            Id::floor_of(at),
            at,
            Source::Syslog,
            "syslog-udp",
            "192.0.2.7:514",
            b"",
        );
        event.message = std::borrow::Cow::Borrowed(text);
        event.severity = Some(Severity::WARNING);
        event
    };
    messages.iter().map(|text| event(text.as_str())).collect()
}

/// Resident memory of this process.
fn resident_kib() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap_or("unknown").trim().to_owned()
}

/// The sizes given as arguments, else the four.
fn counts() -> Vec<usize> {
    let given: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    if given.is_empty() { vec![10, 100, 1_000, 10_000] } else { given }
}

fn rounds() -> usize {
    let given = std::env::args().find_map(|text| text.strip_prefix("rounds=")?.parse().ok());
    given.unwrap_or(ROUNDS)
}

/// Judges all messages again and again; gives how many of them match.
fn judged(clock: &Clock, rules: &CompiledRules, messages: &[String], label: &str) -> usize {
    let events = events(messages);
    let mut scratch = Scratch::new();
    let judged = |event: &Event<'_>, scratch: &mut Scratch| judge(rules, event, scratch);
    let matched = events.iter().filter(|event| judged(event, &mut scratch).handled()).count();
    let start = clock.monotonic();
    for _ in 0..rounds() {
        for event in &events {
            black_box(judged(black_box(event), &mut scratch));
        }
    }
    let took = (clock.monotonic() - start).as_secs_f64();
    let judged = f64::from(u32::try_from(rounds() * events.len()).unwrap_or(u32::MAX));
    println!(
        "{label}: {:>9.0} events/s, {:.2} us each; {matched} of {} match; memory {}",
        judged / took,
        took * 1e6 / judged,
        events.len(),
        resident_kib(),
    );
    matched
}

fn main() -> Result<(), Vec<RuleError>> {
    let clock = Clock::System;
    let options = CompileOptions { default_team: "NETO".to_owned() };
    println!("memory before: {}", resident_kib());
    let first = RuleSet { version: 1, rules: first_rule_set(), ..RuleSet::default() };
    let first = CompiledRules::compile(&first, &options)?;
    let messages: Vec<String> = (0..EVENTS).map(|n| message(n, 10)).collect();
    let plain_only = std::env::args().any(|text| text == "plain");
    if !plain_only {
        judged(&clock, &first, &messages, "first set");
    }
    drop(first);
    for count in counts() {
        let set =
            RuleSet { version: 1, rules: (0..count).map(rule).collect(), ..RuleSet::default() };
        let start = clock.monotonic();
        let rules = CompiledRules::compile(&set, &options)?;
        let compiled = clock.monotonic() - start;
        println!("{count:>6} rules compiled in {compiled:?}; memory {}", resident_kib());
        let mut messages: Vec<String> = (0..EVENTS).map(|n| message(n, count)).collect();
        let plain = judged(&clock, &rules, &messages, &format!("{count:>6} rules   "));
        if plain_only {
            continue;
        }
        messages.iter_mut().for_each(|message| message.push_str(", Zürich"));
        let other = judged(&clock, &rules, &messages, &format!("{count:>6} rules, é"));
        assert_eq!(plain, other, "the same rules match");
    }
    shapes(&clock);
    Ok(())
}

fn shapes(clock: &Clock) {
    let messages: Vec<String> = (0..EVENTS).map(|n| message(n, 100)).collect();
    let start = clock.monotonic();
    let mut out = String::new();
    for _ in 0..rounds() {
        for message in &messages {
            out.clear();
            template::shape(black_box(message), &mut out);
            black_box(&out);
        }
    }
    let took = (clock.monotonic() - start).as_secs_f64();
    let shaped = f64::from(u32::try_from(rounds() * EVENTS).unwrap_or(u32::MAX));
    println!("shape of a message: {:.2} us", took * 1e6 / shaped);
}
