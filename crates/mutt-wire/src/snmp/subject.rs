//! Which thing on the device a notification is about, in the words that syslog uses for it.

use serde_json::Value;

use super::names::Subject;
use super::varbind::Varbind;
use crate::syslog::canonical_interface;

/// The resource, where the varbinds say it.
pub(super) fn resource(subject: Subject, items: &[Varbind<'_>]) -> Option<String> {
    match subject {
        Subject::Device => None,
        Subject::Interface => interface(items),
        Subject::BgpPeer => {
            text(items, "bgpPeerRemoteAddr").or_else(|| instance(items, "bgpPeer", 4))
        }
        Subject::OspfNeighbour => text(items, "ospfNbrRtrId")
            .or_else(|| text(items, "ospfNbrIpAddr"))
            .or_else(|| instance(items, "ospfNbr", 4)),
        Subject::Part => text(items, "entPhysicalName"),
    }
}

/// The interface. Syslog speaks the name of ifDescr (`GigabitEthernet0/1`, where ifName is `Gi0/1`),
/// unless ifDescr is a sentence, as some vendors have it; then ifName.
fn interface(items: &[Varbind<'_>]) -> Option<String> {
    let descr = text(items, "ifDescr");
    let name = text(items, "ifName");
    let is_word = |text: &String| !text.contains([' ', ',']);
    let name = descr.clone().filter(is_word).or(name).or(descr);
    let name = name.map(|name| canonical_interface(&name).into_owned());
    name.or_else(|| {
        let index = find(items, "ifIndex");
        let number = index.and_then(|item| item.value.as_i64()).map(|number| number.to_string());
        let number = number.or_else(|| instance(items, "if", 1))?;
        Some(format!("ifIndex.{number}"))
    })
}

fn find<'v, 'n>(items: &'v [Varbind<'n>], name: &str) -> Option<&'v Varbind<'n>> {
    items.iter().find(|item| item.base_name() == Some(name))
}

fn text(items: &[Varbind<'_>], name: &str) -> Option<String> {
    match &find(items, name)?.value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    }
}

/// The first `arcs` arcs of the instance of the first column whose name begins so.
fn instance(items: &[Varbind<'_>], prefix: &str, arcs: usize) -> Option<String> {
    items.iter().find_map(|item| {
        let (name, instance) = (item.base_name()?, item.instance()?);
        let parts: Vec<&str> = instance.split('.').take(arcs).collect();
        let fits = name.starts_with(prefix) && parts.len() == arcs && !instance.is_empty();
        fits.then(|| parts.join("."))
    })
}
