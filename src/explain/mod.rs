//! Why was this refused? One client certificate, one request and one token become a report of every
//! check, in the order of the gate.
//!
//! The verdict is the gate's: the very objects that the gate runs with decide, by the very code. What
//! is shown beside it (values compared, what to change) is gathered apart and decides nothing. Pure:
//! objects and a time in, a report out. The report may show claims, for whoever has the token has
//! them too; never the whole token, a signature or a key.

mod certificate;
mod evidence;
mod facts;
mod fix;
mod route;
mod seen;
mod steps;
mod words;

use std::sync::Arc;

use http::Request;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use self::evidence::evidence;
use self::facts::{Facts, Trust};
pub use self::steps::Check;
use crate::accept::certificate::Certificate;
use crate::accept::{ConnectionId, ServerIdentity};
use crate::gate::{Judge, Policy};
use crate::model::{Denial, Timestamp};
use crate::reload::Edition;
use crate::revocation::Line;
use crate::settings::{IssuerSettings, Settings, TokenPlace};

/// What is asked: would this get through?
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What the gate is configured with.
    pub settings: &'a Settings,
    /// Whose client certificates it believes.
    pub identity: &'a ServerIdentity,
    /// What it judges requests by.
    pub policy: &'a Edition<Policy>,
    /// What judges them.
    pub judge: &'a Judge,
    /// The CAs in `tls.client_ca`, for showing.
    pub client_ca: &'a [Certificate],
    /// What the client shows, leaf first.
    pub chain: &'a [CertificateDer<'static>],
    /// What it sends.
    pub request: &'a Request<()>,
    /// When.
    pub now: Timestamp,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It passes.
    Allowed,
    /// It is refused, for this reason.
    Refused(Denial),
    /// It passes, and would be refused for this reason if report mode were off.
    WouldRefuse(Denial),
}

/// How a check ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It held.
    Passed,
    /// It gave the reason for the verdict.
    Failed,
    /// An earlier one failed.
    NotReached,
    /// The route asks for no token.
    NotNeeded,
}

/// One check with its evidence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// Which one.
    pub check: Check,
    /// How it ended.
    pub outcome: Outcome,
    /// What was there.
    pub found: String,
    /// What it was compared with.
    pub expected: String,
    /// What to change; empty unless it failed.
    pub fix: String,
}

/// The answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The gate's own.
    pub verdict: Verdict,
    /// When it would be so.
    pub at: Timestamp,
    /// What the configuration calls the peer, if it is one.
    pub peer: Option<Arc<str>>,
    /// What the configuration calls the issuer whose token this was taken for.
    pub issuer: Option<Arc<str>>,
    /// What the configuration calls the route, if there is one.
    pub route: Option<Arc<str>>,
    /// Every check, in the order of the gate.
    pub steps: Vec<Step>,
}

/// Asks the gate, and says why.
#[must_use]
pub fn explain(question: Question<'_>) -> Report {
    let chain = question.chain.iter();
    let chain = chain
        .filter_map(|der| Certificate::parse(der).ok())
        .collect();
    let mut facts = Facts::new(
        question.settings,
        question.request,
        question.client_ca,
        chain,
        question.now,
    );
    let verdict = decide(&question, &mut facts);
    facts.choose();
    let judgement = &question.policy.value.judgement;
    facts.keys = facts
        .issuer
        .map_or_else(Vec::new, |issuer| judgement.shown_keys(&issuer.name));
    let failed = verdict.denial().map(|denial| (Check::of(denial), denial));
    let signed = Check::Signature.place();
    // Where no token is asked for, none was looked at.
    let reached = failed.is_none_or(|(check, _)| check.is_some_and(|it| it.place() > signed));
    if reached && facts.needs_token() {
        facts.trust = Trust::Signed;
    }
    Report {
        verdict,
        at: question.now,
        peer: facts.peer.as_ref().map(|peer| Arc::clone(peer.name())),
        issuer: facts.issuer.map(|issuer| Arc::clone(&issuer.name)),
        route: facts.known.route.clone(),
        steps: steps(failed, &facts),
    }
}

