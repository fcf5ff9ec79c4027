//! The service behind every contestant: it answers at once, with a kilobyte or a megabyte.

use std::convert::Infallible;
use std::io::Write as _;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::Failure;
use crate::protocol::{JUDGED, KILOBYTE, LARGE, MEGABYTE};

/// Serves until it is killed; says its address on standard output.
pub(super) async fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let small = Bytes::from(vec![b'x'; KILOBYTE]);
    let large = Bytes::from(vec![b'x'; MEGABYTE]);
    loop {
        let (socket, _) = listener.accept().await?;
        drop(socket.set_nodelay(true));
        let (small, large) = (small.clone(), large.clone());
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(request, small.clone(), large.clone()));
            let http = http1::Builder::new();
            drop(http.serve_connection(TokioIo::new(socket), answer).await);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    small: Bytes,
    large: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, mut body) = request.into_parts();
    while let Some(Ok(_)) = body.frame().await {}
    let page = match head.uri.path() {
        LARGE => large,
        _ => small,
    };
    let mut answer = Response::new(Full::new(page));
    if head.uri.path() == JUDGED && !is_judged(&head.headers) {
        *answer.status_mut() = StatusCode::NOT_ACCEPTABLE;
    }
    Ok(answer)
}

/// What a gate must have done: the identity is there, from the token, and the token is not.
fn is_judged(headers: &HeaderMap) -> bool {
    let says = |name, value: &str| headers.get(name).is_some_and(|said| said == value);
    says("x-auth-subject", "ada")
        && says("x-auth-email", "ada@example.com")
        && !headers.contains_key("authorization")
}
