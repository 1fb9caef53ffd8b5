//! The names that are built in: standard notifications with their severity and subject, and the
//! objects that they carry. Facts of the MIBs named beside each group; no MIB files are needed.

use mutt_model::Severity;

use super::{Base, Form, Subject};

/// A notification that is known.
#[derive(Debug)]
pub(super) struct Trap {
    /// Its OID in the spelling of its MIB.
    pub(super) oid: &'static str,
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
pub(super) const TRAPS: &[Trap] = &[
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
    trap("1.3.6.1.2.1.207.0.1", "vrrpv3NewMaster", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.207.0.2", "vrrpv3ProtoError", WARNING, Subject::Device),
    // ENTITY-STATE-MIB (RFC 4268), POWER-ETHERNET-MIB (RFC 3621), LLDP-MIB (IEEE 802.1AB)
    trap("1.3.6.1.2.1.131.0.1", "entStateOperEnabled", NOTICE, Subject::Part),
    trap("1.3.6.1.2.1.131.0.2", "entStateOperDisabled", WARNING, Subject::Part),
    trap("1.3.6.1.2.1.105.0.1", "pethPsePortOnOffNotification", NOTICE, Subject::Device),
    trap("1.3.6.1.2.1.105.0.2", "pethMainPowerUsageOnNotification", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.105.0.3", "pethMainPowerUsageOffNotification", NOTICE, Subject::Device),
    trap("1.0.8802.1.1.2.0.0.1", "lldpRemTablesChange", INFO, Subject::Device),
    // DISMAN-EVENT-MIB (RFC 2981)
    trap("1.3.6.1.2.1.88.2.0.1", "mteTriggerFired", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.88.2.0.2", "mteTriggerRising", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.88.2.0.3", "mteTriggerFalling", NOTICE, Subject::Device),
    trap("1.3.6.1.2.1.88.2.0.4", "mteTriggerFailure", WARNING, Subject::Device),
    trap("1.3.6.1.2.1.88.2.0.5", "mteEventSetFailure", WARNING, Subject::Device),
    // MPLS-TE-STD-MIB, MPLS-LDP-STD-MIB, MPLS-L3VPN-STD-MIB (RFC 3812, 3815, 4382), BFD-STD-MIB (RFC 7331)
    trap("1.3.6.1.2.1.10.166.3.0.1", "mplsTunnelUp", NOTICE, Subject::Device),
    trap("1.3.6.1.2.1.10.166.3.0.2", "mplsTunnelDown", ERROR, Subject::Device),
    trap("1.3.6.1.2.1.10.166.3.0.3", "mplsTunnelRerouted", NOTICE, Subject::Device),
    trap("1.3.6.1.2.1.10.166.3.0.4", "mplsTunnelReoptimized", INFO, Subject::Device),
    trap("1.3.6.1.2.1.10.166.4.0.3", "mplsLdpSessionUp", NOTICE, Subject::Device),
    trap("1.3.6.1.2.1.10.166.4.0.4", "mplsLdpSessionDown", ERROR, Subject::Device),
    trap("1.3.6.1.2.1.10.166.11.0.1", "mplsL3VpnVrfUp", NOTICE, Subject::Device),
    trap("1.3.6.1.2.1.10.166.11.0.2", "mplsL3VpnVrfDown", ERROR, Subject::Device),
    trap("1.3.6.1.2.1.222.0.1", "bfdSessUp", NOTICE, Subject::Device),
    trap("1.3.6.1.2.1.222.0.2", "bfdSessDown", ERROR, Subject::Device),
    // Printer-MIB (RFC 3805), NET-SNMP-AGENT-MIB
    trap("1.3.6.1.2.1.43.18.2.0.1", "printerV2Alert", WARNING, Subject::Device),
    trap("1.3.6.1.4.1.8072.4.0.1", "nsNotifyStart", NOTICE, Subject::Device),
    trap("1.3.6.1.4.1.8072.4.0.2", "nsNotifyShutdown", WARNING, Subject::Device),
    trap("1.3.6.1.4.1.8072.4.0.3", "nsNotifyRestart", NOTICE, Subject::Device),
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
    /// Words for its numbers, which count from 1.
    pub(super) labels: &'static [&'static str],
    /// Its DISPLAY-HINT, empty without one.
    pub(super) hint: &'static str,
    /// The type of its value, where it matters.
    pub(super) base: Base,
}

const fn object(oid: &'static str, name: &'static str, form: Form) -> Object {
    Object { oid, name, form, labels: &[], hint: "", base: Base::Any }
}

const fn states(oid: &'static str, name: &'static str, labels: &'static [&'static str]) -> Object {
    Object { oid, name, form: Form::Guess, labels, hint: "", base: Base::Integer }
}

const fn hinted(oid: &'static str, name: &'static str, hint: &'static str) -> Object {
    Object { oid, name, form: Form::Guess, labels: &[], hint, base: Base::Octets }
}

/// The branches of the tree that everything else hangs on.
pub(super) const PLACES: &[(&str, &str)] = &[
    ("1", "iso"),
    ("1.3", "org"),
    ("1.3.6", "dod"),
    ("1.3.6.1", "internet"),
    ("1.3.6.1.1", "directory"),
    ("1.3.6.1.2", "mgmt"),
    ("1.3.6.1.2.1", "mib-2"),
    ("1.3.6.1.2.1.1", "system"),
    ("1.3.6.1.2.1.2", "interfaces"),
    ("1.3.6.1.2.1.10", "transmission"),
    ("1.3.6.1.2.1.14", "ospf"),
    ("1.3.6.1.2.1.15", "bgp"),
    ("1.3.6.1.2.1.16", "rmon"),
    ("1.3.6.1.2.1.17", "dot1dBridge"),
    ("1.3.6.1.2.1.25", "host"),
    ("1.3.6.1.2.1.31", "ifMIB"),
    ("1.3.6.1.2.1.33", "upsMIB"),
    ("1.3.6.1.2.1.47", "entityMIB"),
    ("1.3.6.1.3", "experimental"),
    ("1.3.6.1.4", "private"),
    ("1.3.6.1.4.1", "enterprises"),
    ("1.3.6.1.5", "security"),
    ("1.3.6.1.6", "snmpV2"),
    ("1.3.6.1.6.1", "snmpDomains"),
    ("1.3.6.1.6.2", "snmpProxys"),
    ("1.3.6.1.6.3", "snmpModules"),
    ("1.3.6.1.6.3.1", "snmpMIB"),
    ("1.3.6.1.6.3.1.1.5", "snmpTraps"),
];

const ADMIN: &[&str] = &["up", "down", "testing"];
const OPER: &[&str] =
    &["up", "down", "testing", "unknown", "dormant", "notPresent", "lowerLayerDown"];
const BGP: &[&str] = &["idle", "connect", "active", "opensent", "openconfirm", "established"];
const ENABLED: &[&str] = &["enabled", "disabled"];
const SAMPLE: &[&str] = &["absoluteValue", "deltaValue"];
const SENSOR: &[&str] = &["ok", "unavailable", "nonoperational"];
const PART: &[&str] = &[
    "other",
    "unknown",
    "chassis",
    "backplane",
    "container",
    "powerSupply",
    "fan",
    "sensor",
    "module",
    "port",
    "stack",
    "cpu",
];
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

/// snmpTrapCommunity, column
const SNMP_TRAP_COMMUNITY: &str = "1.3.6.1.6.3.18.1.4";

pub(super) const OBJECTS: &[Object] = &[
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
    hinted("1.3.6.1.2.1.2.2.1.6", "ifPhysAddress", "1x:"),
    states("1.3.6.1.2.1.2.2.1.7", "ifAdminStatus", ADMIN),
    states("1.3.6.1.2.1.2.2.1.8", "ifOperStatus", OPER),
    object("1.3.6.1.2.1.2.2.1.9", "ifLastChange", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.10", "ifInOctets", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.11", "ifInUcastPkts", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.13", "ifInDiscards", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.14", "ifInErrors", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.17", "ifOutUcastPkts", Form::Guess),
    object("1.3.6.1.2.1.2.2.1.19", "ifOutDiscards", Form::Guess),
    states("1.3.6.1.2.1.31.1.1.1.14", "ifLinkUpDownTrapEnable", ENABLED),
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
    states("1.3.6.1.2.1.16.3.1.1.4", "alarmSampleType", SAMPLE),
    object("1.3.6.1.2.1.16.3.1.1.5", "alarmValue", Form::Guess),
    object("1.3.6.1.2.1.16.3.1.1.7", "alarmRisingThreshold", Form::Guess),
    object("1.3.6.1.2.1.16.3.1.1.8", "alarmFallingThreshold", Form::Guess),
    object("1.3.6.1.2.1.25.1.1", "hrSystemUptime", Form::Guess),
    object("1.3.6.1.2.1.25.1.2", "hrSystemDate", Form::Guess),
    object("1.3.6.1.2.1.33.1.2.2", "upsSecondsOnBattery", Form::Guess),
    object("1.3.6.1.2.1.33.1.2.3", "upsEstimatedMinutesRemaining", Form::Guess),
    object("1.3.6.1.2.1.47.1.1.1.1.2", "entPhysicalDescr", Form::Text),
    object("1.3.6.1.2.1.47.1.1.1.1.7", "entPhysicalName", Form::Text),
    object("1.3.6.1.2.1.47.1.1.1.1.4", "entPhysicalContainedIn", Form::Guess),
    states("1.3.6.1.2.1.47.1.1.1.1.5", "entPhysicalClass", PART),
    object("1.3.6.1.2.1.47.1.1.1.1.6", "entPhysicalParentRelPos", Form::Guess),
    object("1.3.6.1.2.1.47.1.1.1.1.8", "entPhysicalHardwareRev", Form::Text),
    object("1.3.6.1.2.1.47.1.1.1.1.9", "entPhysicalFirmwareRev", Form::Text),
    object("1.3.6.1.2.1.47.1.1.1.1.10", "entPhysicalSoftwareRev", Form::Text),
    object("1.3.6.1.2.1.47.1.1.1.1.11", "entPhysicalSerialNum", Form::Text),
    object("1.3.6.1.2.1.47.1.1.1.1.13", "entPhysicalModelName", Form::Text),
    object("1.3.6.1.2.1.47.1.1.1.1.14", "entPhysicalAlias", Form::Text),
    object("1.3.6.1.2.1.47.1.4.1", "entLastChangeTime", Form::Guess),
    // ENTITY-SENSOR-MIB, LLDP-MIB, DISMAN-EVENT-MIB
    object("1.3.6.1.2.1.99.1.1.1.4", "entPhySensorValue", Form::Guess),
    states("1.3.6.1.2.1.99.1.1.1.5", "entPhySensorOperStatus", SENSOR),
    object("1.3.6.1.2.1.99.1.1.1.6", "entPhySensorUnitsDisplay", Form::Text),
    object("1.0.8802.1.1.2.1.2.2", "lldpStatsRemTablesInserts", Form::Guess),
    object("1.0.8802.1.1.2.1.2.3", "lldpStatsRemTablesDeletes", Form::Guess),
    object("1.0.8802.1.1.2.1.2.4", "lldpStatsRemTablesDrops", Form::Guess),
    object("1.0.8802.1.1.2.1.2.5", "lldpStatsRemTablesAgeouts", Form::Guess),
    object("1.3.6.1.2.1.88.2.1.1", "mteHotTrigger", Form::Text),
    object("1.3.6.1.2.1.88.2.1.2", "mteHotTargetName", Form::Text),
    object("1.3.6.1.2.1.88.2.1.3", "mteHotContextName", Form::Text),
    object("1.3.6.1.2.1.88.2.1.4", "mteHotOID", Form::Guess),
    object("1.3.6.1.2.1.88.2.1.5", "mteHotValue", Form::Guess),
    object("1.3.6.1.2.1.88.2.1.6", "mteFailedReason", Form::Guess),
];
