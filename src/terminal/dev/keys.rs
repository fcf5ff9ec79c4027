//! `sidegate dev jwks` and `sidegate dev token`: what an issuer does.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::super::args::{Jwks, Token};
use super::super::say;
use super::{DevError, at};
use crate::lab::{SigningKey, TokenSpec};
use crate::model::{Algorithm, Timestamp};

pub(super) fn jwks(args: &Jwks) -> Result<(), DevError> {
    let kid = Some(args.kid.as_str());
    let key = match (&args.out, &args.key) {
        (Some(out), _) => {
            let key = SigningKey::generate(args.alg, kid)?;
            store(&key, out)?;
            key
        }
        (None, Some(path)) => load(path, args.alg, &args.kid)?,
        // clap lets this not happen.
        (None, None) => return Err(DevError::Words("write --out or --key".to_owned())),
    };
    if args.alg.is_symmetric() {
        // On standard error, so that nobody pipes it into a JWKS file.
        let text = format!(
            "a secret has no public half, so there is no JWKS. Say in [[issuer]]:\n  \
             algorithms = [\"{}\"]\n  keys = {{ secret = \"FILE\" }}\n",
            args.alg
        );
        std::io::stderr().write_all(text.as_bytes())?;
    } else {
        say(&SigningKey::jwks(&[&key])?);
    }
    Ok(())
}

pub(super) fn token(args: &Token) -> Result<(), DevError> {
    let key = load(&args.key, args.alg, &args.kid)?;
    let now = Timestamp::now();
    let mut spec = TokenSpec::new(&args.iss, &args.aud, &args.sub, now).lives(now, args.ttl);
    for (name, value) in &args.claims {
        spec = spec.claim(name, value.clone());
    }
    say(&spec.sign(&key)?);
    Ok(())
}

/// Writes the private half, or the secret, for its owner alone. An existing file is left alone: it
/// may be the only copy of a key that others trust.
fn store(key: &SigningKey, path: &Path) -> Result<(), DevError> {
    let bytes = if key.algorithm().is_symmetric() {
        [key.secret()?, b"\n"].concat()
    } else {
        key.private_pem()?.into_bytes()
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path).map_err(at(path))?;
    file.write_all(&bytes).map_err(at(path))
}

fn load(path: &Path, algorithm: Algorithm, kid: &str) -> Result<SigningKey, DevError> {
    let text = fs::read_to_string(path).map_err(at(path))?;
    let key = if algorithm.is_symmetric() {
        SigningKey::from_secret(text.trim_end().as_bytes(), algorithm, None)
    } else {
        SigningKey::from_private_pem(&text, algorithm, Some(kid))
    };
    key.map_err(|error| {
        let path = path.display();
        DevError::Words(format!("{path}: {error}; does --alg say what it is?"))
    })
}
