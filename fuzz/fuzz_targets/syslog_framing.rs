//! The fuzz target `syslog_framing`; what it does stands in src/.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mutt_fuzz::run("syslog_framing", data));
