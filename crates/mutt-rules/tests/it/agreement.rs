//! Judging through the index and trying every rule plainly give the same verdict.

use mutt_model::event::{Event, Severity, Source};
use mutt_model::id::Id;
use mutt_model::rule::{Handling, MatchType, Rule, RuleAction, RuleSet};
use mutt_model::time::Timestamp;
use mutt_rules::{CompileOptions, CompiledRules, Scratch, explain, judge};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const WORDS: &[&str] = &[
    "link",
    "Link",
    "LINK",
    "down",
    "up",
    "ſtate",
    "state",
    "ﬁ",
    "Straße",
    "STRASSE",
    "\u{212a}ey",
    "key",
    "İx",
    "ix",
    "a",
    "ab",
    "aba",
    "7",
    "42",
    "%",
    "ge-0/0/1",
    "ΣΑΣ",
    "σας",
    "日本",
    "-",
];
const PATTERNS: &[&str] = &[
    "link",
    "l[io]nk",
    "link (up|down)",
    "(?:state|key)",
    r"\bstate\b",
    r"\d+",
    r"\w+ \d",
    "^a",
    "(link|ab)+ ?down",
    "(?-i)Link",
    "down$",
    ".*",
    "k",
    "S",
    "stra(?:ß|ss)e",
    r"\x{17f}t",
    "σα.",
    r"\p{Greek}+",
    "日",
    "a{2,3}",
    "(ab|aba) (a|7)",
    "[^a]link",
    r"(?P<port>ge-\S+)",
    "state|7",
    "(?:link.*down|down.*link)",
    "a|.*",
    "key?",
    r"\Aab",
    r"[[:upper:]]{2}",
    r"\B\w\W",
    r"(?-u:\b)\w[^k]\b",
];
const OIDS: &[&str] = &[
    "1.3.6",
    "1.3.6.1.4.1.9",
    "1.3.6.1.4.1.9.0.5",
    "1.3.6.1.4.1.9.5",
    "1.3.6.1.4.1.99.5",
    "1.3.6.1.6.3.1.1.5.3",
    "1.3.6.1.4.1.9.0",
];
const HOSTS: &[&str] = &["edge-r1", "EDGE-R1", "core", "ſw", "sw", "192.0.2.7"];

fn severity() -> impl Strategy<Value = Option<Severity>> {
    option::weighted(0.3, (0_u8..8).prop_map(|number| Severity::new(number).unwrap()))
}

fn text() -> impl Strategy<Value = String> {
    vec(select(WORDS), 1..4).prop_map(|words| words.join(" "))
}

fn message() -> impl Strategy<Value = String> {
    vec(select(WORDS), 0..9).prop_map(|words| words.join(" "))
}

fn matching() -> impl Strategy<Value = (MatchType, Option<String>, Option<String>)> {
    let oid = || select(OIDS).prop_map(str::to_owned);
    prop_oneof![
        4 => (text(), option::weighted(0.2, oid())).prop_map(|(text, oid)| (MatchType::Contains, Some(text), oid)),
        4 => (select(PATTERNS), option::weighted(0.2, oid()))
            .prop_map(|(text, oid)| (MatchType::Regex, Some(text.to_owned()), oid)),
        1 => (oid(), option::of(text())).prop_map(|(oid, text)| (MatchType::OidPrefix, text, Some(oid))),
        1 => oid().prop_map(|oid| (MatchType::Contains, None, Some(oid))),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let host = option::weighted(0.2, select(HOSTS));
    let flags = (0_i64..4, 0_u8..8, any::<bool>());
    (matching(), severity(), severity(), host, flags).prop_map(
        |((match_type, match_string, trap_oid), only, max, host, (priority, kind, ignore))| {
            let mut rule = Rule::contains("", Handling::PageOnly);
            if match_type == MatchType::Regex
                && match_string.as_deref() == Some(r"(?P<port>ge-\S+)")
            {
                rule.resource = Some("regex:port".to_owned());
            }
            (rule.match_type, rule.match_string, rule.trap_oid) =
                (match_type, match_string, trap_oid);
            (rule.syslog_severity, rule.severity_max) = (only, max);
            rule.host = host.map(str::to_owned);
            rule.priority = priority;
            rule.is_active = kind != 0;
            if kind == 1 {
                rule.action = RuleAction::Clear;
                rule.problem = Some("link".to_owned());
            }
            if ignore {
                rule.prod_handling = Handling::Ignore;
            }
            rule
        },
    )
}

fn event() -> impl Strategy<Value = Event<'static>> {
    (message(), select(HOSTS), severity(), option::weighted(0.4, select(OIDS))).prop_map(
        |(message, host, severity, trap_oid)| {
            let at = Timestamp::from_secs(1_700_000_000);
            let mut event =
                Event::from_raw(Id::floor_of(at), at, Source::Http, "http", "192.0.2.1:9", b"");
            event.message = message.into();
            event.host = host.into();
            event.severity = severity;
            event.trap_oid = trap_oid.map(Into::into);
            event
        },
    )
}

fn rule_set(mut rules: Vec<Rule>) -> RuleSet {
    for (id, rule) in (1_i64..).zip(&mut rules) {
        rule.id = id;
    }
    RuleSet {
        version: 1,
        rules,
        dev_hosts: ["core".to_owned()].into(),
        teams: [("edge-r1".to_owned(), "Edge".to_owned())].into(),
    }
}

fn agree(set: &RuleSet, events: &[Event<'_>]) {
    let options = CompileOptions { default_team: "NETO".to_owned() };
    let compiled = CompiledRules::compile(set, &options).unwrap();
    let mut scratch = Scratch::new();
    for event in events {
        let plain = explain(set, &options, event);
        assert_eq!(judge(&compiled, event, &mut scratch), plain.verdict, "{event:?}\n{plain:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn judging_agrees_with_trying_every_rule(
        rules in vec(rule(), 0..12),
        events in vec(event(), 1..8),
    ) {
        agree(&rule_set(rules), &events);
    }
}

#[test]
fn many_regexes_on_one_literal_agree() {
    let rules = (0..150).map(|n| {
        let mut rule = Rule::contains("", Handling::PageOnly);
        rule.match_type = MatchType::Regex;
        rule.match_string = Some(format!("link {n}[ab]? down"));
        rule.priority = 150 - n;
        rule
    });
    let set = rule_set(rules.collect());
    let at = Timestamp::from_secs(1);
    for text in ["link 7 down", "link 149a down LINK 3 DOWN", "link 150 down", "é link 12b down"] {
        let mut event = Event::from_raw(Id::floor_of(at), at, Source::Http, "http", "h:1", b"");
        event.message = text.into();
        agree(&set, &[event]);
    }
}
