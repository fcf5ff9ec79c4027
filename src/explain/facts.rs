//! Everything that there is to show about one question, gathered once.

use http::Request;
use http::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::seen::{Found, Seen, found};
use super::words;
use crate::accept::certificate::Certificate;
use crate::accept::{Peer, Revocation};
use crate::jwks::ShownKey;
use crate::model::Timestamp;
use crate::observe::Known;
use crate::settings::{
    AudienceRule, IssuerSettings, PeerSettings, Preset, Requirement, RouteSettings, Settings,
};

/// Whether what a token says has been signed by its issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trust {
    /// The signature held.
    Signed,
    /// It was not reached, or did not hold: these are anybody's words.
    Unverified,
}

/// What is shown.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) settings: &'a Settings,
    pub(super) now: Timestamp,
    /// The CAs in `tls.client_ca`.
    pub(super) client_ca: &'a [Certificate],
    /// The client's chain, leaf first, as far as it can be read.
    pub(super) chain: Vec<Certificate>,
    /// What the TLS library said of the chain.
    pub(super) cause: Option<String>,
    /// Which word of the revocation lists it was.
    pub(super) revocation: Option<Revocation>,
    /// What the decision noted.
    pub(super) known: Known,
    pub(super) peer: Option<Peer>,
    pub(super) request: &'a Request<()>,
    pub(super) found: Vec<Found>,
    /// The issuer whose token this was taken for.
    pub(super) issuer: Option<&'a IssuerSettings>,
    pub(super) keys: Vec<ShownKey>,
    pub(super) trust: Trust,
    /// What the service would be told.
    pub(super) told: Vec<(HeaderName, HeaderValue)>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        request: &'a Request<()>,
        client_ca: &'a [Certificate],
        chain: Vec<Certificate>,
        now: Timestamp,
    ) -> Self {
        Self {
            settings,
            now,
            client_ca,
            chain,
            cause: None,
            revocation: None,
            known: Known::default(),
            peer: None,
            request,
            found: found(request.headers(), &settings.issuers),
            issuer: None,
            keys: Vec::new(),
            trust: Trust::Unverified,
            told: Vec::new(),
        }
    }

    /// Whose token this is: what the decision said, else whoever it claims to be of, else the only
    /// one that it can be of.
    pub(super) fn choose(&mut self) {
        let issuers = &self.settings.issuers;
        let decided = self.known.issuer.as_ref();
        let named = decided.and_then(|name| issuers.iter().find(|one| one.name == *name));
        let said = self.token().and_then(|token| token.text("iss"));
        let claimed = issuers
            .iter()
            .find(|one| said.is_some() && expected_issuer(one) == said);
        let only = match issuers.as_slice() {
            [one] => Some(one),
            _ => None,
        };
        self.issuer = named.or(claimed).or(only);
    }

    /// The leaf of the client's chain.
    pub(super) fn leaf(&self) -> Option<&Certificate> {
        self.chain.first()
    }

    /// The token, if there is exactly one or at least a first.
    pub(super) fn token(&self) -> Option<&Seen> {
        self.found.first().map(|found| &found.token)
    }

    /// A claim for people, with a word of warning where nobody signed it.
    pub(super) fn claim(&self, name: &str) -> String {
        let value = self.token().and_then(|token| token.claim(name));
        self.marked(words::claim(value))
    }

    /// A member of the JOSE header for people.
    pub(super) fn in_header(&self, name: &str) -> String {
        words::claim(self.token().and_then(|token| token.in_header(name)))
    }

    /// A moment in a claim for people.
    pub(super) fn moment(&self, name: &str) -> String {
        let value = self.token().and_then(|token| token.claim(name));
        let text = match self.timestamp(name) {
            Some(moment) => words::when(moment, self.now),
            None => words::claim(value),
        };
        self.marked(text)
    }

    /// A claim that is a moment.
    pub(super) fn timestamp(&self, name: &str) -> Option<Timestamp> {
        let seconds = self.token()?.claim(name).and_then(Value::as_f64)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "for showing; a cast of a float saturates"
        )]
        (seconds >= 0.0).then(|| Timestamp::from_unix(seconds as u64))
    }

    fn marked(&self, text: String) -> String {
        match self.trust {
            Trust::Signed => text,
            Trust::Unverified => format!("{text} (unverified)"),
        }
    }

    /// The settings of the peer.
    pub(super) fn peer_settings(&self) -> Option<&PeerSettings> {
        let name = self.peer.as_ref()?.name();
        self.settings.peers.iter().find(|peer| peer.name == *name)
    }

    /// The settings of the route.
    pub(super) fn route(&self) -> Option<&RouteSettings> {
        let name = self.known.route.as_ref()?;
        self.settings
            .routes
            .iter()
            .find(|route| route.name == *name)
    }

    /// Whether a token is asked for.
    pub(super) fn needs_token(&self) -> bool {
        self.route()
            .is_none_or(|route| route.require == Requirement::Token)
    }

    /// The name of the issuer, for a fix.
    pub(super) fn issuer_name(&self) -> &str {
        self.issuer.map_or("?", |issuer| &issuer.name)
    }

    /// Whether the issuer's tokens come from Pomerium, as far as its preset or its header says.
    pub(super) fn is_pomerium(&self) -> bool {
        let preset = self.issuer.and_then(|issuer| issuer.preset.as_ref());
        if let Some((preset, _)) = preset {
            return *preset == Preset::Pomerium;
        }
        let places = self.issuer.iter().flat_map(|issuer| &issuer.places);
        let mut names = places.map(super::seen::place);
        names.any(|name| name.starts_with("x-pomerium-"))
    }
}

/// The `iss` that an issuer's tokens must have.
pub(super) fn expected_issuer(issuer: &IssuerSettings) -> Option<&str> {
    issuer.maker.issuer()
}

/// What `aud` must hold one of.
pub(super) fn expected_audience(issuer: &IssuerSettings) -> &[String] {
    match &issuer.audience {
        AudienceRule::OneOf(names) => names,
        AudienceRule::Absent => &[],
    }
}
