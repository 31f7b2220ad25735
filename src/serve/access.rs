//! Who may watch: everybody, or whoever has a signed address; and how much one address may ask at once.
//!
//! A signature is the beginning of the path, `/s/EXPIRY.KEY.SIGNATURE/live/…`. Playlists name their media by relative
//! addresses, so the signature goes with every request without cookies, and checking it costs a hash.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{Extensions, Request, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::config::Viewers;
use crate::time::WallTime;

/// The scope that opens every channel.
pub const ALL: &str = "*";
/// What signed addresses begin with.
const PREFIX: &str = "/s/";

/// The rules, shared by all requests.
#[derive(Debug, Clone)]
pub struct Access {
    keys: Arc<[(String, hmac::Key)]>,
    signer: Option<usize>,
    most: usize,
    proxies: Arc<[IpAddr]>,
    present: Count,
}

/// How a signed address was judged, for the guard behind the routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Admitted,
    Expired,
    Wrong,
}

impl Access {
    /// By the owner's rules.
    pub fn new(viewers: &Viewers) -> Self {
        let key = |secret: &String| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let keys: Arc<[_]> = viewers.keys.iter().map(|(name, secret)| (name.clone(), key(secret))).collect();
        let named = |name: &String| keys.iter().position(|(known, _)| known == name);
        let signer = viewers.sign_with.as_ref().and_then(named).or(keys.len().checked_sub(1));
        Self {
            signer,
            keys,
            most: viewers.requests_per_address,
            proxies: viewers.proxies.clone().into(),
            present: Arc::default(),
        }
    }

    /// The beginning of addresses that may be used until `expiry`, for a channel, a show (`CHANNEL/SHOW`) or [`ALL`].
    /// Empty when everybody may watch.
    pub fn prefix(&self, scope: &str, expiry: WallTime) -> String {
        let Some((name, key)) = self.signer.map(|signer| &self.keys[signer]) else { return String::new() };
        let seconds = expiry.0 / 1000;
        let tag = hmac::sign(key, signed(seconds, name, scope).as_bytes());
        format!("{PREFIX}{seconds}.{name}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Takes the signature out of an address, and keeps what it is worth with the request. To be run before routing.
    pub fn read<B>(&self, mut request: Request<B>) -> Request<B> {
        let Some(rest) = request.uri().path().strip_prefix(PREFIX) else { return request };
        let Some((token, path)) = rest.split_once('/') else { return request };
        let verdict = self.judge(token, path, WallTime::now());
        let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
        if let Ok(uri) = format!("/{path}{query}").parse::<Uri>() {
            *request.uri_mut() = uri;
            request.extensions_mut().insert(verdict);
        }
        request
    }

    fn judge(&self, token: &str, path: &str, now: WallTime) -> Verdict {
        let mut fields = token.split('.');
        let (Some(seconds), Some(name), Some(tag), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Verdict::Wrong;
        };
        let key = self.keys.iter().find(|(known, _)| known == name);
        let (Ok(seconds), Some((_, key)), Ok(tag)) =
            (seconds.parse::<i64>(), key, URL_SAFE_NO_PAD.decode(tag))
        else {
            return Verdict::Wrong;
        };
        // live/CHANNEL/…, vod/CHANNEL/SHOW/…, watch/CHANNEL
        let mut names = path.split('/').skip(1);
        let channel = names.next().unwrap_or_default();
        let show = format!("{channel}/{}", names.next().unwrap_or_default());
        let fits = |scope: &str| hmac::verify(key, signed(seconds, name, scope).as_bytes(), &tag).is_ok();
        if !fits(channel) && !fits(&show) && !fits(ALL) {
            return Verdict::Wrong;
        }
        if seconds < now.0 / 1000 { Verdict::Expired } else { Verdict::Admitted }
    }

    /// One more request of an address, until the guard is dropped; none when it has too many.
    fn enter(&self, address: Option<IpAddr>) -> Option<Present> {
        let counted = address.filter(|address| self.most > 0 && !self.proxies.contains(address));
        if let Some(address) = counted {
            let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
            let count = present.entry(address).or_default();
            if *count >= self.most {
                return None;
            }
            *count += 1;
        }
        Some(Present(counted.map(|address| (self.present.clone(), address))))
    }
}

fn signed(seconds: i64, key: &str, scope: &str) -> String {
    format!("{seconds}.{key}.{scope}")
}

/// A request on its way, where those are counted.
#[derive(Debug)]
pub(super) struct Present(Option<(Count, IpAddr)>);

/// Requests of each address.
type Count = Arc<Mutex<HashMap<IpAddr, usize>>>;

impl Drop for Present {
    fn drop(&mut self) {
        let Some((present, address)) = &self.0 else { return };
        let mut present = present.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = present.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                present.remove(address);
            }
        }
    }
}

