//! Who stands behind a request: a token in `Authorization`, or a session in a cookie.
//!
//! A cookie comes along whoever made the browser ask, so it opens only what cannot do harm (reading, which other origins
//! cannot read the answer of) or what says that our own page asked: `Origin` is the address that was asked. The cookie is
//! `HttpOnly` and `SameSite=Strict` besides.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Who;
use crate::control::Doors;
use crate::control::error::{Error, Kind};
use crate::control::http::bearer;

const COOKIE: &str = "vitrine_session";
/// Two weeks; the server counts from the last use.
const COOKIE_S: u32 = 14 * 24 * 3600;

/// The doors for whoever asks: handlers behind [`authorised`] take these.
pub struct Caller(pub Doors);

impl FromRequestParts<Doors> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, doors: &Doors) -> Result<Self, Error> {
        let who = parts.extensions.get::<Who>().cloned().ok_or_else(unauthorised)?;
        Ok(Self(Doors { who, ..doors.clone() }))
    }
}

/// What is said to a stranger.
pub fn unauthorised() -> Error {
    Error::plain(
        Kind::Unauthorised,
        "Authorization: Bearer TOKEN is missing or wrong, and nobody is signed in",
    )
}

/// Lets in whom it knows.
pub async fn authorised(State(doors): State<Doors>, mut request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let token = bearer(request.headers());
    let who = if token.is_empty() {
        by_cookie(&doors, request.headers(), request.uri(), is_safe)
    } else {
        doors.people.by_token(token)
    };
    let Some(who) = who else { return unauthorised().into_response() };
    request.extensions_mut().insert(who);
    next.run(request).await
}

/// Whose browser it is. `is_safe` when it does not matter who made it ask.
pub fn by_cookie(doors: &Doors, headers: &HeaderMap, uri: &Uri, is_safe: bool) -> Option<Who> {
    let session = session(headers)?;
    (is_safe || is_ours(headers, uri)).then(|| doors.people.by_session(session))?
}

/// The session's secret.
pub fn session(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// Whether a page of ours asks. A proxy in front has to hand `Host` on.
fn is_ours(headers: &HeaderMap, uri: &Uri) -> bool {
    let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let asked = asked.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str));
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let host = origin.and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    host.is_some() && host == asked
}

/// Whether the page of another address asks, which must not sign anybody in or out.
pub fn is_strange(headers: &HeaderMap, uri: &Uri) -> bool {
    headers.contains_key(header::ORIGIN) && !is_ours(headers, uri)
}

/// Gives the browser its session; without one, takes it away.
pub fn cookie(secret: Option<&str>, headers: &HeaderMap) -> HeaderValue {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
    let secure = if origin.starts_with("https:") { "; Secure" } else { "" };
    let (value, seconds) = secret.map_or(("", 0), |secret| (secret, COOKIE_S));
    let text = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).expect("a secret is letters and digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_a_page_of_the_same_address_and_port_is_ours() {
        let uri: Uri = "/api/v1/clear".parse().unwrap();
        let is_ours = |origin| is_ours(&headers(&[("host", "shop.example:8080"), ("origin", origin)]), &uri);
        assert!(is_ours("http://shop.example:8080"));
        assert!(is_ours("https://shop.example:8080"));
        assert!(!is_ours("http://shop.example"), "another port is another page");
        assert!(!is_ours("http://evil.example"));
        assert!(!is_ours("null"));
        assert!(!super::is_ours(&headers(&[("host", "shop.example")]), &uri), "no origin, no page");
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        assert_eq!(session(&headers(&[("cookie", "a=1; vitrine_session=xyz; b=2")])), Some("xyz"));
        assert_eq!(session(&headers(&[("cookie", "not_vitrine_session=xyz")])), None);
    }
}
