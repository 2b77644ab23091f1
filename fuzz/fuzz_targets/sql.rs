#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgferry_sql::fuzzing::sql(data));
