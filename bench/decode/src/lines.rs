//! A line of each dialect, of the usual length; from `cisco-ftd` on they are lines of
//! crates/mutt-wire/testdata/syslog.

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
    (
        "cisco-ftd",
        "<113>2026-08-06T10:00:00Z ftd01 : %FTD-1-430003: EventPriority: Low, DeviceUUID: 00000000-0000-0000-0000-000000000001, AccessControlRuleAction: Block, SrcIP: 192.0.2.9",
    ),
    (
        "hpe-aoscx",
        "<190>2026-08-06T10:00:00.861162+00:00 cx8320-1 ops-switchd[1489]: Event|8120|LOG_INFO|AMM|1/1|Tunnel 192.0.2.9 forwarding_state is operational",
    ),
    ("hpe-procurve", "<14> Aug  6 10:00:00 192.0.2.20 00077 ports:  port 1/A1 is now off-line"),
    (
        "hpe-comware",
        "<187>2009-09-21T15:32:55 Sysname %%10IFNET/3/LINK_UPDOWN(l): GigabitEthernet3/1/6 link status is DOWN.",
    ),
    (
        "f5-bigip",
        "<133>Aug  6 10:00:00 bigip1 notice mcpd[6023]: 01070638:5: Pool /Common/web member /Common/192.0.2.10:80 monitor status down. [ /Common/http: down ]",
    ),
    (
        "f5-bigip structured",
        "<134>1 2026-08-06T10:00:00.969759-07:00 bigip1.example.com tmm 16694 23003139 [F5@12276 action=\"Drop\" attack_type=\"MX\" hostname=\"bigip1.example.com\" bigip_mgmt_ip=\"192.0.2.100\"] DNS attack",
    ),
    (
        "f5-asm",
        "<131>Aug  6 10:00:00 bigip1 ASM:attack_type=\"SQL-Injection\",date_time=\"2026-08-06 10:00:00\",dest_ip=\"192.0.2.80\",dest_port=\"443\",geo_location=\"US\",ip_client=\"198.51.100.80\",method=\"GET\",policy_name=\"/Common/p1\",request_status=\"blocked\",response_code=\"0\",severity=\"Critical\",sig_ids=\"200002147\",src_port=\"51000\",support_id=\"18205860747014045701\",unit_hostname=\"bigip1.example.com\",uri=\"/a?x=\"\"1\"\"\",violations=\"Attack signature detected\"",
    ),
    (
        "netscreen",
        "<133>fw1: NetScreen device_id=fw1  [Root]system-notification-00257(traffic): start_time=\"2026-08-06 10:00:00\" duration=0 policy_id=2 service=tcp/port 8080 proto=6 src zone=Trust dst zone=Untrust action=Deny sent=0 rcvd=0 src=192.0.2.7 dst=198.51.100.34 src_port=4242 dst_port=8080",
    ),
    (
        "ubiquiti",
        "<30>Aug  6 10:00:00 lobby-ap 802aa8000001,UAP-AC-Lite-6.8.2+15592: mcad: mcad[1837]: wireless_agg_stats.log_sta_anomalies(): bssid=00:00:5e:00:53:ad",
    ),
    (
        "nokia-sros",
        "<188>Jan  2 18:43:23 192.0.2.108 TMNX: 17 Base SYSTEM-WARNING-tmnxStateChange-2009 [CHASSIS]:  Status of Card 1 changed administrative state: inService, operational state: outOfService",
    ),
    (
        "nokia-srlinux",
        "<180>Jan 11 18:39:00 srl-1-2 sr_bgp_mgr: bgp|1894|1965|00071|W: In network-instance default, the BGP session with VR default (1): Group ebgp-underlay: Peer 192.0.2.5 moved from higher state ACTIVE to lower state IDLE due to event TCP SOCKET ERROR",
    ),
    (
        "bind",
        "<30>Aug  6 10:00:00 ns1 named[812]: client @0x7f8e2c0b1a10 192.0.2.1#51234 (example.org): query: example.org IN A + (192.0.2.53)",
    ),
    (
        "checkpoint",
        "<134>1 2020-03-13T03:45:34Z fwmgt CheckPoint 30513 - [action:\"Accept\"; flags:\"18692\"; ifdir:\"inbound\"; ifname:\"bond1\"; loguid:\"{0x5e6b01de,0x42,0x8b1ba995,0xc0000000}\"; origin:\"192.0.2.1\"; time:\"1584071134\"; version:\"1\"; __policy_id_tag:\"product=VPN-1 & FireWall-1[db_tag={2B1357A0};mgmt=fwmgt;date=1582909094;policy_name=Simplified]\"; dst:\"198.51.100.2\"; inzone:\"Internal\"; outzone:\"External\"; product:\"VPN-1 & FireWall-1\"; proto:\"17\"; rule:\"1\"; s_port:\"60131\"; service:\"53\"; src:\"192.0.2.3\";]",
    ),
    (
        "vmware",
        "<166>2026-08-06T10:00:00.123Z esx1.example.com Hostd: info hostd[2099457] [Originator@6876 sub=Vimsvc.ha-eventmgr opID=58b46869 user=vpxuser] Event 616 : User root@192.0.2.9 logged in as VMware-client",
    ),
    (
        "paloalto traffic",
        "<14>Aug  6 10:00:00 pa1 1,2021/10/25 20:25:39,007051000113358,TRAFFIC,end,2561,2021/10/25 20:25:39,192.0.2.1,198.51.100.2,203.0.113.5,198.51.100.2,\"allow, all\",example\\user1,,dns-base,vsys1,trust,untrust,ethernet1/2,ethernet1/1,forwarder,2021/10/25 20:25:39,180,1,52984,53,21027,53,0x400019,udp,allow,180,90,90,2,2021/10/25 20:25:09,0,any,,7022483376390954281,0x8000000000000000,192.0.2.0-192.0.2.255,United States,,1,1,aged-out,0,0,0,0,,PA-VM,from-policy,,,0,,0,,N/A,0,0,0,0,f1c4fbe1-9cd3-4bd5-9ccb-1dc1d1e8a1d1,0,0,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,2021-10-25T20:25:39.421+02:00,,",
    ),
    (
        "cef",
        "<13>Sep 19 08:26:10 host1 CEF:0|security|threatmanager|1.0|100|detected a = in message|10|src=192.0.2.1 act=blocked a \\= dst=198.51.100.1 msg=Detected a threat.\\n No action needed. cs1Label=Policy Id cs1=10 cnt=3",
    ),
    (
        "cef long",
        "<14>1 2021-03-01T21:20:14.889Z stream-logfwd20-1-harness logforwarder - panwlogs - CEF:0|Palo Alto Networks|LF|2.0|HIPMATCH||3|ProfileToken=xxxxx dtz=UTC rt=Mar 01 2021 21:20:13 deviceExternalId=xxxxxxxxxxxxx PanOSIsDuplicateLog=false PanOSLogForwarded=true PanOSLogSource=firewall PanOSLogSourceTimeZoneOffset= suser=xxxxx xxxxx PanOSSourceUser=xxxxx\\\\\\\\xxxxx xxxxx cs3=vsys1 cs3Label=VirtualLocation shost=machine_name1 cs2=iOS cs2Label=EndpointOSType src=192.0.2.1 cat=match_name1 cnt=1 PanOSHipMatchType=HIP Profile dvchost=PA-5220 cn2=1 cn2Label=VirtualSystemID c6a1=2001:db8::1 c6a1Label=Device IPv6 Address",
    ),
    (
        "leef",
        "<78>Sep 21 11:20:02 cpmgmt LEEF:2.0|Check Point|Syslog|1.0|Check Point Log|cat=Syslog\tdevTime=1537528801\tifdir=inbound\tloguid={0x0,0x0,0x0,0x0}\torigin=192.0.2.106\tsequencenum=1\tversion=5\tdefault_device_message=<78>crond[30156]: (root) CMD (/usr/lib/sa/sa1 1 1) \tfacility=clock daemon\tsyslog_severity=Informational",
    ),
    (
        "json",
        "<134>1 2026-08-06T10:00:00Z h1 suricata 7 - - {\"timestamp\":\"2026-08-06T09:59:59.598481+0000\",\"flow_id\":1111111111111111,\"event_type\":\"alert\",\"src_ip\":\"192.0.2.56\",\"src_port\":49157,\"alert\":{\"action\":\"allowed\",\"severity\":3}}",
    ),
    (
        "key-value",
        "<30>Aug  6 10:00:00 h1 dockerd[812]: time=\"2026-08-06T09:59:59.123456789Z\" level=warning msg=\"a warning, with \\\"quotes\\\"\" container=ab12 ok=true n=5",
    ),
    (
        "sonicwall",
        "<134>  id=firewall sn=0006B1234567 time=\"2026-08-06 10:00:00\" fw=203.0.113.1 pri=6 c=1024 m=537 msg=\"Connection Closed\" n=0 src=192.0.2.20:57710:X0 dst=198.51.100.30:443:X1 proto=tcp/https sent=1420 rcvd=5230 spkt=10 rpkt=12 cdur=1516 rule=\"15 (LAN->WAN)\" app=48",
    ),
];
