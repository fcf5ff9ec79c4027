//! The attack table: mutations of good tokens, and the reason for which each must be refused.
//!
//! Data only. The same rows run against the checker (a unit test of `check`) and against a live
//! gate, so a row is what is sent and what must come of it, whoever executes it.

mod claim_rows;
mod form_rows;
mod header_rows;
mod place_rows;
pub(crate) mod rsa;
mod signature_rows;
pub(crate) mod world;

use http::{HeaderMap, HeaderName, HeaderValue};
use sidegate::bearer::Places;
use sidegate::model::{Denial, Timestamp};

pub(crate) use self::world::World;

/// One attack.
#[derive(Clone, Debug)]
pub(crate) struct Attack {
    /// What is tried, as a sentence without its end.
    pub(crate) name: String,
    /// The header fields to send, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// The reason for the refusal.
    pub(crate) denial: Denial,
}

/// All attacks on the tokens of `world`.
pub(crate) fn rows(world: &World) -> Vec<Attack> {
    let mut table = Table {
        world,
        rows: Vec::new(),
    };
    form_rows::add(&mut table);
    header_rows::add(&mut table);
    signature_rows::add(&mut table);
    claim_rows::add(&mut table);
    place_rows::add(&mut table);
    table.rows
}

/// The longest token that the rows count on.
pub(crate) const TOKEN_BYTES: usize = 8192;

/// The header fields of a row as `http` holds them.
pub(crate) fn header_map(fields: &[(String, String)]) -> HeaderMap {
    let field = |(name, value): &(String, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter().map(field) {
        headers.append(name, value);
    }
    headers
}

struct Table<'w> {
    world: &'w World,
    rows: Vec<Attack>,
}

impl Table<'_> {
    /// A request with these header fields.
    fn request(&mut self, denial: Denial, name: impl Into<String>, headers: &[(&str, &str)]) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.rows.push(Attack {
            name: name.into(),
            headers: headers.iter().map(own).collect(),
            denial,
        });
    }

    /// A token where Pomerium puts its own.
    fn token(&mut self, denial: Denial, name: impl Into<String>, token: &str) {
        self.request(denial, name, &[(world::ASSERTION, token)]);
    }

    /// A rightly signed token of the issuer `pomerium` with this header.
    fn header(&mut self, denial: Denial, name: impl Into<String>, header: &str) {
        let token = self.world.with_header(header);
        self.token(denial, name, &token);
    }

    /// A rightly signed token of the issuer `pomerium` with this payload.
    fn payload(&mut self, denial: Denial, name: impl Into<String>, payload: impl AsRef<[u8]>) {
        let token = self.world.with_payload(payload.as_ref());
        self.token(denial, name, &token);
    }
}

#[test]
fn the_table_is_large_and_its_names_are_unique() {
    let world = World::new(Timestamp::from_unix(1_800_000_000));
    let rows = rows(&world);
    let mut names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    names.sort_unstable();
    let all = names.len();
    println!("{all} rows");
    assert!(all >= 300, "only {all} rows");
    assert_eq!(names.windows(2).find(|pair| pair[0] == pair[1]), None);
}

#[test]
fn a_token_is_found_in_every_good_request_and_only_form_is_judged_when_finding() {
    let world = World::new(Timestamp::from_unix(1_800_000_000));
    let places = Places::build(&world.issuers(), TOKEN_BYTES);
    for (name, headers) in world.good_requests() {
        let headers = header_map(&headers);
        let token = places
            .find(&headers)
            .unwrap_or_else(|denial| panic!("{name}: {denial:?}"));
        let candidates = token.issuers();
        assert!(
            candidates
                .iter()
                .all(|it| World::peer_issuers().contains(it)),
            "{name}"
        );
    }
    for row in rows(&world) {
        let headers = header_map(&row.headers);
        let found = places.find(&headers);
        if row.name.starts_with("place:") {
            assert_eq!(found.err(), Some(row.denial), "{}", row.name);
        } else if let Err(denial) = found {
            assert_eq!(denial, row.denial, "{}", row.name);
        }
    }
}
