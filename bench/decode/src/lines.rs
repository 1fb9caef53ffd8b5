//! A line of each dialect, of the usual length.

/// Name and line.
pub(crate) const LINES: &[(&str, &str)] = &[
    (
        "rfc5424",
        "<165>1 2026-08-06T10:00:00.003Z web1.example.net evntslog 8710 ID47 - An application event log entry of the usual length, user 4711",
    ),
    (
        "rfc5424 with data",
        "<165>1 2026-08-06T10:00:00.003+02:00 web1.example.net evntslog 8710 ID47 [exampleSDID@32473 iut=\"3\" eventSource=\"Application\" eventID=\"1011\"] An application event log entry",
    ),
    (
        "rfc3164",
        "<34>Aug  6 10:00:00 mymachine su: 'su root' failed for lonvick on /dev/pts/8 and a few more words",
    ),
    (
        "linux sshd",
        "<86>Aug  6 10:00:00 web1 sshd[8123]: Accepted publickey for root from 192.0.2.14 port 51122 ssh2",
    ),
    (
        "linux iso time",
        "<86>2026-08-06T10:00:00.123456+02:00 web1 sshd[8123]: Accepted publickey for root from 192.0.2.14 port 51122",
    ),
    ("no header", "something that is no syslog message at all, of the usual length of a line"),
    (
        "cisco-ios",
        "<187>000123: edge-r1: *Aug  6 10:00:00.001: %LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down",
    ),
    (
        "cisco-iosxr",
        "<187>12: core1 LC/0/2/CPU0:Aug  6 10:00:00.123 UTC: ifmgr[123]: %PKT_INFRA-LINK-3-UPDOWN : Interface TenGigE0/2/0/4, changed state to Down",
    ),
    (
        "cisco-nxos",
        "<190>: 2026 Aug  6 10:00:00 UTC: %ETHPORT-5-IF_DOWN_LINK_FAILURE: Interface Ethernet1/33 is down (Link failure)",
    ),
    (
        "cisco-asa",
        "<166>:Aug 06 2026 10:00:00 UTC: %ASA-6-302013: Built outbound TCP connection 1 for outside:192.0.2.9/443 (192.0.2.9/443) to inside:192.0.2.1/5000",
    ),
    (
        "juniper",
        "<28>Aug  6 10:00:00 r1 rpd[1234]: RPD_BGP_NEIGHBOR_STATE_CHANGED: BGP peer 192.0.2.1 (External AS 65001) changed state from Established to Idle (event HoldTime)",
    ),
    (
        "juniper structured",
        "<28>1 2026-08-06T10:00:00.123+02:00 r1 mib2d 24 SNMP_TRAP_LINK_DOWN [junos@2636.1.1.1.2.29 snmp-interface-index=\"502\" admin-status=\"up(1)\" operational-status=\"down(2)\" interface-name=\"ge-0/0/12\"]",
    ),
    (
        "arista-eos",
        "<165>Aug  6 10:00:00 sw1 Ebra: %LINEPROTO-5-UPDOWN: Line protocol on Interface Ethernet28, changed state to down",
    ),
    (
        "huawei",
        "<190>Aug 6 2026 10:00:00 hw1 %%01IFNET/4/IF_STATE(l)[4997]:Interface Ethernet0/0/8 has turned into DOWN state.",
    ),
    (
        "fortinet",
        "<189>date=2026-08-06 time=10:00:00 devname=\"fw\" devid=\"FG1\" logid=\"0000000013\" eventtime=1785996000123456789 tz=\"+0200\" type=\"traffic\" subtype=\"forward\" level=\"notice\" vd=\"root\" srcip=192.0.2.1 srcport=19982 srcintf=\"port1\" dstip=192.0.2.2 dstport=179 dstintf=\"port3\" policyid=34 action=\"timeout\" service=\"BGP\"",
    ),
    (
        "paloalto",
        "<14>Aug  6 10:00:00 pa1 1,2026/08/06 10:00:00,001101,SYSTEM,general,0,2026/08/06 10:00:00,,general,,0,0,general,informational,\"User admin, logged in\",7,0x0,0,0,0,0,,pa-device",
    ),
];
