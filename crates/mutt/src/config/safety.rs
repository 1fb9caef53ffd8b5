//! What would open an unsafe door is refused: MUTT-C005.

use std::net::SocketAddr;

use mutt_model::codes;

use super::error::{ConfigError, Origin};
use super::tree::Node;
use super::{Config, ProxyProtocol, TlsConfig};

/// Checks listeners beyond loopback.
pub(super) fn check(config: &Config, root: &Node, errors: &mut Vec<ConfigError>) {
    if let Some(http) = &config.ingestor.http {
        let key = ["ingestor", "http", "listen"];
        listener(http.listen, http.tls.as_ref(), http.behind_proxy, root, &key, errors);
    }
    let web = &config.web_ui;
    let key = ["web_ui", "listen"];
    listener(web.listen, web.tls.as_ref(), web.behind_proxy, root, &key, errors);
    let (syslog, snmp) = (&config.ingestor.syslog, &config.ingestor.snmp);
    for (name, protocol, sources) in [
        ("syslog", syslog.proxy_protocol, &syslog.proxy_sources),
        ("snmp", snmp.proxy_protocol, &snmp.proxy_sources),
    ] {
        if protocol == ProxyProtocol::Off || !sources.is_empty() {
            continue;
        }
        errors.push(unsafe_door(
            root,
            &["ingestor", name, "proxy_protocol"],
            format!(
                "`ingestor.{name}.proxy_protocol`: anybody could name any device as the sender; \
                 allowed: name the proxies in ingestor.{name}.proxy_sources, or off"
            ),
        ));
    }
    let doors = [("udp", &snmp.udp), ("tcp", &snmp.tcp)];
    // Who names users and no community takes no community at all.
    let open_to_all = snmp.communities.is_empty() && snmp.users.is_empty();
    for (name, addresses) in doors.into_iter().filter(|_| open_to_all) {
        let Some(open) = addresses.iter().find(|address| !address.ip().is_loopback()) else {
            continue;
        };
        let path = ["ingestor", "snmp", name];
        errors.push(unsafe_door(
            root,
            &path,
            format!(
                "`ingestor.snmp.{name}`: {open} is beyond loopback and any community would be taken; \
                 allowed: name ingestor.snmp.communities, or listen on 127.0.0.1"
            ),
        ));
    }
}

fn listener(
    listen: SocketAddr,
    tls: Option<&TlsConfig>,
    behind_proxy: bool,
    root: &Node,
    path: &[&str],
    errors: &mut Vec<ConfigError>,
) {
    if listen.ip().is_loopback() || tls.is_some() || behind_proxy {
        return;
    }
    let key = path.join(".");
    let table = key.trim_end_matches(".listen");
    errors.push(unsafe_door(
        root,
        path,
        format!(
            "`{key}`: {listen} is beyond loopback and would carry keys in clear; allowed: \
             {table}.tls, {table}.behind_proxy = true, or listen on 127.0.0.1"
        ),
    ));
}

fn unsafe_door(root: &Node, path: &[&str], message: String) -> ConfigError {
    let origin = root.get(path).map_or(Origin::Default, |node| node.origin.clone());
    ConfigError { code: &codes::CONFIG_UNSAFE, origin, key: path.join("."), message }
}
