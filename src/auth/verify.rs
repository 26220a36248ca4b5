//! Verification of tokens.

use bellwether_model::id::Actor;
use bellwether_model::time::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};

use super::AUDIENCE;

/// The claims of a token.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    pub roles: Vec<String>,
    pub nbf: i64,
    pub exp: i64,
}

/// Who is asking, as a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's subject.
    pub actor: Actor,
    /// The token's roles.
    pub roles: Vec<String>,
}

impl Principal {
    /// Whether the token carries this role.
    pub fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|r| r == role)
    }
}

/// Why a token does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The key is of no accepted kind.
    #[error("the configured public key is neither Ed25519, P-256 nor RSA in PEM form")]
    BadKey,
    /// Wrong signature, algorithm, issuer, audience or form.
    #[error("the token is not valid")]
    Invalid,
    /// It was valid once.
    #[error("the token expired at {0}")]
    Expired(Timestamp),
    /// It will be valid later.
    #[error("the token is not valid before {0}")]
    Early(Timestamp),
    /// It lacks a role.
    #[error("the token of {actor} does not carry the role {role}")]
    MissingRole {
        /// Whose token.
        actor: Actor,
        /// The role that is needed.
        role: &'static str,
    },
}

/// Checks tokens against one issuer and its public key.
pub struct Verifier {
    key: DecodingKey,
    algorithm: Algorithm,
    issuer: String,
}

impl Verifier {
    /// A verifier for tokens of `issuer`, signed with the private half of this public key (PEM: Ed25519, P-256 or RSA).
    ///
    /// # Errors
    /// When the key is of no accepted kind.
    pub fn new(issuer: impl Into<String>, public_key_pem: &str) -> Result<Self, TokenError> {
        let pem = public_key_pem.as_bytes();
        let kinds = [
            (DecodingKey::from_ed_pem(pem), Algorithm::EdDSA),
            (DecodingKey::from_ec_pem(pem), Algorithm::ES256),
            (DecodingKey::from_rsa_pem(pem), Algorithm::RS256),
        ];
        let (key, algorithm) = kinds.into_iter().find_map(|(key, algorithm)| key.ok().map(|k| (k, algorithm))).ok_or(TokenError::BadKey)?;
        Ok(Self { key, algorithm, issuer: issuer.into() })
    }

    /// Who is asking.
    ///
    /// # Errors
    /// One error for everything that is wrong with the token itself, so that nothing is learned by trying; its own for
    /// times, which its owner can read in the token anyway.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        let mut rules = Validation::new(self.algorithm);
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // The clock is an argument, so times are judged here and not by the library.
        rules.validate_exp = false;
        rules.validate_nbf = false;
        if token.len() > 8_192 {
            return Err(TokenError::Invalid);
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.key, &rules).map_err(|_| TokenError::Invalid)?.claims;
        let (exp, nbf) = (Timestamp::from_secs(claims.exp), Timestamp::from_secs(claims.nbf));
        if now >= exp {
            return Err(TokenError::Expired(exp));
        }
        if now < nbf {
            return Err(TokenError::Early(nbf));
        }
        if claims.sub.trim().is_empty() {
            return Err(TokenError::Invalid);
        }
        Ok(Principal { actor: Actor::new(claims.sub), roles: claims.roles })
    }

    /// Who is asking, when the token carries the role.
    ///
    /// # Errors
    /// As [`Verifier::verify`], and when the role is missing.
    pub fn require(&self, token: &str, role: &'static str, now: Timestamp) -> Result<Principal, TokenError> {
        let principal = self.verify(token, now)?;
        if principal.has(role) { Ok(principal) } else { Err(TokenError::MissingRole { actor: principal.actor, role }) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{APPROVER, LOCAL_ISSUER, issue, local_public_key};
    use super::*;
    use bellwether_model::time::Span;

    #[test]
    fn only_a_fresh_token_of_the_right_key_with_the_role_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a.pem"), dir.path().join("b.pem"));
        let now = Timestamp::from_secs(1_800_000_000);
        let roles = |r: &str| vec![r.to_owned()];
        let token = issue(&path, "ann@example.com", &roles("org-admin"), Span::from_hours(8), now).unwrap();
        let verifier = Verifier::new(LOCAL_ISSUER, &local_public_key(&path).unwrap().unwrap()).unwrap();
        assert_eq!(verifier.require(&token, APPROVER, now).unwrap().actor.as_str(), "ann@example.com");
        assert_eq!(verifier.verify(&token, now + Span::from_hours(8)), Err(TokenError::Expired(now + Span::from_hours(8))));
        assert!(matches!(verifier.verify(&token, now - Span::from_secs(5)), Err(TokenError::Early(_))));
        let viewer = issue(&path, "bob", &roles("viewer"), Span::from_hours(1), now).unwrap();
        assert!(matches!(verifier.require(&viewer, APPROVER, now), Err(TokenError::MissingRole { .. })));
        let forged = issue(&other, "eve", &roles("org-admin"), Span::from_hours(1), now).unwrap();
        assert_eq!(verifier.verify(&forged, now), Err(TokenError::Invalid));
        let unsigned = format!("{}.{}.", "eyJhbGciOiJub25lIn0", token.split('.').nth(1).unwrap());
        assert_eq!(verifier.verify(&unsigned, now), Err(TokenError::Invalid));
        let elsewhere = Verifier::new("https://idp.example", &local_public_key(&path).unwrap().unwrap()).unwrap();
        assert_eq!(elsewhere.verify(&token, now), Err(TokenError::Invalid));
        assert!(issue(&path, "x", &roles("root"), Span::from_hours(1), now).is_err());
        assert!(issue(&path, "x", &roles("viewer"), Span::from_days(31), now).is_err());
    }

    #[test]
    fn an_exposed_key_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.pem");
        let now = Timestamp::from_secs(1_800_000_000);
        issue(&path, "a", &["viewer".to_owned()], Span::from_hours(1), now).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(local_public_key(&path), Err(super::super::key::KeyError::Exposed { .. })));
    }
}
