//! Flags of `muttctl mib`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Reason, Target};

/// `muttctl mib`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muttctl mib check /etc/mutt/mibs      what did not load, and what to add\n  muttctl mib resolve 1.3.6.1.6.3.1.1.5.3\n  muttctl mib resolve IF-MIB::ifDescr.12 --dir /etc/mutt/mibs\n  muttctl mib upload ACME-MIB.txt"
)]
pub struct MibArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: MibVerb,
    /// Where the REST API is.
    #[command(flatten)]
    pub target: Target,
}

/// What `muttctl mib` does.
#[derive(Debug, Subcommand)]
pub enum MibVerb {
    /// Report what of the MIBs in folders did not load, why, and what to add; exit code 1 when something did not
    Check {
        /// Folders or files; else those of the program on ./mutt-data or /var/lib/mutt
        #[arg(value_name = "DIR")]
        dirs: Vec<PathBuf>,
    },
    /// Print the names of OIDs, or the OIDs of names
    Resolve {
        /// 1.3.6.1.2.1.2.2.1.2.12, ifDescr.12 or IF-MIB::ifDescr; `-`: one a line from standard input
        #[arg(value_name = "OID|NAME", required = true)]
        what: Vec<String>,
        /// Folders or files; else those of the program on ./mutt-data or /var/lib/mutt
        #[arg(long = "dir", value_name = "DIR")]
        dirs: Vec<PathBuf>,
    },
    /// The uploads of a running MUTT
    List,
    /// Upload a MIB file to a running MUTT, for every Ingestor
    Upload {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The upload's name; else the file's
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Why
        #[command(flatten)]
        reason: Reason,
    },
    /// Delete an upload
    Delete {
        /// The upload's name
        #[arg(value_name = "NAME")]
        name: String,
        /// Why
        #[command(flatten)]
        reason: Reason,
    },
    /// Compile folders into one file, with limits of its own
    #[command(hide = true)]
    Compile {
        /// Where to
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// A file that is set aside, and why
        #[arg(long, value_names = ["FILE", "WHY"], num_args = 2)]
        aside: Vec<String>,
        /// Compile so many files only, to find the one that kills
        #[arg(long, value_name = "FILES")]
        first: Option<usize>,
        /// Folders or files
        #[arg(value_name = "DIR")]
        dirs: Vec<PathBuf>,
    },
}
