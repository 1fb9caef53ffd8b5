//! Patterns of grok, as Logstash, Graylog and Vector have them, for the lines of `lines.rs` that a
//! parser of headers alone does not understand: what MUTT takes out is named in each, and the time is
//! made an instant by chrono.

use chrono::NaiveDateTime;
use grok::{Grok, Pattern};

const PRI: &str = "<%{NONNEGINT:pri}>";

/// What a line says of its time.
pub(crate) enum Time {
    /// Without a year: that of now is put before it.
    Months,
    /// With the year.
    Years,
    Iso,
}

impl Time {
    pub(crate) fn read(&self, text: &str) -> NaiveDateTime {
        let read = match self {
            Self::Months => {
                NaiveDateTime::parse_from_str(&format!("2026 {text}"), "%Y %b %e %T%.f")
            }
            Self::Years => NaiveDateTime::parse_from_str(text, "%b %e %Y %T%.f"),
            Self::Iso => return iso(text),
        };
        read.expect("a time of the pattern")
    }
}

fn iso(text: &str) -> NaiveDateTime {
    let zoned = chrono::DateTime::parse_from_rfc3339(text).map(|at| at.naive_utc());
    let plain = |_| NaiveDateTime::parse_from_str(&text.replace('T', " "), "%Y-%m-%d %T%.f");
    zoned.or_else(plain).expect("a time of ISO 8601")
}

/// The pattern for a line of this name, and how its time is written.
pub(crate) fn of(name: &str) -> Option<(Pattern, Time)> {
    let pattern = Grok::with_default_patterns().compile(&source(name)?, true);
    Some((pattern.expect("a pattern that grok takes"), time(name)))
}

/// How the line of this name writes its time.
pub(crate) fn time(name: &str) -> Time {
    match name {
        "cisco-asa" | "huawei" => Time::Years,
        "cisco-ftd" | "hpe-aoscx" | "hpe-comware" | "netscreen" | "vmware" => Time::Iso,
        _ => Time::Months,
    }
}

