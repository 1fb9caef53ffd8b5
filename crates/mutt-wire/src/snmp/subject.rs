//! Which thing on the device a notification is about, in the words that syslog uses for it.

use super::names::{Role, Subject};
use super::sheet::Sheet;
use crate::octets;
use crate::syslog::canonical_interface;

/// The resource, where the varbinds say it.
pub(super) fn resource(subject: Subject, sheet: &Sheet<'_>) -> Option<String> {
    let text = |role| sheet.text_of(role).map(str::to_owned);
    match subject {
        Subject::Device => None,
        Subject::Interface => interface(sheet),
        Subject::BgpPeer => text(Role::BgpPeerAddress).or_else(|| sheet.instance_of("bgpPeer", 4)),
        Subject::OspfNeighbour => text(Role::OspfRouterId)
            .or_else(|| text(Role::OspfAddress))
            .or_else(|| sheet.instance_of("ospfNbr", 4)),
        Subject::Part => text(Role::PartName),
    }
}

/// The interface. Syslog speaks the name of ifDescr (`GigabitEthernet0/1`, where ifName is `Gi0/1`),
/// unless ifDescr is a sentence, as some vendors have it; then ifName.
fn interface(sheet: &Sheet<'_>) -> Option<String> {
    let descr = sheet.text_of(Role::InterfaceDescription);
    let parts = |word| octets::is(word, b' ') | octets::is(word, b',');
    let is_word = |text: &&str| octets::find(text.as_bytes(), 0, parts).is_none();
    let word = descr.filter(is_word);
    let name = word.or_else(|| sheet.text_of(Role::InterfaceName)).or(descr);
    let name = name.map(|name| canonical_interface(name).into_owned());
    name.or_else(|| {
        let number = sheet.number_of(Role::InterfaceIndex).map(|number| number.to_string());
        let number = number.or_else(|| sheet.instance_of("if", 1))?;
        Some(format!("ifIndex.{number}"))
    })
}
