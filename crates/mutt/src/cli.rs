//! The command line: what may be written, and which command does it. Data goes to standard output,
//! words to standard error; exit codes: 0 done, 1 failed or found something, 2 usage, 78 bad
//! configuration.

mod api;
pub mod args;
mod backup;
mod check;
mod db;
mod doctor;
mod explain;
mod failure;
mod generate;
mod import_v2;
mod mib;
mod objects;
mod output;
mod queue;
mod rule_file;
mod rules;
mod send;
mod serve;
mod settings;
mod sources;
mod tail;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use mutt_model::codes;

use args::{Cli, Command};
pub use failure::Failure;

/// Exit code of a failure, or of findings.
pub const EXIT_FAILED: u8 = 1;
/// Exit code of a wrong command line.
pub const EXIT_USAGE: u8 = 2;
/// Exit code of a bad configuration.
pub const EXIT_CONFIG: u8 = 78;

/// Reads the command line and does what it says.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(wrong) => {
            // Help and version are no failure; clap knows where they are printed.
            if !wrong.use_stderr() {
                let _ = wrong.print();
                return ExitCode::SUCCESS;
            }
            let text = wrong.render().to_string();
            output::error(&codes::USAGE, text.trim_start_matches("error: ").trim_end());
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.print(),
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Rules(args) => rules::run(&args.target, &args.verb),
        Command::Queue(args) => queue::run(&args),
        Command::Db(args) => db::run(&args),
        Command::Audit(args) => db::audit(&args),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Import(args) => import_v2::run(&args),
        Command::Mib(args) => mib::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Completions(args) => generate::completions(args.shell),
        Command::Man(args) => generate::man(&args.dir),
        Command::Version(args) => generate::version(args.json),
        Command::Reference(args) => {
            generate::reference(&args.write, &args.examples)?;
            args.units.as_deref().map_or(Ok(()), generate::units)
        }
        object => objects::run(object),
    }
}

/// The whole command line as clap knows it, for references, man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}
