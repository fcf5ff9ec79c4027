//! The thread that reloads: started with the gate, stopped with it, and missed when it is gone.

use std::convert::Infallible;
use std::io;
use std::thread;

use tokio::sync::oneshot;

use super::reloader::Reloader;
use crate::reload::watch::FileWatch;

/// The thread that reloads, until this is dropped.
#[derive(Debug)]
pub(super) struct Reloading {
    _stop: oneshot::Sender<Infallible>,
    over: oneshot::Receiver<Infallible>,
}

impl Reloading {
    /// Starts it.
    pub(super) fn spawn(reloader: Reloader, watch: FileWatch) -> io::Result<Self> {
        Self::on_a_thread(move || reloader.run(watch))
    }

    fn on_a_thread<W, F>(work: W) -> io::Result<Self>
    where
        W: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let (alive, over) = oneshot::channel();
        thread::Builder::new()
            .name("sidegate-reload".to_owned())
            .spawn(move || {
                // Dropped however this ends.
                let _alive: oneshot::Sender<Infallible> = alive;
                runtime.block_on(async {
                    tokio::select! {
                        () = work() => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self { _stop: stop, over })
    }

    /// Completes when the thread has ended, which it does by a fault only: from then on no change of
    /// trust would act, and no key would end.
    pub(super) async fn failed(&mut self) {
        // SECURITY: guarded by `a_reload_thread_that_breaks_is_missed`.
        drop((&mut self.over).await);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_reload_thread_that_breaks_is_missed() {
        let mut works = Reloading::on_a_thread(std::future::pending::<()>).unwrap();
        let mut breaks = Reloading::on_a_thread(|| async { panic!("by the test") }).unwrap();
        let patience = Duration::from_secs(30);
        timeout(patience, breaks.failed()).await.expect("missed");
        assert!(
            works
                .over
                .try_recv()
                .is_err_and(|error| { error == oneshot::error::TryRecvError::Empty })
        );
    }
}
