//! Broken routes, and the exact words that each is refused with. Each row is put at the end of
//! [`BASE`](super::broken::BASE).

/// What is added, and what is said.
pub(crate) const ROWS: &[(&str, &str)] = &[
    (
        r#"[route]
path = "/""#,
        r#"sidegate.toml:20:1: route: an array is needed here, not a table; write [[route]], with two brackets"#,
    ),
    (
        r#"[[route]]
name = "a""#,
        r#"sidegate.toml:20:1: route[0].path: missing; write path = ["/..."]: which paths the rule is for; "/**" is every path"#,
    ),
    (
        r#"[[route]]
paths = "/a""#,
        r#"sidegate.toml:21:1: route[0].paths: unknown key; did you mean `path`?"#,
    ),
    (
        r#"[[route]]
path = []"#,
        r#"sidegate.toml:21:8: route[0].path: is empty; write at least one element, or take the line out"#,
    ),
    (
        r#"[[route]]
path = "admin""#,
        r#"sidegate.toml:21:8: route[0].path: "admin" does not begin with /; write "/admin""#,
    ),
    (
        r#"[[route]]
path = "/a*""#,
        r#"sidegate.toml:21:8: route[0].path: "/a*" has a * that is no whole segment; write * for a whole segment, ** for any rest, or %2A for the character"#,
    ),
    (
        r#"[[route]]
path = "/a/**/b""#,
        r#"sidegate.toml:21:8: route[0].path: "/a/**/b" has a ** before its end; write ** as the last segment only"#,
    ),
    (
        r#"[[route]]
path = "/a//b/**""#,
        r#"sidegate.toml:21:8: route[0].path: "/a//b/**" is no path in its normal form; write "/a/b/**""#,
    ),
    (
        r#"[[route]]
path = "/%61dmin""#,
        r#"sidegate.toml:21:8: route[0].path: "/%61dmin" is no path in its normal form; write "/admin""#,
    ),
    (
        r#"[[route]]
path = "/a/../b""#,
        r#"sidegate.toml:21:8: route[0].path: "/a/../b" is no path in its normal form; write "/b""#,
    ),
    (
        r#"[[route]]
path = "/a%2fb""#,
        r#"sidegate.toml:21:8: route[0].path: "/a%2fb" escapes a character that ends or splits a path; write a path that can be read in one way only"#,
    ),
    (
        r#"[[route]]
path = "/a;b""#,
        r#"sidegate.toml:21:8: route[0].path: "/a;b" has a character that servers read in two ways; write a path that can be read in one way only"#,
    ),
    (
        r#"[[route]]
path = "/a?b=1""#,
        r#"sidegate.toml:21:8: route[0].path: "/a?b=1" has a query; write the path alone: queries are not judged"#,
    ),
    (
        r#"[[route]]
path = "/a"
method = "get""#,
        r#"sidegate.toml:22:10: route[0].method: "get" is not in upper case; write "GET""#,
    ),
    (
        r#"[[route]]
path = "/a"
method = "CONNECT""#,
        r#"sidegate.toml:22:10: route[0].method: "CONNECT" never arrives; write GET: a WebSocket is one"#,
    ),
    (
        r#"[[route]]
path = "/a"
method = "G ET""#,
        r#"sidegate.toml:22:10: route[0].method: "G ET" is no method; write for example "GET""#,
    ),
    (
        r#"[[route]]
path = "/a"
host = "app.example.com:8443""#,
        r#"sidegate.toml:22:8: route[0].host: "app.example.com:8443" has a port; write "app.example.com": every port fits"#,
    ),
    (
        r#"[[route]]
path = "/a"
host = "app.example.com.""#,
        r#"sidegate.toml:22:8: route[0].host: "app.example.com." ends in a dot; write "app.example.com""#,
    ),
    (
        r#"[[route]]
path = "/a"
host = "a.*.example.com""#,
        r#"sidegate.toml:22:8: route[0].host: "a.*.example.com" has a * that is not its whole first label; write "*.example.com" for one label, or list every host"#,
    ),
    (
        r#"[[route]]
path = "/a"
host = "a b""#,
        r#"sidegate.toml:22:8: route[0].host: "a b" is no host; write for example "app.example.com""#,
    ),
    (
        r#"[[route]]
path = "/a"
require = "mtls""#,
        r#"sidegate.toml:22:11: route[0].require: "mtls" is not known here; write one of: `token`, `peer`"#,
    ),
    (
        r#"[[route]]
path = "/a"
require = "peer"
scope = "read""#,
        r#"sidegate.toml:23:9: route[0].scope: asks for something of a token, and the route asks for none; take it out, or take out require = "peer""#,
    ),
    (
        r#"[[route]]
path = "/a"
require = "peer"
issuers = "idp"
claims = { a = { equals = 1 } }"#,
        r#"sidegate.toml:23:11: route[0].issuers: asks for something of a token, and the route asks for none; take it out, or take out require = "peer"
sidegate.toml:24:10: route[0].claims: asks for something of a token, and the route asks for none; take it out, or take out require = "peer""#,
    ),
    (
        r#"[[route]]
path = "/a"
peers = "egde""#,
        r#"sidegate.toml:22:9: route[0].peers: "egde" is no [[peer]]; did you mean `edge`?"#,
    ),
    (
        r#"[[route]]
path = "/a"
issuers = "ipd""#,
        r#"sidegate.toml:22:11: route[0].issuers: "ipd" is no [[issuer]]; did you mean `idp`?"#,
    ),
    (
        r#"[[route]]
path = "/a"
scope = "read write""#,
        r#"sidegate.toml:22:9: route[0].scope: "read write" is no scope; write each for itself: ["read", "write"]"#,
    ),
    (
        r#"[[route]]
path = "/a"
scope = """#,
        r#"sidegate.toml:22:9: route[0].scope: "" is no scope; write the name of one scope"#,
    ),
    (
        r#"[[route]]
path = "/a"
claims = {}"#,
        r#"sidegate.toml:22:10: route[0].claims: is empty; write for example { groups = { any = ["admins"] } }, or take the line out"#,
    ),
    (
        r#"[[route]]
path = "/a"
claims = { groups = {} }"#,
        r#"sidegate.toml:22:21: route[0].claims.groups: says nothing; write one of equals, any, all, none, present, min, max and pattern"#,
    ),
    (
        r#"[[route]]
path = "/a"
claims = { groups = { anny = ["a"] } }"#,
        r#"sidegate.toml:22:23: route[0].claims.groups.anny: unknown key; did you mean `any`?"#,
    ),
    (
        r#"[[route]]
path = "/a"
claims = { groups = ["a"] }"#,
        r#"sidegate.toml:22:21: route[0].claims.groups: a table is needed here, not an array; write for example groups = { equals = true }"#,
    ),
    (
        r#"[[route]]
path = "/a"
claims = { groups = { any = [] } }"#,
        r#"sidegate.toml:22:29: route[0].claims.groups.any: is empty; write at least one element, or take the line out"#,
    ),
    (
        r#"[[route]]
path = "/a"
claims = { groups = { any = [["a"]] } }"#,
        r#"sidegate.toml:22:30: route[0].claims.groups.any[0]: a string or a whole number or a fraction or true or false is needed here, not an array; write for example any[0] = "admins""#,
    ),
    (
        r#"[[route]]
path = "/a"
claims = { "/" = { present = true } }"#,
        r#"sidegate.toml:22:12: route[0].claims."/": the JSON Pointer's first member is empty; write a claim's name such as "groups", or a JSON Pointer such as "/realm/roles""#,
    ),
    (
        r#"[[route]]
path = "/a"
claims = { level = { min = "3" } }"#,
        r#"sidegate.toml:22:28: route[0].claims.level.min: is no number; write a number: min = 3"#,
    ),
    (
        r#"[[route]]
path = "/a"
claims = { level = { min = 9, max = 3 } }"#,
        r#"sidegate.toml:22:37: route[0].claims.level.max: is below min; write a max that is not below min"#,
    ),
    (
        r#"[[route]]
path = "/a"
claims = { level = { equals = nan } }"#,
        r#"sidegate.toml:22:31: route[0].claims.level.equals: is no number; write a finite number"#,
    ),
    (
        r#"[[route]]
path = "/a"
claims = { level = { equals = 1e999 } }"#,
        r#"sidegate.toml:22:31: route[0].claims.level.equals: is no number; write a finite number"#,
    ),
    (
        r#"[[route]]
path = "/a"
claims = { email = { pattern = "a@example.com" } }"#,
        r#"sidegate.toml:22:32: route[0].claims.email.pattern: "a@example.com" has no *; write equals = "a@example.com", or a * for any run of characters"#,
    ),
    (
        r#"[[route]]
path = "/a"
claims = { a = { present = false, equals = 1 } }"#,
        r#"sidegate.toml:22:28: route[0].claims.a.present: a claim that must not be there cannot be anything else; keep one of the two"#,
    ),
    (
        r#"[[route]]
path = "/a"
name = "a b""#,
        r#"sidegate.toml:22:8: route[0].name: "a b" is no name; write 1 to 64 of a-z, A-Z, 0-9, '.', '-' and '_'"#,
    ),
    (
        r#"[[route]]
path = "/a"
name = "a"
[[route]]
path = "/a"
name = "a""#,
        r#"sidegate.toml:25:8: route[1].name: route[0] is named "a" already; write another name"#,
    ),
    (
        r#"[[route]]
path = "/a"
when = "true""#,
        r#"sidegate.toml:22:1: route[0].when: unknown key; `route[0]` may hold: `name`, `path`, `method`, `host`, `require`, `peers`, `issuers`, `scope`, `claims`, `enforce`"#,
    ),
    (
        r#"[paths]
ambiguous = "normalize""#,
        r#"sidegate.toml:21:13: paths.ambiguous: "normalize" is not known here; did you mean `normalise`?"#,
    ),
    (
        r#"[path]
ambiguous = "refuse""#,
        r#"sidegate.toml:20:2: path: unknown key; did you mean `paths`?"#,
    ),
];
