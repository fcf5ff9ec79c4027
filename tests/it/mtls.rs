//! Who may connect: only a listed peer with a certificate that holds today. Everybody else meets a
//! TLS alert, a log line and a count.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{CipherSuite, ClientConfig};
use sidegate::lab::{Echo, Http, Issued, Leaf, Role, Validity, world};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{
    ANY, Town, bearer, eventually, eventually_so, get, seen, seen_header, world_at,
};

const BOTH: [Http; 2] = [Http::One, Http::Two];

/// Calls with a certificate and a perfect token, and expects the handshake to fail with `reason`.
async fn assert_refused(town: &Town, certificate: Option<&Issued>, reason: &str) {
    for http in BOTH {
        let before = town.refused(reason);
        let request = get("/", &[("authorization", &bearer(&town.token()))]);
        let answer = town
            .caller(certificate, http)
            .call(town.gate.address, request)
            .await;
        assert!(answer.is_err(), "{reason}: {answer:?}");
        eventually(reason, || town.refused(reason) == before + 1).await;
    }
    assert_eq!(town.echo.served(), 0);
}

#[tokio::test]
async fn a_listed_peer_with_a_good_token_gets_through() {
    let town = Town::start().await;
    for http in BOTH {
        let request = get("/path?q=1", &[("authorization", &bearer(&town.token()))]);
        let answer = town
            .front(http)
            .call(town.gate.address, request)
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{answer:?}");
        let seen = seen(&answer);
        assert_eq!(
            (&seen["method"], &seen["target"]),
            (&"GET".into(), &"/path?q=1".into())
        );
        assert_eq!(seen_header(&answer, "host"), ["legacy.test"]);
        assert_eq!(seen_header(&answer, "x-auth-subject"), ["ada"]);
        assert_eq!(seen_header(&answer, "x-auth-groups"), ["engineers,readers"]);
        assert!(
            seen_header(&answer, "authorization").is_empty(),
            "the token must not go on"
        );
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let town = Town::start().await;
    assert_refused(&town, None, "certificate_missing").await;
}

#[tokio::test]
async fn a_certificate_of_a_foreign_ca_is_refused() {
    let town = Town::start().await;
    assert_refused(&town, Some(&town.world.foreign), "certificate_untrusted").await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let town = Town::start().await;
    assert_refused(&town, Some(&town.world.expired), "certificate_expired").await;
}

#[tokio::test]
async fn a_revoked_certificate_is_refused() {
    let town = Town::start().await;
    assert_refused(&town, Some(&town.world.revoked), "certificate_revoked").await;
}

#[tokio::test]
async fn a_good_certificate_that_no_peer_lists_is_refused() {
    let town = Town::start().await;
    assert_refused(&town, Some(&town.world.stranger), "peer_not_listed").await;
}

#[tokio::test]
async fn a_server_certificate_is_no_client() {
    let town = Town::start().await;
    assert_refused(&town, Some(&town.world.server), "certificate_invalid").await;
}

#[tokio::test]
async fn a_certificate_that_breaks_the_svid_rules_is_refused_although_its_name_is_listed() {
    let town = Town::start().await;
    let signs = Leaf {
        role: Role::ClientThatSigns,
        ..Leaf::client(world::FRONT)
    };
    let mut two = Leaf::client(world::FRONT);
    two.uri.push("spiffe://test.example/other".to_owned());
    for leaf in [signs, two] {
        let issued = town.world.ca.issue(&leaf).unwrap();
        assert_refused(&town, Some(&issued), "certificate_invalid").await;
    }
}

#[tokio::test]
async fn a_certificate_that_two_peers_list_is_refused() {
    let town = Town::start().await;
    let mut both = Leaf::client("https://example.com/a");
    both.uri = vec!["urn:a".to_owned(), "urn:b".to_owned()];
    drop(town);
    let town = Town::with(|config| {
        config
            .replacen(&format!("[\"{}\"]", world::FRONT), "[\"urn:a\"]", 1)
            .replacen(&format!("[\"{}\"]", world::PARTNER), "[\"urn:b\"]", 1)
    })
    .await;
    let issued = town.world.ca.issue(&both).unwrap();
    assert_refused(&town, Some(&issued), "peer_ambiguous").await;
}

#[tokio::test]
async fn every_kind_of_mark_lets_its_certificate_in_and_no_other() {
    let leaf = Leaf {
        cn: "front-cn".to_owned(),
        dns: vec!["front.test".to_owned()],
        ip: vec!["10.1.2.3".parse().unwrap()],
        ..Leaf::client("urn:front")
    };
    // A certificate can only be pinned once it exists, so this world's is made first.
    let folder = tempfile::tempdir().unwrap();
    let now = sidegate::model::Timestamp::now();
    let world = world_at(folder.path(), now);
    let good = world.ca.issue(&leaf).unwrap();
    let facts = sidegate::accept::certificate::Certificate::parse(&good.der).unwrap();
    let other = Leaf {
        cn: "front-cn2".to_owned(),
        dns: vec!["a.front.test".to_owned()],
        ip: vec!["10.1.2.4".parse().unwrap()],
        ..Leaf::client("urn:front2")
    };
    let other = world.ca.issue(&other).unwrap();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    for mark in [
        "uri = [\"urn:front\"]".to_owned(),
        "dns = [\"front.test\"]".to_owned(),
        "ip = [\"10.1.2.3\"]".to_owned(),
        "cn = [\"front-cn\"]".to_owned(),
        format!("sha256 = [\"{}\"]", hex(&facts.sha256)),
        format!("spki = [\"{}\"]", hex(&facts.spki)),
    ] {
        let config = world.config("127.0.0.1:0", "off", "127.0.0.1:9");
        let config = config.replacen(&format!("uri = [\"{}\"]", world::FRONT), &mark, 1);
        let gate = crate::harness::run(&world, config).await;
        for (certificate, welcome) in [(&good, true), (&other, false)] {
            let ca = world.ca.pem();
            let caller =
                sidegate::lab::Caller::new(ca, world::SERVER_NAME, Some(certificate), Http::One);
            let answer = caller.unwrap().call(gate.address, get("/", &[])).await;
            assert_eq!(answer.is_ok(), welcome, "{mark}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_session_is_never_resumed() {
    let town =
        Town::with(|config| config.replacen("[tls]", "[tls]\nmin_version = \"1.2\"", 1)).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut config = client_config(&town, version);
        config.resumption = Resumption::in_memory_sessions(16);
        let config = Arc::new(config);
        for round in 0..3 {
            let name = world::SERVER_NAME.try_into().unwrap();
            let socket = tokio::net::TcpStream::connect(town.gate.address)
                .await
                .unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
            let mut tls = connector.connect(name, socket).await.unwrap();
            // An exchange, so that a ticket would have had its chance to arrive.
            tls.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                .await
                .unwrap();
            let mut some = [0; 64];
            assert!(tls.read(&mut some).await.unwrap() > 0);
            let kind = tls.get_ref().1.handshake_kind().unwrap();
            assert_eq!(
                kind,
                rustls::HandshakeKind::Full,
                "{version:?}, round {round}"
            );
        }
    }
}

#[tokio::test]
async fn tls_1_2_is_refused_unless_it_was_asked_for() {
    let town = Town::start().await;
    let config = client_config(&town, &rustls::version::TLS12);
    let socket = tokio::net::TcpStream::connect(town.gate.address)
        .await
        .unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = world::SERVER_NAME.try_into().unwrap();
    assert!(connector.connect(name, socket).await.is_err());
    eventually("counted", || town.refused("handshake_failed") == 1).await;
}

#[tokio::test]
async fn the_hybrid_post_quantum_key_exchange_is_what_two_willing_ends_agree_on() {
    let town = Town::start().await;
    let config = client_config(&town, &rustls::version::TLS13);
    let socket = tokio::net::TcpStream::connect(town.gate.address)
        .await
        .unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let tls = connector
        .connect(world::SERVER_NAME.try_into().unwrap(), socket)
        .await
        .unwrap();
    let group = tls.get_ref().1.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), rustls::NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn aes_128_is_agreed_on_where_both_ends_can_and_aes_256_where_the_client_insists() {
    let town =
        Town::with(|config| config.replacen("[tls]", "[tls]\nmin_version = \"1.2\"", 1)).await;
    for (version, usual, insisted) in [
        (
            &rustls::version::TLS13,
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            CipherSuite::TLS13_AES_256_GCM_SHA384,
        ),
        (
            &rustls::version::TLS12,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        ),
    ] {
        // By itself the client would have AES-256 first.
        assert_eq!(agreed(&town, version, |_| true).await, usual);
        let only = |suite| suite == insisted;
        assert_eq!(agreed(&town, version, only).await, insisted);
    }
}

/// The suite of a connection whose client offers these.
async fn agreed(
    town: &Town,
    version: &'static rustls::SupportedProtocolVersion,
    offers: impl Fn(CipherSuite) -> bool,
) -> CipherSuite {
    let config = client_config_with(town, version, offers);
    let socket = tokio::net::TcpStream::connect(town.gate.address)
        .await
        .unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = world::SERVER_NAME.try_into().unwrap();
    let tls = connector.connect(name, socket).await.unwrap();
    tls.get_ref().1.negotiated_cipher_suite().unwrap().suite()
}

fn client_config(town: &Town, version: &'static rustls::SupportedProtocolVersion) -> ClientConfig {
    client_config_with(town, version, |_| true)
}

fn client_config_with(
    town: &Town,
    version: &'static rustls::SupportedProtocolVersion,
    offers: impl Fn(CipherSuite) -> bool,
) -> ClientConfig {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(town.world.ca.pem().as_bytes()).unwrap())
        .unwrap();
    let front = &town.world.front;
    let chain = vec![CertificateDer::from_pem_slice(front.chain_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(front.key_pem.as_bytes()).unwrap();
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| offers(suite.suite()));
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap()
}

#[tokio::test]
async fn a_revocation_list_that_ends_closes_what_is_open() {
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let upstream = echo.address.to_string();
    let town = Town::prepared(echo, &upstream, |world, config| {
        // Enough for a busy machine to get so far.
        let list = world.ca.revoke(&[], Validity::For(12)).unwrap();
        let lists = list + &world.intermediate_crl;
        world.write("ca.crl", &lists).unwrap();
        config
    })
    .await;
    let token = bearer(&town.token());
    let fields = [("authorization", &*token)];
    let mut lines = Vec::new();
    for http in BOTH {
        let mut line = town.front(http).open(town.gate.address).await.unwrap();
        assert_eq!(line.send(get("/", &fields)).await.unwrap().status(), 200);
        lines.push(line);
    }
    let closed = "sidegate_connections_closed_total{cause=\"trust\"}";
    eventually("they are closed", || town.sample(closed) == 2).await;
    for http in BOTH {
        let front = town.front(http);
        let again = front.call(town.gate.address, get("/", &fields)).await;
        assert!(again.is_err(), "nor does it get in anew");
    }
}

#[tokio::test]
async fn a_certificate_that_got_in_does_not_once_it_has_ended() {
    let town = Town::start().await;
    let short = Leaf::client(world::FRONT).valid(Validity::For(6));
    let short = town.world.ca.issue(&short).unwrap();
    let token = bearer(&town.token());
    let call = async || {
        let caller = town.caller(Some(&short), Http::One);
        let call = get("/", &[("authorization", &token)]);
        caller.call(town.gate.address, call).await
    };
    for _ in 0..2 {
        assert_eq!(call().await.unwrap().status(), 200);
    }
    eventually_so("it is refused", async || call().await.is_err()).await;
    eventually("counted", || town.refused("certificate_expired") == 1).await;
}
