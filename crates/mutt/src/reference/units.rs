//! The systemd units of the packages: one for each service and one for all in one process, made from
//! the services' names and the registry of keys. `muttctl reference --units DIR` writes them.

use std::fmt::Write as _;
use std::time::Duration;

use mutt_model::amount::parse_duration;

use super::Page;
use crate::config::keys;
use crate::services::Service;

/// A unit and what differs from the others.
struct Unit {
    file: &'static str,
    description: &'static str,
    /// The service that it runs; none: all of them.
    service: Option<Service>,
    /// Whether it hears devices, on ports below 1024.
    low_ports: bool,
    /// Whether many run beside each other, each with a name.
    instances: bool,
}

const UNITS: [Unit; 6] = [
    Unit {
        file: "mutt.service",
        description: "MUTT: network events to delivered alerts, all services in one process",
        service: None,
        low_ports: true,
        instances: false,
    },
    Unit {
        file: "mutt-ingestor.service",
        description: "MUTT Ingestor: hears syslog, SNMP and HTTP",
        service: Some(Service::Ingestor),
        low_ports: true,
        instances: false,
    },
    Unit {
        file: "mutt-alerter@.service",
        description: "MUTT Alerter %i: judges events by rules",
        service: Some(Service::Alerter),
        low_ports: false,
        instances: true,
    },
    Unit {
        file: "mutt-moog-forwarder.service",
        description: "MUTT Moog Forwarder: delivers alerts",
        service: Some(Service::MoogForwarder),
        low_ports: false,
        instances: false,
    },
    Unit {
        file: "mutt-webui.service",
        description: "MUTT Web UI: pages and REST API",
        service: Some(Service::WebUi),
        low_ports: false,
        instances: false,
    },
    Unit {
        file: "mutt-remediation.service",
        description: "MUTT Remediation: redrives, clears, retains",
        service: Some(Service::Remediation),
        low_ports: false,
        instances: false,
    },
];

/// What every unit takes away from the program.
const HARDENING: &[&str] = &[
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "DevicePolicy=closed",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProcSubset=pid",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RemoveIPC=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "SystemCallErrorNumber=EPERM",
];

/// How much longer systemd waits for the end than the program itself.
const STOP_MARGIN: Duration = Duration::from_secs(15);

/// Every unit.
#[must_use]
pub fn units() -> Vec<Page> {
    UNITS.iter().map(|unit| Page { file: unit.file, text: unit.render() }).collect()
}

/// A default of the registry.
fn default(path: &str) -> &'static str {
    keys::by_pattern(path).map_or("", |key| key.default)
}

/// The key with the address at which a service tells how it is.
fn listen_key(service: Service) -> String {
    match service {
        Service::Ingestor => "ingestor.http.listen".to_owned(),
        other => format!("{}.listen", other.name().replace('-', "_")),
    }
}

impl Unit {
    fn render(&self) -> String {
        let mut text = String::new();
        let mut line = |words: &str| {
            text.push_str(words);
            text.push('\n');
        };
        line(
            "# Generated from the program's registries by scripts/gen-reference. To change it on a host:",
        );
        line(&format!("# systemctl edit {}", self.file.replace("@.", "@NAME.")));
        for service in Service::chosen(self.service.as_slice()) {
            let key = listen_key(*service);
            line(&format!("# {service}: health on http://{}/health ({key})", default(&key)));
        }
        line("\n[Unit]");
        line(&format!("Description={}", self.description));
        line("Documentation=man:muttctl(1)");
        line("Wants=network-online.target");
        line("After=network-online.target time-sync.target");
        line(&format!("Conflicts={}", self.conflicts()));
        line("\n[Service]");
        line("Type=notify");
        line("NotifyAccess=main");
        line("WatchdogSec=30s");
        line("User=mutt");
        line("Group=mutt");
        let only = self.service.map_or(String::new(), |service| format!(" --only {service}"));
        line(&format!("ExecStart=/usr/bin/muttctl serve --config /etc/mutt/mutt.toml{only}"));
        line("ExecReload=/bin/kill -HUP $MAINPID");
        line(&format!("EnvironmentFile=-/etc/mutt/{}", self.environment()));
        line("# /etc/mutt/secrets/NAME is { credential = \"secrets_NAME\" } in the configuration.");
        line("LoadCredential=secrets:/etc/mutt/secrets");
        line("WorkingDirectory=/var/lib/mutt");
        line("StateDirectory=mutt");
        line("StateDirectoryMode=0750");
        line("UMask=0027");
        line("LimitNOFILE=65536");
        line("Restart=on-failure");
        line("RestartSec=2s");
        line("# A bad configuration: starting again does not help.");
        line("RestartPreventExitStatus=78");
        line(&format!("TimeoutStopSec={}s", stop_seconds()));
        line("");
        let capability = if self.low_ports { "CAP_NET_BIND_SERVICE" } else { "" };
        line(&format!("AmbientCapabilities={capability}"));
        line(&format!("CapabilityBoundingSet={capability}"));
        if !self.low_ports {
            line("PrivateUsers=yes");
        }
        HARDENING.iter().for_each(|words| line(words));
        line("\n[Install]");
        line("WantedBy=multi-user.target");
        text
    }

    /// One process for all does not run beside those for one.
    fn conflicts(&self) -> String {
        if self.service.is_some() {
            return "mutt.service".to_owned();
        }
        let mut names = String::new();
        for unit in UNITS.iter().filter(|unit| unit.service.is_some() && !unit.instances) {
            let _ = write!(names, "{}{}", if names.is_empty() { "" } else { " " }, unit.file);
        }
        names
    }

    fn environment(&self) -> String {
        let name = self.file.trim_end_matches(".service").trim_start_matches("mutt-");
        if self.instances { name.replace('@', "-%i.env") } else { format!("{name}.env") }
    }
}

fn stop_seconds() -> u64 {
    let own = parse_duration(default("shutdown_timeout")).unwrap_or(Duration::from_secs(30));
    (own + STOP_MARGIN).as_secs()
}
