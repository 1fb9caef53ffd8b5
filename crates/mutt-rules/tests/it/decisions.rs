//! What rules mean, by example; and the first rule set on messages of several vendors.

use mutt_model::event::{Event, Severity, Source};
use mutt_model::id::Id;
use mutt_model::rule::{Handling, MatchType, Rule, RuleAction, RuleSet};
use mutt_model::time::Timestamp;
use mutt_model::verdict::{Environment, Verdict};
use mutt_rules::{
    CompileOptions, CompiledRules, Scratch, explain, first_rule_set, judge, lint, validate,
};

fn event(message: &str) -> Event<'_> {
    let at = Timestamp::from_secs(1_700_000_000);
    let mut event =
        Event::from_raw(Id::floor_of(at), at, Source::Syslog, "syslog-udp", "192.0.2.7:514", b"");
    event.message = message.into();
    event.host = "Edge-R1".into();
    event
}

fn trap<'e>(oid: &'e str, message: &'e str) -> Event<'e> {
    let mut event = event(message);
    event.source = Source::Snmp;
    event.trap_oid = Some(oid.into());
    event
}

fn rule(change: impl Fn(&mut Rule)) -> Rule {
    let mut rule = Rule::contains("down", Handling::PageOnly);
    rule.id = 7;
    change(&mut rule);
    rule
}

fn set(rules: Vec<Rule>) -> RuleSet {
    RuleSet { version: 3, rules, ..RuleSet::default() }
}

fn judged(set: &RuleSet, event: &Event<'_>) -> Verdict {
    let options = CompileOptions { default_team: "NETO".to_owned() };
    let rules = CompiledRules::compile(set, &options).unwrap();
    let verdict = judge(&rules, event, &mut Scratch::new());
    assert_eq!(verdict, explain(set, &options, event).verdict);
    verdict
}

#[test]
fn the_lowest_priority_number_wins_and_ties_go_by_id() {
    let numbered = |id, priority| rule(|r| (r.id, r.priority) = (id, priority));
    let check = |rules: Vec<Rule>, expected: i64| {
        assert_eq!(judged(&set(rules), &event("link DOWN")).rule_id, Some(expected));
    };
    check(vec![numbered(1, 10), numbered(2, 5)], 2);
    check(vec![numbered(9, 5), numbered(3, 5)], 3);
    check(vec![numbered(1, -4), numbered(2, 0)], 1);
}

#[test]
fn conditions_narrow() {
    let check = |change: &dyn Fn(&mut Rule), event: &Event<'_>, expected: bool| {
        let set = set(vec![rule(change)]);
        assert_eq!(judged(&set, event).handled(), expected, "{set:?}");
    };
    let under = |oid: &'static str| {
        move |r: &mut Rule| {
            (r.match_type, r.match_string) = (MatchType::OidPrefix, None);
            r.trap_oid = Some(oid.to_owned());
        }
    };
    let mut severe = event("down");
    severe.severity = Some(Severity::ERROR);
    let cisco = trap("1.3.6.1.4.1.9.9.41.2.0.1", "clogMessage down");
    check(&|_| {}, &event("link DoWn"), true);
    check(&|_| {}, &event("up"), false);
    check(&|r| r.host = Some("EDGE-r1".into()), &event("down"), true);
    check(&|r| r.host = Some("edge-r".into()), &event("down"), false);
    check(&|r| r.syslog_severity = Some(Severity::ERROR), &severe, true);
    check(&|r| r.syslog_severity = Some(Severity::ALERT), &severe, false);
    check(&|r| r.severity_max = Some(Severity::ERROR), &severe, true);
    check(&|r| r.severity_max = Some(Severity::CRITICAL), &severe, false);
    check(&|r| r.severity_max = Some(Severity::DEBUG), &event("down"), false);
    check(&|_| {}, &cisco, true);
    check(&|r| r.trap_oid = Some("1.3.6.1.4.1.9".into()), &cisco, true);
    check(&|r| r.trap_oid = Some("1.3.6.1.4.1.9".into()), &event("down"), false);
    check(&|r| r.trap_oid = Some("1.3.6.1.4.1.99".into()), &cisco, false);
    check(&under(".1.3.6.1.4.1.9"), &cisco, true);
    check(&under("1.3.6.1.4.1.9.9.41.2.1"), &cisco, true);
    check(&under("1.3.6.1.4.1.9.9.4"), &cisco, false);
    check(&under("1.3.6.1.4.1.9"), &event("1.3.6.1.4.1.9"), false);
}

