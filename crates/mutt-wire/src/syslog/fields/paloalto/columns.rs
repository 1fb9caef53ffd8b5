//! The columns of the logs of PAN-OS 10.1 to 11, in the order of their documents, from the eighth
//! on; the seven before are the same in all. `-` is a column of no meaning yet, `#` marks a number.

/// A column.
#[derive(Clone, Copy)]
pub(super) struct Column {
    /// `name":"` as JSON writes it; what is behind it is of no meaning.
    pub(super) written: [u8; NAME],
    /// How long the name is; 0 for a column of no meaning.
    pub(super) len: usize,
    pub(super) number: bool,
    /// Its place among the columns of which the envelope is made; `PARTS.len()` for all others.
    pub(super) part: usize,
}

/// No name is so long, with what is behind it.
pub(super) const NAME: usize = 32;

/// Of these columns the envelope is made.
pub(super) const PARTS: [&str; 8] = [
    "serial",
    "device_name",
    "severity",
    "eventid",
    "object",
    "high_res_timestamp",
    "time_generated",
    "receive_time",
];

const NONE: Column = Column { written: [0; NAME], len: 0, number: false, part: PARTS.len() };

const fn same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

const fn column(name: &[u8]) -> Column {
    let (mut column, mut from) = (NONE, 0);
    if name[0] == b'#' {
        (column.number, from) = (true, 1);
    }
    let name = name.split_at(from).1;
    let mut at = 0;
    while at < name.len() {
        column.written[at] = name[at];
        at += 1;
    }
    [column.written[at], column.written[at + 1], column.written[at + 2]] = *b"\":\"";
    column.len = at;
    column.part = 0;
    while column.part < PARTS.len() && !same(PARTS[column.part].as_bytes(), name) {
        column.part += 1;
    }
    column
}

/// Columns of their names as they are written here.
const fn columns<const N: usize>(names: [&'static str; N]) -> [Column; N] {
    let (mut columns, mut at) = ([NONE; N], 0);
    while at < N {
        if !same(names[at].as_bytes(), b"-") {
            columns[at] = column(names[at].as_bytes());
        }
        at += 1;
    }
    columns
}

/// What every log begins with.
pub(super) static COMMON: [Column; 7] =
    columns(["-", "receive_time", "serial", "type", "subtype", "-", "time_generated"]);

/// The names of a type's columns; `None` for a type without a table here.
pub(super) fn of(kind: &str, detailed: bool) -> Option<&'static [Column]> {
    Some(match kind {
        "TRAFFIC" => &TRAFFIC,
        "THREAT" | "URL" | "DATA" | "WILDFIRE" | "FILE" => &THREAT,
        "SYSTEM" => &SYSTEM,
        "CONFIG" if detailed => &CONFIG_DETAILED,
        "CONFIG" => &CONFIG,
        "HIP-MATCH" | "HIPMATCH" => &HIP_MATCH,
        "GLOBALPROTECT" => &GLOBALPROTECT,
        "USERID" => &USERID,
        "CORRELATION" => &CORRELATION,
        "DECRYPTION" => &DECRYPTION,
        "AUTHENTICATION" | "AUTH" => &AUTHENTICATION,
        "IPTAG" => &IPTAG,
        _ => return None,
    })
}

#[rustfmt::skip]
static TRAFFIC: [Column; 110] = columns([
    "src", "dst", "natsrc", "natdst", "rule", "srcuser", "dstuser", "app", "vsys", "from", "to",
    "inbound_if", "outbound_if", "logset", "-", "#sessionid", "#repeatcnt", "#sport", "#dport",
    "#natsport", "#natdport", "flags", "proto", "action", "#bytes", "#bytes_sent",
    "#bytes_received", "#packets", "start", "#elapsed", "category", "-", "#seqno", "actionflags",
    "srcloc", "dstloc", "-", "#pkts_sent", "#pkts_received", "session_end_reason",
    "#dg_hier_level_1", "#dg_hier_level_2", "#dg_hier_level_3", "#dg_hier_level_4", "vsys_name",
    "device_name", "action_source", "src_uuid", "dst_uuid", "tunnelid", "monitortag",
    "#parent_session_id", "parent_start_time", "tunnel", "#assoc_id", "#chunks", "#chunks_sent",
    "#chunks_received", "rule_uuid", "#http2_connection", "#link_change_count", "policy_id",
    "link_switches", "sdwan_cluster", "sdwan_device_type", "sdwan_cluster_type", "sdwan_site",
    "dynusergroup_name", "xff_ip", "src_category", "src_profile", "src_model", "src_vendor",
    "src_osfamily", "src_osversion", "src_host", "src_mac", "dst_category", "dst_profile",
    "dst_model", "dst_vendor", "dst_osfamily", "dst_osversion", "dst_host", "dst_mac",
    "container_id", "pod_namespace", "pod_name", "src_edl", "dst_edl", "hostid", "serialnumber",
    "src_dag", "dst_dag", "session_owner", "high_res_timestamp", "nssai_sst", "nssai_sd",
    "subcategory_of_app", "category_of_app", "technology_of_app", "#risk_of_app",
    "characteristic_of_app", "container_of_app", "tunneled_app", "is_saas_of_app",
    "sanctioned_state_of_app", "offloaded", "flow_type", "cluster_name",
]);

