//! SHA-256 fingerprints, in the notations of the programs that print them.
//!
//! A wrong length is explained by the hash that has it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Reads hex with or without colons (`openssl x509 -fingerprint`, `sha256sum`), or base64
/// (`ssh-keygen`, curl's `sha256//`), with or without `sha256:` before it.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<[u8; 32], String> {
    let bare = [
        "sha256//",
        "sha256:",
        "SHA256:",
        "SHA-256:",
        "sha256 Fingerprint=",
    ]
    .iter()
    .find_map(|prefix| text.strip_prefix(prefix))
    .unwrap_or(text)
    .trim();
    let hex: String = bare.chars().filter(|c| *c != ':').collect();
    let is_hex = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = if is_hex && hex.len() != 43 && hex.len() != 44 {
        decode_hex(&hex).ok_or_else(|| "is hex with a digit missing".to_owned())?
    } else {
        let padded = if bare.len() == 43 {
            format!("{bare}=")
        } else {
            bare.to_owned()
        };
        let decoded = STANDARD
            .decode(&padded)
            .or_else(|_| URL_SAFE.decode(&padded));
        decoded.map_err(|_| "is neither hex nor base64".to_owned())?
    };
    let length = bytes.len();
    let hash: [u8; 32] = bytes.try_into().map_err(|_| wrong_length(length))?;
    if hash == EMPTY {
        return Err("is the SHA-256 of nothing: the command before sha256sum failed".to_owned());
    }
    Ok(hash)
}

/// SHA-256 of no bytes at all.
const EMPTY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

fn wrong_length(length: usize) -> String {
    let hash = match length {
        16 => ", as MD5 has",
        20 => ", as SHA-1 has",
        48 => ", as SHA-384 has",
        64 => ", as SHA-512 has",
        _ => "",
    };
    format!("has {length} bytes{hash}; SHA-256 has 32")
}

fn decode_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = hex.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits?;
    if digits.len() % 2 != 0 {
        return None;
    }
    digits
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn every_usual_notation_is_read() {
        let want = parse(HEX).unwrap();
        assert_eq!((want[0], want[31]), (0x9f, 0x08));
        let colons: Vec<String> = want.iter().map(|byte| format!("{byte:02X}")).collect();
        let base64 = STANDARD.encode(want);
        for text in [
            HEX.to_uppercase(),
            colons.join(":"),
            format!("sha256:{HEX}"),
            base64.clone(),
            base64.trim_end_matches('=').to_owned(),
            format!("sha256//{base64}"),
            format!("SHA256:{}", base64.trim_end_matches('=')),
            URL_SAFE.encode(want),
        ] {
            assert_eq!(parse(&text), Ok(want), "{text}");
        }
    }

    #[test]
    fn a_wrong_length_is_explained() {
        for (text, said) in [
            (&HEX[..40], "has 20 bytes, as SHA-1 has; SHA-256 has 32"),
            (&HEX[..32], "has 16 bytes, as MD5 has; SHA-256 has 32"),
            (&HEX[..62], "has 31 bytes; SHA-256 has 32"),
            (&HEX[..63], "is hex with a digit missing"),
            ("", "has 0 bytes; SHA-256 has 32"),
            ("zz", "is neither hex nor base64"),
        ] {
            assert_eq!(parse(text).unwrap_err(), said, "{text}");
        }
    }

    #[test]
    fn the_hash_of_nothing_is_refused() {
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(parse(nothing).unwrap_err().contains("of nothing"));
    }
}
