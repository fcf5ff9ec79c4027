//! The floor: TLS is ended, the bytes are copied to a connection to the service and back. Nothing is
//! looked at.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::{Post, listener};
use crate::Failure;

/// Copies until it is killed.
pub(super) async fn serve(post: &Post<'_>) -> Result<(), Failure> {
    let acceptor = listener::acceptor(post, &["http/1.1"])?;
    let listener = TcpListener::bind(post.listen).await?;
    let upstream = post.upstream;
    loop {
        let (socket, _) = listener.accept().await?;
        drop(socket.set_nodelay(true));
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(tls) = acceptor.accept(socket).await else {
                return;
            };
            // On the heap, or each connection would keep room for the handshake as well.
            let mut tls = Box::new(tls);
            let Ok(mut behind) = TcpStream::connect(upstream).await else {
                return;
            };
            drop(behind.set_nodelay(true));
            drop(copy_bidirectional(&mut tls, &mut behind).await);
        });
    }
}
