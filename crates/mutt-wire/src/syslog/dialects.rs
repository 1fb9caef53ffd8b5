//! The registry of dialects: the names of `parse.format` for syslog, and whose each is.

/// One dialect of syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// What `parse.format` says.
    pub format: &'static str,
    /// Who makes the devices.
    pub vendor: &'static str,
    /// Which devices or programs.
    pub product: &'static str,
    /// How it is recognised.
    pub recognised: &'static str,
}

macro_rules! dialects {
    ($($constant:ident = $format:literal, $vendor:literal, $product:literal, $recognised:literal;)*) => {
        /// The names of `parse.format`.
        pub mod format {
            $(
                #[doc = concat!($vendor, ": ", $product, ".")]
                pub const $constant: &str = $format;
            )*
        }

        /// Every dialect, in the order of the documents.
        pub const ALL: &[Dialect] = &[
            $(Dialect {
                format: $format,
                vendor: $vendor,
                product: $product,
                recognised: $recognised,
            },)*
        ];
    };
}

dialects! {
    RFC5424 = "rfc5424", "any", "RFC 5424 without a dialect", "a version and a full date behind the priority";
    RFC3164 = "rfc3164", "any", "RFC 3164 without a dialect", "a stamp, a host or a tag";
    CEF = "cef", "any (ArcSight)", "Common Event Format, version 0 and 1", "`CEF:0|`";
    LEEF = "leef", "any (QRadar)", "Log Event Extended Format 1.0 and 2.0", "`LEEF:1.0|`";
    CEE = "cee", "any", "a JSON object with the cookie of CEE", "`@cee:` and an object";
    JSON = "json", "any", "a message that is one JSON object", "braces around the whole message";
    KEY_VALUE = "key-value", "any", "pairs of nobody in particular, logfmt", "begins with a pair and has at least three";
    CISCO_IOS = "cisco-ios", "Cisco", "IOS and IOS-XE", "`%FAC-SEV-NAME:`";
    CISCO_WLC = "cisco-wlc", "Cisco", "wireless controllers (AireOS)", "`*task: ` before the stamp";
    CISCO_IOSXR = "cisco-iosxr", "Cisco", "IOS-XR", "`RP/0/RSP0/CPU0:` before the stamp";
    CISCO_NXOS = "cisco-nxos", "Cisco", "NX-OS", "the year first, then `%FAC-SEV-NAME:`";
    CISCO_ASA = "cisco-asa", "Cisco", "ASA, FTD, PIX, FWSM", "`%ASA-6-302013:`";
    MERAKI = "cisco-meraki", "Cisco", "Meraki MX, MS, MR", "a version, seconds with nine decimals, a name";
    JUNIPER = "juniper", "Juniper", "Junos, plain and structured", "`UI_COMMIT:` or `[junos@2636`";
    ARISTA_EOS = "arista-eos", "Arista", "EOS", "an agent's name before `%FAC-SEV-NAME:`";
    HUAWEI = "huawei", "Huawei", "VRP", "`%%01MOD/4/NAME`";
    HPE_COMWARE = "hpe-comware", "HPE, H3C", "Comware", "`%%10MOD/4/NAME`";
    HPE_PROCURVE = "hpe-procurve", "HPE", "ProCurve, ArubaOS-Switch", "`00076 ports: `, five digits and a module behind the header";
    HPE_AOSCX = "hpe-aoscx", "HPE", "ArubaOS-CX", "`Event|403|LOG_INFO|`";
    HPE_ARUBAOS = "hpe-arubaos", "HPE", "ArubaOS wireless controllers", "`<404003> <WARN>` behind the tag";
    HPE_ILO = "hpe-ilo", "HPE", "iLO", "`#ILO`";
    NETSCREEN = "netscreen", "Juniper", "ScreenOS", "`NetScreen device_id=`";
    NETSCALER = "netscaler", "Citrix", "NetScaler", "`08/06/2026:10:00:00 GMT` and a packet engine";
    UBIQUITI = "ubiquiti", "Ubiquiti", "UniFi, EdgeOS", "model, address and version in the tag's place, or a rule in brackets";
    NOKIA_SROS = "nokia-sros", "Nokia", "SR OS", "a number, `Base` or another context, an application and its event";
    NOKIA_SRLINUX = "nokia-srlinux", "Nokia", "SR Linux", "`bgp|1894|1965|00071|W: `";
    BIND = "bind", "ISC", "BIND named", "the process, or its own stamp and category";
    VMWARE = "vmware", "VMware", "ESXi, vCenter, NSX", "its processes, `Originator@6876`, an SD-ID `@6876`, `Event [`";
    F5 = "f5-bigip", "F5", "BIG-IP", "a level before the tag, a number as `01010028:5:`, `F5@12276`";
    FORTINET = "fortinet", "Fortinet", "FortiGate and its sisters, key=value", "begins with `date=` and names device or log id";
    PALOALTO = "paloalto", "Palo Alto Networks", "PAN-OS 10.1 to 11, comma-separated values", "a date in the second column, a type in capitals in the fourth";
    CHECKPOINT = "checkpoint", "Check Point", "Log Exporter (syslog, splunk, generic), older logs", "`[action:\"Accept\"; `, `time=..|hostname=..|`, an SD-ID `@2620`, or a day as `21Aug2007`";
    SONICWALL = "sonicwall", "SonicWall", "SonicOS", "`id=` with `sn=` behind it";
    STORMSHIELD = "stormshield", "Stormshield", "SNS", "`id=` with `fw=` behind it";
    SOPHOS = "sophos", "Sophos", "Firewall (XG, XGS)", "`device_name=` or `device=` with a log id";
    WATCHGUARD = "watchguard", "WatchGuard", "Firebox (Fireware)", "`msg_id=\"` at the front, or behind serial number and process";
    BARRACUDA = "barracuda-waf", "Barracuda", "Web Application Firewall, default formats", "`WF`, `NF`, `SYS`, `AUDIT` or `TR` and the words its documents put there";
    MIKROTIK = "mikrotik", "MikroTik", "RouterOS", "topics such as `firewall,info`, or `in:` and `out:` of a packet";
    F5_ASM = "f5-asm", "F5", "BIG-IP ASM, key=value", "`ASM:`, `unit_hostname=\"`";
    UNKNOWN = "unknown", "any", "no header was recognised", "nothing else fits";
}

/// The dialect with this name.
#[must_use]
pub fn find(format: &str) -> Option<&'static Dialect> {
    ALL.iter().find(|dialect| dialect.format == format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_plain() {
        for (at, dialect) in ALL.iter().enumerate() {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            assert!(dialect.format.bytes().all(plain), "{}", dialect.format);
            assert!(ALL[..at].iter().all(|other| other.format != dialect.format));
            assert_eq!(find(dialect.format), Some(dialect));
        }
        assert_eq!(find("nobody"), None);
    }
}
