//! Checks of this host: disk, files, kernel limits, clock, the way to the sinks.

use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use mutt_model::amount::format_size;
use mutt_model::codes;

use super::{Context, Finding};
use crate::cli::output::cell;
use crate::config::ProcessEnv;
use crate::secrets::{ADMIN_TOKEN_FILE, INGEST_KEY_FILE};

/// Connecting to a sink may take this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Can be written, and has room.
pub(super) fn data_dir(context: &Context) -> Vec<Finding> {
    let dir = &context.data_dir;
    let shown = dir.display();
    if !dir.exists() {
        let fix = format!("muttctl serve --data-dir {shown}");
        return vec![Finding::warn(
            format!("{shown} is not there yet; the first start makes it"),
            fix,
        )];
    }
    let mut findings = Vec::new();
    let probe = dir.join(format!(".doctor-{}", std::process::id()));
    let wrote = std::fs::write(&probe, b"x").and_then(|()| std::fs::remove_file(&probe));
    if let Err(why) = wrote {
        let owner = std::fs::metadata(dir).map_or(0, |meta| meta.uid());
        let fix = match why.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                format!("du -xh -d 2 {shown}; free space on that disk, MUTT goes on by itself")
            }
            ErrorKind::ReadOnlyFilesystem => {
                format!(
                    "findmnt -T {shown}; look at the disk in the kernel's log, then mount it writable"
                )
            }
            _ => format!("run as the user with id {owner}, or: chown -R {owner} {shown}"),
        };
        findings.push(Finding::bad(format!("cannot write in {shown}: {why}"), fix));
    }
    match nix::sys::statvfs::statvfs(dir.as_path()) {
        Ok(disk) => {
            let free = disk.blocks_available().saturating_mul(disk.fragment_size());
            let needed = context.config.queue.min_free;
            let text = format!("{} free on the disk of {shown}", human(free));
            if free <= needed {
                let text = format!(
                    "{text}, queue.min_free is {}: nothing more is accepted (MUTT-I004)",
                    format_size(needed)
                );
                findings.push(Finding::bad(text, format!("df -h {shown}; free space there")));
            } else if free <= needed.saturating_mul(2) {
                findings.push(Finding::warn(text, format!("df -h {shown}; free space soon")));
            } else {
                findings.push(Finding::ok(text));
            }
        }
        Err(why) => findings.push(Finding::warn(format!("cannot ask the disk: {why}"), "df -h")),
    }
    findings
}

/// A size for people, rounded.
fn human(bytes: u64) -> String {
    let (unit, size) = if bytes >= 10 << 30 { ("GiB", 30) } else { ("MiB", 20) };
    format!("{} {unit}", bytes >> size)
}

/// Every reference of the configuration resolves. What only a unit can read is passed over: the service
/// says itself when it lacks it.
pub(super) fn secrets(context: &Context) -> Vec<Finding> {
    let all = [context.config.vault_refs(), context.config.secret_refs()].concat();
    let units: Vec<&str> = all
        .iter()
        .filter(|(_, secret)| secret.is_the_units(&ProcessEnv))
        .map(|(key, _)| key.as_str())
        .collect();
    let mut missing = context.config.unresolved(&ProcessEnv);
    missing.retain(|error| !units.contains(&error.key.as_str()));
    if missing.is_empty() {
        let text = match units.len() {
            0 => format!("{} references, all resolve", all.len()),
            few => format!(
                "{} references; {few} are for the unit alone ({}), the others resolve",
                all.len(),
                units.join(", ")
            ),
        };
        return vec![Finding::ok(text)];
    }
    missing
        .into_iter()
        .map(|error| {
            Finding::bad(
                error.message,
                "provide it there; muttctl check asks again (run as the service's user)",
            )
        })
        .collect()
}

/// First-start secrets and named files are private.
pub(super) fn secret_files(context: &Context) -> Vec<Finding> {
    let mut files: Vec<_> = [ADMIN_TOKEN_FILE, INGEST_KEY_FILE]
        .iter()
        .map(|name| context.data_dir.join(name))
        .collect();
    files.extend(context.config.secret_refs().into_iter().filter_map(|(_, secret)| match secret {
        crate::secrets::SecretRef::File(path) => Some(path.clone()),
        _ => None,
    }));
    let open: Vec<Finding> = files.iter().filter_map(|file| readable_by_others(file)).collect();
    if open.is_empty() { vec![Finding::ok("none can be read by others")] } else { open }
}

