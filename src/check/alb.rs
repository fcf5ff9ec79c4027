//! The JOSE header of an AWS Application Load Balancer becomes the claims that others put into the
//! payload.
//!
//! Signed as the payload is, but unverified when it is read: until the signature holds, `signer`
//! only refuses. AWS signs for every customer with the keys of the region, so without a signer of
//! ours the token may be anybody's.

use serde_json::{Map, Value};

use crate::model::{Denial, json};

/// What the header says instead of the payload, under the payload's names.
pub(super) struct AlbHeader {
    signer: Box<str>,
    claims: [(&'static str, Value); 3],
}

/// Member of the header, and the claim that it stands for.
const MOVED: [(&str, &str); 3] = [("iss", "iss"), ("exp", "exp"), ("client", "aud")];

impl AlbHeader {
    /// Reads a decoded header that [`Header::parse`] let through.
    ///
    /// # Errors
    ///
    /// [`Denial::SignerRefused`] unless `signer` is one of `signers`, whole;
    /// [`Denial::TokenMalformed`] for what is not one JSON object.
    ///
    /// [`Header::parse`]: super::header::Header::parse
    pub(super) fn parse(json: &[u8], signers: &[String]) -> Result<Self, Denial> {
        let mut header = json::parse_object(json).map_err(|_| Denial::TokenMalformed)?;
        let signer = header.get("signer").and_then(Value::as_str);
        // SECURITY: guarded by `a_load_balancer_of_somebody_else_is_refused`.
        let signer = signer
            .filter(|signer| signers.iter().any(|ours| ours == signer))
            .map(Box::from)
            .ok_or(Denial::SignerRefused)?;
        let claims = MOVED.map(|(member, claim)| {
            let value = header.remove(member).unwrap_or(Value::Null);
            (claim, value)
        });
        Ok(Self { signer, claims })
    }

    /// Which load balancer signed.
    pub(super) fn into_signer(self) -> Box<str> {
        self.signer
    }

    /// Puts them among the claims of the payload.
    ///
    /// # Errors
    ///
    /// [`Denial::ClaimsMalformed`] where the payload says something else: which of the two an
    /// application behind the gate would believe is anybody's guess. Of two `exp` the earlier holds.
    pub(super) fn add_to(&self, claims: &mut Map<String, Value>) -> Result<(), Denial> {
        for (name, value) in &self.claims {
            if value.is_null() {
                // Not there: then the payload cannot say it either, for nobody else's word counts.
                claims.remove(*name);
                continue;
            }
            let before = claims.insert((*name).to_owned(), value.clone());
            match before {
                Some(before) if *name == "exp" && before.as_f64() < value.as_f64() => {
                    claims.insert((*name).to_owned(), before);
                }
                Some(before) if *name != "exp" && before != *value => {
                    return Err(Denial::ClaimsMalformed);
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}
