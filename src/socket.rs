//! Any stream of bytes becomes one type, boxed.
//!
//! For every connection that hyper drives but those of peers. Why boxed? hyper's code is compiled for
//! each type of stream, and there were TCP, Unix sockets and TLS in five places. A call through a table
//! is nothing beside the system call that follows. Nothing is read or written here.

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Whatever can be read and written.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// The one type, as hyper wants it.
pub type AnySocket = TokioIo<Box<dyn Socket>>;

/// Makes it of a stream.
pub fn any(stream: impl Socket + 'static) -> AnySocket {
    TokioIo::new(Box::new(stream))
}