#[test]
fn environment_and_team_follow_the_host() {
    let mut set = set(vec![rule(|r| r.dev_handling = Handling::TicketOnly)]);
    let check = |set: &RuleSet, environment, decision, team: &str| {
        let verdict = judged(set, &event("down"));
        let expected = (environment, Some(decision), team);
        assert_eq!((verdict.environment, verdict.decision, verdict.team.as_str()), expected);
    };
    check(&set, Environment::Prod, Handling::PageOnly, "NETO");
    set.dev_hosts.insert("edge-r1".to_owned());
    set.teams.insert("edge-r1".to_owned(), "Edge".to_owned());
    check(&set, Environment::Dev, Handling::TicketOnly, "Edge");
    assert_eq!(judged(&set, &event("up")).team, "Edge");
    set.rules[0].team_assignment = Some("Core".to_owned());
    check(&set, Environment::Dev, Handling::TicketOnly, "Core");
}

#[test]
fn the_alert_change_is_rendered() {
    let regex = |r: &mut Rule| {
        r.match_type = MatchType::Regex;
        r.match_string = Some(r"(?P<port>ge-\S+) down".to_owned());
        r.resource = Some("regex:port".to_owned());
    };
    let check = |change: &dyn Fn(&mut Rule), event: &Event<'_>, key: Option<&str>| {
        let verdict = judged(&set(vec![rule(change)]), event);
        assert_eq!(verdict.change.as_ref().map(|change| change.key.as_str()), key);
    };
    let mut known = event("ge-0/0/1 down");
    known.resource = Some("xe-1".into());
    check(&|_| {}, &event("down"), Some("7/edge-r1/"));
    check(&|_| {}, &known, Some("7/edge-r1/xe-1"));
    check(&regex, &known, Some("7/edge-r1/ge-0/0/1"));
    check(&|r| r.resource = Some("chassis".into()), &known, Some("7/edge-r1/chassis"));
    check(&|r| r.problem = Some("link".into()), &known, Some("link/edge-r1/xe-1"));
    check(
        &|r| r.key = Some("{host}:{severity}:{team}".into()),
        &known,
        Some("edge-r1:warning:NETO"),
    );
    check(&|r| r.prod_handling = Handling::Ignore, &known, None);
    check(&|r| r.prod_handling = Handling::parse("Email"), &known, None);
    let clear = |r: &mut Rule| {
        (r.action, r.problem) = (RuleAction::Clear, Some("link".into()));
        r.prod_handling = Handling::Ignore;
    };
    check(&clear, &known, Some("link/edge-r1/xe-1"));
    let change = judged(&set(vec![rule(regex)]), &known).change.unwrap();
    assert_eq!((change.host.as_str(), change.severity), ("Edge-R1", Severity::WARNING));
    assert_eq!((change.resource.as_str(), change.event_id), ("ge-0/0/1", Some(known.id)));
}

#[test]
fn an_invalid_rule_refuses_the_set_and_an_inactive_one_does_not() {
    let broken = |r: &mut Rule| {
        (r.match_type, r.match_string) = (MatchType::Regex, Some("(".to_owned()));
    };
    let options = CompileOptions::default();
    let errors = CompiledRules::compile(&set(vec![rule(broken)]), &options).unwrap_err();
    assert_eq!((errors[0].rule_id, errors[0].field), (7, "match_string"));
    let inactive = rule(|r| {
        broken(r);
        r.is_active = false;
    });
    assert!(CompiledRules::compile(&set(vec![inactive]), &options).unwrap().is_empty());
}

#[test]
fn a_scratch_serves_one_set_after_another() {
    let options = CompileOptions::default();
    let compile = |rules| CompiledRules::compile(&set(rules), &options).unwrap();
    let one = compile(vec![rule(|_| {})]);
    let regex = |r: &mut Rule| {
        (r.match_type, r.match_string) = (MatchType::Regex, Some("lin[ek] down".to_owned()));
    };
    let many = compile(vec![rule(|r| r.match_string = Some("none".into())), rule(regex)]);
    let mut scratch = Scratch::new();
    for rules in [&one, &many, &one, &many] {
        assert!(judge(rules, &event("link down"), &mut scratch).handled());
    }
}

fn first_set() -> RuleSet {
    let mut set = set(first_rule_set());
    for (id, rule) in (1..).zip(&mut set.rules) {
        rule.id = id;
    }
    set
}

#[test]
fn the_first_rule_set_is_sound() {
    let set = first_set();
    for rule in &set.rules {
        assert_eq!(validate(rule), Ok(()));
        assert!(rule.name.is_some() && rule.team_assignment.is_none());
    }
    assert_eq!(lint(&set), []);
}

