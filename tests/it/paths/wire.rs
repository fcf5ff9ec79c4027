//! Requests as bytes: what no well-behaved client library would send.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Sends `GET spelling` over HTTP/1.1 and collects everything until the end.
pub(super) async fn http1<S>(mut socket: S, spelling: &[u8], pass: &str) -> Vec<u8>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let fields = format!(
        " HTTP/1.1\r\nHost: legacy.test\r\nAuthorization: {pass}\r\nConnection: close\r\n\r\n"
    );
    let head = [b"GET ", spelling, fields.as_bytes()].concat();
    socket.write_all(&head).await.unwrap();
    let mut answer = Vec::new();
    // Whether the end is polite is not what these tests ask.
    drop(socket.read_to_end(&mut answer).await);
    assert!(
        answer.starts_with(b"HTTP/1.1 "),
        "{}",
        spelling.escape_ascii()
    );
    answer
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Sends `spelling` as `:path` over HTTP/2 (RFC 9113) and collects the body of the answer; nothing
/// where the stream or the connection is broken off.
pub(super) async fn http2<S>(mut socket: S, spelling: &[u8], pass: &str) -> Vec<u8>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // RFC 7541 6.1: `:method: GET` and `:scheme: https` are in the static table.
    let mut block = vec![0x82, 0x87];
    // RFC 7541 6.2.2, with names of the static table: `:authority`, `:path`, `authorization`.
    for (name, value) in [
        (1, &b"legacy.test"[..]),
        (4, spelling),
        (23, pass.as_bytes()),
    ] {
        integer(&mut block, 4, name);
        integer(&mut block, 7, value.len());
        block.extend_from_slice(value);
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut bytes, SETTINGS, 0, 0, &[]);
    frame(&mut bytes, HEADERS, END_STREAM | END_HEADERS, 1, &block);
    socket.write_all(&bytes).await.unwrap();
    let mut body = Vec::new();
    loop {
        let mut head = [0; 9];
        if socket.read_exact(&mut head).await.is_err() {
            return body;
        }
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
        socket.read_exact(&mut payload).await.unwrap();
        if kind == DATA {
            body.extend_from_slice(&payload);
        }
        let is_over = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        if is_over || matches!(kind, RST_STREAM | GOAWAY) {
            return body;
        }
    }
}

/// RFC 9113 4.1
fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    bytes.extend_from_slice(&length[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// RFC 7541 5.1, the bits before the prefix all zero.
fn integer(bytes: &mut Vec<u8>, prefix: u32, value: usize) {
    let most = (1_usize << prefix) - 1;
    if value < most {
        bytes.push(u8::try_from(value).unwrap());
        return;
    }
    bytes.push(u8::try_from(most).unwrap());
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 0x80);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
}
