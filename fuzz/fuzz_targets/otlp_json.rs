//! The fuzz target `otlp_json`; what it does stands in src/.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mutt_fuzz::run("otlp_json", data));
