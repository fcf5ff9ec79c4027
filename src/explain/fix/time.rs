//! What to change about a token that is too old, too young or lives too long.

use std::time::Duration;

use crate::explain::facts::Facts;
use crate::explain::words::{about, quoted, when, written};
use crate::model::{Denial, Timestamp};
use crate::settings::{MOST_LEEWAY, MOST_LIFETIME};

/// Clocks are rarely further apart than this; what is, is another mistake.
const CLOCKS: Duration = Duration::from_secs(600);

pub(super) fn expired(facts: &Facts<'_>) -> String {
    let Some(end) = facts.timestamp("exp") else {
        return Denial::TokenExpired.meaning().to_owned();
    };
    let late = facts.now.since(end);
    if late <= CLOCKS {
        let enough = late + Duration::from_secs(1);
        let wider = if enough <= MOST_LEEWAY {
            format!("; leeway = \"{}\" would have let it pass", written(enough))
        } else {
            String::new()
        };
        return format!(
            "it ended {} ago, leeway is {}: get a new one; if it was new, the clocks of issuer and \
             gate are apart, so look at NTP on both{wider}",
            about(late),
            leeway(facts)
        );
    }
    if facts.is_pomerium() {
        return format!(
            "it ended {} ago, and Pomerium signs anew for each request: this one was stored \
             somewhere and sent again",
            about(late)
        );
    }
    format!(
        "it ended {} ago: get a new one, and let whoever sends it refresh it before exp",
        about(late)
    )
}

pub(super) fn ahead(claim: &str, facts: &Facts<'_>) -> String {
    let Some(moment) = facts.timestamp(claim) else {
        return format!("{claim} lies in the future");
    };
    let early = moment.since(facts.now);
    if early > CLOCKS {
        return format!(
            "{claim} is {}: the issuer means it for later, or its clock is wrong",
            when(moment, facts.now)
        );
    }
    let wider = if early <= MOST_LEEWAY {
        format!(", or write leeway = \"{}\"", written(early))
    } else {
        String::new()
    };
    format!(
        "the issuer's clock is {} ahead of this one, leeway is {}: look at NTP on both{wider}",
        about(early),
        leeway(facts)
    )
}

pub(super) fn lifetime(facts: &Facts<'_>) -> String {
    let most = facts.issuer.map(|issuer| about(issuer.max_lifetime));
    let most = most.unwrap_or_default();
    let name = quoted(facts.issuer_name());
    let end = facts.timestamp("exp").unwrap_or(Timestamp::from_unix(0));
    let (life, told, first) = match facts.timestamp("iat") {
        Some(from) => {
            let life = end.since(from);
            (life, format!("lives {}", about(life)), "")
        }
        None => {
            let left = end.since(facts.now);
            (
                left,
                format!("has no iat and {} left", about(left)),
                "write iat and ",
            )
        }
    };
    let raise = if life <= MOST_LIFETIME {
        format!(
            ", or write max_lifetime = \"{}\" in [[issuer]] {name}",
            written(life)
        )
    } else {
        format!("; no setting allows more than {}", about(MOST_LIFETIME))
    };
    format!(
        "the token {told}, max_lifetime is {most}: let the issuer {first}make shorter ones{raise}"
    )
}

fn leeway(facts: &Facts<'_>) -> String {
    facts
        .issuer
        .map(|issuer| about(issuer.leeway))
        .unwrap_or_default()
}
