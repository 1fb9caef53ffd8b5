//! The fuzz target `mib_compile`; what it does stands in src/.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mutt_fuzz::run("mib_compile", data));
