//! Any bytes as a certificate: no panic, and what is shown of it stays short.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::accept::certificate::Certificate;

fuzz_target!(|data: &[u8]| {
    if let Ok(certificate) = Certificate::parse(data) {
        assert!(certificate.best_name().chars().count() <= 256);
    }
});
