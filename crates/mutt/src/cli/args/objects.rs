//! Flags of the commands that speak to the REST API: one command for each kind of object.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Limit, Reason, Target};

/// Declares the arguments of an object's command: a verb and where the API is.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident, $verb:ident) => {
        $(#[$doc])*
        #[derive(Debug, Args)]
        pub struct $name {
            /// What to do.
            #[command(subcommand)]
            pub verb: $verb,
            /// Where the REST API is.
            #[command(flatten)]
            pub target: Target,
        }
    };
}

object!(
    /// `muttctl events`
    EventsArgs, EventsVerb);
object!(
    /// `muttctl alerts`
    AlertsArgs, AlertsVerb);
object!(
    /// `muttctl deliveries`
    DeliveriesArgs, DeliveriesVerb);
object!(
    /// `muttctl sinks`
    SinksArgs, SinksVerb);
object!(
    /// `muttctl rules`
    RulesArgs, RulesVerb);
object!(
    /// `muttctl dev-hosts`
    DevHostsArgs, DevHostsVerb);
object!(
    /// `muttctl teams`
    TeamsArgs, TeamsVerb);
object!(
    /// `muttctl config`
    ConfigArgs, ConfigVerb);
object!(
    /// `muttctl changes`
    ChangesArgs, ChangesVerb);

object!(
    /// `muttctl hold`
    HoldArgs, HoldVerb);
object!(
    /// `muttctl archive`
    ArchiveArgs, ArchiveVerb);

/// `muttctl ledger`
#[derive(Debug, Args)]
pub struct LedgerArgs {
    /// Where the REST API is.
    #[command(flatten)]
    pub target: Target,
}

/// `muttctl processes`
#[derive(Debug, Args)]
pub struct ProcessesArgs {
    /// Where the REST API is.
    #[command(flatten)]
    pub target: Target,
}

/// `muttctl status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Where the REST API is.
    #[command(flatten)]
    pub target: Target,
}

/// Which events.
#[derive(Debug, Args)]
pub struct EventFilter {
    /// Exact host, case-insensitive
    #[arg(long)]
    pub host: Option<String>,
    /// Part of the message, case-insensitive
    #[arg(long, short)]
    pub q: Option<String>,
    /// Handled events only, or unhandled ones only
    #[arg(long, value_name = "true|false")]
    pub handled: Option<bool>,
}

/// What to do with events.
#[derive(Debug, Subcommand)]
pub enum EventsVerb {
    /// Search the audit, newest first
    #[command(
        visible_alias = "search",
        after_help = "Examples:\n  muttctl events list --host edge-r1 --since 2026-11-23T00:00:00Z\n  muttctl events list -q LINK-3-UPDOWN --handled false --json"
    )]
    List {
        /// Which events.
        #[command(flatten)]
        filter: EventFilter,
        /// 0 to 7, or a name
        #[arg(long)]
        severity: Option<String>,
        /// Won by this rule
        #[arg(long, value_name = "ID")]
        rule: Option<i64>,
        /// Touching this alert
        #[arg(long, value_name = "ID")]
        alert: Option<String>,
        /// Received not before (RFC 3339)
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Received before (RFC 3339)
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// How much of the list.
        #[command(flatten)]
        limit: Limit,
    },
    /// One event with raw bytes and what became of it
    Show {
        /// The event
        id: String,
    },
    /// Follow events as they are judged
    #[command(after_help = "Examples:\n  muttctl events tail --severity-max 3")]
    Tail {
        /// Which events.
        #[command(flatten)]
        filter: EventFilter,
        /// This severe or more: 0 to 7, or a name
        #[arg(long, value_name = "SEVERITY")]
        severity_max: Option<String>,
        /// End after this many events
        #[arg(long, value_name = "N")]
        count: Option<u64>,
    },
}

