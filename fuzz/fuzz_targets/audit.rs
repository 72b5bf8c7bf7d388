#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nitro_key_broker_fuzz::fuzz_targets::audit::run(input));
