//! What a request asks for: the method, the host and the path that the upstream will see.
//!
//! Judged is what is forwarded: the path that is matched here is the path that the [`Permit`] carries
//! on, byte for byte.
//!
//! [`Permit`]: super::Permit

use std::borrow::Cow;

use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Uri, Version};

use crate::model::{Denial, path};
use crate::settings::PathSettings;

/// What of a request's head is decided by. Kept by a [`Permit`](super::Permit), so that the same
/// request can be judged again.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    method: Method,
    version: Version,
    uri: Uri,
    host: Option<HeaderValue>,
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            version: request.version(),
            uri: request.uri().clone(),
            host: request.headers().get(HOST).cloned(),
        }
    }

    /// The method that the upstream will see: a WebSocket over HTTP/2 becomes a `GET`.
    pub(super) fn method(&self) -> Method {
        if self.method == Method::CONNECT {
            Method::GET
        } else {
            self.method.clone()
        }
    }

    /// The host without its port, in lower case; empty where the request names none.
    ///
    /// # Errors
    ///
    /// [`Denial::RequestMalformed`] for a host that could be spelled otherwise.
    pub(super) fn host(&self) -> Result<String, Denial> {
        let written = match (self.uri.authority(), &self.host) {
            (Some(authority), _) => Some(authority.clone()),
            (None, Some(host)) if !host.is_empty() => {
                let authority = Authority::try_from(host.as_bytes());
                Some(authority.map_err(|_| Denial::RequestMalformed)?)
            }
            (None, _) => None,
        };
        let mut host = written.map_or_else(String::new, |authority| {
            authority.host().to_ascii_lowercase()
        });
        // The root's dot makes no other host (RFC 1034 3.1).
        if host.ends_with('.') {
            host.pop();
        }
        let plain = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'[' | b']' | b':')
        };
        if host.bytes().all(plain) && !host.ends_with('.') {
            Ok(host)
        } else {
            Err(Denial::RequestMalformed)
        }
    }

    /// The path and query to forward, in the form that is judged.
    ///
    /// # Errors
    ///
    /// [`Denial::PathAmbiguous`]
    pub(super) fn target(&self, paths: PathSettings) -> Result<PathAndQuery, Denial> {
        let written = || {
            let target = self.uri.path_and_query().cloned();
            target.unwrap_or_else(|| PathAndQuery::from_static("/"))
        };
        match paths {
            PathSettings::Untouched => Ok(written()),
            // RFC 9112 3.2.2: only HTTP/2 always says the scheme. Whose word counts, the URI's or the
            // `Host`'s, is not the same everywhere.
            PathSettings::Refuse
                if self.version != Version::HTTP_2 && self.uri.scheme().is_some() =>
            {
                Err(Denial::PathAmbiguous)
            }
            PathSettings::Refuse => {
                // SECURITY: guarded by `no_spelling_reaches_a_protected_page_over_http_1`.
                path::check(self.uri.path()).map_err(|_| Denial::PathAmbiguous)?;
                Ok(written())
            }
            PathSettings::Normalise => {
                let normal = path::normalise(self.uri.path());
                match normal.map_err(|_| Denial::PathAmbiguous)? {
                    Cow::Borrowed(_) => Ok(written()),
                    Cow::Owned(path) => with_query(path, self.uri.query()),
                }
            }
        }
    }
}

fn with_query(path: String, query: Option<&str>) -> Result<PathAndQuery, Denial> {
    let whole = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    PathAndQuery::try_from(whole).map_err(|_| Denial::PathAmbiguous)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &str, host: Option<&'static str>) -> Asked {
        let mut request = Request::get(uri).body(()).unwrap();
        if let Some(host) = host {
            request
                .headers_mut()
                .insert(HOST, HeaderValue::from_static(host));
        }
        Asked::of(&request)
    }

    #[test]
    fn a_host_has_one_spelling() {
        for (written, host) in [
            ("App.Example.com:8443", "app.example.com"),
            ("app.example.com.", "app.example.com"),
            ("[::1]:80", "[::1]"),
            ("10.0.0.7", "10.0.0.7"),
            ("", ""),
        ] {
            assert_eq!(
                asked("/", Some(written)).host().as_deref(),
                Ok(host),
                "{written}"
            );
        }
        for written in ["app%2eexample.com", "app.example.com..", "a;b"] {
            let host = asked("/", Some(written)).host();
            assert_eq!(host, Err(Denial::RequestMalformed), "{written}");
        }
        let both = asked("https://a.example/", Some("b.example"));
        assert_eq!(both.host().as_deref(), Ok("a.example"));
    }

    #[test]
    fn the_method_is_the_one_that_the_upstream_will_see() {
        let connect = Request::connect("https://host/chat").body(()).unwrap();
        assert_eq!(Asked::of(&connect).method(), Method::GET);
        assert_eq!(asked("/", None).method(), Method::GET);
        let delete = Request::delete("/").body(()).unwrap();
        assert_eq!(Asked::of(&delete).method(), Method::DELETE);
    }

    #[test]
    fn the_query_is_never_touched() {
        let target = |uri: &str, paths| asked(uri, None).target(paths);
        let normalised = target("/a//b?x=%2e./..//;%00", PathSettings::Normalise).unwrap();
        assert_eq!(normalised, "/a/b?x=%2e./..//;%00");
        assert_eq!(target("/a/./b?", PathSettings::Normalise).unwrap(), "/a/b?");
        assert_eq!(
            target("/a?b/../c", PathSettings::Refuse).unwrap(),
            "/a?b/../c"
        );
        assert_eq!(
            target("/a//b", PathSettings::Refuse),
            Err(Denial::PathAmbiguous)
        );
        assert_eq!(target("/a//b", PathSettings::Untouched).unwrap(), "/a//b");
    }

    #[test]
    fn the_absolute_form_is_normalised_or_refused() {
        let absolute = |paths| asked("http://host/a", Some("host")).target(paths);
        assert_eq!(absolute(PathSettings::Normalise).unwrap(), "/a");
        assert_eq!(absolute(PathSettings::Untouched).unwrap(), "/a");
        assert_eq!(absolute(PathSettings::Refuse), Err(Denial::PathAmbiguous));
        let star = |paths| asked("*", None).target(paths);
        assert_eq!(star(PathSettings::Untouched).unwrap(), "*");
        assert_eq!(star(PathSettings::Refuse), Err(Denial::PathAmbiguous));
        assert_eq!(star(PathSettings::Normalise), Err(Denial::PathAmbiguous));
    }
}
