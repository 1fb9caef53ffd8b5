//! The first rule set, written once into a new store: a dozen troubles that every network has, from
//! syslog and traps alike. Rules for one trouble give one problem name, so that a trap and a syslog
//! line about one interface meet in one alert.

use mutt_model::rule::{Handling, MatchType, Rule, RuleAction};

/// Standard notifications, RFC 3418 and RFC 2863, BGP4-MIB and OSPF-TRAP-MIB.
const COLD_START: &str = "1.3.6.1.6.3.1.1.5.1";
const LINK_DOWN: &str = "1.3.6.1.6.3.1.1.5.3";
const LINK_UP: &str = "1.3.6.1.6.3.1.1.5.4";
const AUTHENTICATION_FAILURE: &str = "1.3.6.1.6.3.1.1.5.5";
const BGP_ESTABLISHED: &str = "1.3.6.1.2.1.15.0.1";
const BGP_BACKWARD: &str = "1.3.6.1.2.1.15.0.2";

// Cisco IOS, IOS-XR and Arista; NX-OS; Juniper; Huawei.
const LINK_DOWN_TEXT: &str = r"LINK-\d-UPDOWN.* to down\b|LINEPROTO-\d-UPDOWN.* to down\b|ETH_?PORT\S*-\d-IF_DOWN|SNMP_TRAP_LINK_DOWN|IFNET/\d/\S*LINK\S*.*\bdown\b";
const LINK_UP_TEXT: &str = r"LINK-\d-UPDOWN.* to up\b|LINEPROTO-\d-UPDOWN.* to up\b|ETH_?PORT\S*-\d-IF_UP|SNMP_TRAP_LINK_UP|IFNET/\d/\S*LINK\S*.*\bup\b";
const BGP_DOWN_TEXT: &str = r"BGP\S*-ADJCHANGE.*\bdown\b|BGP\S*-ADJCHANGE.*old state established|BGP_NEIGHBOR_STATE_CHANGED.*from established|BGP/\d/\S*BACKWARD|BGP/\d/STATE_CHG.*\bfrom established\b";
const BGP_UP_TEXT: &str = r"BGP\S*-ADJCHANGE.*\bup\b|BGP\S*-ADJCHANGE.*new state established|BGP_NEIGHBOR_STATE_CHANGED.*to established|BGP/\d/\S*ESTABLISHED|BGP/\d/STATE_CHG.*\bto established\b";
const OSPF_DOWN_TEXT: &str = r"OSPF\S*-ADJCH\S*.*\b(?:to|adjacency) down\b|OSPF\S*-ADJCH\S*.*\bfrom full to\b|RPD_OSPF_NBRDOWN|OSPF/\d/NBR\S*.*\bdown\b";
const OSPF_UP_TEXT: &str =
    r"OSPF\S*-ADJCH\S*.*\bto full\b|RPD_OSPF_NBRUP|OSPF/\d/NBR\S*.*\bto full\b";
const POWER_TEXT: &str = r"power.?supply.*\b(?:fail(?:ed|ure)?|fault[ys]?|lost|not ok|bad|off|absent|removed)\b|\bPSU\b.*\b(?:fail(?:ed|ure)?|fault|lost|removed)\b|PLATFORM_PWR\S*FAIL|PLATFORM\S*-PS_FAIL";
const FAN_TEXT: &str =
    r"\bfan\b.*\b(?:fail(?:ed|ure)?|fault[ys]?|not ok|bad|stopped|removed|absent)\b|FAN\S*_FAIL";
const TEMPERATURE_TEXT: &str = r"temperature.*\b(?:critical|alarm|exceed(?:s|ed)?|above|too high|overheat\w*)\b|over_?temp|overheat";
const CONFIG_TEXT: &str = r"SYS-\d-CONFIG_I\b|VSHD_SYSLOG_CONFIG_I|UI_COMMIT:|UI_COMMIT_COMPLETED|MGBL-CONFIG-\d-DB_COMMIT|configured from \S+ by";

/// The rules of a new store, in order; the store gives the ids.
#[must_use]
pub fn first_rule_set() -> Vec<Rule> {
    let page = Handling::PageAndTicket;
    let ticket = Handling::TicketOnly;
    let mut rules = vec![
        text("link up (syslog)", LINK_UP_TEXT, 10, &page).clears("link-down"),
        trap("link up (trap)", LINK_UP, 10, &page).clears("link-down"),
        text("link down (syslog)", LINK_DOWN_TEXT, 20, &page).opens("link-down"),
        trap("link down (trap)", LINK_DOWN, 20, &page).opens("link-down"),
        text("BGP neighbor up (syslog)", BGP_UP_TEXT, 30, &page).clears("bgp-neighbor-down"),
        trap("BGP neighbor up (trap)", BGP_ESTABLISHED, 30, &page).clears("bgp-neighbor-down"),
        text("BGP neighbor down (syslog)", BGP_DOWN_TEXT, 40, &page).opens("bgp-neighbor-down"),
        trap("BGP neighbor down (trap)", BGP_BACKWARD, 40, &page).opens("bgp-neighbor-down"),
        text("OSPF neighbor up", OSPF_UP_TEXT, 50, &page).clears("ospf-neighbor-down"),
        text("OSPF neighbor down", OSPF_DOWN_TEXT, 60, &page).opens("ospf-neighbor-down"),
        text("power supply", POWER_TEXT, 70, &page).opens("power-supply"),
        text("fan", FAN_TEXT, 70, &page).opens("fan"),
        text("temperature", TEMPERATURE_TEXT, 70, &page).opens("temperature"),
        trap("device restarted", COLD_START, 80, &ticket).opens("restarted"),
        trap("SNMP authentication failure", AUTHENTICATION_FAILURE, 90, &Handling::Ignore)
            .opens("snmp-authentication"),
        text("configuration changed", CONFIG_TEXT, 90, &ticket).opens("configuration-changed"),
    ];
    let mut rest = rule("emergency, alert or critical", 900, &ticket).opens("severe-message");
    rest.0.severity_max = Some(mutt_model::Severity::CRITICAL);
    rules.push(rest);
    rules.into_iter().map(|rule| rule.0).collect()
}

struct First(Rule);

fn rule(name: &str, priority: i64, handling: &Handling) -> First {
    let mut rule = Rule::contains("", handling.clone());
    rule.match_string = None;
    rule.name = Some(name.to_owned());
    rule.priority = priority;
    First(rule)
}

fn text(name: &str, pattern: &str, priority: i64, handling: &Handling) -> First {
    let mut first = rule(name, priority, handling);
    first.0.match_type = MatchType::Regex;
    first.0.match_string = Some(pattern.to_owned());
    first
}

fn trap(name: &str, oid: &str, priority: i64, handling: &Handling) -> First {
    let mut first = rule(name, priority, handling);
    first.0.match_type = MatchType::OidPrefix;
    first.0.trap_oid = Some(oid.to_owned());
    first
}

impl First {
    fn opens(mut self, problem: &str) -> Self {
        self.0.problem = Some(problem.to_owned());
        self
    }

    fn clears(mut self, problem: &str) -> Self {
        self.0.action = RuleAction::Clear;
        self.opens(problem)
    }
}