#[rustfmt::skip]
static THREAT: [Column; 116] = columns([
    "src", "dst", "natsrc", "natdst", "rule", "srcuser", "dstuser", "app", "vsys", "from", "to",
    "inbound_if", "outbound_if", "logset", "-", "#sessionid", "#repeatcnt", "#sport", "#dport",
    "#natsport", "#natdport", "flags", "proto", "action", "misc", "threatid", "category",
    "severity", "direction", "#seqno", "actionflags", "srcloc", "dstloc", "-", "contenttype",
    "#pcap_id", "filedigest", "cloud", "#url_idx", "user_agent", "filetype", "xff", "referer",
    "sender", "subject", "recipient", "#reportid", "#dg_hier_level_1", "#dg_hier_level_2",
    "#dg_hier_level_3", "#dg_hier_level_4", "vsys_name", "device_name", "-", "src_uuid", "dst_uuid",
    "http_method", "tunnelid", "monitortag", "#parent_session_id", "parent_start_time", "tunnel",
    "thr_category", "contentver", "-", "#assoc_id", "#ppid", "http_headers", "url_category_list",
    "rule_uuid", "#http2_connection", "dynusergroup_name", "xff_ip", "src_category", "src_profile",
    "src_model", "src_vendor", "src_osfamily", "src_osversion", "src_host", "src_mac",
    "dst_category", "dst_profile", "dst_model", "dst_vendor", "dst_osfamily", "dst_osversion",
    "dst_host", "dst_mac", "container_id", "pod_namespace", "pod_name", "src_edl", "dst_edl",
    "hostid", "serialnumber", "domain_edl", "src_dag", "dst_dag", "partial_hash",
    "high_res_timestamp", "reason", "justification", "nssai_sst", "subcategory_of_app",
    "category_of_app", "technology_of_app", "#risk_of_app", "characteristic_of_app",
    "container_of_app", "tunneled_app", "is_saas_of_app", "sanctioned_state_of_app",
    "cloud_reportid", "cluster_name", "flow_type",
]);

#[rustfmt::skip]
static SYSTEM: [Column; 19] = columns([
    "vsys", "eventid", "object", "-", "-", "module", "severity", "opaque", "#seqno", "actionflags",
    "#dg_hier_level_1", "#dg_hier_level_2", "#dg_hier_level_3", "#dg_hier_level_4", "vsys_name",
    "device_name", "-", "-", "high_res_timestamp",
]);

#[rustfmt::skip]
static CONFIG: [Column; 19] = columns([
    "host", "vsys", "cmd", "admin", "client", "result", "path", "#seqno", "actionflags",
    "#dg_hier_level_1", "#dg_hier_level_2", "#dg_hier_level_3", "#dg_hier_level_4", "vsys_name",
    "device_name", "dg_id", "comment", "-", "high_res_timestamp",
]);

#[rustfmt::skip]
static CONFIG_DETAILED: [Column; 21] = columns([
    "host", "vsys", "cmd", "admin", "client", "result", "path", "before_change_detail",
    "after_change_detail", "#seqno", "actionflags", "#dg_hier_level_1", "#dg_hier_level_2",
    "#dg_hier_level_3", "#dg_hier_level_4", "vsys_name", "device_name", "dg_id", "comment", "-",
    "high_res_timestamp",
]);

#[rustfmt::skip]
static HIP_MATCH: [Column; 25] = columns([
    "srcuser", "vsys", "machinename", "os", "src", "matchname", "#repeatcnt", "matchtype", "-", "-",
    "#seqno", "actionflags", "#dg_hier_level_1", "#dg_hier_level_2", "#dg_hier_level_3",
    "#dg_hier_level_4", "vsys_name", "device_name", "#vsys_id", "srcipv6", "hostid", "serialnumber",
    "mac", "high_res_timestamp", "cluster_name",
]);

