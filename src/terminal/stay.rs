//! `sidegate demo --stay`: the gate stays, and the reader becomes the caller.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::Interrupts;
use super::demo::{Failure, Stage, show};
use crate::model::Timestamp;

/// Commands pasted late must work, too: the token's file is written anew before it ends.
const TOKEN_LIFE: Duration = Duration::from_secs(1_800);
const TOKEN_EVERY: Duration = Duration::from_secs(600);

/// Prints what to try and waits for Ctrl-C.
pub(super) async fn stay(stage: &Stage, interrupts: &mut Interrupts) -> Result<(), Failure> {
    write_token(stage)?;
    show(&invitation(stage));
    let renew = async {
        loop {
            tokio::time::sleep(TOKEN_EVERY).await;
            if let Err(error) = write_token(stage) {
                return error;
            }
        }
    };
    tokio::select! {
        () = interrupts.next() => {}
        error = renew => return Err(error),
    }
    show("Stopped; the folder is removed.");
    Ok(())
}

fn write_token(stage: &Stage) -> Result<(), Failure> {
    let world = &stage.world;
    let spec = world.token().lives(Timestamp::now(), TOKEN_LIFE);
    world.write("token", &spec.sign(&world.key)?)?;
    Ok(())
}

fn invitation(stage: &Stage) -> String {
    let folder = &stage.world.folder;
    let file = |name: &str| quoted(&folder.join(name));
    let (ca, token) = (file("ca.crt"), file("token"));
    let peer = format!("--cert {} --key {}", file("front.crt"), file("front.key"));
    let token = format!("-H \"Authorization: Bearer $(cat {token})\"");
    let url = format!("https://{}/hello", stage.gate.address);
    let tries = [
        (
            "A good token from a listed peer -> HTTP/1.1 200, the service sees x-auth-subject: ada",
            format!("--http1.1 {peer} {token} {url}"),
        ),
        (
            "The same over HTTP/2 -> HTTP/2 200, the service sees x-auth-subject: ada",
            format!("--http2 {peer} {token} {url}"),
        ),
        (
            "Without a certificate -> TLS alert \"certificate required\", curl fails",
            format!("--http1.1 {token} {url}"),
        ),
        (
            "Without a token -> HTTP/1.1 401",
            format!("--http1.1 {peer} {url}"),
        ),
        (
            "With a header that says admin -> HTTP/1.1 200, the service sees x-auth-subject: ada",
            format!("--http1.1 {peer} {token} -H \"X-Auth-Subject: admin\" {url}"),
        ),
    ];
    let mut text = format!(
        "The gate stays, with certificates and keys in {}. In another terminal, paste:\n\n",
        folder.display()
    );
    for (says, arguments) in tries {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "# {says}\ncurl -sS -i --noproxy '*' --cacert {ca} {arguments}\n\n"
        );
    }
    let _ = write!(
        text,
        "# What the gate counted -> sidegate_refused_total\ncurl -sS --noproxy '*' http://{}/metrics\n\n\
         Ctrl-C ends it and removes the folder.",
        stage.admin
    );
    text
}

/// The path as one word of a shell.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.chars().all(plain) {
        path
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(quoted(Path::new("/tmp/a-1/b.crt")), "/tmp/a-1/b.crt");
        assert_eq!(quoted(Path::new("/t m/it's")), r"'/t m/it'\''s'");
    }
}
