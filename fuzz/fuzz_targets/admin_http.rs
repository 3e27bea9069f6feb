//! Any bytes at all, to the admin server.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| obs_runtime::__private::feed_admin(input));
