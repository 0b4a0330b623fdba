#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tinytcp_fuzz::tls::check(data));
