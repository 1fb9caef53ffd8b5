//! The kept corpora of the fuzz targets for this crate and mutt-model.

mod of_syslog {
    crate::replay_tests!(crate::syslog::TARGETS: syslog_line, syslog_framing);
}

mod of_streams {
    crate::replay_tests!(crate::streams::TARGETS: relp, proxy);
}

mod of_snmp {
    crate::replay_tests!(crate::snmp::TARGETS: snmp_message, snmp_v3, snmp_sealed, snmp_stream, snmp_hint, snmp_ber);
}

mod of_http {
    crate::replay_tests!(crate::http::TARGETS: http_json, http_text, http_hec, otlp_json, otlp_proto);
}

mod of_packed {
    crate::replay_tests!(crate::unpack::TARGETS: inflate, zstd, snappy);
}

mod of_model {
    crate::replay_tests!(crate::model::TARGETS: batch);
}
