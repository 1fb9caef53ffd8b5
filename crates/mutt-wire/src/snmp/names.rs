//! The names that are built in: standard notifications with their severity and subject, and the
//! objects that they carry. Facts of the MIBs named beside each group; no MIB files are needed.

use mutt_model::{Severity, oid};

/// How the octets of an object are meant, where its MIB says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Guess: text when printable, a date when it can be one, else hexadecimal.
    Guess,
    /// Always text (DisplayString, SnmpAdminString).
    Text,
    /// Always hexadecimal (MacAddress, BITS, masks).
    Hex,
    /// A community: never shown.
    Secret,
}

/// What a notification is about: where its resource comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The device itself.
    Device,
    /// An interface, by ifDescr, ifName or ifIndex.
    Interface,
    /// A BGP peer, by bgpPeerRemoteAddr or the instance of its row.
    BgpPeer,
    /// An OSPF neighbour, by ospfNbrRtrId, ospfNbrIpAddr or the instance of its row.
    OspfNeighbour,
    /// A physical part, by entPhysicalName.
    Part,
}

/// A notification that is known.
#[derive(Debug)]
pub(super) struct Trap {
    oid: &'static str,
    /// Its name in the MIB.
    pub(super) name: &'static str,
    /// What it means for people on call; `None` where only a rule can say.
    pub(super) severity: Option<Severity>,
    /// What it is about.
    pub(super) subject: Subject,
}

const fn trap(
    oid: &'static str,
    name: &'static str,
    severity: Option<Severity>,
    subject: Subject,
) -> Trap {
    Trap { oid, name, severity, subject }
}

const ERROR: Option<Severity> = Some(Severity::ERROR);
const WARNING: Option<Severity> = Some(Severity::WARNING);
const NOTICE: Option<Severity> = Some(Severity::NOTICE);
const INFO: Option<Severity> = Some(Severity::INFO);