#[test]
fn link_down_by_syslog_and_by_trap_is_one_alert() {
    let set = first_set();
    let with = |mut event: Event<'static>, resource: &'static str| {
        event.resource = Some(resource.into());
        let change = judged(&set, &event).change.expect("a change");
        (change.key, change.action)
    };
    let down = ("link-down/edge-r1/ge-0/0/12".to_owned(), RuleAction::Problem);
    let up = ("link-down/edge-r1/ge-0/0/12".to_owned(), RuleAction::Clear);
    let syslog = "SNMP_TRAP_LINK_DOWN: ifIndex 527, ifAdminStatus up(1), ifOperStatus down(2), ifName ge-0/0/12";
    assert_eq!(with(event(syslog), "ge-0/0/12"), down);
    let message = "linkDown ifIndex.527=527 ifAdminStatus.527=up ifDescr.527=ge-0/0/12";
    assert_eq!(with(trap("1.3.6.1.6.3.1.1.5.3", message), "ge-0/0/12"), down);
    let syslog =
        "SNMP_TRAP_LINK_UP: ifIndex 527, ifAdminStatus up(1), ifOperStatus up(1), ifName ge-0/0/12";
    assert_eq!(with(event(syslog), "ge-0/0/12"), up);
    assert_eq!(with(trap("1.3.6.1.6.3.1.1.5.4", "linkUp ifIndex.527=527"), "ge-0/0/12"), up);
}

#[test]
fn the_first_rule_set_knows_the_vendors_words() {
    let set = first_set();
    let check = |message: &str, expected: &str| {
        let verdict = judged(&set, &event(message));
        let change = verdict.change.as_ref();
        let found = change.map_or("none", |change| change.problem.as_str());
        let clears = change.is_some_and(|change| change.action == RuleAction::Clear);
        let sign = if clears { "-" } else { "" };
        assert_eq!(format!("{sign}{found}"), expected, "{message}");
    };
    check("%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down", "link-down");
    check("%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to up", "-link-down");
    check(
        "%LINEPROTO-5-UPDOWN: Line protocol on Interface Ethernet1, changed state to down",
        "link-down",
    );
    check("%LINK-5-CHANGED: Interface Vlan9, changed state to administratively down", "none");
    check(
        "%ETHPORT-5-IF_DOWN_LINK_FAILURE: Interface Ethernet1/3 is down (Link failure)",
        "link-down",
    );
    check("%ETHPORT-5-IF_UP: Interface Ethernet1/3 is up in mode trunk", "-link-down");
    check(
        "%PKT_INFRA-LINK-3-UPDOWN : Interface TenGigE0/0/0/1, changed state to Down",
        "link-down",
    );
    check(
        "%%01IFNET/4/LINK_STATE(l)[3]:The line protocol IP on the interface GE0/0/1 has entered the DOWN state.",
        "link-down",
    );
    check(
        "%%01IFNET/4/LINK_STATE(l)[4]:The line protocol IP on the interface GE0/0/1 has entered the UP state.",
        "-link-down",
    );
    check("%BGP-5-ADJCHANGE: neighbor 192.0.2.1 Down BGP Notification sent", "bgp-neighbor-down");
    check("%BGP-5-ADJCHANGE: neighbor 192.0.2.1 Up", "-bgp-neighbor-down");
    check(
        "RPD_BGP_NEIGHBOR_STATE_CHANGED: BGP peer 192.0.2.1 (External AS 65001) changed state from Established to Idle",
        "bgp-neighbor-down",
    );
    check(
        "RPD_BGP_NEIGHBOR_STATE_CHANGED: BGP peer 192.0.2.1 (External AS 65001) changed state from OpenConfirm to Established",
        "-bgp-neighbor-down",
    );
    check(
        "%BGP-3-NOTIFICATION: received from neighbor 192.0.2.1 4/0 (hold time expired) 0 bytes",
        "none",
    );
    check(
        "%OSPF-5-ADJCHG: Process 1, Nbr 192.0.2.9 on Vlan5 from FULL to DOWN, Neighbor Down: Dead timer expired",
        "ospf-neighbor-down",
    );
    check(
        "%OSPF-5-ADJCHG: Process 1, Nbr 192.0.2.9 on Vlan5 from LOADING to FULL, Loading Done",
        "-ospf-neighbor-down",
    );
    check(
        "RPD_OSPF_NBRDOWN: OSPF neighbor 192.0.2.9 state changed from Full to Down",
        "ospf-neighbor-down",
    );
    check("%PLATFORM_ENV-1-FRU_PS: Power supply 2 is faulty", "power-supply");
    check("Power Supply 1 failed", "power-supply");
    check("%FAN-3-FAN_FAILED: Fan 2 failed", "fan");
    check("chassis temperature exceeds 75 degrees", "temperature");
    check(
        "%SYS-5-CONFIG_I: Configured from console by admin on vty0 (192.0.2.3)",
        "configuration-changed",
    );
    check("UI_COMMIT: User 'ops' requested 'commit' operation", "configuration-changed");
    check("session opened for user root", "none");
    check("fantastic offer", "none");
}
