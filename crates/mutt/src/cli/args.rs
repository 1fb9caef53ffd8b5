//! The commands and their flags, as clap reads them and as help, man pages and CLI.md show them.

mod import;
mod local;
mod mib;
mod objects;
mod sources;

pub use import::*;
pub use local::*;
pub use mib::*;
pub use objects::*;
pub use sources::*;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default());

/// Hears syslog, SNMP and HTTP events, judges them by rules, delivers alerts
#[derive(Debug, Parser)]
#[command(
    name = "muttctl",
    version,
    styles = STYLES,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Examples:\n  muttctl serve                      start everything, no configuration needed\n  muttctl send syslog \"link down\"     send a test message\n  muttctl events list --host edge-r1 what was heard\n  muttctl doctor                     what is wrong, and the command that mends it\n\nExit codes: 0 done, 1 failed or found something, 2 usage, 78 bad configuration."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the services
    Serve(ServeArgs),
    /// Validate configuration and rule files without starting
    Check(CheckArgs),
    /// Send a real test message to a listener
    Send(SendArgs),
    /// Search the audit
    Events(EventsArgs),
    /// Alerts: list, acknowledge, clear
    Alerts(AlertsArgs),
    /// Deliveries: list, replay
    Deliveries(DeliveriesArgs),
    /// Sinks and their lanes: hold, release, test
    Sinks(SinksArgs),
    /// Sources: the devices that were heard, and what each listener counted
    Sources(SourcesArgs),
    /// Rules: list, change, test, import
    Rules(RulesArgs),
    /// Development hosts
    DevHosts(DevHostsArgs),
    /// Teams of devices
    Teams(TeamsArgs),
    /// The effective configuration of the running program
    Config(ConfigArgs),
    /// The change log: who changed what, when and why
    Changes(ChangesArgs),
    /// Legal holds: audit rows that outlive retention
    Hold(HoldArgs),
    /// Archives of audit rows: list, put back
    Archive(ArchiveArgs),
    /// The event queue: status while running, check of its files
    Queue(QueueArgs),
    /// What came in and where each of it is
    Ledger(LedgerArgs),
    /// The running processes of all hosts, with the versions of program, settings and rules
    Processes(ProcessesArgs),
    /// States of the services
    Status(StatusArgs),
    /// The store on PostgreSQL: bring its schema forward, see how it stands
    Db(DbArgs),
    /// Whether the audit is as it was committed (PostgreSQL)
    Audit(AuditArgs),
    /// Write a backup of a running program
    Backup(BackupArgs),
    /// Put a backup in the place of the store, while the program runs or is stopped
    Restore(RestoreArgs),
    /// Take over what another MUTT left
    Import(ImportArgs),
    /// MIBs: what does not load and why, names of OIDs, uploads
    Mib(MibArgs),
    /// Find what is wrong and print the command that mends it
    Doctor(DoctorArgs),
    /// Explain an error code, or the life of one event
    Explain(ExplainArgs),
    /// Print a shell's completions
    Completions(CompletionsArgs),
    /// Write the man pages
    Man(ManArgs),
    /// Print the version
    Version(VersionArgs),
    /// Write the generated reference documents
    #[command(hide = true)]
    Reference(ReferenceArgs),
}

/// Where the REST API is and how it is spoken to.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "REST API")]
pub struct Target {
    /// Address of the REST API; else the program running on ./mutt-data, ./mutt-demo or
    /// /var/lib/mutt, else http://127.0.0.1:8090
    #[arg(long, global = true, env = "MUTT_URL", value_name = "URL")]
    pub url: Option<String>,
    /// File with the token; else MUTT_TOKEN, else admin-token in ./mutt-data, ./mutt-demo or
    /// /var/lib/mutt
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Trust this CA (PEM) besides the host's
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// One JSON object a line instead of a table
    #[arg(long, global = true)]
    pub json: bool,
}

/// How much of a list.
#[derive(Clone, Debug, Args)]
pub struct Limit {
    /// At most this many, newest first
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub limit: u64,
}

/// Why something is changed.
#[derive(Clone, Debug, Args)]
pub struct Reason {
    /// Why, for the change log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}
