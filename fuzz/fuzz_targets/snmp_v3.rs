//! The fuzz target `snmp_v3`; what it does stands in src/.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mutt_fuzz::run("snmp_v3", data));
