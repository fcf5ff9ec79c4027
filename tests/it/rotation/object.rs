//! What can be rotated: for each kind of object a ring of editions, and for each edition who gets in
//! with it for the first time, who is out from then on, and who never notices.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sidegate::lab::{Authority, Issued, Leaf, SigningKey, Validity, World, world};
use sidegate::model::{Algorithm, Timestamp};

use super::change::Files;

/// How many editions there are; after the last comes the first again.
pub(super) const EDITIONS: usize = 4;

/// A kind of object that the gate reloads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Object {
    Identity,
    ClientCa,
    Crl,
    Jwks,
    PemKeys,
    Secret,
    PemDirectory,
    DenyList,
    Config,
}

/// A caller with its two proofs, made anew for each request.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) certificate: Issued,
    key: Arc<SigningKey>,
    field: &'static str,
    issuer: &'static str,
    audience: String,
    subject: String,
}

/// What is asked of the gate.
#[derive(Clone, Debug)]
pub(super) enum Probe {
    /// Does this visitor get in?
    Admits(Visitor),
    /// Does the gate show this certificate?
    Shows(Vec<u8>),
}

/// One edition of an object.
pub(super) struct Edition {
    pub(super) files: Files,
    /// Holds from this edition on, and did not under the one before.
    pub(super) newcomer: Probe,
    /// Held under the edition before, and does not any more.
    pub(super) outcast: Probe,
    /// Gets in under this edition and the next.
    pub(super) steady: Visitor,
}

/// The editions of one object.
pub(super) struct Turn {
    pub(super) editions: Vec<Edition>,
    object: Object,
    /// Files that all editions need: their names and content.
    pub(super) beside: Files,
}

impl Visitor {
    fn new(certificate: &Issued, key: &Arc<SigningKey>) -> Self {
        Self {
            certificate: certificate.clone(),
            key: Arc::clone(key),
            field: "authorization",
            issuer: world::ISSUER,
            audience: world::AUDIENCE.to_owned(),
            subject: "ada".to_owned(),
        }
    }

    /// The header with a token that nobody has seen before.
    pub(super) fn pass(&self) -> (&'static str, String) {
        use sidegate::lab::TokenSpec;
        let claims = TokenSpec::new(self.issuer, &self.audience, &self.subject, Timestamp::now())
            .claim("jti", crate::harness::process::unique());
        let token = claims.sign(&self.key).unwrap();
        let scheme = if self.field == "authorization" {
            "Bearer "
        } else {
            ""
        };
        (self.field, format!("{scheme}{token}"))
    }
}

impl Turn {
    pub(super) fn of(object: Object, world: &World) -> Self {
        let key = Arc::new(world_key(world));
        let front = Visitor::new(&world.front, &key);
        let (editions, beside) = match object {
            Object::Identity => (identity(world, &front), Files::new()),
            Object::ClientCa => client_ca(world, &front),
            Object::Crl => (crl(world, &key, &front), Files::new()),
            Object::Jwks => (keys(world, jwks), Files::new()),
            Object::PemKeys => (keys(world, pem), Files::new()),
            Object::Secret => (secrets(world), Files::new()),
            Object::PemDirectory => (keys(world, directory), Files::new()),
            Object::DenyList => (deny_lists(&front), Files::new()),
            Object::Config => (Vec::new(), Files::new()),
        };
        Self {
            editions,
            object,
            beside,
        }
    }

    /// Points the configuration at the folder `turn`. For [`Object::Config`] it is the object, and
    /// its editions are made of it.
    pub(super) fn configure(&mut self, world: &World, config: &str) -> String {
        let to = |from: &str, to: &str| config.replacen(from, to, 1);
        match self.object {
            Object::Identity => to("\"server.crt\"", "\"turn/server.crt\"").replacen(
                "\"server.key\"",
                "\"turn/server.key\"",
                1,
            ),
            Object::ClientCa => {
                to("\"ca.crt\"", "\"turn/ca.crt\"").replacen("\"ca.crl\"", "\"all.crl\"", 1)
            }
            Object::Crl => to("\"ca.crl\"", "\"turn/ca.crl\""),
            Object::Jwks => to("file = \"jwks.json\"", "file = \"turn/keys\""),
            Object::PemKeys => to("file = \"jwks.json\"", "pem = \"turn/keys\""),
            Object::Secret => to("file = \"jwks.json\"", "secret = \"turn/keys\"").replacen(
                "[\"ES256\", \"RS256\"]",
                "[\"HS256\"]",
                1,
            ),
            Object::PemDirectory => to("file = \"jwks.json\"", "directory = \"turn\""),
            Object::DenyList => format!("{config}\n[deny]\nfile = \"turn/deny.list\"\n"),
            Object::Config => {
                self.editions = configs(world, config);
                config.to_owned()
            }
        }
    }
}

