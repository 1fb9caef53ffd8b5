//! What is said at start: each listener, where the token lies, and one line each to try it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::config::LISTENERS_FILE;
use crate::services::Service;

/// What was bound, as people need it.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    /// HTTP ingest, with its scheme.
    pub(super) ingest_http: Option<(&'static str, SocketAddr)>,
    /// Syslog over UDP.
    pub(super) syslog_udp: Vec<SocketAddr>,
    /// Syslog over TCP and TLS and RELP, by the listener's name.
    pub(super) syslog_streams: Vec<(&'static str, SocketAddr)>,
    /// Traps.
    pub(super) snmp_udp: Vec<SocketAddr>,
    /// Traps over TCP.
    pub(super) snmp_tcp: Vec<SocketAddr>,
    /// Health and metrics, by service.
    pub(super) health: Vec<(&'static str, SocketAddr)>,
    /// API and pages, with its scheme.
    pub(super) web_ui: Option<(&'static str, SocketAddr)>,
    /// Where the admin token lies, when MUTT made it.
    pub(super) admin_token: Option<PathBuf>,
    /// Where the ingest key lies, when MUTT made it.
    pub(super) ingest_key: Option<PathBuf>,
    /// Names of the sinks.
    pub(super) sinks: Vec<String>,
    /// A community that is taken, or what stands for one; `None`: none is.
    pub(super) community: Option<&'static str>,
    /// `data_dir`
    pub(super) data_dir: PathBuf,
    /// See [`Summary::file_of`].
    pub(super) file: String,
}

impl Summary {
    /// Prints the summary and keeps the addresses for `muttctl`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn publish(&self, data_dir: &Path) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(self.text().as_bytes());
        let _ = out.flush();
        let url =
            |listener: Option<(&str, SocketAddr)>| listener.map(|(s, a)| format!("{s}://{a}"));
        let json = json!({
            "pid": std::process::id(),
            "web_ui": url(self.web_ui), "http": url(self.ingest_http),
            "syslog_udp": self.syslog_udp, "syslog_tcp": self.streams("syslog-tcp"),
            "syslog_tls": self.streams("syslog-tls"), "relp": self.streams("relp"),
            "relp_tls": self.streams("relp-tls"), "snmp_udp": self.snmp_udp, "snmp_tcp": self.snmp_tcp,
            "health": self.health.iter().map(|(n, a)| (*n, a.to_string())).collect::<std::collections::BTreeMap<_, _>>(),
        });
        let path = data_dir.join(&self.file);
        let new = path.with_extension("json.new");
        std::fs::write(&new, format!("{json:#}\n"))?;
        std::fs::rename(new, path)
    }

    /// Takes the addresses of an earlier run away: they are wrong from now on.
    pub(super) fn withdraw(data_dir: &Path, file: &str) {
        let _ = std::fs::remove_file(data_dir.join(file));
    }

    /// The name of the file with the addresses: processes with some of the services may share a
    /// folder, so each has its own.
    #[must_use]
    pub(super) fn file_of(services: &[Service]) -> String {
        if Service::ALL.iter().all(|service| services.contains(service)) {
            return LISTENERS_FILE.to_owned();
        }
        let names: Vec<&str> = services.iter().map(|service| service.name()).collect();
        LISTENERS_FILE.replace(".json", &format!("-{}.json", names.join("-")))
    }

    fn streams(&self, name: &str) -> Vec<SocketAddr> {
        self.syslog_streams
            .iter()
            .filter(|(n, _)| *n == name)
            .map(|(_, address)| *address)
            .collect()
    }

    fn text(&self) -> String {
        let mut text = format!("MUTT {} is listening\n\n", env!("CARGO_PKG_VERSION"));
        let mut row = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<16} {value}");
        };
        for address in &self.syslog_udp {
            row("syslog UDP", address.to_string());
        }
        for (name, address) in &self.syslog_streams {
            let shown = match *name {
                "syslog-tls" => "syslog TLS",
                "relp" => "RELP",
                "relp-tls" => "RELP TLS",
                _ => "syslog TCP",
            };
            row(shown, address.to_string());
        }
        for address in &self.snmp_udp {
            row("SNMP traps", address.to_string());
        }
        for address in &self.snmp_tcp {
            row("SNMP TCP", address.to_string());
        }
        if let Some((scheme, address)) = self.ingest_http {
            row("HTTP events", format!("{scheme}://{address}/ingest"));
        }
        if let Some((scheme, address)) = self.web_ui {
            row("web UI", format!("{scheme}://{address}/"));
        }
        for (service, address) in &self.health {
            row(service, format!("http://{address}/health"));
        }
        row("data", self.data_dir.display().to_string());
        if let Some(path) = &self.admin_token {
            row("admin token", path.display().to_string());
        }
        if let Some(path) = &self.ingest_key {
            row("ingest key", path.display().to_string());
        }
        row(
            "sinks",
            if self.sinks.is_empty() {
                "none: alerts are kept, nothing is delivered".to_owned()
            } else {
                self.sinks.join(", ")
            },
        );
        self.try_it(&mut text);
        text
    }

    fn try_it(&self, text: &mut String) {
        let mut lines = Vec::new();
        if let Some(a) = self.syslog_udp.first() {
            lines.push(format!(
                "logger --udp --server {} --port {} --priority local7.err --tag edge-r1 '%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down'",
                a.ip(), a.port()
            ));
        }
        if let (Some(a), Some(community)) = (self.snmp_udp.first(), self.community) {
            lines.push(format!(
                "snmptrap -v 2c -c {community} {a} '' 1.3.6.1.6.3.1.1.5.3 1.3.6.1.2.1.2.2.1.1.12 i 12 1.3.6.1.2.1.2.2.1.2.12 s GigabitEthernet0/1"
            ));
        }
        if let (Some((scheme, a)), Some(key)) = (self.ingest_http, &self.ingest_key) {
            lines.push(format!(
                "curl -H \"X-API-KEY: $(cat {})\" -d '{{\"timestamp\":\"'$(date -Is)'\",\"hostname\":\"edge-r1\",\"message\":\"%BGP-5-ADJCHANGE: neighbor 192.0.2.1 Down\",\"severity\":\"error\"}}' {scheme}://{a}/ingest",
                key.display()
            ));
        }
        if !lines.is_empty() {
            text.push_str("\nTry it:\n\n");
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        text.push('\n');
    }
}
