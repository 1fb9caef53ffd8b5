//! `muttctl backup` asks the running program for a copy of its store; `muttctl restore` puts one in
//! the place of the store, by the running program or, when none runs, in the data directory.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use mutt_model::{amount, codes};
use mutt_store::store::{OpenError, StoreError};
use reqwest::Method;
use serde_json::json;

use super::api::{Api, block_on, running_on};
use super::args::{BackupArgs, RestoreArgs};
use super::failure::Failure;
use super::output;
use crate::config::STORE_FILE;

/// A spinner on standard error while something long runs; nothing where that is no terminal.
fn spinner(words: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(words.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A backup of the running program's store.
pub(super) fn backup(args: &BackupArgs) -> Result<(), Failure> {
    let api = Api::new(&args.target)?;
    // The program has another working directory: the path must mean the same there.
    let file = std::path::absolute(&args.file)?;
    let bar = spinner("writing the backup");
    let payload = json!({ "file": file.display().to_string() });
    let done = block_on(api.call(Method::POST, &["backup"], &[], Some(&payload)));
    bar.finish_and_clear();
    let done = done?;
    if args.target.json {
        return Ok(output::line(&done.to_string())?);
    }
    output::line(&output::cell(&done, "/file"))?;
    let bytes = done["bytes"].as_u64().unwrap_or(0);
    output::note(&format!("{} written", amount::format_size(bytes)));
    output::note("secrets are not in a backup; keep data_dir's admin-token and ingest-key apart");
    Ok(())
}

/// Puts a backup in place of the store.
pub(super) fn restore(args: &RestoreArgs) -> Result<(), Failure> {
    let target = args.data_dir.join(STORE_FILE);
    let running = running_on(&args.data_dir, "web_ui");
    if let Some(url) = args.target.url.clone().or(running) {
        return restore_running(args, url);
    }
    if target.exists() && !args.replace {
        let message = format!("{} stands there already", target.display());
        return Err(Failure::new(&codes::BACKUP_FAILED, message)
            .hint("give --replace; the old store is kept as mutt.db.before-restore"));
    }
    std::fs::create_dir_all(&args.data_dir)?;
    let bar = spinner("restoring");
    let done = mutt_store::sqlite::restore(&args.file, &target);
    bar.finish_and_clear();
    done.map_err(|why| refused(&why))?;
    output::note(&format!(
        "restored {} from {}; start MUTT again",
        target.display(),
        args.file.display()
    ));
    Ok(())
}

/// The running program does it, in one transaction; commits wait meanwhile.
fn restore_running(args: &RestoreArgs, url: String) -> Result<(), Failure> {
    if !args.replace {
        let message = format!("MUTT runs at {url} and has a store");
        return Err(Failure::new(&codes::BACKUP_FAILED, message)
            .hint("give --replace to put the backup in its place; make a backup of it first"));
    }
    let mut target = args.target.clone();
    target.url = Some(url);
    let own_token = args.data_dir.join(crate::secrets::ADMIN_TOKEN_FILE);
    if target.token_file.is_none() && own_token.exists() {
        target.token_file = Some(own_token);
    }
    let api = Api::new(&target)?;
    let file = std::path::absolute(&args.file)?;
    let bar = spinner("restoring");
    let payload = json!({ "file": file.display().to_string() });
    let done = block_on(api.call(Method::POST, &["restore"], &[], Some(&payload)));
    bar.finish_and_clear();
    let done = done?;
    if target.json {
        return Ok(output::line(&done.to_string())?);
    }
    output::note(&format!("restored from {} while running", output::cell(&done, "/file")));
    Ok(())
}

fn refused(why: &StoreError) -> Failure {
    match why {
        StoreError::Open(OpenError::InUse(words)) => {
            Failure::new(&codes::DATA_DIR_IN_USE, words.clone())
                .hint("stop MUTT first: systemctl stop mutt")
        }
        StoreError::Open(OpenError::Newer { .. }) => {
            Failure::new(&codes::STORE_NEWER, why.to_string())
        }
        other => Failure::new(&codes::BACKUP_FAILED, other.to_string()),
    }
}
