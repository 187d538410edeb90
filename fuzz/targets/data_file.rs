#![no_main]

libfuzzer_sys::fuzz_target!(init: weir_fuzz::let_panics_be_caught(), |input: &[u8]| weir_fuzz::data_file(input));
