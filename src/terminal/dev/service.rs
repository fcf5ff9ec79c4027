//! `sidegate dev echo`: the legacy service.

use std::net::SocketAddr;
use std::path::Path;

use super::super::args::EchoArgs;
use super::super::{Interrupts, say};
use super::{DevError, at};
use crate::lab::Echo;

pub(super) fn echo(args: &EchoArgs) -> Result<(), DevError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupts = Interrupts::catch()?;
        let listen = args.listen.as_str();
        if let Some(path) = listen.strip_prefix("unix:") {
            let path = Path::new(path);
            let echo = Echo::start_unix(path).await.map_err(at(path))?;
            say(&format!("echo on {listen}, until Ctrl-C"));
            interrupts.next().await;
            drop(echo);
            // Left behind, it would be in the way of the next one.
            drop(std::fs::remove_file(path));
            return Ok(());
        }
        let address: SocketAddr = listen.parse().map_err(|_| {
            DevError::Words(format!(
                "--listen {listen}: write an address such as 127.0.0.1:8080 or unix:/run/app.sock"
            ))
        })?;
        let echo = Echo::start(address).await.map_err(at(Path::new(listen)))?;
        say(&format!("echo on http://{}, until Ctrl-C", echo.address));
        interrupts.next().await;
        Ok(())
    })
}
