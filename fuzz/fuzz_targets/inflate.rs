//! The fuzz target `inflate`; what it does stands in src/.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mutt_fuzz::run("inflate", data));
