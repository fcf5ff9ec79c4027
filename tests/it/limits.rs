//! Everything has an end: bytes, fields, time, connections, requests.

use std::time::Duration;

use sidegate::lab::{CallError, Http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::process::Gate;
use crate::harness::{
    ANY, Town, bearer, eventually, eventually_so, get, local, plain, raw, request, seen,
};

/// The standard configuration with more under one of its tables.
fn and(table: &str, lines: &str) -> impl FnOnce(String) -> String {
    let addition = format!("\n[{table}]\n{lines}\n");
    move |config| config + &addition
}

#[tokio::test]
async fn a_header_that_is_too_large_or_has_too_many_fields_is_431() {
    let town = Town::with(and("limits", "header_bytes = \"16KiB\"\nheader_count = 20")).await;
    let token = bearer(&town.token());
    let large = "x".repeat(17 * 1024);
    let many: Vec<String> = (0..25).map(|number| format!("x-{number}")).collect();
    for http in [Http::One, Http::Two] {
        let caller = town.front(http);
        let fields = [("authorization", &*token), ("x-large", &*large)];
        let answer = caller
            .call(town.gate.address, get("/", &fields))
            .await
            .unwrap();
        assert_eq!(answer.status(), 431, "{http:?}");
        let mut fields = vec![("authorization", &*token)];
        fields.extend(many.iter().map(|name| (&**name, "1")));
        let answer = caller
            .call(town.gate.address, get("/", &fields))
            .await
            .unwrap();
        assert_eq!(answer.status(), 431, "{http:?}");
        assert_eq!(
            answer.headers()["proxy-status"],
            "sidegate; error=http_request_denied"
        );
    }
    assert_eq!(town.refused("header_too_large"), 4);
    assert_eq!(town.echo.served(), 0);
}

#[tokio::test]
async fn one_field_more_than_a_limit_is_431_wherever_it_is_counted() {
    // Up to 100 hyper counts as well, and beyond only the gate.
    for (limit, lines) in [(100, ""), (300, "header_count = 300")] {
        let town = Town::with(and("limits", lines)).await;
        let token = bearer(&town.token());
        let many: Vec<String> = (0..limit).map(|number| format!("x-{number}")).collect();
        for http in [Http::One, Http::Two] {
            // The host is a field of HTTP/1.1 alone.
            let own = 1 + usize::from(matches!(http, Http::One));
            for (count, refused) in [(limit - own, 0), (limit - own + 1, 1)] {
                let before = town.refused("header_too_large");
                let mut fields = vec![("authorization", &*token)];
                fields.extend(many.iter().take(count).map(|name| (&**name, "1")));
                let answer = town
                    .front(http)
                    .call(town.gate.address, get("/", &fields))
                    .await
                    .unwrap();
                // The service behind, which gets the gate's own fields on top, says so to both.
                assert_eq!(answer.status(), 431, "{count} of {limit}, {http:?}");
                let refused_now = town.refused("header_too_large") - before;
                assert_eq!(refused_now, refused, "{count} of {limit}, {http:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_header_far_beyond_the_limit_is_refused_by_the_parser_and_counted() {
    let town = Town::with(and("limits", "header_bytes = \"16KiB\"")).await;
    let answer = raw(
        &town,
        &format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(200_000)),
    )
    .await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    eventually("counted", || town.refused("header_too_large") == 1).await;
}

#[tokio::test]
async fn a_message_with_two_readings_is_400_and_goes_nowhere() {
    let town = Town::start().await;
    let token = bearer(&town.token());
    let good = format!("host: a\r\nauthorization: {token}\r\nconnection: close\r\n");
    for (what, text) in [
        (
            "two hosts",
            format!("GET / HTTP/1.1\r\nhost: b\r\n{good}\r\n"),
        ),
        (
            "no host",
            format!("GET / HTTP/1.1\r\nauthorization: {token}\r\nconnection: close\r\n\r\n"),
        ),
        (
            "another authority",
            format!("GET http://b/ HTTP/1.1\r\n{good}\r\n"),
        ),
        (
            "a user in the host",
            "GET / HTTP/1.1\r\nhost: u@a\r\nconnection: close\r\n\r\n".to_owned(),
        ),
        ("a tunnel", format!("CONNECT a:1 HTTP/1.1\r\n{good}\r\n")),
        (
            "two lengths",
            format!("POST / HTTP/1.1\r\n{good}content-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        ),
        (
            "a signed length",
            format!("POST / HTTP/1.1\r\n{good}content-length: +1\r\n\r\na"),
        ),
        (
            "an unknown coding",
            format!("POST / HTTP/1.1\r\n{good}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "a folded line",
            format!("GET / HTTP/1.1\r\n{good}x: a\r\n b\r\n\r\n"),
        ),
        (
            "a space before the colon",
            format!("GET / HTTP/1.1\r\n{good}x : a\r\n\r\n"),
        ),
        (
            "a bare line feed in a value",
            format!("GET / HTTP/1.1\r\n{good}x: a\rb\r\n\r\n"),
        ),
        ("an asterisk", format!("GET * HTTP/1.1\r\n{good}\r\n")),
    ] {
        let answer = raw(&town, &text).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{what}: {answer}");
    }
    assert_eq!(town.refused("request_malformed"), 12);
    assert_eq!(town.echo.served(), 0);
}

#[tokio::test]
async fn a_length_beside_a_coding_is_dropped_and_the_connection_ends() {
    let town = Town::start().await;
    let text = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ncontent-length: 3\r\n\
         transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
        bearer(&town.token())
    );
    let answer = raw(&town, &text).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        !answer.contains("content-length\","),
        "the upstream saw one framing: {answer}"
    );
    assert_eq!(
        answer.matches("HTTP/1.1 ").count(),
        1,
        "what follows is not read: {answer}"
    );
    assert_eq!(town.echo.served(), 1);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whether_it_says_its_length_or_not() {
    let town = Town::with(and("limits", "body_bytes = \"1KiB\"")).await;
    let token = bearer(&town.token());
    let fields = [("authorization", &*token)];
    for http in [Http::One, Http::Two] {
        let fits = request("POST", "/", &fields, &"x".repeat(1024));
        let answer = town
            .front(http)
            .call(town.gate.address, fits)
            .await
            .unwrap();
        assert_eq!(seen(&answer)["body_bytes"], 1024);
        let large = request("POST", "/", &fields, &"x".repeat(1025));
        let answer = town
            .front(http)
            .call(town.gate.address, large)
            .await
            .unwrap();
        assert_eq!(answer.status(), 413);
    }
    let chunk = format!("800\r\n{}\r\n", "x".repeat(0x800));
    let text = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
    );
    let answer = raw(&town, &text).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(town.refused("body_too_large"), 3);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_beside_a_websocket_too() {
    let town = Town::with(and("limits", "body_bytes = \"1KiB\"")).await;
    let chunk = format!("800\r\n{}\r\n", "x".repeat(0x800));
    let text = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\
         transfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n",
        bearer(&town.token())
    );
    let answer = raw(&town, &text).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(town.refused("body_too_large"), 1);
}

#[tokio::test]
async fn a_header_that_does_not_end_is_408_while_a_silent_connection_waits_longer() {
    let town = Town::with(and(
        "timeouts",
        "header_read = \"500ms\"\nidle = \"1500ms\"",
    ))
    .await;
    let mut slow = town
        .front(Http::One)
        .connect(town.gate.address)
        .await
        .unwrap();
    let mut silent = town
        .front(Http::One)
        .connect(town.gate.address)
        .await
        .unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nhost").await.unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("proxy-status"),
        "{answer}"
    );
    assert_eq!(town.refused("header_too_slow"), 1);
    let exposition = String::from_utf8(town.gate.metrics.render()).unwrap();
    assert!(exposition.contains("sidegate_connections_closed_total{cause=\"idle\"} 0"));
    let end = tokio::time::timeout(Duration::from_secs(20), silent.read(&mut [0; 16])).await;
    assert!(
        matches!(end.unwrap(), Ok(0) | Err(_)),
        "closed without a word"
    );
}

#[tokio::test]
async fn a_body_that_stalls_is_408() {
    let town = Town::with(and("timeouts", "stream_idle = \"1s\"")).await;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ncontent-length: 10\r\n\r\nabc",
        bearer(&town.token())
    );
    let answer = raw(&town, &head).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(town.refused("request_too_slow"), 1);
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_503_and_one_that_is_silent_504_and_one_that_babbles_502()
{
    let closed = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
    let silent = TcpListener::bind(ANY).await.unwrap();
    let babbling = TcpListener::bind(ANY).await.unwrap();
    let (silent_at, babbling_at) = (silent.local_addr().unwrap(), babbling.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = babbling.accept().await {
            // Read first: a close with bytes unread would be a reset.
            drop(socket.read(&mut [0; 4096]).await);
            drop(socket.write_all(b"SSH-2.0-nonsense\r\n\r\n").await);
        }
    });
    for (address, status, reason) in [
        (closed, 503, "upstream_unavailable"),
        (silent_at, 504, "upstream_too_slow"),
        (babbling_at, 502, "upstream_failed"),
    ] {
        let town = Town::with(|config| {
            let (before, _) = config.split_once("[upstream]").unwrap();
            let after = config.split_once("[identity").unwrap().1;
            format!(
                "{before}[upstream]\naddress = \"{address}\"\nresponse_timeout = \"1s\"\n[identity{after}"
            )
        })
        .await;
        let token = bearer(&town.token());
        let call = get("/", &[("authorization", &token)]);
        let answer = town
            .front(Http::One)
            .call(town.gate.address, call)
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{reason}");
        assert!(answer.headers().contains_key("proxy-status"));
        assert_eq!(town.refused(reason), 1);
    }
    drop(silent);
}

#[tokio::test]
async fn a_peer_with_all_its_connections_open_gets_no_further_one_and_others_do() {
    let town = Town::with(and("limits", "connections_per_peer = 2")).await;
    let front = town.front(Http::One);
    let token = bearer(&town.token());
    let mut lines = Vec::new();
    for _ in 0..2 {
        let mut line = front.open(town.gate.address).await.unwrap();
        assert_eq!(
            line.send(get("/", &[("authorization", &token)]))
                .await
                .unwrap()
                .status(),
            200
        );
        lines.push(line);
    }
    let third = front
        .call(town.gate.address, get("/", &[("authorization", &token)]))
        .await;
    assert!(matches!(third, Err(CallError::Connection(_))), "{third:?}");
    assert_eq!(town.refused("peer_connection_limit"), 1);
    let partner = town.caller(Some(&town.world.partner), Http::One);
    assert_eq!(
        partner
            .call(town.gate.address, get("/", &[]))
            .await
            .unwrap()
            .status(),
        401
    );
    lines.pop();
    for _ in 0..500 {
        let again = front
            .call(town.gate.address, get("/", &[("authorization", &token)]))
            .await;
        if again.is_ok_and(|answer| answer.status() == 200) {
            return;
        }
    }
    panic!("a closed connection never gave its place back");
}

#[tokio::test]
async fn a_flood_of_silent_handshakes_does_not_keep_a_good_peer_out() {
    let town = Town::with(and("limits", "handshakes = 8")).await;
    let mut flood = Vec::new();
    for _ in 0..40 {
        flood.push(
            tokio::net::TcpStream::connect(town.gate.address)
                .await
                .unwrap(),
        );
    }
    let token = bearer(&town.token());
    let call = get("/", &[("authorization", &token)]);
    assert_eq!(
        town.front(Http::One)
            .call(town.gate.address, call)
            .await
            .unwrap()
            .status(),
        200
    );
    assert!(town.refused("connection_limit") >= 32);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_closed_and_counted() {
    let town = Town::with(and("timeouts", "handshake = \"1s\"")).await;
    let mut silent = tokio::net::TcpStream::connect(town.gate.address)
        .await
        .unwrap();
    let end = tokio::time::timeout(Duration::from_secs(20), silent.read(&mut [0; 16])).await;
    assert!(matches!(end.unwrap(), Ok(0) | Err(_)));
    eventually("counted", || town.refused("handshake_too_slow") == 1).await;
}

#[tokio::test]
async fn more_requests_at_once_than_allowed_are_503_with_retry_after() {
    let silent = TcpListener::bind(ANY).await.unwrap();
    let address = silent.local_addr().unwrap();
    let town = Town::with(|config| {
        let (before, after) = config.split_once("[upstream]\naddress = \"").unwrap();
        let after = after.split_once('"').unwrap().1;
        format!("{before}[upstream]\naddress = \"{address}\"{after}\n[limits]\nrequests = 1\n")
    })
    .await;
    let token = bearer(&town.token());
    let mut first = town.front(Http::Two).open(town.gate.address).await.unwrap();
    let waiting = {
        let call = get("/", &[("authorization", &token)]);
        tokio::spawn(async move { first.send(call).await })
    };
    let (held, _) = silent.accept().await.unwrap();
    let call = get("/", &[("authorization", &token)]);
    let answer = town
        .front(Http::One)
        .call(town.gate.address, call)
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(town.refused("request_limit"), 1);
    drop(held);
    assert_eq!(waiting.await.unwrap().unwrap().status(), 502);
}

#[tokio::test]
async fn an_answer_that_comes_before_the_end_of_the_body_still_arrives() {
    let body = "x".repeat(1 << 20);
    let chunked = format!("100000\r\n{body}\r\n0\r\n\r\n");
    // Answers at once and closes, without reading a byte of the body.
    let rude = TcpListener::bind(ANY).await.unwrap();
    let rude_at = rude.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = rude.accept().await {
            drop(socket.read(&mut [0; 64]).await);
            let answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            drop(socket.write_all(answer.as_bytes()).await);
            drop(socket.shutdown().await);
            let mut rest = vec![0; 1 << 16];
            while matches!(socket.read(&mut rest).await, Ok(1..)) {}
        }
    });
    let nobody = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
    for (upstream, limit, status) in [
        (rude_at, "2MiB", "403"),
        (nobody, "2MiB", "503"),
        (rude_at, "1KiB", "413"),
    ] {
        let town = Town::with(|config| {
            let (before, after) = config.split_once("[upstream]\naddress = \"").unwrap();
            let after = after.split_once('"').unwrap().1;
            format!(
                "{before}[upstream]\naddress = \"{upstream}\"{after}\n[limits]\nbody_bytes = \"{limit}\"\n"
            )
        })
        .await;
        let head = format!(
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: {}\r\n",
            bearer(&town.token())
        );
        let text = format!("{head}transfer-encoding: chunked\r\n\r\n{chunked}");
        let answer = raw(&town, &text).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{limit} {answer:.200}"
        );
    }
}

#[tokio::test]
async fn an_identity_that_cannot_be_told_is_said_before_the_body_is_all_there() {
    let town = Town::start().await;
    // Three times as long once it is escaped.
    let long = town.world.token().claim("email", "é".repeat(1500));
    let long = bearer(&long.sign(&town.world.key).unwrap());
    let head =
        format!("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: {long}\r\n");
    let body = "x".repeat(1 << 20);
    let text = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let answer = raw(&town, &text).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer:.200}");
    assert_eq!(town.refused("identity_unforwardable"), 1);
}

