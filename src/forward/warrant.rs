//! The right by which an exchange runs, and the moment at which it is over.
//!
//! A request was judged when it came. What it began may run for hours: a WebSocket, an event stream,
//! an upload. A [`Warrant`] judges it again whenever something changes that the verdict hung on, and
//! when time runs out. It costs a short request nothing: it waits for nothing before it is asked to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::accept::Connection;
use crate::check::Refusal;
use crate::decide::Permit;
use crate::model::Stage;
use crate::observe::Metrics;
use crate::reload::Changes;
use crate::revocation::Line;

/// What judges again: the whole policy in force, whichever that is by then. Implemented by `gate`.
pub trait Authority: Send + Sync {
    /// Judges what runs by `permit` on `connection`, as if it came now. Says how long it may go
    /// on if nothing changes.
    ///
    /// # Errors
    ///
    /// [`Refusal`], with the reason for which it would not be let in any more.
    fn judge_again(&self, permit: &Permit, connection: &Connection) -> Result<Duration, Refusal>;

    /// Everything but the peer and time that could make [`Authority::judge_again`] say something else
    /// than it does now.
    fn changes(&self, permit: &Permit) -> [Changes; 3];

    /// Where ends are counted.
    fn metrics(&self) -> &Metrics;
}

/// Not asked of whoever implements it: the program would hold the code to show a whole policy, which
/// nothing ever runs.
impl fmt::Debug for dyn Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

/// By which permit an exchange runs, on which connection, and who may end it.
#[derive(Clone, Debug)]
pub(super) struct Warrant {
    pub(super) permit: Permit,
    pub(super) authority: Arc<dyn Authority>,
    pub(super) connection: Arc<Connection>,
    pub(super) request_id: Arc<str>,
}

/// Shortly before the end it is looked at so often: the clock counts whole seconds, and an end may be
/// at most a second late.
const LAST_LOOKS: Duration = Duration::from_millis(200);

/// No wait is longer: somebody may set the clock.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A request in flight of a peer that is not trusted any more may still be answered in this time;
/// a little later its connection is closed.
const MERCY: Duration = Duration::from_millis(500);

impl Warrant {
    /// Judges the exchange now. One of a peer that goes is let alone: see [`ended_with_mercy`].
    ///
    /// # Errors
    ///
    /// Why it would not be let in any more.
    ///
    /// [`ended_with_mercy`]: Self::ended_with_mercy
    pub(super) fn judge(&self) -> Result<(), Refusal> {
        let judged = self.authority.judge_again(&self.permit, &self.connection);
        match judged {
            Err(refusal) if refusal.denial.stage() != Stage::Tls => Err(refusal),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Completes when the exchange would not be let in any more. Cancel-safe.
    pub(super) async fn ended(&self) -> Refusal {
        loop {
            // Taken before the judgement, so that whatever changes after it wakes.
            // Peers too: they are published after the policy, and one that stays may bring less.
            let mut peers = self.connection.changes();
            let [mut policy, mut keys, mut denied] = self.authority.changes(&self.permit);
            let judged = self.authority.judge_again(&self.permit, &self.connection);
            let left = match judged {
                Ok(left) => left,
                Err(refusal) => return refusal,
            };
            tokio::select! {
                () = peers.next() => {}
                () = policy.next() => {}
                () = keys.next() => {}
                () = denied.next() => {}
                denial = self.connection.distrusted() => return Refusal {
                    deny_line: self.connection.deny_line(),
                    ..Refusal::of(self.permit.principal(), denial)
                },
                () = sleep(pause(left)) => {}
            }
        }
    }

    /// The same for an exchange that began as a request, which a peer that goes may finish.
    pub(super) async fn ended_with_mercy(&self) -> Refusal {
        let refusal = self.ended().await;
        if refusal.denial.stage() == Stage::Tls {
            sleep(MERCY).await;
        }
        refusal
    }

    /// Counts the end of something that was already running, and writes the line that finds it.
    pub(super) fn tell(&self, refusal: &Refusal, age: Duration) {
        let denial = refusal.denial;
        self.authority.metrics().stream_ended(denial);
        tracing::warn!(
            target: "sidegate::decision",
            decision = "ended",
            reason = denial.code(),
            stage = denial.stage().code(),
            peer = &**self.connection.name(),
            issuer = refusal.issuer.as_deref(),
            kid = refusal.kid.as_deref(),
            subject = refusal.subject.as_deref(),
            deny_line = refusal.deny_line.map(Line::number),
            request_id = &*self.request_id,
            remote = %self.connection.remote(),
            age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        );
    }
}

fn pause(left: Duration) -> Duration {
    left.checked_sub(Duration::from_secs(1))
        .map_or(LAST_LOOKS, |wait| wait.clamp(LAST_LOOKS, LONGEST_WAIT))
}
