#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgferry_values::fuzzing::value(data));
