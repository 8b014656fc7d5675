#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mmap_backed_array_fuzz::fuzzed::calls::run(input));
