//! Platforms that the programme is pushed to.

use serde::Deserialize;

use super::{Coding, Error};

/// Platforms with one address for everybody; others give an address with each show.
const PLATFORMS: [(&str, &str); 3] = [
    ("youtube", "rtmps://a.rtmps.youtube.com/live2"),
    ("twitch", "rtmps://live.twitch.tv/app"),
    ("facebook", "rtmps://live-api-s.facebook.com:443/rtmp"),
];
/// Targets of a channel.
pub(super) const MOST: usize = 20;

/// When a target gets the programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// While a show goes on: from a publisher's first picture until the show is over.
    #[default]
    Live,
    /// Always, slates and all.
    Always,
    /// Never, until this is changed.
    Off,
}

/// How it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// RTMP, inside TLS or not.
    Rtmp {
        /// Whether it is RTMPS.
        is_secure: bool,
        /// Without brackets.
        host: String,
        /// TCP.
        port: u16,
        /// What stands before the key.
        application: String,
        /// The key.
        stream: String,
    },
    /// SRT, as caller.
    Srt {
        /// With everything but the key.
        url: String,
        /// The key.
        stream_id: Option<String>,
    },
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// What producers call it.
    pub name: String,
    /// Where to.
    pub protocol: Protocol,
    /// The address as producers may see it: nothing secret is in it.
    pub shown: String,
    /// What must not be in any log.
    pub secrets: Vec<String>,
    /// The rung; nothing means the first.
    pub rung: Option<String>,
    /// When.
    pub when: When,
}

/// As the file says it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PushFile {
    platform: Option<String>,
    url: Option<String>,
    key: Option<String>,
    rung: Option<String>,
    #[serde(default)]
    when: When,
}

/// Reads the target `name` of `channel`, which has `rungs`.
pub(super) fn read(
    name: String,
    file: PushFile,
    channel: &str,
    rungs: &[super::Rung],
) -> Result<Push, Error> {
    let bad = |key: &str, value: &str, reason: &'static str| Error::Value {
        key: format!("channels.{channel}.push.{name}.{key}"),
        value: value.into(),
        reason,
    };
    let preset = match &file.platform {
        None => None,
        Some(platform) => Some(
            PLATFORMS
                .iter()
                .find(|(known, _)| known == platform)
                .map(|(_, url)| (*url).to_owned())
                .ok_or_else(|| {
                    bad(
                        "platform",
                        platform,
                        "youtube, twitch or facebook; for others url, as the platform gives it",
                    )
                })?,
        ),
    };
    let url = file.url.or(preset).ok_or_else(|| bad("url", "", "the platform's server address is wanted"))?;
    let key = file.key.filter(|key| !key.is_empty());
    let is_text = |text: &str| !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if !is_text(&url) || key.as_deref().is_some_and(|key| !is_text(key)) {
        return Err(bad("url", "(hidden)", "no spaces, here and in the key"));
    }
    if let Some(rung) = file
        .rung
        .as_ref()
        .filter(|rung| !rungs.iter().any(|known| known.name == **rung && known.coding == Coding::H264))
    {
        return Err(bad("rung", rung, "a rung of the channel in H.264, such as \"video-432\""));
    }
    let (protocol, shown) = address(&url, key.as_deref()).ok_or_else(|| {
        bad("url", "(hidden)", "such as rtmp://server/app, rtmps://… or srt://server:port, with a key")
    })?;
    let secrets = match &protocol {
        Protocol::Rtmp { stream, .. } => vec![stream.clone()],
        Protocol::Srt { url, stream_id } => {
            let query = url.split_once('?').map(|(_, query)| query.to_owned());
            stream_id.iter().cloned().chain(query).collect()
        }
    };
    Ok(Push { name, protocol, shown, secrets, rung: file.rung, when: file.when })
}

fn address(url: &str, key: Option<&str>) -> Option<(Protocol, String)> {
    let (scheme, rest) = url.split_once("://")?;
    if scheme == "srt" {
        let server = rest.split(['?', '/']).next()?;
        let (host, port) = server.rsplit_once(':')?;
        (!host.is_empty() && port.parse::<u16>().is_ok()).then_some(())?;
        let protocol = Protocol::Srt { url: url.into(), stream_id: key.map(Into::into) };
        return Some((protocol, format!("srt://{server}")));
    }
    let is_secure = match scheme {
        "rtmp" => false,
        "rtmps" => true,
        _ => return None,
    };
    let (server, path) = rest.split_once('/')?;
    let server = server.rsplit('@').next()?;
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (server, if is_secure { 443 } else { 1935 }),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // With the key at the end of the address, as encoders' one-field forms have it.
    let (application, stream) = if let Some(key) = key {
        (path.trim_end_matches('/'), key)
    } else {
        let before_query = path.split('?').next()?;
        let cut = before_query.rfind('/')?;
        (&path[..cut], &path[cut + 1..])
    };
    let is_whole = !host.is_empty() && !application.is_empty() && !stream.is_empty();
    let app = application.split(['?', '/']).next()?;
    let protocol = Protocol::Rtmp {
        is_secure,
        host: host.into(),
        port,
        application: application.into(),
        stream: stream.into(),
    };
    is_whole.then(|| (protocol, format!("{scheme}://{server}/{app}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtmp(url: &str, key: Option<&str>) -> (bool, String, u16, String, String, String) {
        let (protocol, shown) = address(url, key).unwrap();
        let Protocol::Rtmp { is_secure, host, port, application, stream } = protocol else { panic!("{url}") };
        (is_secure, host, port, application, stream, shown)
    }

    #[test]
    fn addresses_are_read_as_platforms_give_them() {
        let douyin = rtmp("rtmp://push.example.com/third/", Some("stream-1?expire=1&sign=ab/c"));
        assert_eq!((douyin.3.as_str(), douyin.4.as_str()), ("third", "stream-1?expire=1&sign=ab/c"));
        let whole = rtmp("rtmps://live.example.com:443/live2/key-1?a=b", None);
        assert_eq!((whole.0, whole.2, whole.3.as_str(), whole.4.as_str()), (true, 443, "live2", "key-1?a=b"));
        assert_eq!(whole.5, "rtmps://live.example.com:443/live2", "no key in it");
        assert_eq!(rtmp("rtmp://[::1]/live", Some("k")).1, "::1");
        assert_eq!(rtmp("rtmp://user:pass@host/live", Some("k")).5, "rtmp://host/live");
        let (_, shown) = address("srt://host:9000?passphrase=secretsecret", Some("publish:x")).unwrap();
        assert_eq!(shown, "srt://host:9000");
        for wrong in ["http://host/live", "rtmp://host", "rtmp://host/live", "srt://host", "rtmp:///live/key"]
        {
            assert!(address(wrong, None).is_none(), "{wrong}");
        }
    }
}
