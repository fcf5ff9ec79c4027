//! Any bytes as a deny list: no panic, and every entry that was read can be found by its line.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sidegate::model::Timestamp;
use sidegate::revocation::{CertificateFacts, DenyList, TokenFacts};

fuzz_target!(|data: &[u8]| {
    let issuers: [Arc<str>; 2] = ["main".into(), "partner".into()];
    let Ok(list) = DenyList::parse(data, &issuers) else {
        return;
    };
    let now = Timestamp::from_unix(1_800_000_000);
    assert!(list.expired(now) <= list.len());
    let text = str::from_utf8(data).unwrap();
    let lines = u32::try_from(text.lines().count()).unwrap();
    for word in text.split(['=', ' ', '"', '\n']) {
        let token = TokenFacts {
            issuer: "main",
            kid: Some(word),
            id: Some(word),
            subject: Some(word),
            session: Some(word),
            issued: None,
        };
        let found = list.denies_token(token, now);
        assert!(found.is_none_or(|line| line.number() <= lines));
        let uri = [word.to_owned()];
        let certificate = CertificateFacts {
            sha256: &[0; 32],
            serial: word,
            issuer: word,
            uri: &uri,
        };
        let found = list.denies_certificate(certificate, now);
        assert!(found.is_none_or(|line| line.number() <= lines));
    }
});
