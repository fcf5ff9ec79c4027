//! The other half of the reasons: routes, the deny list, single use, keys that are not there, load
//! balancers, trust domains, bound tokens, report mode and what the service is told.

use std::collections::BTreeSet;

use sidegate::explain::Check;
use sidegate::lab::{Leaf, Role, Validity};

use super::*;

const ARN: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/edge/50dc6c";
const EDGE: &str = "spiffe://test.example/edge";
const DENIED: &str = "spiffe://test.example/denied";

/// What the standard world's configuration is followed by.
fn more(pki: &lab::World) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &pki.stranger.der);
    let twin: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let stranger = "spiffe://test.example/stranger";
    let mut text = format!(
        "[limits]\ntoken_bytes = \"32KiB\"\nheader_bytes = \"48KiB\"\nbody_bytes = \"1KiB\"\n\
         [deny]\nfile = \"deny.list\"\n\
         [[peer]]\nname = \"one\"\nuri = [\"{stranger}\"]\nissuers = [\"main\"]\n\
         [[peer]]\nname = \"two\"\nsha256 = [\"{twin}\"]\nissuers = [\"main\"]\n\
         [[peer]]\nname = \"edge\"\nuri = [\"{EDGE}\"]\nissuers = [\"main\", \"bound\"]\n\
         hands_over = \"client-cert\"\n"
    );
    for (name, who, rest) in [
        (
            "once",
            "issuer = \"https://once.test\"",
            "single_use = { remember = 1 }",
        ),
        (
            "bound",
            "issuer = \"https://bound.test\"",
            "sender_constrained = \"required\"",
        ),
        ("domain", "trust_domain = \"prod.example\"", ""),
        ("away", "issuer = \"https://away.test\"", ""),
    ] {
        let keys = match name {
            "away" => "{ url = \"https://127.0.0.1:9/jwks.json\" }",
            _ => "{ file = \"jwks.json\" }",
        };
        writeln!(
            text,
            "[[issuer]]\nname = {name:?}\n{who}\naudience = [\"api\"]\nheader = \"X-{name}\"\n\
             algorithms = [\"ES256\"]\nkeys = {keys}\n{rest}"
        )
        .unwrap();
    }
    write!(
        text,
        "[[issuer]]\nname = \"alb\"\npreset = \"aws-alb\"\nissuer = \"https://idp.test\"\n\
         audience = [\"client\"]\nsigner = [\"{ARN}\"]\nkeys = {{ file = \"jwks.json\" }}\n\
         [[issuer]]\nname = \"secret\"\nissuer = \"secret\"\naudience = [\"api\"]\nheader = \"X-Secret\"\n\
         algorithms = [\"HS256\"]\nkeys = {{ secret = \"hs.key\" }}\n\
         [[route]]\nname = \"any\"\npath = \"/any\"\n\
         [[route]]\nname = \"peer\"\npath = \"/peer\"\nrequire = \"peer\"\n\
         [[route]]\npath = \"/partners\"\npeers = [\"partner\"]\n\
         [[route]]\npath = \"/once\"\nissuers = [\"once\"]\n\
         [[route]]\npath = \"/write\"\nscope = [\"write\"]\n\
         [[route]]\npath = \"/admin\"\nclaims = {{ groups = {{ any = [\"admins\"] }} }}\n\
         [[route]]\npath = \"/watched\"\nscope = [\"write\"]\nenforce = \"report\"\n"
    )
    .unwrap();
    text
}

/// Another desk: the lab's world under its own configuration with all that.
fn desk(prepare: impl FnOnce(&lab::World)) -> Desk {
    let tokens = World::new(Timestamp::now());
    let folder = tempfile::tempdir().unwrap();
    let pki = world_at(folder.path(), tokens.now);
    pki.write(
        "deny.list",
        &format!("sub issuer=main sub=mallory\ncertificate uri={DENIED}\n"),
    )
    .unwrap();
    pki.write("hs.key", &"s".repeat(64)).unwrap();
    prepare(&pki);
    let base = pki.config("127.0.0.1:0", "off", "127.0.0.1:1").replacen(
        "issuers = [\"main\"]",
        "issuers = [\"main\", \"once\", \"bound\", \"domain\", \"away\", \"alb\", \"secret\"]",
        1,
    );
    let base = base.replacen(
        "[identity.headers]",
        "[identity]\nclient_cert = [\"client-cert\"]\n[identity.headers]",
        1,
    );
    let name = folder.path().join("sidegate.toml");
    let text = base + &more(&pki);
    let (settings, _) = Settings::from_text(&text, name.to_str().unwrap(), &Overrides::default())
        .unwrap_or_else(|error| panic!("{error}"));
    let judges = Judges::load(&settings, |_| None).unwrap();
    Desk {
        tokens,
        pki,
        settings,
        judges,
        _folder: folder,
    }
}

