//! CONFIG.md, CONFIG_INTAKE.md and CONFIG_ENGINES.md: every key, the bounds of the program, the names of v2.

use super::{Header, code, head, row};
use crate::config::bounds::BOUNDS;
use crate::config::keys::{self, Apply, Key};
use crate::config::v2;

const HEADER: Header = Header {
    title: "MUTT Configuration Reference",
    audience: "Operators, SREs",
    related: "[Keys of the Ingestor](CONFIG_INTAKE.md), [Keys of the engines](CONFIG_ENGINES.md), [Errors](ERRORS.md), [Metrics](METRICS.md), [Commands](CLI.md)",
    intro: "The keys of the program, its services and its sinks. Those of `ingestor` are in\n[Keys of the Ingestor](CONFIG_INTAKE.md), those of `queue`, `store` and `vault` in\n[Keys of the engines](CONFIG_ENGINES.md).\n\nThe file is TOML; packaged, it is `/etc/mutt/mutt.toml`. Order: defaults, environment names of\nv2, the file, `MUTT__SECTION__KEY` in the environment (a list or table as TOML), the command line;\nwhat comes later wins. Unknown keys are errors. `muttctl check --config FILE` validates without\nstarting; `muttctl config origin` says where each value comes from.\n\nA REF is where a secret lies, never the secret: `{ file = \"PATH\" }`, `{ env = \"NAME\" }` or\n`{ credential = \"NAME\" }` (systemd). Outside a unit `secrets_NAME` is read in `/etc/mutt/secrets/NAME`, where the\npackaged units take it from. Two references are the current and the next one.\n\nIn a key `*` stands for a name of your choice and `name[]` for a list of tables (`[[...]]`). Applies\n\"restart\" needs a restart, \"reload\" takes effect with SIGHUP (`systemctl reload mutt`), \"live\" within a\nsecond in every process: `muttctl config set KEY VALUE`, the REST API, the settings page, or the file and\nSIGHUP. The role is who may set it.",
};

const INTAKE_HEADER: Header = Header {
    title: "MUTT Configuration Reference: Ingestor",
    audience: "Operators, SREs, network engineers",
    related: "[Keys of the services](CONFIG.md), [Errors of the Ingestor](ERRORS_INTAKE.md), [Pointing senders at MUTT](../SENDERS.md)",
    intro: "The keys of the Ingestor and its listeners. [Keys of the services](CONFIG.md) says how to read an entry,\nand has the others.",
};

const ENGINES_HEADER: Header = Header {
    title: "MUTT Configuration Reference: Engines and Vault",
    audience: "Operators, SREs, database administrators",
    related: "[Keys of the services](CONFIG.md), [Errors of engines and host](ERRORS_STORAGE.md), [Commands](CLI.md)",
    intro: "The keys of the event queue, the store and Vault. [Keys of the services](CONFIG.md) says how to read an\nentry, and has the others.",
};

/// The sections of keys that have a page of their own.
const ENGINES: [&str; 3] = ["queue", "store", "vault"];

pub(super) fn engines_page(date: &str) -> String {
    ENGINES_HEADER.render(date) + &sections(|section| ENGINES.contains(&section))
}

pub(super) fn intake_page(date: &str) -> String {
    INTAKE_HEADER.render(date) + &sections(of_intake)
}

fn of_intake(section: &str) -> bool {
    section.split('.').next() == Some("ingestor")
}

/// Each section once, in the order of its first key.
fn sections(wanted: fn(&str) -> bool) -> String {
    let mut sections: Vec<(&str, String)> = Vec::new();
    for key in keys::all().filter(|key| wanted(section_of(key))) {
        let own = section_of(key);
        match sections.iter_mut().find(|(section, _)| *section == own) {
            Some((_, text)) => *text += &entry(key),
            None => sections.push((own, format!("\n## Keys of {own}\n") + &entry(key))),
        }
    }
    sections.into_iter().map(|(_, text)| text).collect()
}

pub(super) fn page(date: &str) -> String {
    let mut text = HEADER.render(date)
        + &sections(|section| !ENGINES.contains(&section) && !of_intake(section));
    text += "\n## Bounds of the program\n\nLimits that are not configuration.\n";
    text += &head(&["bound", "value", "limits", "when it is met"]);
    for bound in BOUNDS {
        text += &row(&[&code(bound.name), &(bound.value)(), bound.what, bound.met]);
    }
    text += "\n## Environment names of v2\n\nThese are understood as the key beside them; `muttctl check` reports them, and every other name of v2\nwith the reason why it means nothing now. The file wins over them.\n";
    text += &head(&["name", "key"]);
    for (name, key) in v2::understood() {
        text += &row(&[&code(name), &code(key)]);
    }
    text
}

fn section_of(key: &Key) -> &'static str {
    match key.path.split_once('.') {
        None => "the program",
        Some(("ingestor", rest)) => match rest.split(['.', '[']).next() {
            Some("http") => "ingestor.http",
            Some("syslog") => "ingestor.syslog",
            Some("snmp") => "ingestor.snmp",
            _ => "ingestor",
        },
        Some(("sinks", _)) => "sinks",
        Some((first, _)) => first,
    }
}

fn entry(key: &Key) -> String {
    let mut text = format!("\n### `{}`\n\n{}\n\n", key.path, key.what);
    let default = match (key.required, key.default) {
        (true, _) => "required in its table".to_owned(),
        (false, default) => code(default),
    };
    text += &format!("- Type: {}\n", key.kind.name());
    text += &format!("- Default: {default}\n");
    text += &format!("- Allowed: {}\n", key.kind.allowed());
    let apply = match key.apply {
        Apply::Live => format!("live, role {}", key.role.name()),
        apply => apply.name().to_owned(),
    };
    text += &format!("- Applies: {apply}\n- Since: {}\n", key.since);
    if !key.limits.is_empty() {
        text += &format!("- At its limits: {}\n", key.limits);
    }
    text
}