/// The gate's decision.
fn decide(question: &Question<'_>, facts: &mut Facts<'_>) -> Verdict {
    let peer = match question.identity.judge(question.chain, question.now) {
        Ok(peer) => peer,
        Err(rejected) => {
            facts.cause = rejected.cause;
            facts.revocation = rejected.revocation;
            facts.known.deny_line = rejected.deny_line.map(Line::number);
            return Verdict::Refused(rejected.denial);
        }
    };
    let speaking = peer.clone().speaking_in(question.request.headers());
    facts.peer = Some(speaking.unwrap_or_else(|_| peer.clone()));
    let Question {
        policy,
        request,
        now,
        ..
    } = *question;
    let on = ConnectionId::NONE;
    let judged = question
        .judge
        .judge(request, policy, (peer, on), (now, true), &mut facts.known);
    match judged.verdict {
        Ok(permit) => {
            // What the service would be told can still be too much, also in report mode.
            let leaf = question.chain.first().map_or(&[][..], |der| der.as_ref());
            let own = (facts.chain.first().cloned().unwrap_or_default(), leaf);
            let headers = &policy.value.headers;
            let told = headers.told(permit.principal(), (&own.0, own.1));
            match (told, permit.reported()) {
                (Err(denial), _) => Verdict::Refused(denial),
                (Ok(told), reported) => {
                    facts.told = told;
                    reported.map_or(Verdict::Allowed, Verdict::WouldRefuse)
                }
            }
        }
        Err(denial) => Verdict::Refused(denial),
    }
}

fn steps(failed: Option<(Option<Check>, Denial)>, facts: &Facts<'_>) -> Vec<Step> {
    let last = failed.map(|(check, _)| check.map_or(0, Check::place));
    let step = |(place, check): (usize, Check)| {
        let outcome = match last {
            Some(last) if place == last => Outcome::Failed,
            Some(last) if place > last => Outcome::NotReached,
            Some(_) | None if check.is_about_tokens() && !facts.needs_token() => Outcome::NotNeeded,
            Some(_) | None => Outcome::Passed,
        };
        let shown = evidence(check, facts);
        let fix = match (outcome, failed) {
            (Outcome::Failed, Some((_, denial))) => fix::fix(denial, facts),
            _ => String::new(),
        };
        Step {
            check,
            outcome,
            found: shown.found,
            expected: shown.expected,
            fix,
        }
    };
    Check::ALL.into_iter().enumerate().map(step).collect()
}

/// The key that a token names, unverified.
#[must_use]
pub fn kid_of(token: &str) -> Option<String> {
    let seen = seen::Seen::of(token);
    Some(seen.in_header("kid")?.as_str()?.to_owned())
}

/// Puts a token where an issuer looks for it: where the one whose `iss` it says does, else the one of
/// this name.
///
/// `None` when there is no such issuer.
#[must_use]
pub fn place_of<'s>(
    token: &str,
    name: Option<&str>,
    issuers: &'s [IssuerSettings],
) -> Option<&'s TokenPlace> {
    let said = seen::Seen::of(token);
    let issuer = match name {
        Some(name) => issuers.iter().find(|issuer| *issuer.name == *name),
        None => issuers
            .iter()
            .find(|issuer| {
                said.text("iss").is_some() && facts::expected_issuer(issuer) == said.text("iss")
            })
            .or_else(|| issuers.first()),
    };
    issuer?.places.first()
}

// === impl Report ===

impl Report {
    /// The step that gave the reason.
    #[must_use]
    pub fn failed(&self) -> Option<&Step> {
        self.steps
            .iter()
            .find(|step| step.outcome == Outcome::Failed)
    }

    /// For machines. Stable: members are added, never changed.
    #[must_use]
    pub fn json(&self) -> Value {
        let denial = self.verdict.denial();
        json!({
            "verdict": self.verdict.code(),
            "reason": denial.map(Denial::code),
            "stage": denial.map(|denial| denial.stage().code()),
            "at": self.at.unix(),
            "peer": self.peer.as_deref(),
            "issuer": self.issuer.as_deref(),
            "route": self.route.as_deref(),
            "steps": self.steps.iter().map(Step::json).collect::<Vec<_>>(),
        })
    }
}

impl Verdict {
    /// The reason, if there is one.
    #[must_use]
    pub const fn denial(self) -> Option<Denial> {
        match self {
            Self::Allowed => None,
            Self::Refused(denial) | Self::WouldRefuse(denial) => Some(denial),
        }
    }

    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused(_) => "refused",
            Self::WouldRefuse(_) => "would_refuse",
        }
    }
}

impl Outcome {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotReached => "not_reached",
            Self::NotNeeded => "not_needed",
        }
    }
}

impl Step {
    fn json(&self) -> Value {
        json!({
            "check": self.check.code(),
            "outcome": self.outcome.code(),
            "found": self.found,
            "expected": self.expected,
            "fix": self.fix,
        })
    }
}
