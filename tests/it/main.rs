//! Integration tests.

#[cfg(test)]
mod attacks;