impl Desk {
    fn at(&self, issued: &Issued, path: &str, fields: &[(&str, &str)]) -> Report {
        let mut request = Request::get(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        self.explained(&self.chain(issued), &request.body(()).unwrap())
    }

    /// As the peer `front`, at a host.
    fn front_at(&self, path: &str, fields: &[(&str, &str)]) -> Report {
        let fields = [&[("host", "a")], fields].concat();
        self.at(&self.pki.front, path, &fields)
    }

    /// With a token of the issuer `main`.
    fn main_at(&self, path: &str, claims: &TokenSpec) -> Report {
        let token = format!("Bearer {}", claims.sign(&self.pki.key).unwrap());
        self.front_at(path, &[("authorization", &token)])
    }

    /// With a token of another issuer, in its own header.
    fn other_at(&self, issuer: &str, claims: &TokenSpec) -> Report {
        let token = claims.sign(&self.pki.key).unwrap();
        self.front_at("/any", &[(&format!("x-{issuer}"), &token)])
    }

    fn claims_of(&self, issuer: &str) -> TokenSpec {
        let name = format!("https://{issuer}.test");
        TokenSpec::new(&name, "api", "ada", self.tokens.now).claim("jti", "1")
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn edges(desk: &Desk) -> Vec<Row> {
    let client = |uri: &str| desk.pki.ca.issue(&Leaf::client(uri)).unwrap();
    let later = Leaf::client(world::FRONT).valid(Validity::Future);
    let later = desk.pki.ca.issue(&later).unwrap();
    let at = |issued: &Issued| desk.at(issued, "/any", &[("host", "a")]);
    let many: Vec<String> = (0..200).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (&**name, "1")).collect();
    let garbage = [("host", "a"), ("client-cert", "garbage")];
    vec![
        (
            "denied",
            at(&client(DENIED)),
            CertificateDenied,
            "line 2 of",
        ),
        (
            "too early",
            at(&later),
            CertificateNotYetValid,
            "compare the clocks",
        ),
        (
            "twice listed",
            at(&desk.pki.stranger),
            PeerAmbiguous,
            "only one [[peer]]",
        ),
        (
            "no host",
            desk.at(&desk.pki.front, "/any", &[]),
            RequestMalformed,
            "one sound Host",
        ),
        (
            "garbage for a certificate",
            desk.at(&client(EDGE), "/any", &garbage),
            ClientCertMalformed,
            "hands_over",
        ),
        (
            "many fields",
            desk.front_at("/any", &many),
            HeaderTooLarge,
            "limits.header_count",
        ),
        (
            "a large body",
            desk.front_at("/any", &[("content-length", "2000")]),
            BodyTooLarge,
            "limits.body_bytes",
        ),
        (
            "dots",
            desk.front_at("/any/../peer", &[]),
            PathAmbiguous,
            "normalise",
        ),
        (
            "no route",
            desk.front_at("/none", &[]),
            RouteUnmatched,
            "write one with path = [\"/none\"]",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn tokens(desk: &Desk) -> Vec<Row> {
    let main = || desk.pki.token();
    let once = |jti: &str| desk.other_at("once", &desk.claims_of("once").claim("jti", jti));
    let domain = desk
        .claims_of("domain")
        .claim("sub", "spiffe://dev.example/a");
    let asymmetric = TokenSpec::new("secret", "api", "ada", desk.tokens.now);
    let bound = desk.claims_of("bound").claim("cnf", "x");
    let alb = json!({
        "alg": "ES256", "typ": "JWT", "kid": "current", "iss": "https://idp.test", "client": "client",
        "signer": "another", "exp": desk.tokens.now.unix() + 60,
    });
    let alb = desk
        .pki
        .key
        .sign(&alb.to_string(), b"{\"sub\":\"ada\"}")
        .unwrap();
    assert_eq!(once("first").verdict, Verdict::Allowed);
    let year = |claims: TokenSpec| claims.lives(desk.tokens.now, Duration::from_secs(365 * 86_400));
    let long = "x".repeat(70_000);
    vec![
        (
            "no keys",
            desk.other_at("away", &desk.claims_of("away")),
            KeysUnavailable,
            "--fetch",
        ),
        (
            "another signer",
            desk.front_at("/any", &[("x-amzn-oidc-data", &alb)]),
            SignerRefused,
            "signer in [[issuer]]",
        ),
        (
            "another domain",
            desk.other_at("domain", &domain),
            SubjectRefused,
            "prod.example",
        ),
        (
            "no jti",
            desk.other_at("once", &desk.claims_of("once").without("jti")),
            JtiMissing,
            "single_use",
        ),
        (
            "denied",
            desk.main_at("/any", &main().claim("sub", "mallory")),
            TokenDenied,
            "line 1 of",
        ),
        (
            "bound to nobody",
            desk.other_at("bound", &desk.claims_of("bound")),
            SenderMissing,
            "if-bound",
        ),
        (
            "bound to a text",
            desk.other_at("bound", &bound),
            ClaimsMalformed,
            "cnf must be an object",
        ),
        (
            "no secret",
            desk.other_at("secret", &asymmetric),
            AlgorithmRefused,
            "an [[issuer]] of its own",
        ),
        (
            "a year",
            desk.main_at("/any", &year(main())),
            LifetimeTooLong,
            "no setting allows more than 30 days",
        ),
        (
            "longer than any",
            desk.front_at("/any", &[("x-once", &long)]),
            HeaderTooLarge,
            "limits",
        ),
        ("used", once("first"), TokenUsed, "token"),
        (
            "another while full",
            once("second"),
            SingleUseFull,
            "remember",
        ),
    ]
}

fn asked(desk: &Desk) -> Vec<Row> {
    let main = || desk.pki.token();
    let long = main().claim("email", "x".repeat(9_000));
    let watched = main()
        .claim("scope", "write")
        .claim("email", "x".repeat(9_000));
    let names = (0..300).map(|number| format!("a-rather-long-name-{number}.test.example"));
    let large = Leaf {
        role: Role::Client,
        dns: names.collect(),
        ..Leaf::client(world::FRONT)
    };
    let large = desk.pki.ca.issue(&large).unwrap();
    vec![
        (
            "for partners",
            desk.main_at("/partners", &main()),
            RoutePeerRefused,
            "write it into peers",
        ),
        (
            "for another issuer",
            desk.main_at("/once", &main()),
            RouteIssuerRefused,
            "issuers of",
        ),
        (
            "no scope",
            desk.main_at("/write", &main()),
            ScopeMissing,
            "asks for all of \"write\"",
        ),
        (
            "no admin",
            desk.main_at("/admin", &main()),
            ClaimUnmet,
            "groups",
        ),
        (
            "a long claim",
            desk.main_at("/any", &long),
            IdentityUnforwardable,
            "identity.headers",
        ),
        (
            "a long claim while watched",
            desk.main_at("/watched", &watched),
            IdentityUnforwardable,
            "8 KiB",
        ),
        (
            "a large certificate",
            desk.at(&large, "/peer", &[("host", "a")]),
            IdentityUnforwardable,
            "identity.client_cert",
        ),
    ]
}

fn lists() -> Vec<Row> {
    let uncovered = desk(|pki| {
        let list = pki.ca.revoke(&[], Validity::Now).unwrap();
        pki.write("ca.crl", &list).unwrap();
    });
    let ended = desk(|pki| {
        let list = pki.ca.revoke(&[], Validity::Expired).unwrap();
        pki.write("ca.crl", &(list + &pki.intermediate_crl))
            .unwrap();
    });
    let at = |desk: &Desk, issued| desk.at(issued, "/any", &[("host", "a")]);
    vec![
        (
            "no list of its CA",
            at(&uncovered, &uncovered.pki.partner),
            CertificateRevoked,
            "no list of every CA",
        ),
        (
            "a list that ended",
            at(&ended, &ended.pki.front),
            CertificateRevoked,
            "fetch the CA's newest",
        ),
    ]
}

#[test]
fn every_reason_that_can_be_asked_about_is_given_with_its_fix() {
    let desk = desk(|_| ());
    let table = [edges(&desk), tokens(&desk), asked(&desk), lists()].concat();
    assert_eq!(wrong(&table), "");
    let first = Desk::set();
    let mut given: BTreeSet<&str> = rows(&first.tokens)
        .iter()
        .map(|row| row.denial.code())
        .collect();
    given.extend(table.iter().map(|(_, _, denial, _)| denial.code()));
    let tables = [times(&first), certificates(&first), parties(&first)].concat();
    given.extend(tables.iter().map(|(_, _, denial, _)| denial.code()));
    let asked = Denial::ALL.iter().filter(|it| Check::of(**it).is_some());
    let never: Vec<&str> = asked
        .map(|it| it.code())
        .filter(|it| !given.contains(it))
        .collect();
    assert_eq!(never, [""; 0], "no row asks about these");
}

#[test]
fn report_mode_is_told_and_what_no_route_asks_for_is_unverified() {
    let desk = desk(|_| ());
    let watched = desk.main_at("/watched", &desk.pki.token());
    assert_eq!(watched.verdict, Verdict::WouldRefuse(ScopeMissing));
    let forged = desk
        .pki
        .token()
        .claim("sub", "root")
        .sign(&desk.tokens.stranger)
        .unwrap();
    let forged = format!("Bearer {forged}");
    let report = desk.front_at("/peer", &[("authorization", &forged)]);
    assert_eq!(report.verdict, Verdict::Allowed);
    let of = |code: &str| {
        report
            .steps
            .iter()
            .find(|step| step.check.code() == code)
            .unwrap()
    };
    assert_eq!(of("sub").found, "\"root\" (unverified)");
    assert_eq!(of("sub").outcome, Outcome::NotNeeded);
    assert!(
        of("identity").found.starts_with("client-cert: "),
        "{:?}",
        of("identity")
    );
}
