//! Any text as a configuration: no panic, and errors that can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::settings::{Overrides, Settings};

fuzz_target!(|text: &str| {
    if let Err(error) = Settings::from_text(text, "sidegate.toml", &Overrides::default()) {
        assert!(!error.to_string().is_empty());
    }
});
