//! Any text as a path: no panic, one normal form, and nothing hidden in what is let through.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::model::path::{check, normalise, segments};

fuzz_target!(|path: &str| {
    if let Ok(normal) = normalise(path) {
        assert!(check(&normal).is_ok());
        assert_eq!(normalise(&normal).as_deref(), Ok(&*normal));
    }
    if check(path).is_ok() {
        let mut read = segments(path).peekable();
        while let Some(segment) = read.next() {
            assert!(!segment.contains(&b'/') && !segment.contains(&0));
            assert!(!matches!(&*segment, b"." | b".."));
            assert!(!segment.is_empty() || read.peek().is_none());
        }
    }
});
