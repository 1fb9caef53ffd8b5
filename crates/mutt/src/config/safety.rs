//! What would open an unsafe door is refused: MUTT-C005.

use std::net::SocketAddr;

use mutt_model::codes;

use super::error::{ConfigError, Origin};
use super::tree::Node;
use super::{Config, TlsConfig};

/// Checks listeners beyond loopback.
pub(super) fn check(config: &Config, root: &Node, errors: &mut Vec<ConfigError>) {
    if let Some(http) = &config.ingestor.http {
        let key = ["ingestor", "http", "listen"];
        listener(http.listen, http.tls.as_ref(), http.behind_proxy, root, &key, errors);
    }
    let web = &config.web_ui;
    let key = ["web_ui", "listen"];
    listener(web.listen, web.tls.as_ref(), web.behind_proxy, root, &key, errors);
    let snmp = &config.ingestor.snmp;
    if let Some(open) = snmp.udp.iter().find(|address| !address.ip().is_loopback())
        && snmp.communities.is_empty()
    {
        let path = ["ingestor", "snmp", "udp"];
        errors.push(unsafe_door(
            root,
            &path,
            format!(
                "`ingestor.snmp.udp`: {open} is beyond loopback and any community would be taken; \
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