fn readable_by_others(file: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let text = format!("{} has mode {mode:04o}", file.display());
    (mode & 0o007 != 0).then(|| Finding::bad(text, format!("chmod 0600 {}", file.display())))
}

/// The kernel grants what is configured.
pub(super) fn receive_buffer(context: &Context) -> Vec<Finding> {
    let ingestor = &context.config.ingestor;
    let wanted = ingestor.syslog.receive_buffer.max(ingestor.snmp.receive_buffer);
    if let Some(health) = &context.health {
        let notices = health["notices"].as_array().into_iter().flatten();
        let refused = notices.filter(|notice| notice["code"] == codes::INGEST_RCVBUF.id);
        let fix = format!("sysctl -w net.core.rmem_max={wanted}; then start MUTT anew");
        let found: Vec<Finding> =
            refused.map(|notice| Finding::warn(cell(notice, "/text"), fix.clone())).collect();
        let granted = || vec![Finding::ok("the kernel granted what is configured")];
        return if found.is_empty() { granted() } else { found };
    }
    let granted = std::fs::read_to_string("/proc/sys/net/core/rmem_max")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    match granted {
        Some(granted) if granted < wanted => vec![Finding::warn(
            format!(
                "net.core.rmem_max is {granted}, receive_buffer asks for {wanted}: a burst of UDP may be dropped (MUTT-I008)"
            ),
            format!("sysctl -w net.core.rmem_max={wanted}"),
        )],
        Some(granted) => vec![Finding::ok(format!("net.core.rmem_max is {granted}"))],
        None => vec![Finding::warn("net.core.rmem_max cannot be read", "sysctl net.core.rmem_max")],
    }
}

/// Somebody keeps this host's clock right.
pub(super) fn clock(context: &Context) -> Vec<Finding> {
    const DAEMONS: [&str; 5] = ["chronyd", "ntpd", "systemd-timesyn", "openntpd", "phc2sys"];
    let notices = context.health.iter().flat_map(|health| health["notices"].as_array()).flatten();
    if let Some(step) = notices.into_iter().find(|notice| notice["code"] == codes::CLOCK_STEP.id) {
        let text = format!("{} ({})", cell(step, "/text"), codes::CLOCK_STEP);
        return vec![Finding::bad(text, "chronyc makestep; systemctl enable --now chronyd")];
    }
    let synced = Path::new("/run/systemd/timesync/synchronized").exists();
    let daemon = super::sockets::processes().find(|(_, name)| DAEMONS.contains(&name.as_str()));
    match (daemon, synced) {
        (Some((_, name)), _) => vec![Finding::ok(format!("{name} keeps the time"))],
        (None, true) => vec![Finding::ok("the time is synchronised")],
        (None, false) => vec![Finding::warn(
            "nothing on this host keeps the time; a step back is MUTT-P003",
            "systemctl enable --now chronyd",
        )],
    }
}

/// Each sink's address takes a connection.
pub(super) fn sinks(context: &Context) -> Vec<Finding> {
    if context.config.sinks.is_empty() {
        return vec![Finding::warn(
            "no sink is configured: alerts are kept, nothing is delivered",
            "add [sinks.NAME] with kind and url, then: muttctl check",
        )];
    }
    context
        .config
        .sinks
        .iter()
        .map(|(name, sink)| match reach(&sink.url) {
            Ok(()) => Finding::ok(format!("{name}: {} takes connections", sink.url)),
            Err(why) => Finding::bad(
                format!("{name}: {} cannot be reached: {why}", sink.url),
                format!("curl -v {}", sink.url),
            ),
        })
        .collect()
}

fn reach(url: &str) -> Result<(), String> {
    let url = reqwest::Url::parse(url).map_err(|why| why.to_string())?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let mut why = "the name has no address".to_owned();
    for address in (host, port).to_socket_addrs().map_err(|why| why.to_string())? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(_) => return Ok(()),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}