/// What to do with alerts.
#[derive(Debug, Subcommand)]
pub enum AlertsVerb {
    /// Alerts, newest first
    #[command(after_help = "Examples:\n  muttctl alerts list --state open --team NetOps")]
    List {
        /// open or cleared
        #[arg(long)]
        state: Option<String>,
        /// Exact host
        #[arg(long)]
        host: Option<String>,
        /// Exact team
        #[arg(long)]
        team: Option<String>,
        /// Exact problem
        #[arg(long)]
        problem: Option<String>,
        /// Part of key or message
        #[arg(long, short)]
        q: Option<String>,
        /// How much of the list.
        #[command(flatten)]
        limit: Limit,
    },
    /// One alert with its timeline
    Show {
        /// The alert
        id: String,
    },
    /// Say that somebody works on it
    #[command(visible_alias = "ack")]
    Acknowledge {
        /// The alert
        id: String,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Clear it by hand
    Clear {
        /// The alert
        id: String,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Add words to its timeline
    Note {
        /// The alert
        id: String,
        /// The words
        text: String,
    },
}

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
pub enum DeliveriesVerb {
    /// Deliveries, newest first; --state dead lists the dead letters
    #[command(
        after_help = "Examples:\n  muttctl deliveries list --state dead\n  muttctl deliveries list --sink moog --state held"
    )]
    List {
        /// pending, leased, held, delivered, suppressed or dead
        #[arg(long)]
        state: Option<String>,
        /// Of this sink
        #[arg(long)]
        sink: Option<String>,
        /// Of this alert
        #[arg(long, value_name = "ID")]
        alert: Option<String>,
        /// Made for this event
        #[arg(long, value_name = "ID")]
        event: Option<String>,
        /// How much of the list.
        #[command(flatten)]
        limit: Limit,
    },
    /// One delivery with its attempts
    Show {
        /// The delivery
        id: String,
    },
    /// Make dead or held deliveries pending again: one by id, or all of a filter
    #[command(
        after_help = "Examples:\n  muttctl deliveries replay 01980f5e-7c1a-7000-8000-000000000000 --reason \"sink mended\"\n  muttctl deliveries replay --sink moog --dead-reason refused --reason \"payload mended\""
    )]
    Replay {
        /// The delivery; without it the filter decides
        id: Option<String>,
        /// Of this sink
        #[arg(long, conflicts_with = "id")]
        sink: Option<String>,
        /// dead or held
        #[arg(long, conflicts_with = "id")]
        state: Option<String>,
        /// refused or expired
        #[arg(long, conflicts_with = "id")]
        dead_reason: Option<String>,
        /// At most this many, oldest first
        #[arg(long, conflicts_with = "id", value_name = "N")]
        limit: Option<u64>,
        /// Also when its key has delivered something newer
        #[arg(long)]
        force: bool,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
}

/// What to do with sinks.
#[derive(Debug, Subcommand)]
pub enum SinksVerb {
    /// Sinks and their lanes
    List,
    /// One sink and its lane
    Show {
        /// The sink
        name: String,
    },
    /// Hold its lane: nothing leaves, nothing is lost
    Hold {
        /// The sink
        name: String,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Release its lane
    Release {
        /// The sink
        name: String,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Send a test notice outside the lane; exit 1 when the sink does not accept it
    Test {
        /// The sink
        name: String,
    },
}

/// A rule as JSON, from the command line, a file or standard input.
#[derive(Debug, Args)]
pub struct RuleInput {
    /// The rule as JSON; `-` reads standard input, `@FILE` a file
    #[arg(value_name = "JSON")]
    pub rule: String,
}

/// What a change of rules, development hosts or teams expects to stand.
#[derive(Debug, Args)]
pub struct Expect {
    /// Only while this version of the rule set is in force (`muttctl rules list` tells it)
    #[arg(long, value_name = "N")]
    pub expected_version: Option<i64>,
}

/// What to do with rules.
#[derive(Debug, Subcommand)]
pub enum RulesVerb {
    /// Rules in the order in which they are tried
    List,
    /// One rule
    Show {
        /// The rule
        id: i64,
    },
    /// Create a rule
    #[command(
        after_help = "Examples:\n  muttctl rules add '{\"match_string\":\"LINK-3-UPDOWN\",\"prod_handling\":\"Page_and_ticket\",\"dev_handling\":\"Ignore\"}' --reason \"uplinks\"\n  muttctl rules add @rule.json"
    )]
    Add {
        /// The rule.
        #[command(flatten)]
        rule: RuleInput,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Change fields of a rule; null sets a default
    #[command(
        after_help = "Examples:\n  muttctl rules update 7 '{\"priority\":10}' --reason \"before the general rule\""
    )]
    Update {
        /// The rule
        id: i64,
        /// The rule.
        #[command(flatten)]
        rule: RuleInput,
        /// Unless something changed.
        #[command(flatten)]
        expect: Expect,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Delete a rule
    Delete {
        /// The rule
        id: i64,
        /// Unless something changed.
        #[command(flatten)]
        expect: Expect,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// What would match a message, and why; nothing is sent
    #[command(
        after_help = "Examples:\n  muttctl rules test --message \"%LINK-3-UPDOWN: down\" --host edge-r1 --severity 3\n  muttctl rules test --event @event.json --rule @rule.json"
    )]
    Test {
        /// The message
        #[arg(long)]
        message: Option<String>,
        /// The device that speaks
        #[arg(long)]
        host: Option<String>,
        /// 0 to 7, or a name
        #[arg(long)]
        severity: Option<String>,
        /// A trap's OID
        #[arg(long, value_name = "OID")]
        trap_oid: Option<String>,
        /// Sample event as JSON; `-` reads standard input, `@FILE` a file
        #[arg(long, value_name = "JSON", conflicts_with_all = ["message", "host", "severity", "trap_oid"])]
        event: Option<String>,
        /// Try this rule as well, as JSON, `-` or `@FILE`
        #[arg(long, value_name = "JSON")]
        rule: Option<String>,
    },
    /// Validate and lint a rule file, or the rules in force; exit 1 when anything is found
    #[command(after_help = "Examples:\n  muttctl rules check rules.toml\n  muttctl rules check")]
    Check {
        /// Rule file (TOML or JSON)
        file: Option<PathBuf>,
    },
    /// Create the rules of a file; a rule with the name of an existing one replaces it
    #[command(
        after_help = "Examples:\n  muttctl rules import rules.toml --dry-run\n  muttctl rules import rules.toml --reason \"weekly review\""
    )]
    Import {
        /// Rule file (TOML or JSON)
        file: PathBuf,
        /// Say what would be done
        #[arg(long)]
        dry_run: bool,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Write the rules in force as a rule file (TOML; JSON with --json) to standard output
    Export,
}