fn world_key(world: &World) -> SigningKey {
    let pem = world.key.private_pem().unwrap();
    SigningKey::from_private_pem(&pem, world.key.algorithm(), world.key.kid()).unwrap()
}

/// The element after `at`, and the one before it, in a ring.
fn around<T: Clone>(ring: &[T], at: usize) -> (T, T, T) {
    let pick = |step: usize| ring[(at + step) % ring.len()].clone();
    (pick(ring.len() - 1), pick(0), pick(1))
}

fn identity(world: &World, front: &Visitor) -> Vec<Edition> {
    let leaf = Leaf::server(world::SERVER_NAME);
    let pairs: Vec<Issued> = (0..EDITIONS)
        .map(|_| world.ca.issue(&leaf).unwrap())
        .collect();
    let edition = |at| {
        let (before, now, _) = around(&pairs, at);
        Edition {
            files: vec![("server.crt", now.chain_pem), ("server.key", now.key_pem)],
            newcomer: Probe::Shows(now.der),
            outcast: Probe::Shows(before.der),
            steady: front.clone(),
        }
    };
    (0..EDITIONS).map(edition).collect()
}

/// Two CAs at a time: the one that all use now, and the next.
fn client_ca(world: &World, front: &Visitor) -> (Vec<Edition>, Files) {
    let now = world.now;
    let ring: Vec<(Arc<Authority>, Visitor)> = (0..EDITIONS)
        .map(|number| {
            let ca = Authority::root(&format!("CA {number}"), now).unwrap();
            let certificate = ca.issue(&Leaf::client(world::FRONT)).unwrap();
            let visitor = Visitor {
                certificate,
                ..front.clone()
            };
            (Arc::new(ca), visitor)
        })
        .collect();
    let lists = ring.iter().map(|(ca, _)| ca.revoke(&[], Validity::Now));
    let lists: Vec<String> = lists.map(Result::unwrap).collect();
    let edition = |at| {
        let (before, now, next) = around(&ring, at);
        Edition {
            files: vec![("ca.crt", format!("{}{}", now.0.pem(), next.0.pem()))],
            newcomer: Probe::Admits(next.1.clone()),
            outcast: Probe::Admits(before.1),
            steady: next.1,
        }
    };
    let editions = (0..EDITIONS).map(edition).collect();
    (editions, vec![("all.crl", lists.concat())])
}

fn crl(world: &World, key: &Arc<SigningKey>, front: &Visitor) -> Vec<Edition> {
    let ring: Vec<Issued> = (0..EDITIONS)
        .map(|_| world.ca.issue(&Leaf::client(world::FRONT)).unwrap())
        .collect();
    let edition = |at| {
        let (before, now, _) = around(&ring, at);
        let list = world.ca.revoke(&[&now.serial], Validity::Now).unwrap();
        Edition {
            files: vec![("ca.crl", list + &world.intermediate_crl)],
            newcomer: Probe::Admits(Visitor::new(&before, key)),
            outcast: Probe::Admits(Visitor::new(&now, key)),
            steady: front.clone(),
        }
    };
    (0..EDITIONS).map(edition).collect()
}

/// Two keys at a time, as an issuer publishes them that rotates with care.
fn keys(world: &World, written: fn(&SigningKey, &SigningKey) -> Files) -> Vec<Edition> {
    let ring: Vec<Arc<SigningKey>> = (0..EDITIONS).map(|_| Arc::new(thumbprinted())).collect();
    let edition = |at| {
        let (before, now, next) = around(&ring, at);
        Edition {
            files: written(&now, &next),
            newcomer: Probe::Admits(Visitor::new(&world.front, &next)),
            outcast: Probe::Admits(Visitor::new(&world.front, &before)),
            steady: Visitor::new(&world.front, &next),
        }
    };
    (0..EDITIONS).map(edition).collect()
}

