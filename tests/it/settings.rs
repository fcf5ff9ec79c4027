//! The configuration from outside: what starts, what does not, and in which words.

use sidegate::settings::{Overrides, Settings};

/// The example that is shipped.
const EXAMPLE: &str = include_str!("../../deploy/sidegate.toml");

#[test]
fn the_complete_example_starts_without_a_warning() {
    let read = Settings::from_text(EXAMPLE, "sidegate.toml", &Overrides::default());
    let (settings, warnings) = read.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(warnings, []);
    assert_eq!((settings.peers.len(), settings.issuers.len()), (2, 2));
}
