//! Flags of the commands that work on this machine: serve, check, send, queue, backup, doctor ...

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Target;
use crate::services::Service;

/// `muttctl serve`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muttctl serve\n  muttctl serve --config /etc/mutt/mutt.toml\n  muttctl serve --only ingestor,alerter\n  muttctl serve --demo"
)]
pub struct ServeArgs {
    /// Configuration file; without one everything is on loopback under ./mutt-data
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the embedded engines lie
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Only these services: ingestor, alerter, moog-forwarder, remediation, web-ui
    #[arg(long, value_name = "SERVICE,...", value_delimiter = ',')]
    pub only: Vec<Service>,
    /// Synthetic traffic and a local receiver, in a data directory of its own (./mutt-demo)
    #[arg(long)]
    pub demo: bool,
}

/// `muttctl check`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muttctl check --config /etc/mutt/mutt.toml\n  muttctl check rules.toml\n\nExit codes: 0 good, 78 with file, line, key and what is allowed."
)]
pub struct CheckArgs {
    /// Configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the embedded engines lie
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Do not look whether the secrets can be resolved here
    #[arg(long)]
    pub no_secrets: bool,
    /// The services of this host, where not all of them run here
    #[arg(long, value_name = "SERVICE,...", value_delimiter = ',')]
    pub only: Vec<Service>,
    /// Also ask Vault for each of its secrets; no value is shown
    #[arg(long, conflicts_with = "no_secrets")]
    pub secrets: bool,
    /// Rule files (TOML or JSON) to validate
    #[arg(value_name = "RULE_FILE")]
    pub rules: Vec<PathBuf>,
}

/// `muttctl send`
#[derive(Debug, Args)]
pub struct SendArgs {
    /// What to send.
    #[command(subcommand)]
    pub what: SendWhat,
}

/// What to send.
#[derive(Debug, Subcommand)]
pub enum SendWhat {
    /// A syslog message
    Syslog(SendSyslog),
    /// An SNMP trap or inform
    Trap(SendTrap),
    /// A JSON event over HTTP
    Http(SendHttp),
}

/// How a syslog message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SyslogFormat {
    /// `<34>1 2003-10-11T22:14:15.003Z ...`
    Rfc5424,
    /// `<34>Oct 11 22:14:15 ...`
    Rfc3164,
}

/// `muttctl send syslog`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muttctl send syslog \"%LINK-3-UPDOWN: Interface Gi0/1, changed state to down\"\n  muttctl send syslog --tcp --format rfc3164 --hostname edge-r1 \"test\"\n  muttctl send syslog --count 1000 --to 192.0.2.10:514 \"test\""
)]
pub struct SendSyslog {
    /// The message
    #[arg(default_value = "%MUTT-5-TEST: a test message from muttctl")]
    pub message: String,
    /// The listener; else the program running on ./mutt-data, ./mutt-demo or /var/lib/mutt, else
    /// 127.0.0.1:5514
    #[arg(long, value_name = "IP:PORT")]
    pub to: Option<SocketAddr>,
    /// Use TCP
    #[arg(long)]
    pub tcp: bool,
    /// How it is written
    #[arg(long, value_enum, default_value = "rfc5424")]
    pub format: SyslogFormat,
    /// The device that speaks
    #[arg(long, default_value = "muttctl-test", value_name = "NAME")]
    pub hostname: String,
    /// Tag or APP-NAME
    #[arg(long, default_value = "muttctl", value_name = "NAME")]
    pub app: String,
    /// 0 (emergency) to 7 (debug), or a name
    #[arg(long, default_value = "notice", value_name = "SEVERITY")]
    pub severity: String,
    /// 0 to 23, or a name
    #[arg(long, default_value = "local7", value_name = "FACILITY")]
    pub facility: String,
    /// How many
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub count: u64,
}

/// Which SNMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TrapVersion {
    /// SNMPv1 trap.
    #[value(name = "1")]
    V1,
    /// SNMPv2c trap.
    #[value(name = "2c")]
    V2c,
}