fn jwks(now: &SigningKey, next: &SigningKey) -> Files {
    vec![("keys", SigningKey::jwks(&[now, next]).unwrap())]
}

fn pem(now: &SigningKey, next: &SigningKey) -> Files {
    let both = [now, next].map(|key| key.public_pem().unwrap());
    vec![("keys", both.concat())]
}

/// Whichever of the two is replaced first, the key that both editions have stays.
fn directory(now: &SigningKey, next: &SigningKey) -> Files {
    let pem = |key: &SigningKey| key.public_pem().unwrap();
    vec![("now.pem", pem(now)), ("next.pem", pem(next))]
}

/// A key whose name is its thumbprint (RFC 7638), by which a PEM without names is chosen from.
fn thumbprinted() -> SigningKey {
    let key = SigningKey::generate(Algorithm::Es256, None).unwrap();
    let jwk = key.jwk().unwrap();
    let canonical = format!(
        "{{\"crv\":{},\"kty\":{},\"x\":{},\"y\":{}}}",
        jwk["crv"], jwk["kty"], jwk["x"], jwk["y"]
    );
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    let kid = URL_SAFE_NO_PAD.encode(digest);
    let pem = key.private_pem().unwrap();
    SigningKey::from_private_pem(&pem, Algorithm::Es256, Some(&kid)).unwrap()
}

/// One secret at a time: there is no overlap, so only the other issuer's caller is steady.
fn secrets(world: &World) -> Vec<Edition> {
    let ring: Vec<Arc<SigningKey>> = (0..EDITIONS)
        .map(|_| Arc::new(SigningKey::generate(Algorithm::Hs256, None).unwrap()))
        .collect();
    let partner_key = world.partner_key.private_pem().unwrap();
    let partner_key = SigningKey::from_private_pem(&partner_key, Algorithm::EdDsa, Some("partner"));
    let steady = Visitor {
        field: "x-partner-assertion",
        issuer: world::PARTNER_ISSUER,
        ..Visitor::new(&world.partner, &Arc::new(partner_key.unwrap()))
    };
    let edition = |at| {
        let (before, now, _) = around(&ring, at);
        let secret = String::from_utf8(now.secret().unwrap().to_vec()).unwrap();
        Edition {
            files: vec![("keys", secret)],
            newcomer: Probe::Admits(Visitor::new(&world.front, &now)),
            outcast: Probe::Admits(Visitor::new(&world.front, &before)),
            steady: steady.clone(),
        }
    };
    (0..EDITIONS).map(edition).collect()
}

/// Each edition denies another subject.
fn deny_lists(front: &Visitor) -> Vec<Edition> {
    let ring: Vec<String> = (0..EDITIONS)
        .map(|number| format!("subject-{number}"))
        .collect();
    let edition = |at| {
        let (before, now, _) = around(&ring, at);
        let with = |subject: &str| {
            Probe::Admits(Visitor {
                subject: subject.to_owned(),
                ..front.clone()
            })
        };
        Edition {
            files: vec![("deny.list", format!("sub issuer=main sub={now}\n"))],
            newcomer: with(&before),
            outcast: with(&now),
            steady: front.clone(),
        }
    };
    (0..EDITIONS).map(edition).collect()
}

/// Each edition believes another second audience.
fn configs(world: &World, config: &str) -> Vec<Edition> {
    let key = Arc::new(world_key(world));
    let front = Visitor::new(&world.front, &key);
    let ring: Vec<String> = (0..EDITIONS)
        .map(|number| format!("audience-{number}"))
        .collect();
    let edition = |at| {
        let (before, now, _) = around(&ring, at);
        let both = format!("audience = [\"{}\", \"{now}\"]", world::AUDIENCE);
        let one = format!("audience = [\"{}\"]", world::AUDIENCE);
        let with = |audience: String| {
            Probe::Admits(Visitor {
                audience,
                ..front.clone()
            })
        };
        Edition {
            files: vec![("sidegate.toml", config.replacen(&one, &both, 1))],
            newcomer: with(now),
            outcast: with(before),
            steady: front.clone(),
        }
    };
    (0..EDITIONS).map(edition).collect()
}