/// The pattern as it is written.
pub(crate) fn source(name: &str) -> Option<String> {
    let rest = match name {
        "cisco-ios" => {
            r"%{NONNEGINT:seq}: %{HOSTNAME:host}: [*.]?%{CISCOTIMESTAMP:time}: \x25%{WORD:facility}-%{INT:severity}-%{WORD:mnemonic}: %{GREEDYDATA:message}"
        }
        "cisco-iosxr" => {
            r"%{NONNEGINT:seq}: %{HOSTNAME:host} %{NOTSPACE:node}:%{CISCOTIMESTAMP:time} %{WORD:zone}: %{WORD:program}\[%{POSINT:pid}\]: \x25%{WORD:category}-%{WORD:group}-%{INT:severity}-%{WORD:mnemonic} : %{GREEDYDATA:message}"
        }
        "cisco-nxos" => {
            r": %{YEAR:year} %{CISCOTIMESTAMP:time} %{WORD:zone}: \x25%{WORD:facility}-%{INT:severity}-%{WORD:mnemonic}: %{GREEDYDATA:message}"
        }
        "cisco-asa" => {
            r":%{CISCOTIMESTAMP:time} %{WORD:zone}: \x25ASA-%{INT:severity}-%{INT:mnemonic}: %{GREEDYDATA:message}"
        }
        "cisco-ftd" => {
            r"%{TIMESTAMP_ISO8601:time} %{HOSTNAME:host} : \x25FTD-%{INT:severity}-%{INT:mnemonic}: EventPriority: %{WORD:EventPriority}, DeviceUUID: %{UUID:DeviceUUID}, AccessControlRuleAction: %{WORD:AccessControlRuleAction}, SrcIP: %{IP:SrcIP}"
        }
        "juniper" => {
            r"%{SYSLOGTIMESTAMP:time} %{HOSTNAME:host} %{WORD:program}\[%{POSINT:pid}\]: %{WORD:mnemonic}: %{GREEDYDATA:message}"
        }
        "arista-eos" => {
            r"%{SYSLOGTIMESTAMP:time} %{HOSTNAME:host} %{WORD:program}: \x25%{WORD:facility}-%{INT:severity}-%{WORD:mnemonic}: %{GREEDYDATA:message}"
        }
        "huawei" => {
            r"%{CISCOTIMESTAMP:time} %{HOSTNAME:host} \x25\x25(?<version>\d\d)(?<module>[A-Z0-9]+)/%{INT:severity}/%{WORD:mnemonic}\(%{WORD:type}\)\[%{INT:count}\]:%{GREEDYDATA:message}"
        }
        "hpe-aoscx" => {
            r"%{TIMESTAMP_ISO8601:time} %{HOSTNAME:host} %{DATA:program}\[%{POSINT:pid}\]: Event\|%{INT:event}\|LOG_(?<severity>[A-Z]+)\|%{WORD:module}\|%{DATA:slot}\|%{GREEDYDATA:message}"
        }
        "hpe-procurve" => {
            r" ?%{SYSLOGTIMESTAMP:time} %{IPORHOST:host} %{INT:event} %{WORD:program}: +%{GREEDYDATA:message}"
        }
        "hpe-comware" => {
            r"%{TIMESTAMP_ISO8601:time} %{HOSTNAME:host} \x25\x25(?<version>\d\d)(?<module>[A-Z0-9]+)/%{INT:severity}/%{WORD:mnemonic}\(%{WORD:type}\): %{GREEDYDATA:message}"
        }
        "f5-bigip" => {
            r"%{SYSLOGTIMESTAMP:time} %{HOSTNAME:host} %{LOGLEVEL:level} %{WORD:program}\[%{POSINT:pid}\]: %{BASE16NUM:mnemonic}:%{INT:severity}: %{GREEDYDATA:message}"
        }
        "netscreen" => {
            r#"%{HOSTNAME:host}: NetScreen device_id=%{WORD:device_id} +\[%{WORD:vsys}\]system-%{WORD:severity}-%{INT:mnemonic}\(%{WORD:type}\): start_time="%{TIMESTAMP_ISO8601:start_time}" duration=%{INT:duration} policy_id=%{INT:policy_id} service=%{DATA:service} proto=%{INT:proto} src zone=%{WORD:src_zone} dst zone=%{WORD:dst_zone} action=%{WORD:action} sent=%{INT:sent} rcvd=%{INT:rcvd} src=%{IPORHOST:src} dst=%{IPORHOST:dst} src_port=%{INT:src_port} dst_port=%{INT:dst_port}"#
        }
        "ubiquiti" => {
            r"%{SYSLOGTIMESTAMP:time} %{HOSTNAME:host} %{BASE16NUM:mac},%{DATA:model}-%{DATA:firmware}: %{WORD:program}: %{WORD:process}\[%{POSINT:pid}\]: %{GREEDYDATA:message}"
        }
        "nokia-sros" => {
            r"%{SYSLOGTIMESTAMP:time} %{IPORHOST:host} TMNX: %{INT:seq} %{WORD:router} %{WORD:application}-%{WORD:severity}-%{WORD:mnemonic}-%{INT:event} \[%{DATA:subject}\]: +%{GREEDYDATA:message}"
        }
        "nokia-srlinux" => {
            r"%{SYSLOGTIMESTAMP:time} %{HOSTNAME:host} %{WORD:program}: %{WORD:subsystem}\|%{INT:pid}\|%{INT:thread}\|%{INT:seq}\|%{WORD:severity}: %{GREEDYDATA:message}"
        }
        "bind" => {
            r"%{SYSLOGTIMESTAMP:time} %{HOSTNAME:host} named\[%{POSINT:pid}\]: client @%{BASE16NUM:client} %{IP:client_ip}#%{POSINT:client_port} \(%{DATA:name}\): query: %{GREEDYDATA:query}"
        }
        "vmware" => {
            r"%{TIMESTAMP_ISO8601:time} %{HOSTNAME:host} %{WORD:program}: %{LOGLEVEL:level} %{WORD:process}\[%{POSINT:pid}\] \[Originator@6876 sub=%{NOTSPACE:sub} opID=%{NOTSPACE:op_id} user=%{WORD:user}\] %{GREEDYDATA:message}"
        }
        _ => return None,
    };
    Some(format!("^{PRI}{rest}$"))
}
