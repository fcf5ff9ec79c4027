//! The TLS stream as hyper reads it, with a note to the watchdog when bytes arrive or cannot leave.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::activity::Activity;

/// An accepted connection. Boxed: hyper moves its transport about, and this one is over a kilobyte.
#[derive(Debug)]
pub(super) struct PeerStream {
    tls: TokioIo<Box<TlsStream<TcpStream>>>,
    activity: Arc<Activity>,
    /// Read once already; comes before what is to be read.
    ahead: Bytes,
    /// The last time there was nothing to read.
    dry: bool,
}

impl PeerStream {
    pub(super) fn new(tls: Box<TlsStream<TcpStream>>, activity: Arc<Activity>) -> Self {
        Self {
            tls: TokioIo::new(tls),
            activity,
            ahead: Bytes::new(),
            dry: false,
        }
    }

    /// The same, with what was read of it put back.
    pub(super) fn with_read_ahead(self, ahead: Bytes) -> Self {
        // An empty one still holds the whole buffer that it was cut from.
        let ahead = if ahead.is_empty() {
            Bytes::new()
        } else {
            ahead
        };
        Self { ahead, ..self }
    }

    /// Ready once a read may bring something: bytes, the end, an error.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.dry || !self.ahead.is_empty() {
            return Poll::Ready(());
        }
        let (socket, _) = self.tls.inner().get_ref();
        socket.poll_read_ready(cx).map(drop)
    }

    /// The stream without hyper, for a last word.
    pub(super) fn into_inner(self) -> Box<TlsStream<TcpStream>> {
        self.tls.into_inner()
    }
}

impl Read for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let most = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(most));
            self.activity.received();
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut self.tls).poll_read(cx, buf);
        if matches!(polled, Poll::Ready(Ok(()))) {
            self.activity.received();
        }
        self.dry = polled.is_pending();
        polled
    }
}

impl Write for PeerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tls).poll_write(cx, buf);
        self.activity.wrote(polled.is_pending());
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.tls).poll_flush(cx);
        self.activity.flushed(polled.is_ready());
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.is_kept_open() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tls).poll_write_vectored(cx, bufs);
        self.activity.wrote(polled.is_pending());
        polled
    }
}
