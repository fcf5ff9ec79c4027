//! Names of header fields as the servers behind the gate may read them.

use std::borrow::Cow;

/// The form in which look-alikes are equal: lower case, everything but letters and digits a dash.
///
/// CGI and WSGI take `-` and `_` for the same (RFC 3875 4.1.18), PHP every other character too, so to
/// an application `X-Auth-User`, `x_auth_user` and `X.Auth.User` are one variable.
#[must_use]
pub fn folded(name: &str) -> Cow<'_, str> {
    let is_folded = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    // As nearly every name is that comes.
    if name.bytes().all(is_folded) {
        return Cow::Borrowed(name);
    }
    let fold = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    Cow::Owned(name.chars().map(fold).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_are_equal_and_others_are_not() {
        for name in ["x-auth-user", "X_Auth_User", "x.auth~user", "X-AUTH-USER"] {
            assert_eq!(folded(name), "x-auth-user", "{name}");
        }
        for name in ["xauth-user", "x-auth-user-", "x--auth-user", "x-auth-user2"] {
            assert_ne!(folded(name), "x-auth-user", "{name}");
        }
    }
}
