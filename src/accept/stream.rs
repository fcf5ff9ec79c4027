//! The TLS stream as hyper reads it, with a note to the watchdog when bytes arrive or cannot leave.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

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
}

impl PeerStream {
    pub(super) fn new(tls: Box<TlsStream<TcpStream>>, activity: Arc<Activity>) -> Self {
        Self {
            tls: TokioIo::new(tls),
            activity,
        }
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
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.tls).poll_read(cx, buf);
        if matches!(polled, Poll::Ready(Ok(()))) {
            self.activity.received();
        }
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
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
