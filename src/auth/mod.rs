//! Tokens: who is asking, and by which roles.
//!
//! Only EdDSA, ES256 and RS256 are accepted, issuer and audience are required, and the algorithm is that of the
//! configured key, never that of the token's header.

mod key;
mod verify;

pub use key::{issue, local_public_key};
pub use verify::{Principal, TokenError, Verifier};

/// The issuer of tokens that `bellwether token issue` signs.
pub const LOCAL_ISSUER: &str = "bellwether";
/// The audience that every token must name.
pub const AUDIENCE: &str = "bellwether";

/// The roles that a token may carry.
pub const ROLES: [&str; 4] = ["viewer", "operator", "admin", "org-admin"];
/// The role that approves.
pub const APPROVER: &str = "org-admin";
