//! The fuzz target `http_json`; what it does stands in src/.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mutt_fuzz::run("http_json", data));
