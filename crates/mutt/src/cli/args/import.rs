//! Flags of `muttctl import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `muttctl import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// From what
    #[command(subcommand)]
    pub verb: ImportVerb,
}

/// From what to import.
#[derive(Debug, Subcommand)]
pub enum ImportVerb {
    /// From the Python MUTT (v2): rules, hosts, teams, audited events, queues, configuration
    V2(ImportV2Args),
}

/// `muttctl import v2`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muttctl import v2 --env-file /etc/mutt/mutt.env > mutt.toml\n  muttctl import v2 --config /etc/mutt/mutt.toml --database postgres://mutt_user@db1/mutt_db --database-password-file db-pass\n  muttctl import v2 --config /etc/mutt/mutt.toml --redis rediss://redis1:6379 --redis-password-file redis-pass --redis-ca ca.pem --apply\n\nSecrets are given by files, never on the command line. A dry run unless --apply is given; it may be run again and adds nothing twice. v2 must be stopped\nbefore --redis with --apply. Exit codes: 0 done, 1 something could not be taken (it is named)."
)]
pub struct ImportV2Args {
    /// Configuration file of this MUTT: where its store and event queue are
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// v2's database, only read: postgres://user@host:port/mutt_db?sslmode=require
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// File with the password of v2's database user
    #[arg(long, value_name = "FILE")]
    pub database_password_file: Option<PathBuf>,
    /// Trust this CA (PEM) of v2's database
    #[arg(long, value_name = "FILE")]
    pub database_ca: Option<PathBuf>,
    /// Our certificate (PEM chain) for v2's database
    #[arg(long, value_name = "FILE", requires = "database_key_file")]
    pub database_cert: Option<PathBuf>,
    /// File with its key (PEM)
    #[arg(long, value_name = "FILE", requires = "database_cert")]
    pub database_key_file: Option<PathBuf>,
    /// v2's Redis, whose lists are drained: redis://host:port, rediss://... with TLS,
    /// redis+sentinel://host:port/name
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// ACL user of v2's Redis; none: the default user
    #[arg(long, value_name = "NAME")]
    pub redis_user: Option<String>,
    /// File with the password of v2's Redis
    #[arg(long, value_name = "FILE")]
    pub redis_password_file: Option<PathBuf>,
    /// Trust this CA (PEM) of v2's Redis
    #[arg(long, value_name = "FILE")]
    pub redis_ca: Option<PathBuf>,
    /// Our certificate (PEM chain) for v2's Redis
    #[arg(long, value_name = "FILE", requires = "redis_key_file")]
    pub redis_cert: Option<PathBuf>,
    /// File with its key (PEM)
    #[arg(long, value_name = "FILE", requires = "redis_cert")]
    pub redis_key_file: Option<PathBuf>,
    /// User of the Sentinels before v2's Redis; none: their default user
    #[arg(long, value_name = "NAME")]
    pub sentinel_user: Option<String>,
    /// File with the password of the Sentinels; none: the login of Redis
    #[arg(long, value_name = "FILE")]
    pub sentinel_password_file: Option<PathBuf>,
    /// v2's environment file: printed as mutt.toml; other names of its lists are heeded
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Do it; without this nothing is changed
    #[arg(long)]
    pub apply: bool,
    /// One JSON object instead of words
    #[arg(long)]
    pub json: bool,
}
