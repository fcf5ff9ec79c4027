//! How a configuration names a claim: by its whole name, or by a JSON Pointer into it.

use std::fmt;

/// The way to one claim. Text that starts with `/` is a JSON Pointer (RFC 6901); any other text is
/// the whole name of a top-level claim, so `https://example.com/role` and `resource.roles` name
/// exactly the claims spelled so and nothing is split at a dot by surprise.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ClaimPath {
    first: String,
    rest: Vec<String>,
}

impl ClaimPath {
    /// Reads `text`.
    ///
    /// # Errors
    ///
    /// A sentence for the operator when the text is empty or no JSON Pointer.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("a claim's name is empty");
        }
        let Some(pointer) = text.strip_prefix('/') else {
            return Ok(Self {
                first: text.to_owned(),
                rest: Vec::new(),
            });
        };
        let mut tokens = pointer.split('/').map(unescape);
        // `split` yields at least one piece, so an empty pointer "/" is the claim named "".
        let first = tokens.next().unwrap_or(Err("a claim's name is empty"))?;
        if first.is_empty() {
            return Err("the JSON Pointer's first member is empty");
        }
        let rest = tokens.collect::<Result<_, _>>()?;
        Ok(Self { first, rest })
    }

    /// The whole top-level claim of this name.
    #[must_use]
    pub fn top(name: &str) -> Self {
        Self {
            first: name.to_owned(),
            rest: Vec::new(),
        }
    }

    /// The top-level claim that the path starts at.
    #[must_use]
    pub fn claim(&self) -> &str {
        &self.first
    }

    /// The members to follow inside the claim, outermost first; empty for the claim itself.
    #[must_use]
    pub fn members(&self) -> &[String] {
        &self.rest
    }
}

/// Undoes RFC 6901 3: `~1` is `/`, `~0` is `~`, no other `~` may stand.
fn unescape(token: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(c) = chars.next() {
        if c != '~' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('0') => out.push('~'),
            Some('1') => out.push('/'),
            _ => return Err("in a JSON Pointer '~' is written '~0', and '/' inside a name '~1'"),
        }
    }
    Ok(out)
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rest.is_empty() && !self.first.starts_with('/') {
            return f.write_str(&self.first);
        }
        for token in std::iter::once(&self.first).chain(&self.rest) {
            write!(f, "/{}", token.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_one_claim_whatever_dots_it_has() {
        for name in [
            "sub",
            "resource_access.app.roles",
            "https://example.com/role",
            "a~b",
        ] {
            let path = ClaimPath::parse(name).unwrap();
            assert_eq!((path.claim(), path.members()), (name, &[][..]));
            assert_eq!(path.to_string(), name);
        }
    }

    #[test]
    fn a_pointer_walks_into_members_and_prints_as_it_was_written() {
        let path = ClaimPath::parse("/realm_access/a~1b/~0c").unwrap();
        assert_eq!(path.claim(), "realm_access");
        assert_eq!(path.members(), ["a/b", "~c"]);
        assert_eq!(path.to_string(), "/realm_access/a~1b/~0c");
    }

    #[test]
    fn a_bad_escape_and_an_empty_name_are_refused() {
        for text in ["", "/", "//x", "/a~", "/a~2"] {
            assert!(ClaimPath::parse(text).is_err(), "{text:?}");
        }
    }
}
