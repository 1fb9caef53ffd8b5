//! Flags of `muttctl sources`.

use clap::{Args, Subcommand};

use super::{Limit, Reason, Target};

/// `muttctl sources`
#[derive(Debug, Args)]
pub struct SourcesArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: SourcesVerb,
    /// Where the REST API is.
    #[command(flatten)]
    pub target: Target,
}

/// What to do with sources.
#[derive(Debug, Subcommand)]
pub enum SourcesVerb {
    /// The devices that were heard, by host
    #[command(
        after_help = "Examples:\n  muttctl sources list --state quiet\n  muttctl sources list --relay 192.0.2.9 --json"
    )]
    List {
        /// Part of host or address
        #[arg(long, short)]
        q: Option<String>,
        /// active, quiet, pending, muted or unparsed
        #[arg(long)]
        state: Option<String>,
        /// Behind this address
        #[arg(long, value_name = "ADDRESS")]
        relay: Option<String>,
        /// How much of the list.
        #[command(flatten)]
        limit: Limit,
    },
    /// One source: rates, clock, what was not understood, SNMP users
    Show {
        /// HOST@ADDRESS
        id: String,
    },
    /// What arrived at each listener, and where each of it went
    Listeners,
    /// Tell nobody of its silence
    Mute {
        /// HOST@ADDRESS
        id: String,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Tell of its silence again
    Unmute {
        /// HOST@ADDRESS
        id: String,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
    /// Forget it, until it is heard again
    Forget {
        /// HOST@ADDRESS
        id: String,
        /// Why.
        #[command(flatten)]
        reason: Reason,
    },
}
