//! sidegate.
fn main() {}
