//! The program `muttctl`: hands the command line to [`mutt::cli`] and ends with its exit code.

fn main() -> std::process::ExitCode {
    mutt::cli::run(std::env::args_os())
}