#[tokio::test]
async fn the_deadline_of_the_whole_exchange_blames_whoever_was_slow() {
    let silent = TcpListener::bind(ANY).await.unwrap();
    let address = silent.local_addr().unwrap();
    let town = Town::with(|config| {
        let (before, after) = config.split_once("[upstream]\naddress = \"").unwrap();
        let after = after.split_once('"').unwrap().1;
        format!(
            "{before}[upstream]\naddress = \"{address}\"{after}\n[timeouts]\nrequest = \"1s\"\n"
        )
    })
    .await;
    let token = bearer(&town.token());
    let call = get("/", &[("authorization", &token)]);
    let answer = town
        .front(Http::Two)
        .call(town.gate.address, call)
        .await
        .unwrap();
    assert_eq!(answer.status(), 504);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\ncontent-length: 10\r\n\r\nabc"
    );
    let answer = raw(&town, &head).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    drop(silent);
}

#[tokio::test]
async fn too_many_open_files_pause_the_door_and_it_opens_again() {
    let echo = sidegate::lab::Echo::start(ANY.parse().unwrap())
        .await
        .unwrap();
    let upstream = echo.address.to_string();
    let gate = Gate::under("ulimit -n 48; exec \"$@\"", &upstream, "").await;
    let address = local(gate.port);
    let mut crowd = Vec::new();
    for _ in 0..64 {
        crowd.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    eventually("the system has said no", || {
        gate.log().contains("cannot accept connections")
    })
    .await;
    crowd.clear();
    eventually_so("a good caller gets in again", async || {
        let call = get("/", &[("authorization", &gate.pass())]);
        let answer = gate.front(Http::One).call(address, call).await;
        answer.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
}

/// Whoever may connect to the admin port could otherwise have the process restarted.
#[tokio::test]
async fn whoever_asks_and_does_not_read_keeps_no_probe_waiting() {
    let town = Town::start().await;
    let admin = town.gate.admin.unwrap();
    let mut deaf = Vec::new();
    for _ in 0..64 {
        let mut socket = tokio::net::TcpStream::connect(admin).await.unwrap();
        // More answers than all buffers on the way hold.
        let asked = "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2_000);
        let sending = socket.write_all(asked.as_bytes());
        drop(tokio::time::timeout(Duration::from_secs(1), sending).await);
        deaf.push(socket);
    }
    let request = http::Request::get("/livez").body(http_body_util::Full::default());
    let probe = plain::call(admin.port(), request.unwrap());
    let answer = tokio::time::timeout(Duration::from_secs(30), probe).await;
    assert_eq!(answer.expect("no answer").head.status(), 200);
}
