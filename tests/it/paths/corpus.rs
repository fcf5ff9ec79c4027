//! Spellings of `/admin/secret`, and the ways in which careless servers read a path.

/// Ways to write "up".
const UPS: [&str; 20] = [
    "..",
    "%2e%2e",
    "%2E%2e",
    ".%2e",
    "%2e.",
    "..;",
    "..;x=1",
    "%2e%2e;",
    "..%00",
    "..%0a",
    "..%20",
    "..%09",
    "%252e%252e",
    "%25%32%65.",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "%uff0e%uff0e",
    "%ef%bc%8e%ef%bc%8e",
    "...",
    "..%3b",
];

/// Ways to write a slash.
const SLASHES: [&str; 12] = [
    "/", "//", "/./", "%2f", "%2F", "\\", "%5c", "%5C", "%252f", "%c0%af", "/;/", "/%2e/",
];

/// Single tricks.
const TRICKS: [&str; 78] = [
    // The plain ones: refused by the rule itself.
    "/admin",
    "/admin/",
    "/admin/secret",
    "/admin/secret/",
    "/admin/secret?x",
    "/admin/a/b/c",
    "/admin//secret",
    "/admin/./secret",
    "/admin/x/../secret",
    "/admin/secret/.",
    "/admin?",
    // Slashes before it
    "//admin/secret",
    "///admin/secret",
    "/.//admin/secret",
    "//./admin/secret",
    "//legacy.test/admin/secret",
    "/;/admin/secret",
    "/;x/admin/secret",
    "/%2fadmin/secret",
    "/%5cadmin/secret",
    "/\\admin/secret",
    "\\admin\\secret",
    "/%2e/admin/secret",
    "/./admin/secret",
    "/%2e%2fadmin/secret",
    "/%20/../admin/secret",
    "/x/..//admin/secret",
    "/x//../admin/secret",
    // Letters of it
    "/%61dmin/secret",
    "/a%64min/secret",
    "/adm%69n/secret",
    "/%61%64%6d%69%6e/secret",
    "/%61%64%6D%69%6E/%73ecret",
    "/%2561dmin/secret",
    "/%u0061dmin/secret",
    "/%61dmin",
    "/%61dmin/",
    "/admi%6e%2fsecret",
    "/%c1%a1dmin/secret",
    "/%ef%bd%81dmin/secret",
    // Its end
    "/admin%2fsecret",
    "/admin%2Fsecret",
    "/admin%5csecret",
    "/admin\\secret",
    "/admin;/secret",
    "/admin;x=1/secret",
    "/admin;",
    "/admin%3b/secret",
    "/admin%00/secret",
    "/admin%00",
    "/admin%0a",
    "/admin%23/secret",
    "/admin%3f/secret",
    "/admin%3fx",
    "/admin%252fsecret",
    "/admin#/secret",
    "/admin#",
    "/admin%",
    "/admin%2",
    "/admin/%",
    "/admin%zz/secret",
    "/admin%20",
    // Something else in front of the question mark
    "/public?/../admin/secret",
    "/public#/../admin/secret",
    "/public%3f/../admin/secret",
    "/public%23/../admin/secret",
    "/public;/../admin/secret",
    "/public%00/../admin/secret",
    // The root and beyond
    "/../admin/secret",
    "/../../admin/secret",
    "/x/../../admin/secret",
    "/..",
    "/%2e%2e/admin/secret",
    // Other forms of a target
    "http://legacy.test/admin/secret",
    "http://legacy.test//admin/secret",
    "http://legacy.test/x/../admin/secret",
    "http://legacy.test/%61dmin/secret",
    "admin/secret",
];

/// All of them, as bytes.
pub(super) fn spellings() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = TRICKS.iter().map(|text| text.as_bytes().to_vec()).collect();
    for up in UPS {
        for slash in SLASHES {
            all.push(format!("/public{slash}{up}{slash}admin/secret").into_bytes());
        }
        all.push(format!("/public/{up}/admin/secret").into_bytes());
        all.push(format!("/a/b/{up}/{up}/admin/secret").into_bytes());
        all.push(format!("/admin/secret/{up}/secret").into_bytes());
    }
    for wild in [
        &b"/admin\xff/secret"[..],
        b"/\xe9/../admin/secret",
        b"/\xc0\xae\xc0\xae/admin/secret",
        b"/public/\xef\xbc\x8e\xef\xbc\x8e/admin/secret",
        b"/\xef\xbd\x81dmin/secret",
        b"/admin\x0b/secret",
        b"/admin\x7f/secret",
        b"/public/..\x01/admin/secret",
    ] {
        all.push(wild.to_vec());
    }
    all.sort();
    all.dedup();
    all
}

/// Whether any careless way of reading this target leads below `/admin`.
pub(super) fn careless_readings(target: &str) -> bool {
    let raw = target.as_bytes().to_vec();
    let cut = |bytes: &[u8], at: &[u8]| {
        let end = bytes.iter().position(|byte| at.contains(byte));
        bytes[..end.unwrap_or(bytes.len())].to_vec()
    };
    let path = cut(&raw, b"?#");
    let once = decoded(&path);
    let twice = decoded(&once);
    let wide = String::from_utf8_lossy(&once)
        .replace('\u{ff0e}', ".")
        .replace('\u{ff0f}', "/")
        .into_bytes();
    let readings = [path, once, twice, wide];
    readings.iter().any(|bytes| {
        let shorter = [
            bytes.clone(),
            cut(bytes, b"?#"),
            cut(bytes, b"\0"),
            without_parameters(bytes),
        ];
        shorter.iter().any(|bytes| is_below_admin(bytes))
    })
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let hex = (*first == b'%').then(|| tail.get(..2)).flatten();
        let value = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(value.unwrap_or(*first));
        rest = if value.is_some() { &tail[2..] } else { tail };
    }
    out
}

fn without_parameters(bytes: &[u8]) -> Vec<u8> {
    let segments = bytes.split(|byte| *byte == b'/');
    let bare = segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap());
    bare.collect::<Vec<_>>().join(&b'/')
}

fn is_below_admin(bytes: &[u8]) -> bool {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in bytes.split(|byte| matches!(byte, b'/' | b'\\')) {
        match segment {
            b"" | b"." => {}
            b".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    kept.first().is_some_and(|first| *first == b"admin")
}

#[test]
fn the_careless_readings_see_through_the_spellings() {
    for target in [
        "/admin",
        "/x/../admin",
        "/%61dmin",
        "/x%2f..%2fadmin",
        "/%2561dmin",
        "/admin;x/y",
        "/admin%00x",
        "/\\admin",
        "/admin%3fx",
    ] {
        assert!(careless_readings(target), "{target}");
    }
    for target in ["/", "/administrators", "/x?/admin", "/x/admin", "/public"] {
        assert!(!careless_readings(target), "{target}");
    }
}
