//! Attacks by way of where the token stands: nowhere, twice, joined, half there.

use sidegate::model::Denial::{TokenEmpty, TokenMalformed, TokenMissing, TokenRepeated};

use super::Table;
use super::world::ASSERTION;

#[expect(
    clippy::too_many_lines,
    reason = "a table: split up it would only be harder to read"
)]
pub(super) fn add(table: &mut Table<'_>) {
    let world = table.world;
    let good = world.good();
    let oidc = world.good_oidc();
    let bearer = format!("Bearer {oidc}");
    let cookie = format!("session={oidc}");
    let missing = TokenMissing;

    table.request(missing, "place: no token at all", &[]);
    table.request(
        missing,
        "place: Basic credentials",
        &[("authorization", "Basic YTpi")],
    );
    table.request(
        missing,
        "place: a scheme that begins alike",
        &[("authorization", &format!("Bearer-MAC {oidc}"))],
    );
    table.request(
        missing,
        "place: scheme and token without a blank",
        &[("authorization", &format!("Bearer{oidc}"))],
    );
    table.request(
        missing,
        "place: the token without a scheme",
        &[("authorization", &oidc)],
    );
    table.request(
        missing,
        "place: another scheme",
        &[("authorization", &format!("Pomerium {oidc}"))],
    );
    table.request(
        missing,
        "place: a header that nobody configured",
        &[("x-access-token", &good)],
    );
    table.request(
        missing,
        "place: a twin of the header",
        &[("x_pomerium_jwt_assertion", &good)],
    );
    table.request(
        missing,
        "place: a cookie in other letters",
        &[("cookie", &format!("Session={oidc}"))],
    );
    table.request(
        missing,
        "place: a cookie whose name ends alike",
        &[("cookie", &format!("xsession={oidc}"))],
    );
    table.request(
        missing,
        "place: only other cookies",
        &[("cookie", "a=b; c=d")],
    );
    table.request(
        missing,
        "place: the token as another proxy's header",
        &[("proxy-authorization", &bearer)],
    );

    let empty = TokenEmpty;
    table.request(
        empty,
        "place: an empty assertion, as Pomerium sends when it cannot sign",
        &[(ASSERTION, "")],
    );
    table.request(
        empty,
        "place: the scheme alone",
        &[("authorization", "Bearer")],
    );
    table.request(empty, "place: an empty cookie", &[("cookie", "session=")]);
    table.request(
        empty,
        "place: a cookie's name alone",
        &[("cookie", "a=1; session; b=2")],
    );

    let odd = TokenMalformed;
    table.request(
        odd,
        "place: a tab behind the scheme",
        &[("authorization", &format!("Bearer\t{oidc}"))],
    );
    table.request(
        odd,
        "place: a colon behind the scheme",
        &[("authorization", &format!("Bearer: {oidc}"))],
    );
    table.request(
        odd,
        "place: the scheme twice",
        &[("authorization", &format!("Bearer Bearer {oidc}"))],
    );
    table.request(
        odd,
        "place: two tokens with a blank",
        &[("authorization", &format!("{bearer} {oidc}"))],
    );
    table.request(
        odd,
        "place: a parameter behind the token",
        &[("authorization", &format!("{bearer}; realm=x"))],
    );
    table.request(
        odd,
        "place: a scheme where a bare token belongs",
        &[(ASSERTION, &format!("Bearer {good}"))],
    );
    table.request(
        odd,
        "place: a quoted cookie",
        &[("cookie", &format!("session=\"{oidc}\""))],
    );
    table.request(
        odd,
        "place: two tokens with a blank, bare",
        &[(ASSERTION, &format!("{good} {good}"))],
    );

    let twice = TokenRepeated;
    let both = [(ASSERTION, good.as_str()), (ASSERTION, good.as_str())];
    table.request(twice, "place: the header twice with the same token", &both);
    let second_bad = [(ASSERTION, good.as_str()), (ASSERTION, "x")];
    table.request(
        twice,
        "place: the header twice, the second bad",
        &second_bad,
    );
    let first_bad = [(ASSERTION, "x"), (ASSERTION, good.as_str())];
    table.request(twice, "place: the header twice, the first bad", &first_bad);
    let second_empty = [(ASSERTION, good.as_str()), (ASSERTION, "")];
    table.request(
        twice,
        "place: the header twice, the second empty",
        &second_empty,
    );
    for (name, joined) in [
        ("a comma", format!("{good},{good}")),
        ("a comma and a blank", format!("{good}, {good}")),
        ("a comma behind", format!("{good},")),
        ("a comma before", format!(",{good}")),
    ] {
        table.request(
            twice,
            format!("place: joined by {name}"),
            &[(ASSERTION, &joined)],
        );
    }
    let fields = [
        ("authorization", bearer.as_str()),
        ("authorization", bearer.as_str()),
    ];
    table.request(twice, "place: Bearer twice", &fields);
    let fields = [
        ("authorization", "Basic YTpi"),
        ("authorization", bearer.as_str()),
    ];
    table.request(twice, "place: Basic and Bearer", &fields);
    let fields = [
        ("authorization", bearer.as_str()),
        ("authorization", "Basic YTpi"),
    ];
    table.request(twice, "place: Bearer and Basic", &fields);
    let joined = format!("{bearer}, {bearer}");
    table.request(
        twice,
        "place: Bearer joined by a comma",
        &[("authorization", &joined)],
    );
    let joined = format!("{bearer}, Basic YTpi");
    table.request(
        twice,
        "place: Bearer and Basic joined by a comma",
        &[("authorization", &joined)],
    );
    let fields = [
        ("authorization", bearer.as_str()),
        ("cookie", cookie.as_str()),
    ];
    table.request(twice, "place: header and cookie of one issuer", &fields);
    let fields = [
        (ASSERTION, good.as_str()),
        ("authorization", bearer.as_str()),
    ];
    table.request(twice, "place: the headers of two issuers", &fields);
    let fields = [(ASSERTION, good.as_str()), ("authorization", "Bearer x")];
    table.request(twice, "place: a good token and rubbish", &fields);
    let fields = [(ASSERTION, good.as_str()), ("cookie", "session=")];
    table.request(twice, "place: a good token and an empty cookie", &fields);
    let value = format!("{cookie}; {cookie}");
    table.request(twice, "place: a cookie twice", &[("cookie", &value)]);
    let fields = [("cookie", cookie.as_str()), ("cookie", "session=x")];
    table.request(twice, "place: a cookie in two fields", &fields);
}
