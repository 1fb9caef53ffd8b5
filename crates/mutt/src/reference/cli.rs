//! CLI.md and CLI_HOST.md: every command with its help text.

use super::Header;

const HEADER: Header = Header {
    title: "MUTT Command Reference",
    audience: "Operators, on-call engineers",
    related: "[Commands of a host](CLI_HOST.md), [Configuration](CONFIG.md), [Errors](ERRORS.md)",
    intro: "What operators ask of MUTT. To run, check, set up, back up and mend a host:\n[Commands of a host](CLI_HOST.md).\n\nExit codes: 0 done, 1 failed or found something, 2 usage, 78 bad configuration. Data goes to\nstandard output, words to standard error. `--json` prints one object a line.",
};

/// The heading of the flags that every command of the REST API has.
const SHARED: &str = "REST API:";

const HOST_HEADER: Header = Header {
    title: "MUTT Command Reference: Commands of a Host",
    audience: "System Administrators, SREs",
    related: "[Commands of operators](CLI.md), [Configuration](CONFIG.md), [Errors](ERRORS.md)",
    intro: "To run, check, set up, back up and mend a host. What operators ask of MUTT, and the flags that those\ncommands share: [Commands of operators](CLI.md).",
};

/// The first words of the commands of a host.
const HOST: [&str; 13] = [
    "serve",
    "check",
    "db",
    "audit",
    "queue",
    "backup",
    "restore",
    "import",
    "doctor",
    "explain",
    "completions",
    "man",
    "version",
];

pub(super) fn page(date: &str) -> String {
    let (shared, body) = commands(|word| !HOST.contains(&word));
    let mut text = HEADER.render(date);
    text += "\n## Flags of every command that asks the running program\n\n";
    text += &format!("```text\n{}\n```\n", shared.trim_end());
    text + &body
}

pub(super) fn host_page(date: &str) -> String {
    HOST_HEADER.render(date) + &commands(|word| HOST.contains(&word)).1
}

/// The shared flags, and the help texts of the commands whose first word is wanted.
fn commands(wanted: fn(&str) -> bool) -> (String, String) {
    let mut root = crate::cli::command().term_width(100);
    root.build();
    let mut commands = Vec::new();
    collect(&root, &mut commands);
    let (mut shared, mut body) = (String::new(), String::new());
    for command in &mut commands {
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
        let (own, flags) = split(&command.render_help().to_string());
        if shared.is_empty() {
            shared = flags;
        }
        if wanted(name.split(' ').nth(1).unwrap_or_default()) {
            body += &format!("\n## `{name}`\n\n```text\n{}\n```\n", own.trim_end());
        }
    }
    (shared, body)
}

/// A help text without the shared flags, and these.
fn split(help: &str) -> (String, String) {
    let (mut own, mut shared) = (String::new(), String::new());
    let mut in_shared = false;
    for line in help.lines().map(str::trim_end) {
        if !line.is_empty() && !line.starts_with(' ') {
            in_shared = line == SHARED;
        }
        let part = if in_shared { &mut shared } else { &mut own };
        part.push_str(line);
        part.push('\n');
    }
    (own, shared)
}

fn collect(command: &clap::Command, found: &mut Vec<clap::Command>) {
    found.push(command.clone());
    let subs = command.get_subcommands();
    for sub in subs.filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        collect(sub, found);
    }
}
