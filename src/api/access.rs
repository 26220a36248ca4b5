//! Who may call what: the guard in front of every route.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use bellwether_model::time::Timestamp;

use super::problem::{Kind, Problem};
use crate::auth::{Principal, TokenError, Verifier};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone: health, which load balancers ask for.
    Everyone,
    /// Everyone while only this host can ask; otherwise those who may read.
    EveryoneHere,
    /// Bearers of a token with one of these roles.
    Roles(&'static [&'static str]),
}

/// Those who read.
pub const READ: &[&str] = &["viewer", "operator", "admin", "org-admin"];
/// Those who set things going: nothing happens by it that governance does not admit.
pub const OPERATE: &[&str] = &["operator", "org-admin"];
/// Those who approve.
pub const APPROVE: &[&str] = &["org-admin"];

/// What the guard of one route needs.
#[derive(Clone)]
pub struct Guard {
    /// Who may.
    pub access: Access,
    /// What tokens are checked with.
    pub verifier: Arc<Verifier>,
    /// Whether only this host can ask.
    pub only_here: bool,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

/// Lets a request pass, with who is asking as its extension, or answers 401 or 403.
pub async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let roles = match guard.access {
        Access::Everyone => return Ok(next.run(request).await),
        Access::EveryoneHere if guard.only_here => return Ok(next.run(request).await),
        Access::EveryoneHere => READ,
        Access::Roles(roles) => roles,
    };
    let principal = who(request.headers(), &guard)?;
    if !roles.iter().any(|role| principal.has(role)) {
        let detail = format!(
            "{} has {}, and this takes {}",
            principal.actor,
            listed(principal.roles.iter().map(String::as_str)),
            listed(roles.iter().copied())
        );
        return Err(Problem::new(Kind::MissingRole, detail));
    }
    request.extensions_mut().insert(principal);
    Ok(next.run(request).await)
}

fn who(headers: &HeaderMap, guard: &Guard) -> Result<Principal, Problem> {
    let unauthorized = |detail: &str| {
        Problem::new(Kind::Unauthorized, detail).hint("send `Authorization: Bearer TOKEN`; `bellwether token issue` makes a token")
    };
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(unauthorized("there must be one Authorization header")) };
    let token = value.to_str().ok().and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else { return Err(unauthorized("the Authorization header holds no bearer token")) };
    guard.verifier.verify(token.trim(), (guard.clock)()).map_err(|e| match e {
        // Its owner can read these times in the token anyway.
        TokenError::Expired(_) | TokenError::Early(_) => unauthorized(&e.to_string()),
        _ => unauthorized("the token is not valid"),
    })
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    match words.as_slice() {
        [] => "no role".to_owned(),
        [one] => format!("the role {one}"),
        several => format!("one of the roles {}", several.join(", ")),
    }
}