/// `muttctl send trap`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muttctl send trap\n  muttctl send trap --oid 1.3.6.1.6.3.1.1.5.3 1.3.6.1.2.1.2.2.1.1.12=i:12\n  muttctl send trap --inform --community-file ./community\n  muttctl send trap --inform --v3-user trapuser --v3-auth SHA-256 --v3-auth-file ./auth --v3-priv AES-128 --v3-priv-file ./priv\n\nVarbinds are OID=TYPE:VALUE with the type letters of snmptrap:\n  i INTEGER  u Gauge32  c Counter32  C Counter64  t TimeTicks  s text  x hex  o OID  a IpAddress  n NULL"
)]
pub struct SendTrap {
    /// Varbinds, as 1.3.6.1.2.1.2.2.1.1.12=i:12
    #[arg(value_name = "OID=TYPE:VALUE")]
    pub varbinds: Vec<String>,
    /// The listener; else the program running on ./mutt-data, ./mutt-demo or /var/lib/mutt, else
    /// 127.0.0.1:9162
    #[arg(long, value_name = "IP:PORT")]
    pub to: Option<SocketAddr>,
    /// The trap's OID; default: linkDown
    #[arg(long, default_value = "1.3.6.1.6.3.1.1.5.3", value_name = "OID")]
    pub oid: String,
    /// SNMP version
    #[arg(long = "snmp-version", value_enum, default_value = "2c")]
    pub snmp_version: TrapVersion,
    /// Send an inform and wait for its response
    #[arg(long, conflicts_with = "snmp_version")]
    pub inform: bool,
    /// File with the community; default: public
    #[arg(long, value_name = "FILE")]
    pub community_file: Option<PathBuf>,
    /// Send over TCP (RFC 3430)
    #[arg(long)]
    pub tcp: bool,
    /// SNMPv3 with this user
    #[arg(long, value_name = "NAME", conflicts_with_all = ["snmp_version", "community_file"])]
    pub v3_user: Option<String>,
    /// Authenticate: MD5, SHA-1, SHA-224, SHA-256, SHA-384 or SHA-512
    #[arg(long, value_name = "PROTOCOL", requires_all = ["v3_user", "v3_auth_file"])]
    pub v3_auth: Option<String>,
    /// File with the authentication password
    #[arg(long, value_name = "FILE", requires = "v3_auth")]
    pub v3_auth_file: Option<PathBuf>,
    /// Encrypt: DES, AES-128, AES-192, AES-256, AES-192-C or AES-256-C
    #[arg(long, value_name = "PROTOCOL", requires_all = ["v3_auth", "v3_priv_file"])]
    pub v3_priv: Option<String>,
    /// File with the privacy password
    #[arg(long, value_name = "FILE", requires = "v3_priv")]
    pub v3_priv_file: Option<PathBuf>,
    /// Engine id of the sending device, in hexadecimal; default: one of this host's name
    #[arg(long, value_name = "HEX", requires = "v3_user")]
    pub v3_engine: Option<String>,
    /// How many
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub count: u64,
}

/// `muttctl send http`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muttctl send http --message \"link down\" --hostname edge-r1\n  muttctl send http --body event.json\n  muttctl send http --idempotency-key 42 --message once"
)]
pub struct SendHttp {
    /// The ingest address; else the program running on ./mutt-data, ./mutt-demo or /var/lib/mutt, else
    /// http://127.0.0.1:8080/ingest
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
    /// File with the ingest key; else ingest-key in ./mutt-data, ./mutt-demo or /var/lib/mutt
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Trust this CA (PEM) besides the host's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The message
    #[arg(long, default_value = "a test message from muttctl")]
    pub message: String,
    /// The device that speaks
    #[arg(long, default_value = "muttctl-test", value_name = "NAME")]
    pub hostname: String,
    /// 0 (emergency) to 7 (debug), or a name
    #[arg(long, default_value = "notice", value_name = "SEVERITY")]
    pub severity: String,
    /// Send this file (`-`: standard input) as it is instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["message", "hostname", "severity"])]
    pub body: Option<PathBuf>,
    /// A repeat with the same key is dropped
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// How many requests
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub count: u64,
}