/// What to do with holds.
#[derive(Debug, Subcommand)]
pub enum HoldVerb {
    /// Holds that stand
    List,
    /// Keep audit rows beyond retention
    Add {
        /// Of this host (exact, case-insensitive); left out: of every host
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
        /// Received not before this moment (RFC 3339)
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Received before this moment (RFC 3339)
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Why, for the hold and the change log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Release one; its rows go when their time is over
    Release {
        /// Its number
        id: i64,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
}

/// What to do with archives.
#[derive(Debug, Subcommand)]
pub enum ArchiveVerb {
    /// Archives, newest rows first
    List,
    /// Put the rows of an archive back into the audit, behind a hold
    Restore {
        /// The file, as the running program sees it
        file: PathBuf,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
}

/// What to do with development hosts.
#[derive(Debug, Subcommand)]
pub enum DevHostsVerb {
    /// Development hosts
    List,
    /// Add one
    Add {
        /// The host
        hostname: String,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Give one another name
    Rename {
        /// The host
        hostname: String,
        /// Its name from now on
        new_hostname: String,
        /// Unless something changed.
        #[command(flatten)]
        expect: Expect,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Remove one
    Delete {
        /// The host
        hostname: String,
        /// Unless something changed.
        #[command(flatten)]
        expect: Expect,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
}

/// What to do with teams.
#[derive(Debug, Subcommand)]
pub enum TeamsVerb {
    /// Teams of devices
    List,
    /// The team of one device
    Show {
        /// The device
        hostname: String,
    },
    /// Give a device a team
    Add {
        /// The device
        hostname: String,
        /// The team
        team: String,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Change the team of a device
    Update {
        /// The device
        hostname: String,
        /// The team
        team: String,
        /// Unless something changed.
        #[command(flatten)]
        expect: Expect,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Remove the team of a device
    Delete {
        /// The device
        hostname: String,
        /// Unless something changed.
        #[command(flatten)]
        expect: Expect,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// The effective configuration, secrets as references
    #[command(after_help = "Examples:\n  muttctl config show\n  muttctl config show ingestor.http")]
    Show {
        /// Only this part, as ingestor.http
        key: Option<String>,
    },
    /// Every key: value, where it comes from, and whether it can be set while MUTT runs
    List {
        /// Only keys that hold this text
        part: Option<String>,
    },
    /// One key: value, default, range, role
    Get {
        /// As sinks.moog.rate
        key: String,
    },
    /// Set a live key in every process, within a second
    #[command(
        after_help = "Examples:\n  muttctl config set log.level debug --reason \"a look\"\n  muttctl config set sinks.moog.rate 20/s --expected-version 7"
    )]
    Set {
        /// As sinks.moog.rate
        key: String,
        /// As written in the environment
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Only while this version of the settings is in force
        #[arg(long, value_name = "N")]
        expected_version: Option<i64>,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Return a live key to what file and environment say
    Unset {
        /// As sinks.moog.rate
        key: String,
        /// Only while this version of the settings is in force
        #[arg(long, value_name = "N")]
        expected_version: Option<i64>,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Versions of the settings: who, when, why
    History {
        /// How much of the list.
        #[command(flatten)]
        limit: Limit,
    },
    /// What differs between two versions of the settings
    Diff {
        /// A version; default the one before the other
        from: Option<i64>,
        /// A version; default the one in force
        to: Option<i64>,
    },
    /// Make the settings of an earlier version stand again, as a new version
    Rollback {
        /// The version
        version: i64,
        /// Only while this version of the settings is in force
        #[arg(long, value_name = "N")]
        expected_version: Option<i64>,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Which file, environment variable or default each value comes from; works without a running program
    Origin {
        /// Configuration file
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// What to do with the change log.
#[derive(Debug, Subcommand)]
pub enum ChangesVerb {
    /// Who changed what, when and why, newest first
    List {
        /// How much of the list.
        #[command(flatten)]
        limit: Limit,
    },
}
