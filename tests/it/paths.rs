//! No spelling of a path walks around a rule: hundreds of them against a protected prefix, as raw
//! bytes over HTTP/1.1 and HTTP/2, in front of a real nginx, which decodes, merges and resolves, and
//! of a service that does not, whose target is then read in every careless way.

mod corpus;
mod wire;

use std::fmt::Write as _;

use sidegate::lab::{Caller, Echo, Http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::corpus::{careless_readings, spellings};
use self::wire::Wire;
use crate::harness::peer::{Service, nginx_service};
use crate::harness::{ANY, Town, bearer};

const MODES: [&str; 2] = ["refuse", "normalise"];

/// Everybody with a token may go anywhere but below `/admin`.
fn rules(mode: &str) -> String {
    format!(
        "\n[[route]]\nname = \"admin\"\npath = \"/admin/**\"\n\
         claims = {{ groups = {{ any = [\"admins\"] }} }}\n\
         [[route]]\npath = \"/**\"\n\
         [paths]\nambiguous = \"{mode}\"\n"
    )
}

async fn town(mode: &str, upstream: Option<&Service>) -> Town {
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let echoing = echo.address.to_string();
    let upstream = upstream.map_or(&*echoing, |service| &service.upstream);
    Town::before(echo, upstream, |config| config + &rules(mode)).await
}

/// `Authorization` with a good token of somebody in these groups.
fn pass(town: &Town, groups: &[&str]) -> String {
    let claims = town.world.token().claim("groups", groups.to_vec());
    bearer(&claims.sign(&town.world.key).unwrap())
}

/// A caller over `http` that keeps its connection.
fn wire<'a>(front: &'a Caller, http: Http, town: &Town) -> Wire<'a> {
    Wire::new(front, http, town.gate.address)
}

/// Sends `GET spelling` as these very bytes and gives back the answer, its body at least.
async fn ask(wire: &mut Wire<'_>, spelling: &[u8], pass: &str) -> String {
    let answer = wire.get(spelling, pass).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn shown(spelling: &[u8]) -> String {
    spelling.escape_ascii().to_string()
}

/// The target that the echo service saw, if it saw one.
fn target(body: &str) -> Option<String> {
    let json = body.get(body.find('{')?..=body.rfind('}')?)?;
    let seen: serde_json::Value = serde_json::from_str(json).ok()?;
    seen["target"].as_str().map(str::to_owned)
}

async fn no_spelling_reaches_a_protected_page(http: Http, service: Option<Service>) {
    for mode in MODES {
        let town = town(mode, service.as_ref()).await;
        let front = town.front(http);
        let mut wire = wire(&front, http, &town);
        let (nobody, admin) = (pass(&town, &["users"]), pass(&town, &["admins"]));
        let mut wrong = String::new();
        let mut passed = 0;
        for spelling in spellings() {
            let body = ask(&mut wire, &spelling, &nobody).await;
            let reached = target(&body);
            let is_protected = body.contains("PROTECTED")
                || reached.iter().any(|target| careless_readings(target));
            passed += usize::from(body.contains("OPEN") || reached.is_some());
            if is_protected {
                writeln!(wrong, "{mode}: {}: {body}", shown(&spelling)).unwrap();
            }
        }
        assert_eq!(wrong, "");
        println!(
            "{mode}: {passed} of {} passed, to open pages",
            spellings().len()
        );
        // What is refused for another reason than its path shows nothing: the claim opens the page,
        // and an open page is open.
        let page = |body: String, open: &str| {
            let reached = target(&body).unwrap_or(body);
            assert!(reached.contains(open), "{mode}: {reached}");
        };
        let plain = if service.is_some() {
            "PROTECTED /admin/secret"
        } else {
            "/admin/secret"
        };
        page(ask(&mut wire, b"/admin/secret", &admin).await, plain);
        let plain = if service.is_some() {
            "OPEN /public"
        } else {
            "/public"
        };
        page(ask(&mut wire, b"/public", &nobody).await, plain);
    }
}

#[tokio::test]
async fn no_spelling_reaches_a_protected_page_over_http_1() {
    no_spelling_reaches_a_protected_page(Http::One, None).await;
}

#[tokio::test]
async fn no_spelling_reaches_a_protected_page_over_http_2() {
    no_spelling_reaches_a_protected_page(Http::Two, None).await;
}

#[tokio::test]
async fn no_spelling_reaches_a_protected_page_of_nginx_over_http_1() {
    if let Some(nginx) = nginx_service().await {
        no_spelling_reaches_a_protected_page(Http::One, Some(nginx)).await;
    }
}

#[tokio::test]
async fn no_spelling_reaches_a_protected_page_of_nginx_over_http_2() {
    if let Some(nginx) = nginx_service().await {
        no_spelling_reaches_a_protected_page(Http::Two, Some(nginx)).await;
    }
}

/// Without the gate many of them do reach it: the corpus is worth something.
#[tokio::test]
async fn the_spellings_are_understood_by_nginx() {
    let Some(nginx) = nginx_service().await else {
        return;
    };
    let mut reached = 0;
    for spelling in spellings() {
        let mut socket = TcpStream::connect(&nginx.upstream).await.unwrap();
        let head = [
            b"GET ",
            &*spelling,
            b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        ];
        socket.write_all(&head.concat()).await.unwrap();
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer).await);
        reached += usize::from(answer.windows(9).any(|word| word == b"PROTECTED"));
    }
    let all = spellings().len();
    println!("{reached} of {all} reach a protected page of nginx");
    assert!(all >= 150, "{all}");
    assert!(reached >= 50, "{reached} of {all}");
}

#[tokio::test]
async fn the_normal_form_is_what_reaches_the_upstream() {
    let town = town("normalise", None).await;
    let admin = pass(&town, &["admins"]);
    for http in [Http::One, Http::Two] {
        let front = town.front(http);
        let mut wire = wire(&front, http, &town);
        for (spelling, forwarded) in [
            (
                "/public//./a/../b%7e/%c3%a9?q=/../%2f;//",
                "/public/b~/%C3%A9?q=/../%2f;//",
            ),
            ("/public/../%61dmin//secret", "/admin/secret"),
            ("/public/", "/public/"),
            ("/users/ada%40example.com", "/users/ada%40example.com"),
        ] {
            let body = ask(&mut wire, spelling.as_bytes(), &admin).await;
            assert_eq!(
                target(&body).as_deref(),
                Some(forwarded),
                "{spelling}: {body}"
            );
        }
    }
}

#[tokio::test]
async fn without_routes_a_path_goes_through_as_it_came() {
    let town = Town::start().await;
    let pass = pass(&town, &["users"]);
    for http in [Http::One, Http::Two] {
        let front = town.front(http);
        let mut wire = wire(&front, http, &town);
        for spelling in ["/a//b/../c;x=%2f/%2e/%252e?q", "/%61", "//x"] {
            let body = ask(&mut wire, spelling.as_bytes(), &pass).await;
            assert_eq!(target(&body).as_deref(), Some(spelling), "{body}");
        }
    }
}
