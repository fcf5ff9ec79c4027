//! Attacks on the signature: changed payloads, other keys, other encodings, degenerate numbers.

use sidegate::model::Algorithm;
use sidegate::model::Denial::{KeyUnknown, SignatureInvalid};

use super::Table;
use super::world::{P256_ORDER, b64, parts, resigned, signature_of};

pub(super) fn add(table: &mut Table<'_>) {
    swapped(table);
    ecdsa(table);
    other_algorithms(table);
}

fn swapped(table: &mut Table<'_>) {
    let world = table.world;
    let good = world.good();
    let [header, payload, signature] = parts(&good);
    let s = SignatureInvalid;

    let admin = world.pomerium_claims().claim("sub", "admin").payload();
    let admin = format!("{header}.{}.{signature}", b64(admin));
    table.token(s, "signature kept, subject changed", &admin);
    let later = world
        .pomerium_claims()
        .claim("exp", world.now.unix() + 3000);
    let later = format!("{header}.{}.{signature}", b64(later.payload()));
    table.token(s, "signature kept, life prolonged", &later);
    let spaced = format!(
        "{header}.{}.{signature}",
        b64(world.pomerium_claims().payload() + " ")
    );
    table.token(s, "signature kept, a blank added to the payload", &spaced);
    let bare = b64(r#"{"alg":"ES256","kid":"pomerium-1"}"#);
    let bare = format!("{bare}.{payload}.{signature}");
    table.token(s, "signature kept, header changed", &bare);
    let no_payload = format!("{header}.{}.{signature}", b64("{}"));
    table.token(s, "signature kept, payload emptied", &no_payload);

    let other = world.pomerium_claims().claim("sub", "other");
    let other = other.sign(&world.pomerium).unwrap();
    let mixed = resigned(&good, &signature_of(&other));
    table.token(s, "signature of another good token", &mixed);

    let stranger = world.pomerium_claims().sign(&world.stranger).unwrap();
    table.token(
        s,
        "signature by a stranger who uses the right kid",
        &stranger,
    );
    let partner = world.pomerium_claims().sign(&world.partner).unwrap();
    table.token(
        KeyUnknown,
        "signature by another issuer's key under its own kid",
        &partner,
    );
    let claims = world.pomerium_claims().payload();
    let lied = world
        .partner
        .sign(&world.pomerium.header(), claims.as_bytes())
        .unwrap();
    table.token(
        s,
        "signature by another issuer's key under this issuer's kid",
        &lied,
    );
    let crossed = world
        .partner_claims()
        .sign(world.oidc_key(Algorithm::Es256))
        .unwrap();
    table.request(
        KeyUnknown,
        "signature by one issuer for the iss of the other at the same place",
        &[("authorization", &format!("Bearer {crossed}"))],
    );
}

fn ecdsa(table: &mut Table<'_>) {
    let good = table.world.good();
    let signature = signature_of(&good);
    let (r, s) = signature.split_at(32);
    let zero = [0_u8; 32];
    let mut one = zero;
    one[31] = 1;
    let mut above = P256_ORDER;
    above[31] += 1;
    let mut wrapped = zero.to_vec();
    wrapped.extend([r, s].concat());
    let high = [0xff_u8; 32];
    for (name, bytes) in [
        ("DER instead of r and s", der(r, s)),
        ("r and s swapped", [s, r].concat()),
        ("r zero", [&zero, s].concat()),
        ("s zero", [r, &zero].concat()),
        ("r and s zero", vec![0; 64]),
        ("r and s one", [one, one].concat()),
        ("r the order", [&P256_ORDER, s].concat()),
        ("s the order", [r, &P256_ORDER].concat()),
        ("r and s the order", [P256_ORDER, P256_ORDER].concat()),
        ("s above the order", [r, &above].concat()),
        ("all bits set", vec![0xff; 64]),
        ("r all bits set", [&high, s].concat()),
        ("the high bit of r turned", flipped(&signature, 0, 0x80)),
        ("the low bit of s turned", flipped(&signature, 63, 0x01)),
        ("63 bytes", signature[..63].to_vec()),
        ("62 bytes", signature[..62].to_vec()),
        ("32 bytes", r.to_vec()),
        ("one byte", vec![0x30]),
        ("96 bytes, zeros before", wrapped),
        (
            "128 bytes, doubled",
            [signature.as_slice(), &signature].concat(),
        ),
        ("a zero before each number", padded(r, s)),
        ("4000 bytes", vec![0x41; 4000]),
    ] {
        table.token(
            SignatureInvalid,
            format!("ES256 signature is {name}"),
            &resigned(&good, &bytes),
        );
    }
}

fn other_algorithms(table: &mut Table<'_>) {
    let world = table.world;
    for key in &world.oidc {
        let algorithm = key.algorithm();
        let good = world.oidc_claims().sign(key).unwrap();
        let signature = signature_of(&good);
        let length = signature.len();
        for (name, bytes) in [
            ("cut by a byte", signature[..length - 1].to_vec()),
            ("longer by a zero", [signature.as_slice(), &[0]].concat()),
            ("all zero", vec![0; length]),
            ("all bits set", vec![0xff; length]),
            ("changed in its first bit", flipped(&signature, 0, 0x80)),
            (
                "changed in its last bit",
                flipped(&signature, length - 1, 0x01),
            ),
        ] {
            let value = format!("Bearer {}", resigned(&good, &bytes));
            let name = format!("signature by {algorithm} is {name}");
            table.request(SignatureInvalid, name, &[("authorization", &value)]);
        }
    }
    // The same RSA key family, the other padding: PKCS#1 v1.5 handed in as PSS and the reverse.
    for (from, to) in [
        (Algorithm::Rs256, Algorithm::Ps256),
        (Algorithm::Ps256, Algorithm::Rs256),
        (Algorithm::Rs256, Algorithm::Rs512),
    ] {
        let payload = world.oidc_claims().payload();
        let header = world.oidc_key(to).header();
        let token = world
            .oidc_key(from)
            .sign(&header, payload.as_bytes())
            .unwrap();
        let value = format!("Bearer {token}");
        let name = format!("{from} signature under the header of {to}");
        table.request(SignatureInvalid, name, &[("authorization", &value)]);
    }
    // S + L, a second spelling of the same Ed25519 signature (RFC 8032 5.1.7).
    let good = world
        .oidc_claims()
        .sign(world.oidc_key(Algorithm::EdDsa))
        .unwrap();
    let value = format!(
        "Bearer {}",
        resigned(&good, &plus_order(&signature_of(&good)))
    );
    let name = "EdDSA signature with the order added to S";
    table.request(SignatureInvalid, name, &[("authorization", &value)]);

    let good = world.spike_claims().sign(&world.spike).unwrap();
    let mac = signature_of(&good);
    for (name, bytes) in [
        ("cut to 16 bytes", mac[..16].to_vec()),
        ("cut to one byte", mac[..1].to_vec()),
        ("doubled", [mac.as_slice(), &mac].concat()),
        ("changed in one bit", flipped(&mac, 31, 1)),
    ] {
        let token = resigned(&good, &bytes);
        let name = format!("HS256 tag is {name}");
        table.request(SignatureInvalid, name, &[("x-spike-token", &token)]);
    }
}

fn flipped(bytes: &[u8], place: usize, bit: u8) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out[place] ^= bit;
    out
}

fn padded(r: &[u8], s: &[u8]) -> Vec<u8> {
    [&[0][..], r, &[0], s].concat()
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let sign: &[u8] = if number[0] & 0x80 == 0 { &[] } else { &[0] };
        let length = (number.len() + sign.len()) as u8;
        [&[0x02, length][..], sign, number].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [&[0x30, body.len() as u8][..], &body].concat()
}

/// S + L, little-endian, L being the order of Ed25519's base point.
fn plus_order(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 16] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14,
    ];
    let mut out = signature.to_vec();
    let mut carry = 0_u16;
    for place in 0..32 {
        let top = u8::from(place == 31) * 0x10;
        let digit = ORDER.get(place).copied().unwrap_or(top);
        let sum = u16::from(out[32 + place]) + u16::from(digit) + carry;
        out[32 + place] = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    out
}