/// `muttctl queue`
#[derive(Debug, Args)]
pub struct QueueArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: QueueVerb,
    /// Where the REST API is.
    #[command(flatten)]
    pub target: Target,
}

/// What to do with the event queue.
#[derive(Debug, Subcommand)]
pub enum QueueVerb {
    /// What waits, what was counted, damaged files set aside
    Status,
    /// Read all files of a stopped program's queue and report damage; changes nothing
    Check {
        /// Where the embedded engines lie
        #[arg(long, default_value = "./mutt-data", value_name = "DIR")]
        data_dir: PathBuf,
    },
}

/// `muttctl db`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muttctl db status --config /etc/mutt/mutt.toml\n  muttctl db migrate --config /etc/mutt/mutt.toml\n\nMigrations go forward only; a second one at the same time waits."
)]
pub struct DbArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: DbVerb,
    /// Configuration file
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object instead of words
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do with the schema.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum DbVerb {
    /// Bring the schema forward as its owner, grant the services' role, make the coming partitions
    Migrate,
    /// Which version of the schema stands; changes nothing
    Status,
}

/// `muttctl audit`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muttctl audit verify --config /etc/mutt/mutt.toml\n  muttctl audit verify --since 2026-11-24T00:00:00Z --json\n\nWalks the chain of receipts on PostgreSQL and compares each row with it. A store on SQLite keeps no\nsuch chain: muttctl doctor checks its file."
)]
pub struct AuditArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: AuditVerb,
    /// Configuration file
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object instead of words
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do with the audit.
#[derive(Clone, Debug, Subcommand)]
pub enum AuditVerb {
    /// Find rows and receipts that were changed, removed or added after they were committed
    Verify {
        /// Only what was committed at this time or later (RFC 3339)
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
}

/// `muttctl backup`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muttctl backup mutt-2026-11-23.db\n\nThe running program writes the file: the path is on its host."
)]
pub struct BackupArgs {
    /// Where to write it, on the host of the running program
    pub file: PathBuf,
    /// Where the REST API is.
    #[command(flatten)]
    pub target: Target,
}

/// `muttctl restore`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muttctl restore mutt-2026-11-23.db --replace\n  muttctl restore mutt-2026-11-23.db --data-dir /var/lib/mutt --replace"
)]
pub struct RestoreArgs {
    /// The backup
    pub file: PathBuf,
    /// Where the embedded engines lie
    #[arg(long, default_value = "./mutt-data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Replace a store that is there; a stopped program's is kept beside under another name
    #[arg(long)]
    pub replace: bool,
    /// Where the REST API of a running program is.
    #[command(flatten)]
    pub target: Target,
}

/// `muttctl doctor`
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 all is well, 1 something is wrong, 78 bad configuration.")]
pub struct DoctorArgs {
    /// Configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the embedded engines lie
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where the REST API is.
    #[command(flatten)]
    pub target: Target,
}

/// `muttctl explain`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muttctl explain MUTT-I004\n  muttctl explain 01980f5e-7c1a-7000-8000-000000000000"
)]
pub struct ExplainArgs {
    /// An error code, or an event's id
    #[arg(value_name = "CODE|EVENT_ID")]
    pub what: String,
    /// Where the REST API is.
    #[command(flatten)]
    pub target: Target,
}

/// `muttctl completions`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muttctl completions bash > /usr/share/bash-completion/completions/muttctl"
)]
pub struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    pub shell: clap_complete::Shell,
}

/// `muttctl man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Where to write them
    pub dir: PathBuf,
}

/// `muttctl version`
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `muttctl reference`
#[derive(Debug, Args)]
pub struct ReferenceArgs {
    /// Where to write them
    #[arg(long, value_name = "DIR")]
    pub write: PathBuf,
    /// Where to write the systemd units
    #[arg(long, value_name = "DIR")]
    pub units: Option<PathBuf>,
    /// What the tests captured for each code
    #[arg(long, value_name = "DIR", default_value = "testdata/errors")]
    pub examples: PathBuf,
}
