//! The fuzz target `otlp_proto`; what it does stands in src/.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mutt_fuzz::run("otlp_proto", data));