#[rustfmt::skip]
static GLOBALPROTECT: [Column; 43] = columns([
    "vsys", "eventid", "stage", "auth_method", "tunnel_type", "srcuser", "srcregion", "machinename",
    "public_ip", "public_ipv6", "private_ip", "private_ipv6", "hostid", "serialnumber",
    "client_ver", "client_os", "client_os_ver", "#repeatcnt", "reason", "error", "opaque", "status",
    "location", "#login_duration", "connect_method", "#error_code", "portal", "#seqno",
    "actionflags", "high_res_timestamp", "selection_type", "#response_time", "priority",
    "attempted_gateways", "gateway", "#dg_hier_level_1", "#dg_hier_level_2", "#dg_hier_level_3",
    "#dg_hier_level_4", "vsys_name", "device_name", "#vsys_id", "cluster_name",
]);

#[rustfmt::skip]
static USERID: [Column; 30] = columns([
    "vsys", "ip", "user", "datasourcename", "eventid", "#repeatcnt", "#timeout", "#beginport",
    "#endport", "datasource", "datasourcetype", "#seqno", "actionflags", "#dg_hier_level_1",
    "#dg_hier_level_2", "#dg_hier_level_3", "#dg_hier_level_4", "vsys_name", "device_name",
    "#vsys_id", "factortype", "factorcompletiontime", "#factorno", "ugflags", "userbysource",
    "tag_name", "high_res_timestamp", "origindatasource", "-", "cluster_name",
]);

#[rustfmt::skip]
static CORRELATION: [Column; 15] = columns([
    "src", "srcuser", "vsys", "category", "severity", "#dg_hier_level_1", "#dg_hier_level_2",
    "#dg_hier_level_3", "#dg_hier_level_4", "vsys_name", "device_name", "#vsys_id", "objectname",
    "object_id", "evidence",
]);

#[rustfmt::skip]
static DECRYPTION: [Column; 101] = columns([
    "src", "dst", "natsrc", "natdst", "rule", "srcuser", "dstuser", "app", "vsys", "from", "to",
    "inbound_if", "outbound_if", "logset", "-", "#sessionid", "#repeatcnt", "#sport", "#dport",
    "#natsport", "#natdport", "flags", "proto", "action", "tunnel", "-", "-", "src_uuid",
    "dst_uuid", "rule_uuid", "hs_stage_c2f", "hs_stage_f2s", "tls_version", "tls_keyxchg",
    "tls_enc", "tls_auth", "policy_name", "ec_curve", "err_index", "root_status", "chain_status",
    "proxy_type", "cert_serial", "fingerprint", "notbefore", "notafter", "#cert_ver", "#cert_size",
    "#cn_len", "#issuer_len", "#rootcn_len", "#sni_len", "cert_flags", "cn", "issuer_cn", "root_cn",
    "sni", "error", "container_id", "pod_namespace", "pod_name", "src_edl", "dst_edl", "src_dag",
    "dst_dag", "high_res_timestamp", "src_category", "src_profile", "src_model", "src_vendor",
    "src_osfamily", "src_osversion", "src_host", "src_mac", "dst_category", "dst_profile",
    "dst_model", "dst_vendor", "dst_osfamily", "dst_osversion", "dst_host", "dst_mac", "#seqno",
    "actionflags", "#dg_hier_level_1", "#dg_hier_level_2", "#dg_hier_level_3", "#dg_hier_level_4",
    "vsys_name", "device_name", "#vsys_id", "subcategory_of_app", "category_of_app",
    "technology_of_app", "#risk_of_app", "characteristic_of_app", "container_of_app",
    "tunneled_app", "is_saas_of_app", "sanctioned_state_of_app", "cluster_name",
]);

#[rustfmt::skip]
static AUTHENTICATION: [Column; 39] = columns([
    "vsys", "ip", "user", "normalize_user", "object", "authpolicy", "#repeatcnt", "authid",
    "vendor", "logset", "serverprofile", "desc", "clienttype", "event", "#factorno", "#seqno",
    "actionflags", "#dg_hier_level_1", "#dg_hier_level_2", "#dg_hier_level_3", "#dg_hier_level_4",
    "vsys_name", "device_name", "#vsys_id", "authproto", "rule_uuid", "high_res_timestamp",
    "src_category", "src_profile", "src_model", "src_vendor", "src_osfamily", "src_osversion",
    "src_host", "src_mac", "region", "-", "user_agent", "#sessionid",
]);

#[rustfmt::skip]
static IPTAG: [Column; 19] = columns([
    "vsys", "ip", "tag_name", "eventid", "#repeatcnt", "#timeout", "datasourcename",
    "datasource_type", "datasource_subtype", "#seqno", "actionflags", "#dg_hier_level_1",
    "#dg_hier_level_2", "#dg_hier_level_3", "#dg_hier_level_4", "vsys_name", "device_name",
    "#vsys_id", "high_res_timestamp",
]);