/// Each in the spelling of its MIB; looked up in both.
const TRAPS: &[Trap] = &[
    // SNMPv2-MIB, IF-MIB (RFC 3418, 2863)
    trap("1.3.6.1.6.3.1.1.5.1", "coldStart", WARNING, Subject::Device),
    trap("1.3.6.1.6.3.1.1.5.2", "warmStart", NOTICE, Subject::Device),
    trap("1.3.6.1.6.3.1.1.5.3", "linkDown", ERROR, Subject::Interface),
    trap("1.3.6.1.6.3.1.1.5.4", "linkUp", NOTICE, Subject::Interface),
    trap("1.3.6.1.6.3.1.1.5.5", "authenticationFailure", WARNING, Subject::Device),
    trap("1.3.6.1.6.3.1.1.5.6", "egpNeighborLoss", WARNING, Subject::Device),
    // BGP4-MIB (RFC 4273, and the older pair of RFC 1657)
    trap("1.3.6.1.2.1.15.0.1", "bgpEstablishedNotification", NOTICE, Subject::BgpPeer),
    trap("1.3.6.1.2.1.15.0.2", "bgpBackwardTransNotification", ERROR, Subject::BgpPeer),
    trap("1.3.6.1.2.1.15.7.1", "bgpEstablished", NOTICE, Subject::BgpPeer),
    trap("1.3.6.1.2.1.15.7.2", "bgpBackwardTransition", ERROR, Subject::BgpPeer),
    // OSPF-TRAP-MIB (RFC 4750)
    trap("1.3.6.1.2.1.14.16.2.1", "ospfVirtIfStateChange", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.2", "ospfNbrStateChange", WARNING, Subject::OspfNeighbour),
    trap("1.3.6.1.2.1.14.16.2.3", "ospfVirtNbrStateChange", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.4", "ospfIfConfigError", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.5", "ospfVirtIfConfigError", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.6", "ospfIfAuthFailure", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.7", "ospfVirtIfAuthFailure", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.8", "ospfIfRxBadPacket", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.9", "ospfVirtIfRxBadPacket", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.10", "ospfTxRetransmit", INFO, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.11", "ospfVirtIfTxRetransmit", INFO, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.12", "ospfOriginateLsa", INFO, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.13", "ospfMaxAgeLsa", INFO, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.14", "ospfLsdbOverflow", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.15", "ospfLsdbApproachingOverflow", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.14.16.2.16", "ospfIfStateChange", WARNING, Subject::Device),
    // RMON-MIB (RFC 2819), BRIDGE-MIB (RFC 4188), UPS-MIB (RFC 1628), ENTITY-MIB (RFC 6933)
    trap("1.3.6.1.2.1.16.0.1", "risingAlarm", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.16.0.2", "fallingAlarm", NOTICE, Subject::Device),
    trap("1.3.6.1.2.1.17.0.1", "newRoot", NOTICE, Subject::Device),
    trap("1.3.6.1.2.1.17.0.2", "topologyChange", NOTICE, Subject::Device),
    trap("1.3.6.1.2.1.33.2.1", "upsTrapOnBattery", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.33.2.2", "upsTrapTestCompleted", INFO, Subject::Device),
    trap("1.3.6.1.2.1.33.2.3", "upsTrapAlarmEntryAdded", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.33.2.4", "upsTrapAlarmEntryRemoved", NOTICE, Subject::Device),
    trap("1.3.6.1.2.1.47.2.0.1", "entConfigChange", NOTICE, Subject::Part),
    // VRRP-MIB (RFC 2787)
    trap("1.3.6.1.2.1.68.0.1", "vrrpTrapNewMaster", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.68.0.2", "vrrpTrapAuthFailure", WARNING, Subject::Device),
];

/// An object that is known: a scalar or a column.
#[derive(Debug)]
pub(super) struct Object {
    /// The OID of the scalar or column, without instance.
    pub(super) oid: &'static str,
    /// Its name in the MIB.
    pub(super) name: &'static str,
    /// How its octets are meant.
    pub(super) form: Form,
    labels: &'static [&'static str],
}

impl Object {
    /// The MIB's word for a number of an enumeration; enumerations here count from 1.
    pub(super) fn label(&self, number: i64) -> Option<&'static str> {
        let position = usize::try_from(number.checked_sub(1)?).ok()?;
        self.labels.get(position).copied()
    }
}

const fn object(oid: &'static str, name: &'static str, form: Form) -> Object {
    Object { oid, name, form, labels: &[] }
}

const fn states(oid: &'static str, name: &'static str, labels: &'static [&'static str]) -> Object {
    Object { oid, name, form: Form::Guess, labels }
}

const ADMIN: &[&str] = &["up", "down", "testing"];
const OPER: &[&str] =
    &["up", "down", "testing", "unknown", "dormant", "notPresent", "lowerLayerDown"];
const BGP: &[&str] = &["idle", "connect", "active", "opensent", "openconfirm", "established"];
const OSPF_NBR: &[&str] =
    &["down", "attempt", "init", "twoWay", "exchangeStart", "exchange", "loading", "full"];
const OSPF_IF: &[&str] = &[
    "down",
    "loopback",
    "waiting",
    "pointToPoint",
    "designatedRouter",
    "backupDesignatedRouter",
    "otherDesignatedRouter",
];

/// snmpTrapOID.0
pub(super) const SNMP_TRAP_OID: &str = "1.3.6.1.6.3.1.1.4.1.0";
/// snmpTrapEnterprise.0
pub(super) const SNMP_TRAP_ENTERPRISE: &str = "1.3.6.1.6.3.1.1.4.3.0";
/// sysUpTime.0
pub(super) const SYS_UP_TIME: &str = "1.3.6.1.2.1.1.3.0";
/// snmpTrapAddress.0
pub(super) const SNMP_TRAP_ADDRESS: &str = "1.3.6.1.6.3.18.1.3.0";
/// snmpTrapCommunity, column
const SNMP_TRAP_COMMUNITY: &str = "1.3.6.1.6.3.18.1.4";

/// Where every object of the table lies; most of what vendors send does not.
const STANDARD: [&str; 2] = ["1.3.6.1.2.1.", "1.3.6.1.6.3."];

const OBJECTS: &[Object] = &[
    // SNMPv2-MIB, SNMP-COMMUNITY-MIB
    object("1.3.6.1.2.1.1.1", "sysDescr", Form::Text),
    object("1.3.6.1.2.1.1.2", "sysObjectID", Form::Guess),
    object("1.3.6.1.2.1.1.3", "sysUpTime", Form::Guess),
    object("1.3.6.1.2.1.1.4", "sysContact", Form::Text),
    object("1.3.6.1.2.1.1.5", "sysName", Form::Text),
    object("1.3.6.1.2.1.1.6", "sysLocation", Form::Text),
    object("1.3.6.1.6.3.1.1.4.1", "snmpTrapOID", Form::Guess),
    object("1.3.6.1.6.3.1.1.4.3", "snmpTrapEnterprise", Form::Guess),
    object("1.3.6.1.6.3.18.1.3", "snmpTrapAddress", Form::Guess),
    object(SNMP_TRAP_COMMUNITY, "snmpTrapCommunity", Form::Secret),
    // IF-MIB, ifTable and ifXTable
    object("1.3.6.1.2.1.2.2.1.1", "ifIndex", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.2", "ifDescr", Form::Text),
    object("1.3.6.1.2.1.2.2.1.3", "ifType", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.4", "ifMtu", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.5", "ifSpeed", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.6", "ifPhysAddress", Form::Hex),
    states("1.3.6.1.2.1.2.2.1.7", "ifAdminStatus", ADMIN),
    states("1.3.6.1.2.1.2.2.1.8", "ifOperStatus", OPER),
    object("1.3.6.1.2.1.2.2.1.9", "ifLastChange", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.10", "ifInOctets", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.14", "ifInErrors", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.16", "ifOutOctets", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.20", "ifOutErrors", Form::Guess),
    object("1.3.6.1.2.1.31.1.1.1.1", "ifName", Form::Text),
    object("1.3.6.1.2.1.31.1.1.1.6", "ifHCInOctets", Form::Guess),
    object("1.3.6.1.2.1.31.1.1.1.10", "ifHCOutOctets", Form::Guess),
    object("1.3.6.1.2.1.31.1.1.1.15", "ifHighSpeed", Form::Guess),
    object("1.3.6.1.2.1.31.1.1.1.18", "ifAlias", Form::Text),
    // OSPF-MIB, OSPF-TRAP-MIB
    object("1.3.6.1.2.1.14.1.1", "ospfRouterId", Form::Guess),
    object("1.3.6.1.2.1.14.7.1.1", "ospfIfIpAddress", Form::Guess),
    object("1.3.6.1.2.1.14.7.1.2", "ospfAddressLessIf", Form::Guess),
    states("1.3.6.1.2.1.14.7.1.12", "ospfIfState", OSPF_IF),
    object("1.3.6.1.2.1.14.10.1.1", "ospfNbrIpAddr", Form::Guess),
    object("1.3.6.1.2.1.14.10.1.2", "ospfNbrAddressLessIndex", Form::Guess),
    object("1.3.6.1.2.1.14.10.1.3", "ospfNbrRtrId", Form::Guess),
    states("1.3.6.1.2.1.14.10.1.6", "ospfNbrState", OSPF_NBR),
    object("1.3.6.1.2.1.14.16.1.2", "ospfConfigErrorType", Form::Guess),
    object("1.3.6.1.2.1.14.16.1.3", "ospfPacketType", Form::Guess),
    object("1.3.6.1.2.1.14.16.1.4", "ospfPacketSrc", Form::Guess),
    // BGP4-MIB
    states("1.3.6.1.2.1.15.3.1.2", "bgpPeerState", BGP),
    object("1.3.6.1.2.1.15.3.1.7", "bgpPeerRemoteAddr", Form::Guess),
    object("1.3.6.1.2.1.15.3.1.9", "bgpPeerRemoteAs", Form::Guess),
    object("1.3.6.1.2.1.15.3.1.14", "bgpPeerLastError", Form::Hex),
    // RMON-MIB, HOST-RESOURCES-MIB, UPS-MIB, ENTITY-MIB
    object("1.3.6.1.2.1.16.3.1.1.1", "alarmIndex", Form::Guess),
    object("1.3.6.1.2.1.16.3.1.1.3", "alarmVariable", Form::Guess),
    object("1.3.6.1.2.1.16.3.1.1.4", "alarmSampleType", Form::Guess),
    object("1.3.6.1.2.1.16.3.1.1.5", "alarmValue", Form::Guess),
    object("1.3.6.1.2.1.16.3.1.1.7", "alarmRisingThreshold", Form::Guess),
    object("1.3.6.1.2.1.16.3.1.1.8", "alarmFallingThreshold", Form::Guess),
    object("1.3.6.1.2.1.25.1.1", "hrSystemUptime", Form::Guess),
    object("1.3.6.1.2.1.25.1.2", "hrSystemDate", Form::Guess),
    object("1.3.6.1.2.1.33.1.2.2", "upsSecondsOnBattery", Form::Guess),
    object("1.3.6.1.2.1.33.1.2.3", "upsEstimatedMinutesRemaining", Form::Guess),
    object("1.3.6.1.2.1.47.1.1.1.1.2", "entPhysicalDescr", Form::Text),
    object("1.3.6.1.2.1.47.1.1.1.1.7", "entPhysicalName", Form::Text),
    object("1.3.6.1.2.1.47.1.4.1", "entLastChangeTime", Form::Guess),
];

/// The notification with this OID, in whichever spelling.
pub(super) fn find_trap(trap_oid: &str) -> Option<&'static Trap> {
    let exact = |wanted: &str| TRAPS.iter().find(|trap| trap.oid == wanted);
    exact(trap_oid).or_else(|| exact(&oid::other_spelling(trap_oid)?))
}

/// The object that this OID is an instance of, and the instance.
pub(super) fn find_object(oid: &str) -> Option<(&'static Object, &str)> {
    if !STANDARD.iter().any(|prefix| oid.starts_with(prefix)) {
        return None;
    }
    // No column is a prefix of another, so the first that fits is the one.
    OBJECTS.iter().find_map(|object| {
        let instance = oid::rest_after(object.oid, oid)?;
        Some((object, instance))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_found_in_both_spellings() {
        let check = |oid: &str, expected: Option<&str>| {
            assert_eq!(find_trap(oid).map(|t| t.name), expected, "{oid}");
        };
        check("1.3.6.1.6.3.1.1.5.3", Some("linkDown"));
        check("1.3.6.1.2.1.15.7.2", Some("bgpBackwardTransition"));
        check("1.3.6.1.2.1.15.7.0.2", Some("bgpBackwardTransition"));
        check("1.3.6.1.2.1.14.16.2.0.2", Some("ospfNbrStateChange"));
        check("1.3.6.1.2.1.47.2.1", Some("entConfigChange"));
        check("1.3.6.1.4.1.9.9.41.2.0.1", None);
    }

    #[test]
    fn objects_are_found_with_their_instance() {
        let check = |oid: &str, expected: Option<(&str, &str)>| {
            assert_eq!(find_object(oid).map(|(o, i)| (o.name, i)), expected, "{oid}");
        };
        check("1.3.6.1.2.1.2.2.1.1.12", Some(("ifIndex", "12")));
        check("1.3.6.1.2.1.2.2.1.10.7", Some(("ifInOctets", "7")));
        check("1.3.6.1.2.1.15.3.1.2.192.0.2.1", Some(("bgpPeerState", "192.0.2.1")));
        check("1.3.6.1.2.1.2.2.1.1", Some(("ifIndex", "")));
        check("1.3.6.1.2.1.2.2.1.100.1", None);
    }

    #[test]
    fn every_oid_of_the_tables_is_in_its_one_form_and_stands_once() {
        let all = TRAPS.iter().map(|t| t.oid).chain(OBJECTS.iter().map(|o| o.oid));
        let mut seen = std::collections::BTreeSet::new();
        for text in all {
            assert_eq!(oid::normalise(text).as_deref(), Some(text));
            assert!(seen.insert(text), "{text} stands twice");
        }
        for a in OBJECTS {
            assert!(STANDARD.iter().any(|prefix| a.oid.starts_with(prefix)), "{}", a.oid);
            for b in OBJECTS {
                assert!(a.oid == b.oid || !oid::is_prefix(a.oid, b.oid), "{} {}", a.oid, b.oid);
            }
        }
    }

    #[test]
    fn labels_count_from_one() {
        let (oper, _) = find_object("1.3.6.1.2.1.2.2.1.8.12").unwrap();
        assert_eq!(oper.label(2), Some("down"));
        assert_eq!((oper.label(0), oper.label(8), oper.label(i64::MIN)), (None, None, None));
    }
}
