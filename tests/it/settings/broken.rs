//! Broken configurations, and the exact words that each is refused with.
//!
//! A row takes one piece of [`BASE`] and puts another in its place; an empty piece stands for the
//! end of the file. The words are without the quoted source line.

/// A small configuration that starts.
pub(crate) const BASE: &str = r#"[tls]
certificate = "tls.crt"
private_key = "tls.key"
client_ca = "ca.crt"

[[peer]]
name = "edge"
uri = ["spiffe://prod.example/edge"]
issuers = ["idp"]

[[issuer]]
name = "idp"
issuer = "https://idp.example"
audience = ["api"]
keys = { file = "jwks.json" }

[upstream]
address = "127.0.0.1:8080"
"#;

const TLS_SECTION: &str = r#"[tls]
certificate = "tls.crt"
private_key = "tls.key"
client_ca = "ca.crt"
"#;
const PEER_SECTION: &str = r#"[[peer]]
name = "edge"
uri = ["spiffe://prod.example/edge"]
issuers = ["idp"]
"#;
const ISSUER_SECTION: &str = r#"[[issuer]]
name = "idp"
issuer = "https://idp.example"
audience = ["api"]
keys = { file = "jwks.json" }
"#;

/// What is replaced, by what, and what is said.
pub(crate) const ROWS: &[(&str, &str, &str)] = &[
    // The ten that `sidegate check` shows first
    (
        r#"client_ca = "ca.crt""#,
        r#"client_cert = "ca.crt""#,
        "sidegate.toml:4:1: tls.client_cert: unknown key; did you mean `client_ca`?",
    ),
    (
        r#"address = "127.0.0.1:8080""#,
        r#"address = "localhost:8080""#,
        r#"sidegate.toml:18:11: upstream.address: "localhost:8080" must be resolved first; write "127.0.0.1:8080" or "[::1]:8080""#,
    ),
    (
        r#"address = "127.0.0.1:8080""#,
        r#"address = "10.0.0.7:8080""#,
        r#"sidegate.toml:18:11: upstream.address: "10.0.0.7:8080" is not on loopback; write "127.0.0.1:8080", or unsafe_address = true if nobody else can reach the way there"#,
    ),
    (
        r#"issuers = ["idp"]"#,
        r#"issuers = ["ipd"]"#,
        r#"sidegate.toml:9:12: peer[0].issuers: no [[issuer]] is named "ipd"; did you mean `idp`?"#,
    ),
    (
        r#"uri = ["spiffe://prod.example/edge"]"#,
        r#"uri = ["spiffe://Prod.Example/edge"]"#,
        r#"sidegate.toml:8:8: peer[0].uri: "spiffe://Prod.Example/edge" has upper case in its trust domain; write it in lower case"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"algorithms = ["HS256"]
keys = { file = "jwks.json" }"#,
        r#"sidegate.toml:15:14: issuer[0].algorithms: HS algorithms need keys.secret; write keys = { secret = "..." }, the path of the secret's file"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"algorithms = ["es256"]
keys = { file = "jwks.json" }"#,
        r#"sidegate.toml:15:15: issuer[0].algorithms: "es256" is no algorithm; did you mean `ES256`?"#,
    ),
    (
        "",
        "[timeouts]\nidle = 30",
        r#"sidegate.toml:21:8: timeouts.idle: a string is needed here, not a whole number; write the unit too: idle = "30s""#,
    ),
    (
        "",
        r#"[identity]
headers = { "X-User" = "sub", "X_User" = "email" }"#,
        r#"sidegate.toml:21:31: identity.headers.X_User: many services read it and "X-User" as one; keep one of the two"#,
    ),
    (
        r#"certificate = "tls.crt""#,
        "certificate = tls.crt",
        r#"sidegate.toml:2:15: tls.certificate: not TOML: a string needs quotes; write certificate = "tls.crt""#,
    ),
    // Syntax and shape
    (
        "[tls]",
        "[tls",
        "sidegate.toml:1:5: tls: not TOML: unclosed table, expected `]`; see https://toml.io/en/v1.0.0 for how values and tables are written",
    ),
    (
        r#"certificate = "tls.crt""#,
        "certificate =",
        r#"sidegate.toml:2:14: tls.certificate: not TOML: the value is missing; write certificate = "...", or take the line out"#,
    ),
    (
        r#"certificate = "tls.crt""#,
        r#"certificate = "a.crt"
certificate = "b.crt""#,
        "sidegate.toml:3:1: tls.certificate: written twice; keep one of the two",
    ),
    (
        "[upstream]",
        "[tls]",
        "sidegate.toml:17:2: tls: written twice; put the keys of both into one section",
    ),
    (
        "[[peer]]",
        "[peer]",
        "sidegate.toml:6:1: peer: an array is needed here, not a table; write [[peer]], with two brackets",
    ),
    (
        "[tls]",
        "[[tls]]",
        "sidegate.toml:1:1: tls: a table is needed here, not an array; write [tls] once, with single brackets",
    ),
    (
        "[[issuer]]",
        "[[isuer]]",
        "sidegate.toml:11:3: isuer: unknown key; did you mean `issuer`?",
    ),
    (
        "",
        r#"[server]
address = "0.0.0.0:1""#,
        "sidegate.toml:20:2: server: unknown key; did you mean `listen`?",
    ),
    (
        "",
        r#"[cors]
origin = "*""#,
        "sidegate.toml:20:2: cors: unknown key; the sections are: `listen`, `tls`, `peer`, `issuer`, `route`, `paths`, `deny`, `upstream`, `identity`, `admin`, `limits`, `timeouts`, `shutdown`, `log`, `runtime`",
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = "jwks.json""#,
        r#"sidegate.toml:15:8: issuer[0].keys: a table is needed here, not a string; write for example keys = { file = "/etc/sidegate/jwks/jwks.json" }"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { jwks = "https://idp.example/jwks" }"#,
        "sidegate.toml:15:10: issuer[0].keys.jwks: unknown key; `issuer[0].keys` may hold: `file`, `pem`, `directory`, `secret`, `url`, `discovery`, `pem_url`, `format`, `ca`, `certificate`, `private_key`, `server_name`, `refresh`, `max_stale`",
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json" }
forward = "true""#,
        "sidegate.toml:16:11: issuer[0].forward: true or false is needed here, not a string; write forward = true, without quotes",
    ),
    (
        "",
        "[limits]\nbody_bytes = false",
        r#"sidegate.toml:21:14: limits.body_bytes: a whole number or a string is needed here, not true or false; write body_bytes = "off""#,
    ),
    (
        "",
        "[limits]\nconnections = 99999999999999999999",
        "sidegate.toml:21:15: limits.connections: the number is too large; write a smaller one",
    ),
    (
        "",
        "[tls2]\nx = 1",
        "sidegate.toml:20:2: tls2: unknown key; did you mean `tls`?",
    ),
    (
        r#"client_ca = "ca.crt""#,
        r#"client_ca = "ca.crt"
min_version = 1.2"#,
        r#"sidegate.toml:5:15: tls.min_version: a string is needed here, not a fraction; write min_version = "1.2""#,
    ),
    // What is missing
    (
        TLS_SECTION,
        "",
        "sidegate.toml:14:27: tls: missing; write a section [tls] with certificate, private_key and client_ca",
    ),
    (
        r#"client_ca = "ca.crt"
"#,
        "",
        r#"sidegate.toml:1:1: tls.client_ca: missing; write client_ca = "...", the path of a PEM file"#,
    ),
    (
        PEER_SECTION,
        "",
        "sidegate.toml:14:27: peer: missing; write a section [[peer]] with a name, a mark such as uri, and issuers: without one nobody could connect",
    ),
    (
        r#"name = "edge"
"#,
        "",
        r#"sidegate.toml:6:1: peer[0].name: missing; write name = "...": what logs and metrics shall call it"#,
    ),
    (
        r#"uri = ["spiffe://prod.example/edge"]
"#,
        "",
        "sidegate.toml:6:1: peer[0]: nothing to recognize this peer by; write at least one of uri, dns, ip, cn, sha256 and spki: without one no certificate is this peer's",
    ),
    (
        r#"uri = ["spiffe://prod.example/edge"]
"#,
        "uri = []\n",
        "sidegate.toml:8:7: peer[0].uri: is empty; write at least one element, or take the line out",
    ),
    (
        r#"issuers = ["idp"]
"#,
        "",
        r#"sidegate.toml:6:1: peer[0].issuers: missing; write issuers = ["idp"]: whose tokens this peer may bring"#,
    ),
    (
        r#"issuers = ["idp"]"#,
        "issuers = []",
        "sidegate.toml:9:11: peer[0].issuers: is empty; name at least one [[issuer]]: whose tokens this peer may bring",
    ),
    (
        ISSUER_SECTION,
        "",
        "sidegate.toml:13:27: issuer: missing; write a section [[issuer]] with name, issuer, audience and keys: without one no token could be verified",
    ),
    (
        r#"issuer = "https://idp.example"
"#,
        "",
        r#"sidegate.toml:11:1: issuer[0].issuer: missing; write issuer = "...", the whole iss claim of its tokens"#,
    ),
    (
        r#"audience = ["api"]
"#,
        "",
        r#"sidegate.toml:11:1: issuer[0].audience: missing; write audience = ["..."], what aud holds in tokens for this service: without it a token for any other service would do"#,
    ),
    (
        r#"audience = ["api"]"#,
        r#"audience = ["*"]"#,
        r#"sidegate.toml:14:13: issuer[0].audience: "*" is compared like any other text: nothing stands for every audience; write what aud holds in tokens for this service"#,
    ),
    (
        r#"keys = { file = "jwks.json" }
"#,
        "",
        r#"sidegate.toml:11:1: issuer[0].keys: missing; write keys = { url = "https://..." } or { file = "..." } for a JWKS, { pem = "..." } for public keys, or { secret = "..." } for the file with an HS secret"#,
    ),
    (
        r#"address = "127.0.0.1:8080"
"#,
        "",
        r#"sidegate.toml:17:1: upstream.address: missing; write address = "127.0.0.1:8080", the port of the service on loopback, or set SIDEGATE_UPSTREAM"#,
    ),
    // [tls]
    (
        r#"client_ca = "ca.crt""#,
        r#"client_ca = "ca.crt"
min_version = "1.1""#,
        r#"sidegate.toml:5:15: tls.min_version: "1.1" is not known here; write one of: `1.2`, `1.3`"#,
    ),
    (
        r#"private_key = "tls.key""#,
        r#"private_key = "-----BEGIN PRIVATE KEY-----""#,
        "sidegate.toml:3:15: tls.private_key: holds PEM itself; write the path of a PEM file",
    ),
    (
        r#"certificate = "tls.crt""#,
        r#"certificate = """#,
        "sidegate.toml:2:15: tls.certificate: is no path; write the path of a file",
    ),
    // [[peer]]
    (
        "",
        r#"[[peer]]
name = "edge"
dns = ["b.internal"]
issuers = ["idp"]"#,
        r#"sidegate.toml:21:8: peer[1].name: peer[0] is named "edge" already; write another name"#,
    ),
    (
        "",
        r#"[[peer]]
name = "other"
uri = ["spiffe://prod.example/edge"]
issuers = ["idp"]"#,
        r#"sidegate.toml:22:8: peer[1].uri: "spiffe://prod.example/edge" is a mark of peer "edge" already; a certificate must name one peer: keep it in one of the two"#,
    ),
    (
        r#"name = "edge""#,
        r#"name = "the edge""#,
        r#"sidegate.toml:7:8: peer[0].name: "the edge" is no name; write 1 to 64 of a-z, A-Z, 0-9, '.', '-' and '_'"#,
    ),
    (
        r#"uri = ["spiffe://prod.example/edge"]"#,
        r#"dns = ["*.internal"]"#,
        r#"sidegate.toml:8:8: peer[0].dns: "*.internal" has a wildcard; list every whole name"#,
    ),
    (
        r#"uri = ["spiffe://prod.example/edge"]"#,
        r#"dns = ["Edge.Internal"]"#,
        r#"sidegate.toml:8:8: peer[0].dns: "Edge.Internal" has upper case; write "edge.internal""#,
    ),
    (
        r#"uri = ["spiffe://prod.example/edge"]"#,
        r#"dns = ["edge.internal."]"#,
        r#"sidegate.toml:8:8: peer[0].dns: "edge.internal." ends with a dot; write "edge.internal""#,
    ),
    (
        r#"uri = ["spiffe://prod.example/edge"]"#,
        r#"dns = ["https://edge.internal/"]"#,
        r#"sidegate.toml:8:8: peer[0].dns: "https://edge.internal/" is a URL; write the name alone, "edge.internal", or use `uri`"#,
    ),
    (
        r#"uri = ["spiffe://prod.example/edge"]"#,
        r#"ip = ["10.0.0.0/8"]"#,
        r#"sidegate.toml:8:7: peer[0].ip: "10.0.0.0/8" is a network; list every whole address"#,
    ),
    (
        r#"uri = ["spiffe://prod.example/edge"]"#,
        r#"uri = ["prod.example/edge"]"#,
        r#"sidegate.toml:8:8: peer[0].uri: "prod.example/edge" is no absolute URI; write the whole URI, such as "spiffe://prod.example/edge"; a host name is `dns`"#,
    ),
    (
        r#"uri = ["spiffe://prod.example/edge"]"#,
        r#"uri = ["spiffe://prod.example"]"#,
        r#"sidegate.toml:8:8: peer[0].uri: "spiffe://prod.example" names a whole trust domain; add the workload's path, such as /ns/edge/sa/pomerium"#,
    ),
    (
        r#"uri = ["spiffe://prod.example/edge"]"#,
        r#"sha256 = ["da39a3ee5e6b4b0d3255bfef95601890afd80709"]"#,
        r#"sidegate.toml:8:11: peer[0].sha256: "da39a3ee5e6b4b0d3255bfef95601890afd80709" has 20 bytes, as SHA-1 has; SHA-256 has 32; print it with `openssl x509 -in peer.crt -outform DER | sha256sum`"#,
    ),
    (
        r#"uri = ["spiffe://prod.example/edge"]"#,
        r#"spki = ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]"#,
        r#"sidegate.toml:8:9: peer[0].spki: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" is the SHA-256 of nothing: the command before sha256sum failed; print it with `openssl x509 -in peer.crt -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum`"#,
    ),
    (
        r#"uri = ["spiffe://prod.example/edge"]"#,
        r#"cn = ["CN=edge"]"#,
        r#"sidegate.toml:8:7: peer[0].cn: "CN=edge" has the attribute's name; write "edge""#,
    ),
    // [[issuer]]
    (
        "",
        r#"[[issuer]]
name = "idp"
issuer = "b"
audience = "api"
keys = { pem = "b.pem" }"#,
        r#"sidegate.toml:21:8: issuer[1].name: issuer[0] is named "idp" already; write another name"#,
    ),
    (
        "",
        r#"[[issuer]]
name = "b"
issuer = "https://idp.example"
audience = "api"
keys = { pem = "b.pem" }"#,
        r#"sidegate.toml:22:10: issuer[1].issuer: issuer "idp" has the same iss and the same place: a token could be either's; write both keys into one [[issuer]], or give each its own header"#,
    ),
    (
        "",
        r#"[[issuer]]
name = "b"
issuer = "b"
audience = "api"
scheme = "none"
keys = { pem = "b.pem" }"#,
        r#"sidegate.toml:24:10: issuer[1].scheme: issuer "idp" reads the same header with another scheme; write the same scheme in both"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"algorithms = ["none"]
keys = { file = "jwks.json" }"#,
        r#"sidegate.toml:15:15: issuer[0].algorithms: a token without a signature is never accepted; write what the issuer signs with, such as "ES256""#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"algorithms = []
keys = { file = "jwks.json" }"#,
        r#"sidegate.toml:15:14: issuer[0].algorithms: is empty; write at least one, such as "ES256""#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"algorithms = ["ES256", "HS256"]
keys = { file = "jwks.json" }"#,
        "sidegate.toml:15:14: issuer[0].algorithms: HS algorithms never stand beside others: a public key could be taken for the secret; keep one kind; the other is another [[issuer]]",
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"algorithms = ["ES256"]
keys = { secret = "hs.key" }"#,
        r#"sidegate.toml:15:14: issuer[0].algorithms: only HS algorithms use keys.secret; write algorithms = ["HS256"], or keys = { file = "..." }"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { secret = "hs.key" }"#,
        r#"sidegate.toml:11:1: issuer[0].algorithms: missing; write algorithms = ["HS256"]: a shared secret is never used by default"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json", pem = "idp.pem" }"#,
        "sidegate.toml:15:8: issuer[0].keys: names more than one source; keep one of url, discovery, pem_url, file, pem, directory and secret; another source is another [[issuer]]",
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { url = "http://idp.example/jwks.json" }"#,
        r#"sidegate.toml:15:16: issuer[0].keys.url: plain http leaves this machine, and whoever is on the way could give his own keys; write https://; plain http only to 127.0.0.1, [::1] or localhost"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { url = "https://me:hush@idp.example/jwks.json" }"#,
        r#"sidegate.toml:15:16: issuer[0].keys.url: holds user information, which logs would show; write it without; a server that asks who fetches gets certificate"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { url = "https://idp.example/jwks.json#a" }"#,
        r#"sidegate.toml:15:16: issuer[0].keys.url: holds a fragment, which is never sent; write it without"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { url = "/jwks.json" }"#,
        r#"sidegate.toml:15:16: issuer[0].keys.url: is no absolute URL of printable ASCII; write one such as "https://idp.example/jwks.json""#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { url = "https://idp.example/jwks.json", format = "jwk" }"#,
        r#"sidegate.toml:15:58: issuer[0].keys.format: "jwk" is not known here; did you mean `jwks`?"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { url = "https://idp.example/jwks.json", certificate = "tls.crt" }"#,
        r#"sidegate.toml:15:63: issuer[0].keys.certificate: stands without its private key; write private_key = "..." beside it"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { url = "https://idp.example/jwks.json", private_key = "tls.key" }"#,
        r#"sidegate.toml:15:63: issuer[0].keys.private_key: stands without its certificate; write certificate = "..." beside it"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { url = "https://idp.example/jwks.json", server_name = "a b" }"#,
        r#"sidegate.toml:15:63: issuer[0].keys.server_name: "a b" is no name of a server; write a DNS name or an IP address that the server's certificate holds"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { url = "https://idp.example/jwks.json", refresh = "1s" }"#,
        r#"sidegate.toml:15:59: issuer[0].keys.refresh: out of range; write "30s" to "24h"; the default is "10m""#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { url = "https://idp.example/jwks.json", max_stale = "5m" }"#,
        r#"sidegate.toml:15:61: issuer[0].keys.max_stale: is shorter than refresh; write a longer max_stale: keys would end between two fetches"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json", ca = "ca.crt" }"#,
        r#"sidegate.toml:15:35: issuer[0].keys.ca: has no meaning beside file; remove it; it goes with url and discovery and pem_url"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { pem = "idp.pem", format = "pem-map" }"#,
        r#"sidegate.toml:15:36: issuer[0].keys.format: has no meaning beside pem; remove it; it goes with url and file"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { discovery = "https://idp.example", server_name = "idp" }"#,
        r#"sidegate.toml:15:59: issuer[0].keys.server_name: has no meaning beside discovery; remove it; it goes with url and pem_url"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { discovery = "https://idp.example/" }"#,
        r#"sidegate.toml:15:22: issuer[0].keys.discovery: is not the issuer of this section; write the same text in both: the provider's issuer, as its tokens have it"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { pem_url = "https://keys.example/{kid}.pem" }"#,
        r#"sidegate.toml:15:20: issuer[0].keys.pem_url: does not end with /{kid}; write {kid} once, as the whole last segment of the path: "https://keys.example/{kid}""#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { pem_url = "https://keys.example/{kid}/{kid}" }"#,
        r#"sidegate.toml:15:20: issuer[0].keys.pem_url: does not end with /{kid}; write {kid} once, as the whole last segment of the path: "https://keys.example/{kid}""#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { pem_url = "https://keys.example/?id={kid}" }"#,
        r#"sidegate.toml:15:20: issuer[0].keys.pem_url: does not end with /{kid}; write {kid} once, as the whole last segment of the path: "https://keys.example/{kid}""#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { pem_url = "https://{kid}" }"#,
        r#"sidegate.toml:15:20: issuer[0].keys.pem_url: is no absolute URL of printable ASCII; write one such as "https://idp.example/jwks.json""#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { pem_url = "http://keys.example/{kid}" }"#,
        r#"sidegate.toml:15:20: issuer[0].keys.pem_url: plain http leaves this machine, and whoever is on the way could give his own keys; write https://; plain http only to 127.0.0.1, [::1] or localhost"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        "keys = {}",
        r#"sidegate.toml:15:8: issuer[0].keys: names no source; write keys = { url = "https://..." } or { file = "..." } for a JWKS, { pem = "..." } for public keys, or { secret = "..." } for the file with an HS secret"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json" }
header = "X Token""#,
        r#"sidegate.toml:16:10: issuer[0].header: "X Token" is no header name; write letters, digits and '-', such as X-Auth-Subject"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json" }
header = "Cookie""#,
        r#"sidegate.toml:16:10: issuer[0].header: a token in a cookie is read by its name; write cookie = "...", the cookie's name, instead"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json" }
header = "Upgrade""#,
        r#"sidegate.toml:16:10: issuer[0].header: "Upgrade" belongs to the connection and never carries a token; write the header that the proxy sets"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json" }
scheme = "bearer""#,
        r#"sidegate.toml:16:10: issuer[0].scheme: "bearer" is not known here; did you mean `Bearer`?"#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json" }
cookie = """#,
        r#"sidegate.toml:16:10: issuer[0].cookie: is empty; write the name alone, without '=', ';' or spaces: "CF_Authorization""#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json" }
cookie = "a b""#,
        r#"sidegate.toml:16:10: issuer[0].cookie: "a b" is no name of a cookie; write the name alone, without '=', ';' or spaces: "CF_Authorization""#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json" }
cookie = "a"
scheme = "none""#,
        "sidegate.toml:17:10: issuer[0].scheme: a cookie has no scheme; take the line out, or write a header too",
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json" }
leeway = "6m""#,
        r#"sidegate.toml:16:10: issuer[0].leeway: out of range; write "0s" to "5m"; the default is "30s""#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json" }
max_lifetime = "1d""#,
        r#"sidegate.toml:16:16: issuer[0].max_lifetime: "1d" is no duration; write a whole number and ms, s, m or h: "500ms", "30s", "1h30m""#,
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json" }
strip_headers = ["*"]"#,
        r#"sidegate.toml:16:18: issuer[0].strip_headers: "*" would strip every header; write the start of the names before the *"#,
    ),
    // [upstream]
    (
        r#"address = "127.0.0.1:8080""#,
        r#"address = "http://127.0.0.1:8080/""#,
        r#"sidegate.toml:18:11: upstream.address: "http://127.0.0.1:8080/" is a URL; write "127.0.0.1:8080""#,
    ),
    (
        r#"address = "127.0.0.1:8080""#,
        r#"address = "https://127.0.0.1:8443""#,
        r#"sidegate.toml:18:11: upstream.address: "https://127.0.0.1:8443" is a URL with TLS; the service is spoken to in plain HTTP: write the address of its HTTP port, such as "127.0.0.1:8080""#,
    ),
    (
        r#"address = "127.0.0.1:8080""#,
        r#"address = "127.0.0.1""#,
        r#"sidegate.toml:18:11: upstream.address: "127.0.0.1" has no port; write "127.0.0.1:8080""#,
    ),
    (
        r#"address = "127.0.0.1:8080""#,
        r#"address = "8080""#,
        r#"sidegate.toml:18:11: upstream.address: "8080" has no host; write "127.0.0.1:8080""#,
    ),
    (
        r#"address = "127.0.0.1:8080""#,
        r#"address = "0.0.0.0:8080""#,
        r#"sidegate.toml:18:11: upstream.address: "0.0.0.0:8080" is an address to listen on, not one to call; write "127.0.0.1:8080""#,
    ),
    (
        r#"address = "127.0.0.1:8080""#,
        r#"address = "app:8080""#,
        r#"sidegate.toml:18:11: upstream.address: "app:8080" is not on loopback; write "127.0.0.1:8080", or unsafe_address = true if nobody else can reach the way there"#,
    ),
    (
        r#"address = "127.0.0.1:8080""#,
        r#"address = "/run/app.sock""#,
        r#"sidegate.toml:18:11: upstream.address: "/run/app.sock" is a path; write "unix:/run/app.sock""#,
    ),
    (
        r#"address = "127.0.0.1:8080""#,
        r#"address = "unix:run/app.sock""#,
        r#"sidegate.toml:18:11: upstream.address: "unix:run/app.sock" is no absolute path; write unix: and an absolute path: "unix:/run/app.sock""#,
    ),
    (
        r#"address = "127.0.0.1:8080""#,
        r#"address = "127.0.0.1:8443""#,
        "sidegate.toml:18:11: upstream.address: the gate would call itself: listen.address is 0.0.0.0:8443; write the address of the service, and give each its own port",
    ),
    (
        r#"address = "127.0.0.1:8080""#,
        r#"address = "127.0.0.1:9090""#,
        "sidegate.toml:18:11: upstream.address: the gate would call itself: admin.address is 127.0.0.1:9090; write the address of the service, and give each its own port",
    ),
    (
        r#"address = "127.0.0.1:8080""#,
        r#"address = "127.0.0.1:8080"
protocol = "h2""#,
        r#"sidegate.toml:19:12: upstream.protocol: "h2" is not known here; did you mean `h2c`?"#,
    ),
    // [listen] and [admin]
    (
        "",
        r#"[listen]
address = ":8443""#,
        r#"sidegate.toml:21:11: listen.address: ":8443" is no address and port; write "0.0.0.0:8443" or "[::]:8443""#,
    ),
    (
        "",
        r#"[listen]
address = "0.0.0.0""#,
        r#"sidegate.toml:21:11: listen.address: "0.0.0.0" is no address and port; write "0.0.0.0:8443""#,
    ),
    (
        "",
        r#"[admin]
address = "0.0.0.0:8443""#,
        "sidegate.toml:21:11: admin.address: listen.address (0.0.0.0:8443) and admin.address (0.0.0.0:8443) meet; write another port",
    ),
    // [identity]
    (
        "",
        r#"[identity]
headers = { "Authorization" = "sub" }"#,
        "sidegate.toml:21:13: identity.headers.Authorization: this header already means something else; write a name of its own, such as X-Auth-Subject",
    ),
    (
        "",
        r#"[identity]
headers = { "Connection" = "sub" }"#,
        "sidegate.toml:21:13: identity.headers.Connection: this header already means something else; write a name of its own, such as X-Auth-Subject",
    ),
    (
        r#"keys = { file = "jwks.json" }"#,
        r#"keys = { file = "jwks.json" }
header = "X-Token"

[identity]
headers = { X_Token = "sub" }"#,
        r#"sidegate.toml:19:13: identity.headers.X_Token: this header brings the token of issuer "idp"; write another name, such as X-Auth-Subject"#,
    ),
    (
        "",
        r#"[identity]
headers = { X-User = "" }"#,
        r#"sidegate.toml:21:22: identity.headers.X-User: a claim's name is empty; write a claim's name such as "sub", or a JSON Pointer such as "/realm/roles""#,
    ),
    (
        "",
        r#"[identity]
headers = { X-User = "/a~b" }"#,
        r#"sidegate.toml:21:22: identity.headers.X-User: in a JSON Pointer '~' is written '~0', and '/' inside a name '~1'; write a claim's name such as "sub", or a JSON Pointer such as "/realm/roles""#,
    ),
    (
        "",
        r#"[identity]
arrays = "csv""#,
        r#"sidegate.toml:21:10: identity.arrays: "csv" is not known here; write one of: `join`, `json`"#,
    ),
    (
        "",
        r#"[identity]
strip_headers = ["x-*-id"]"#,
        r#"sidegate.toml:21:18: identity.strip_headers: "x-*-id" has a * before its end; write the * last, or list every name"#,
    ),
    // What the service is told beside headers for single claims
    (
        "",
        r#"[identity]
claims = ["sub"]"#,
        r#"sidegate.toml:21:10: identity.claims: there is no header to hold them; write claims_header = "X-Auth-Claims" too, or take the line out"#,
    ),
    (
        "",
        r#"[identity]
claims_header = "X-Auth-Claims"
claims = []"#,
        r#"sidegate.toml:22:10: identity.claims: is empty; name at least one claim, or take the line out for all"#,
    ),
    (
        "",
        r#"[identity]
claims_header = "X_User"
headers = { X-User = "sub" }"#,
        r#"sidegate.toml:21:17: identity.claims_header: many services read it and "X-User" as one; keep one of the two"#,
    ),
    (
        "",
        r#"[identity]
claims_header = "Client-Cert""#,
        r#"sidegate.toml:21:17: identity.claims_header: this header already means something else; write a name of its own, such as X-Auth-Subject"#,
    ),
    (
        "",
        r#"[identity]
client_cert = ["pem"]"#,
        r#"sidegate.toml:21:16: identity.client_cert: "pem" is not known here; write one of: `client-cert`, `xfcc`"#,
    ),
    // Presets, and what tokens must say
    (
        r#"issuers = ["idp"]"#,
        r#"issuers = ["idp"]
xfcc_element = "last""#,
        r#"sidegate.toml:10:16: peer[0].xfcc_element: no X-Forwarded-Client-Cert of this peer is looked at; write hands_over = "xfcc" too"#,
    ),
    (
        r#"issuers = ["idp"]"#,
        r#"issuers = ["idp"]
hands_over = "x-forwarded-client-cert""#,
        r#"sidegate.toml:10:14: peer[0].hands_over: "x-forwarded-client-cert" is not known here; write one of: `client-cert`, `xfcc`"#,
    ),
    (
        r#"name = "idp""#,
        r#"name = "idp"
preset = "pomerum""#,
        r#"sidegate.toml:13:10: issuer[0].preset: "pomerum" is no preset; did you mean `pomerium`?"#,
    ),
    (
        r#"name = "idp""#,
        r#"name = "idp"
preset = "aws-alb""#,
        r#"sidegate.toml:11:1: issuer[0].signer: missing; write signer = ["arn:..."], the ARN of your load balancer: AWS signs for every customer with the same keys"#,
    ),
    (
        r#"name = "idp""#,
        r#"name = "idp"
preset = "jwt-svid""#,
        r#"sidegate.toml:11:1: issuer[0].trust_domain: missing; write trust_domain = "prod.example": whose workloads these are"#,
    ),
    (
        r#"name = "idp""#,
        r#"name = "idp"
preset = "spike""#,
        r#"sidegate.toml:13:10: issuer[0].algorithms: HS algorithms need keys.secret; write keys = { secret = "..." }, the path of the secret's file"#,
    ),
    (
        r#"name = "idp""#,
        r#"name = "idp"
trust_domain = "spiffe://prod.example""#,
        r#"sidegate.toml:13:16: issuer[0].trust_domain: "spiffe://prod.example" has a scheme; write the name alone, such as prod.example"#,
    ),
    (
        r#"audience = ["api"]"#,
        r#"audience = "absent""#,
        r#"sidegate.toml:14:12: issuer[0].audience: tokens without aud are for anybody, where public keys verify them; write what aud holds in tokens for this service"#,
    ),
    (
        r#"name = "idp""#,
        r#"name = "idp"
signer = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/b""#,
        r#"sidegate.toml:13:10: issuer[0].signer: no other form of token has a signer; write form = "aws-alb" (preset = "aws-alb" does), or take the line out"#,
    ),
    (
        r#"name = "idp""#,
        r#"name = "idp"
form = "aws-alb"
signer = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/*""#,
        r#"sidegate.toml:14:10: issuer[0].signer: "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/*" is no ARN of a load balancer; write the whole ARN: arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID"#,
    ),
    (
        r#"name = "idp""#,
        r#"name = "idp"
typ = []"#,
        r#"sidegate.toml:13:7: issuer[0].typ: is empty; write the kinds of token that are meant, such as "at+jwt" or "JWT""#,
    ),
    (
        r#"name = "idp""#,
        r#"name = "idp"
typ = ["at+jwt; a=b"]"#,
        r#"sidegate.toml:13:8: issuer[0].typ: "at+jwt; a=b" is no media type; write one such as "at+jwt" or "JWT", or "absent" for none"#,
    ),
    (
        r#"name = "idp""#,
        r#"name = "idp"
sender_constrained = "yes""#,
        r#"sidegate.toml:13:22: issuer[0].sender_constrained: "yes" is not known here; write one of: `if-bound`, `required`"#,
    ),
    // [limits], [timeouts], [log], [runtime]
    (
        "",
        r#"[limits]
header_bytes = "4KiB""#,
        "sidegate.toml:21:16: limits.header_bytes: a token of limits.token_bytes (8KiB) does not fit into limits.header_bytes (4KiB); write a header_bytes above 8KiB, or a token_bytes below 4KiB",
    ),
    (
        "",
        r#"[limits]
token_bytes = "8K""#,
        r#"sidegate.toml:21:15: limits.token_bytes: "8K" is no size; write "8KiB""#,
    ),
    (
        "",
        "[limits]\nstreams = 0",
        "sidegate.toml:21:11: limits.streams: out of range; write 1 to 10000; the default is 100",
    ),
    (
        "",
        r#"[timeouts]
request = "never""#,
        r#"sidegate.toml:21:11: timeouts.request: "never" is no duration; write one such as "5m", or "off""#,
    ),
    (
        "",
        r#"[log]
level = "verbose""#,
        r#"sidegate.toml:21:9: log.level: "verbose" is not known here; write one of: `error`, `warn`, `info`, `debug`, `trace`"#,
    ),
    (
        "",
        r#"[runtime]
threads = "many""#,
        r#"sidegate.toml:21:11: runtime.threads: "many" is no number; write a whole number, or "auto""#,
    ),
    // Report mode
    (
        "name = \"idp\"",
        "name = \"idp\"\nenforce = \"off\"",
        r#"sidegate.toml:13:11: issuer[0].enforce: "off" is not known here; write one of: `refuse`, `report`"#,
    ),
    (
        "",
        "[[route]]\npath = \"/**\"\nenforce = \"reprot\"",
        r#"sidegate.toml:22:11: route[0].enforce: "reprot" is not known here; did you mean `report`?"#,
    ),
    // The deny list
    (
        "",
        "[deny]",
        r#"sidegate.toml:20:1: deny.file: missing; write file = "...", the path of the deny list, or take the section out"#,
    ),
    (
        "",
        "[deny]\nfile = \"\"",
        r#"sidegate.toml:21:8: deny.file: is no path; write the path of a file"#,
    ),
    (
        "",
        "[deny]\nlist = \"deny.list\"",
        r#"sidegate.toml:21:1: deny.list: unknown key; `deny` may hold: `file`"#,
    ),
    // Tokens that pass once
    (
        "audience = [\"api\"]",
        "audience = [\"api\"]\nsingle_use = 1",
        r#"sidegate.toml:15:14: issuer[0].single_use: true or false or a table is needed here, not a whole number; write for example single_use = false"#,
    ),
    (
        "audience = [\"api\"]",
        "audience = [\"api\"]\nsingle_use = { when_full = \"forget\" }",
        r#"sidegate.toml:15:28: issuer[0].single_use.when_full: "forget" is not known here; write one of: `refuse`, `forget-oldest`"#,
    ),
    (
        "audience = [\"api\"]",
        "audience = [\"api\"]\nsingle_use = { remember = 0 }",
        r#"sidegate.toml:15:27: issuer[0].single_use.remember: out of range; write 1 to 10000000; the default is 100000"#,
    ),
    (
        "audience = [\"api\"]",
        "audience = [\"api\"]\nsingle_use = { grace = \"1s\" }",
        r#"sidegate.toml:15:16: issuer[0].single_use.grace: unknown key; `issuer[0].single_use` may hold: `remember`, `when_full`, `retry_grace`"#,
    ),
    (
        "audience = [\"api\"]",
        "audience = [\"api\"]\nstream_grace = \"25h\"",
        r#"sidegate.toml:15:16: issuer[0].stream_grace: out of range; write "0s" to "24h"; the default is "0s""#,
    ),
];
