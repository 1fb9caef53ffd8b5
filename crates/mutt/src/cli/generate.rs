//! What is generated from the commands and registries: completions, man pages, references, version.

use std::path::Path;

use clap_complete::Shell;
use mutt_model::Clock;
use serde_json::json;

use super::failure::Failure;
use super::{command, output};
use crate::reference;

/// The completions of a shell, to standard output.
pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "muttctl", &mut script);
    Ok(output::raw(&script)?)
}

/// A man page for each command.
pub(super) fn man(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(command(), dir)?;
    output::note(&format!("man pages written to {}", dir.display()));
    Ok(())
}

/// The version.
pub(super) fn version(json: bool) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if json {
        return Ok(output::line(&json!({ "name": "muttctl", "version": version }).to_string())?);
    }
    Ok(output::line(&format!("muttctl {version}"))?)
}

/// The generated reference documents; one that says nothing new keeps its date.
pub(super) fn reference(dir: &Path, examples: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)?;
    let now = Clock::System.wall().to_string();
    for page in reference::pages(examples, now.get(..10).unwrap_or_default()) {
        let path = dir.join(page.file);
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        if reference::undated(&old) == reference::undated(&page.text) {
            output::note(&format!("unchanged {}", path.display()));
            continue;
        }
        std::fs::write(&path, page.text)?;
        output::note(&format!("written {}", path.display()));
    }
    Ok(())
}

/// The systemd units of the packages.
pub(super) fn units(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)?;
    for unit in reference::units() {
        std::fs::write(dir.join(unit.file), unit.text)?;
    }
    output::note(&format!("units written to {}", dir.display()));
    Ok(())
}
