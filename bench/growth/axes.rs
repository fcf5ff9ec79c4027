//! What grows: for each kind of thing, how a gate looks that has so many of it, and what is asked of it.
//!
//! Asked for is always what stands last, which a search from the first would find latest.

use std::fmt::Write as _;

use sidegate::lab::{SigningError, SigningKey, TokenSpec, World, world};
use sidegate::model::Algorithm;

use super::counted::Failure;

/// A kind of thing that there may be many of.
pub(crate) struct Axis {
    pub(crate) name: &'static str,
    pub(crate) points: &'static [usize],
    pub(crate) works: &'static [Work],
    /// Makes a gate with so many.
    pub(crate) scene: fn(&World, usize) -> Result<Scene, Failure>,
}

/// What is sent, once and again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Work {
    /// A request with the token of the one before.
    Repeated,
    /// A request with a token of its own, ES256.
    Fresh,
    /// A handshake, and a request with the same token.
    Handshake,
}

impl Work {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Repeated => "repeated token",
            Self::Fresh => "fresh token",
            Self::Handshake => "handshake",
        }
    }
}

/// A gate with so many of something, and a request for it.
pub(crate) struct Scene {
    /// What stands in the configuration instead of what; each is there once.
    pub(crate) instead: Vec<(&'static str, String)>,
    /// What stands after it.
    pub(crate) more: String,
    pub(crate) path: String,
    pub(crate) field: String,
    pub(crate) scheme: &'static str,
    pub(crate) token: TokenSpec,
    /// Another key than the world's own.
    pub(crate) key: Option<SigningKey>,
}

impl Scene {
    fn of(world: &World) -> Self {
        Self {
            instead: Vec::new(),
            more: String::new(),
            path: "/bench".to_owned(),
            field: "authorization".to_owned(),
            scheme: "Bearer ",
            token: world.token().claim("sid", "5e55"),
            key: None,
        }
    }
}

const TOKENS: &[Work] = &[Work::Repeated, Work::Fresh];
const THOUSAND: &[usize] = &[1, 10, 100, 1_000];

/// All of them.
pub(crate) const AXES: [Axis; 7] = [
    Axis {
        name: "issuers in one header",
        points: THOUSAND,
        works: TOKENS,
        scene: issuers_together,
    },
    Axis {
        name: "issuers, each in its own header",
        points: THOUSAND,
        works: TOKENS,
        scene: issuers_apart,
    },
    Axis {
        name: "keys of the issuer",
        points: THOUSAND,
        works: TOKENS,
        scene: keys,
    },
    Axis {
        name: "peers",
        points: THOUSAND,
        works: &[Work::Repeated, Work::Handshake],
        scene: peers,
    },
    Axis {
        name: "routes",
        points: &[1, 10, 100, 1_000, 10_000],
        works: TOKENS,
        scene: routes,
    },
    Axis {
        name: "entries of the deny list",
        points: &[0, 1_000, 100_000, 1_000_000],
        works: &[Work::Repeated, Work::Fresh, Work::Handshake],
        scene: denied,
    },
    Axis {
        name: "claims of the token",
        points: &[10, 100, 1_000],
        works: TOKENS,
        scene: claims,
    },
];

fn issuers(world: &World, count: usize, place: impl Fn(usize) -> String) -> Scene {
    let mut scene = Scene::of(world);
    let mut names = String::from("issuers = [\"main\"");
    for number in 1..count {
        let place = place(number);
        add(
            &mut scene.more,
            &format!(
                "\n[[issuer]]\nname = \"i{number}\"\nissuer = \"https://i{number}.test/\"\n\
                 audience = [\"{}\"]\nkeys = {{ file = \"jwks.json\" }}\n{place}",
                world::AUDIENCE
            ),
        );
        add(&mut names, &format!(", \"i{number}\""));
    }
    names.push(']');
    scene.instead.push(("issuers = [\"main\"]", names));
    if count > 1 {
        let last = format!("https://i{}.test/", count - 1);
        scene.token = scene.token.claim("iss", last);
    }
    scene
}

fn issuers_together(world: &World, count: usize) -> Result<Scene, Failure> {
    Ok(issuers(world, count, |_| String::new()))
}

fn issuers_apart(world: &World, count: usize) -> Result<Scene, Failure> {
    let mut scene = issuers(world, count, |number| {
        format!("header = \"X-Token-{number}\"\n")
    });
    if count > 1 {
        scene.field = format!("x-token-{}", count - 1);
        scene.scheme = "";
    }
    Ok(scene)
}

fn keys(world: &World, count: usize) -> Result<Scene, Failure> {
    let key = |number| SigningKey::generate(Algorithm::Es256, Some(&format!("key-{number}")));
    let mut keys = (0..count)
        .map(key)
        .collect::<Result<Vec<_>, SigningError>>()?;
    let all: Vec<&SigningKey> = keys.iter().collect();
    world.write("many-jwks.json", &SigningKey::jwks(&all)?)?;
    let mut scene = Scene::of(world);
    let file = "keys = { file = \"many-jwks.json\" }".to_owned();
    scene
        .instead
        .push(("keys = { file = \"jwks.json\" }", file));
    scene.key = keys.pop();
    Ok(scene)
}

fn peers(world: &World, count: usize) -> Result<Scene, Failure> {
    let mut scene = Scene::of(world);
    for number in 1..count {
        let peer = format!(
            "\n[[peer]]\nname = \"p{number}\"\nuri = [\"spiffe://test.example/p{number}\"]\n\
             issuers = [\"main\"]\n"
        );
        add(&mut scene.more, &peer);
    }
    Ok(scene)
}

fn routes(world: &World, count: usize) -> Result<Scene, Failure> {
    let mut scene = Scene::of(world);
    for number in 0..count {
        let route = format!("\n[[route]]\npath = \"/service-{number}/**\"\n");
        add(&mut scene.more, &route);
    }
    scene.path = format!("/service-{}/page", count - 1);
    Ok(scene)
}

fn denied(world: &World, count: usize) -> Result<Scene, Failure> {
    // A list of nothing says so: an empty file is one that is just being written.
    let mut list = String::from("# nobody else\n");
    for number in 0..count {
        let entry = match number % 4 {
            0 => format!("jti issuer=main jti=denied-{number}\n"),
            1 => format!("sub issuer=main sub=user-{number}\n"),
            2 => format!("sid issuer=main sid=session-{number}\n"),
            _ => format!("certificate uri=spiffe://test.example/denied-{number}\n"),
        };
        add(&mut list, &entry);
    }
    world.write("denied", &list)?;
    let mut scene = Scene::of(world);
    scene.more = "\n[deny]\nfile = \"denied\"\n".to_owned();
    Ok(scene)
}

fn claims(world: &World, count: usize) -> Result<Scene, Failure> {
    let mut scene = Scene::of(world);
    scene.more = "\n[limits]\ntoken_bytes = 65536\nheader_bytes = 262144\n".to_owned();
    // The seven that it has already are claims too.
    for number in 8..count {
        let (name, value) = (format!("claim-{number}"), format!("value-{number}"));
        scene.token = scene.token.claim(&name, value);
    }
    Ok(scene)
}

fn add(text: &mut String, more: &str) {
    // Writing to a string cannot fail.
    let _ = text.write_str(more);
}
