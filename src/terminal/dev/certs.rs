//! `sidegate dev certs`: the little world of the tests, in a folder to keep.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;

use super::super::args::Certs;
use super::super::say;
use super::{DevError, at};
use crate::lab::World;
use crate::model::Timestamp;

const WARNING: &str = "\
FOR DEVELOPMENT ONLY. The private keys here, the signing keys among them, lie in plain files,
and whoever reads one is whoever it names. Never let a gate that others rely on trust them.";

const NOTICE: &str = "\
# Throw-away certificates and keys

**For development only.** The private keys here, the signing keys among them, lie in plain files,
and whoever reads one is whoever it names. Never let a gate that others rely on trust them, and
never commit them. `sidegate dev certs` wrote them; they are good for a week, the token for five
minutes.

| file | what it is |
|---|---|
| `sidegate.toml` | a configuration that uses the files here |
| `ca.crt`, `ca.crl` | the CA that the gate believes, and what it has revoked |
| `server.crt`, `server.key` | the gate's own certificate: `sidegate.test`, `localhost`, `127.0.0.1` |
| `front.*` | a listed peer, which may bring tokens of the issuer `main` |
| `partner.*` | a listed peer behind an intermediate CA, which may bring tokens of `partner` |
| `stranger.*` | a certificate of the right CA that no `[[peer]]` lists |
| `foreign.*` | the right name from a wrong CA |
| `expired.*`, `revoked.*` | the right name, an hour too late, and on the CRL |
| `jwks.json` | the public keys of `main`: `current` (ES256), `next` (RS256) and `previous` (ES256) |
| `partner-jwks.json` | the public key of `partner` (EdDSA) |
| `signing.key`, `next-signing.key`, `previous-signing.key` | the private keys of `main` |
| `partner-signing.key` | the private key of `partner` |
| `token`, `next.token`, `previous.token` | good tokens of `main` about `ada`, one for each key |
| `partner.token` | a good token of `partner` about `grace`, for `X-Partner-Assertion` |
| `expired.token` | a token of `main`, ten minutes too late |

The CAs say `sidegate development only` in their names; a gate that believes one and listens beyond
loopback warns at the start.

A new token: `sidegate dev token --key signing.key --kid current`
";

pub(super) fn certs(args: &Certs) -> Result<(), DevError> {
    let folder = &args.out;
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(at(folder))?;
    let mut entries = fs::read_dir(folder).map_err(at(folder))?;
    if entries.next().is_some() && !args.force {
        return Err(DevError::Words(format!(
            "{} is not empty: name another folder, or write --force to replace what is there",
            folder.display()
        )));
    }
    let world = World::create(folder, Timestamp::now())?;
    world.write(
        "sidegate.toml",
        &format!(
            "# FOR DEVELOPMENT ONLY, written by `sidegate dev certs`.\n\n{}",
            world.config(&args.listen, &args.admin, &args.upstream)
        ),
    )?;
    world.write("README.md", NOTICE)?;
    say(&format!(
        "{WARNING}\n\nWritten to {folder}, see {folder}/README.md. To be the gate with them:\n\n  \
         sidegate run --config {folder}/sidegate.toml",
        folder = folder.display()
    ));
    Ok(())
}