impl Access {
    /// Lets through who may watch, as long as its address does not ask too much at once: as long as the answer is kept, it
    /// counts.
    ///
    /// # Errors
    /// The answer to who may not.
    #[allow(clippy::result_large_err)] // both are answers
    pub(super) fn admit(
        &self,
        extensions: &Extensions,
        address: Option<IpAddr>,
    ) -> Result<Present, Response> {
        let refused = |status: StatusCode, text: &'static str| {
            let head = [(header::CACHE_CONTROL, "no-store"), (header::RETRY_AFTER, "1")];
            (status, head, text).into_response()
        };
        if !self.keys.is_empty() {
            match extensions.get::<Verdict>() {
                Some(Verdict::Admitted) => {}
                Some(Verdict::Expired) => {
                    return Err(refused(StatusCode::FORBIDDEN, "this address has expired"));
                }
                Some(Verdict::Wrong) => {
                    return Err(refused(StatusCode::FORBIDDEN, "this signature is not right"));
                }
                None => return Err(refused(StatusCode::FORBIDDEN, "a signed address is wanted")),
            }
        }
        self.enter(address).ok_or_else(|| {
            refused(StatusCode::TOO_MANY_REQUESTS, "too many requests of this address at once")
        })
    }
}

/// [`Access::admit`] as a layer.
pub async fn guard(State(access): State<Access>, request: Request<Body>, next: Next) -> Response {
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let admitted = access.admit(request.extensions(), address);
    match admitted {
        Ok(_present) => next.run(request).await,
        Err(refusal) => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(keys: &[(&str, &str)]) -> Access {
        let keys = keys.iter().map(|(name, secret)| ((*name).to_owned(), (*secret).to_owned())).collect();
        Access::new(&Viewers { keys, requests_per_address: 2, ..Viewers::default() })
    }

    #[test]
    fn a_signature_opens_its_channel_until_it_expires() {
        let access = access(&[("a", "0123456789abcdef"), ("b", "fedcba9876543210")]);
        let prefix = access.prefix("main", WallTime(60_000));
        let token = prefix.strip_prefix(PREFIX).unwrap();
        assert!(token.starts_with("60.b."), "the last by name signs: {token}");
        let judge = |token: &str, path: &str, now: i64| access.judge(token, path, WallTime(now));
        assert_eq!(judge(token, "live/main/video/1.m4s", 59_000), Verdict::Admitted);
        assert_eq!(judge(token, "vod/main/20260101-000000/index.m3u8", 59_000), Verdict::Admitted);
        assert_eq!(judge(token, "live/other/index.m3u8", 59_000), Verdict::Wrong);
        assert_eq!(judge(token, "live/main/index.m3u8", 61_000), Verdict::Expired);
        assert_eq!(judge(&token.replace("60.", "90."), "live/main/index.m3u8", 61_000), Verdict::Wrong);
        assert_eq!(judge("x", "live/main/index.m3u8", 0), Verdict::Wrong);
        let show = access.prefix("main/s1", WallTime(60_000));
        let show = show.strip_prefix(PREFIX).unwrap();
        assert_eq!(judge(show, "vod/main/s1/index.m3u8", 0), Verdict::Admitted);
        assert_eq!(judge(show, "live/main/index.m3u8", 0), Verdict::Wrong);
    }

    #[test]
    fn an_old_key_admits_until_it_is_taken_away() {
        let old = access(&[("a", "0123456789abcdef")]).prefix(ALL, WallTime(60_000));
        let token = old.strip_prefix(PREFIX).unwrap();
        let both = access(&[("a", "0123456789abcdef"), ("b", "fedcba9876543210")]);
        assert_eq!(both.judge(token, "live/x/index.m3u8", WallTime(0)), Verdict::Admitted);
        let new = access(&[("b", "fedcba9876543210")]);
        assert_eq!(new.judge(token, "live/x/index.m3u8", WallTime(0)), Verdict::Wrong);
    }

    #[test]
    fn an_address_may_ask_so_much_at_once_and_a_proxy_more() {
        let access = access(&[]);
        let far = Some(IpAddr::from([203, 0, 113, 9]));
        let first = access.enter(far);
        let _second = access.enter(far);
        assert!(access.enter(far).is_none());
        drop(first);
        assert!(access.enter(far).is_some());
        let near = Some(IpAddr::from([127, 0, 0, 1]));
        let many: Vec<_> = (0..50).map(|_| access.enter(near)).collect();
        assert!(many.iter().all(Option::is_some));
        assert_eq!(access.prefix("main", WallTime(0)), "", "everybody may watch");
    }
}
