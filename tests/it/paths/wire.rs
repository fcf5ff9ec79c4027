//! Requests as bytes: what no well-behaved client library would send. One connection serves many of
//! them, for as long as the gate leaves it open.

use std::net::SocketAddr;

use sidegate::lab::{Caller, Http};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Both directions of a connection.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A caller that keeps its connection.
pub(super) struct Wire<'a> {
    front: &'a Caller,
    http: Http,
    gate: SocketAddr,
    open: Option<Open>,
}

struct Open {
    socket: Box<dyn Socket>,
    /// RFC 9113 5.1.1: odd, each used once.
    next_stream: u32,
}

/// What came for one request, and whether another can follow it.
struct Came {
    answer: Vec<u8>,
    stays_open: bool,
}

impl<'a> Wire<'a> {
    pub(super) fn new(front: &'a Caller, http: Http, gate: SocketAddr) -> Self {
        let open = None;
        Self {
            front,
            http,
            gate,
            open,
        }
    }

    /// Sends `GET spelling` as these very bytes and collects the answer: the whole message of
    /// HTTP/1.1, the body of HTTP/2; nothing where the stream or the connection is broken off.
    pub(super) async fn get(&mut self, spelling: &[u8], pass: &str) -> Vec<u8> {
        // What breaks an old connection off is asked again on one of its own: the answer before it may
        // have been the reason.
        if let Some(open) = self.open.take()
            && let Some(answer) = self.send(open, spelling, pass).await
        {
            return answer;
        }
        let socket = self.front.connect(self.gate).await.unwrap();
        let mut open = Open {
            socket: Box::new(socket),
            next_stream: 1,
        };
        if self.http == Http::Two {
            open.greet().await;
        }
        let answer = self.send(open, spelling, pass).await.unwrap_or_default();
        assert!(
            self.http == Http::Two || answer.starts_with(b"HTTP/1.1 "),
            "{}",
            spelling.escape_ascii()
        );
        answer
    }

    async fn send(&mut self, mut open: Open, spelling: &[u8], pass: &str) -> Option<Vec<u8>> {
        let came = match self.http {
            Http::One => open.http1(spelling, pass).await,
            Http::Two => open.http2(spelling, pass).await,
        };
        let came = came.ok()?;
        self.open = came.stays_open.then_some(open);
        Some(came.answer)
    }
}

// === HTTP/1.1 ===

impl Open {
    async fn http1(&mut self, spelling: &[u8], pass: &str) -> std::io::Result<Came> {
        let fields = format!(" HTTP/1.1\r\nHost: legacy.test\r\nAuthorization: {pass}\r\n\r\n");
        let head = [b"GET ", spelling, fields.as_bytes()].concat();
        self.socket.write_all(&head).await?;
        let mut answer = Vec::new();
        let head = loop {
            if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if self.socket.read_buf(&mut answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        };
        let fields = String::from_utf8_lossy(&answer[..head]).to_lowercase();
        let field = |name: &str| {
            let mut lines = fields.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let length: Option<usize> = field("content-length").map(|length| length.parse().unwrap());
        let is_over = |answer: &[u8]| match length {
            Some(length) => answer.len() >= head + length,
            // The end of a chunked body, where it is one (RFC 9112 7.1).
            None => answer.ends_with(b"\r\n0\r\n\r\n"),
        };
        let mut stays_open = field("connection") != Some("close");
        while !is_over(&answer) {
            // Whether the end is polite is not what these tests ask.
            if !matches!(self.socket.read_buf(&mut answer).await, Ok(1..)) {
                stays_open = false;
                break;
            }
        }
        Ok(Came { answer, stays_open })
    }
}

// === HTTP/2 (RFC 9113) ===

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

impl Open {
    /// The preface, and room for all answers to come.
    async fn greet(&mut self) {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        frame(&mut bytes, SETTINGS, 0, 0, &[]);
        frame(
            &mut bytes,
            WINDOW_UPDATE,
            0,
            0,
            &(1_u32 << 30).to_be_bytes(),
        );
        self.socket.write_all(&bytes).await.unwrap();
    }

    async fn http2(&mut self, spelling: &[u8], pass: &str) -> std::io::Result<Came> {
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
        let stream = self.next_stream;
        self.next_stream += 2;
        let mut bytes = Vec::new();
        frame(
            &mut bytes,
            HEADERS,
            END_STREAM | END_HEADERS,
            stream,
            &block,
        );
        self.socket.write_all(&bytes).await?;
        let mut answer = Vec::new();
        loop {
            let mut head = [0; 9];
            self.socket.read_exact(&mut head).await?;
            let [a, b, c, kind, flags, of @ ..] = head;
            let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
            self.socket.read_exact(&mut payload).await?;
            if matches!(kind, SETTINGS | PING) && flags & ACK == 0 {
                let mut bytes = Vec::new();
                let back = if kind == PING { &*payload } else { &[] };
                frame(&mut bytes, kind, ACK, 0, back);
                self.socket.write_all(&bytes).await?;
            }
            if kind == GOAWAY {
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
            if u32::from_be_bytes(of) != stream {
                continue;
            }
            if kind == DATA {
                answer.extend_from_slice(&payload);
            }
            let is_over = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
            if is_over || kind == RST_STREAM {
                let stays_open = true;
                return Ok(Came { answer, stays_open });
            }
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
