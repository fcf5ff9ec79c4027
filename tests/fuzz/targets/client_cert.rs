//! Any bytes as a certificate in a header field: no panic, and what is written of what was read is
//! one element again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::model::client_cert::{byte_sequence, read_byte_sequence, read_elements};

fuzz_target!(|data: &[u8]| {
    if let Ok(der) = read_byte_sequence(data) {
        assert_eq!(byte_sequence(&der).as_bytes(), data.trim_ascii());
    }
    for element in read_elements(data).unwrap_or_default() {
        let again = read_elements(element.write().as_bytes()).unwrap();
        assert_eq!(again.len(), 1);
    }
});
