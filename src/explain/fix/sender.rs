//! What to change about a token that is bound to a certificate (RFC 8705 3).

use crate::explain::evidence::thumbprint;
use crate::explain::facts::Facts;
use crate::explain::words::quoted;

pub(super) fn missing(facts: &Facts<'_>) -> String {
    let bound = facts
        .token()
        .is_some_and(|token| token.claim("cnf").is_some());
    if bound {
        return "the token is bound to a certificate, and none was handed over to compare it with: \
                see peer.hands_over"
            .to_owned();
    }
    format!(
        "let the issuer bind its tokens to the client certificate (cnf with x5t#S256, RFC 8705 3), or \
         write sender_constrained = \"if-bound\" in [[issuer]] {}",
        quoted(facts.issuer_name())
    )
}

pub(super) fn mismatch(facts: &Facts<'_>) -> String {
    let peer = facts.peer.as_ref();
    let own = peer.and_then(|peer| peer.sender()).map(thumbprint);
    format!(
        "the token was made for the holder of another certificate than {}: fetch one with this very \
         certificate. Where the client is behind a front proxy, the proxy must hand its certificate \
         over (peer.hands_over)",
        quoted(&own.unwrap_or_default())
    )
}

pub(super) fn unsupported(facts: &Facts<'_>) -> String {
    format!(
        "cnf is {}, and only x5t#S256 alone can be checked here: let the issuer bind to the \
         certificate, or not at all",
        facts.claim("cnf")
    )
}
