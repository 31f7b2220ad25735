//! What a caller says in `streamid`: the key, and that it publishes. Pure.
//!
//! Source: SRT Access Control Guidelines (`#!::` with `r` resource, `m` mode, `u` user, `s` session, `t` type,
//! `h` host); `publish:KEY` is `MediaMTX`'s; a bare key is what most encoders' fields hold.

/// Longest that libsrt carries.
const LONGEST: usize = 512;

/// Why a stream id cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// None, or an empty key.
    #[error("no stream key: set the stream id to publish:KEY")]
    Empty,
    /// Not in one of the three forms.
    #[error("the stream id is not publish:KEY, #!::r=KEY,m=publish or KEY")]
    Syntax,
    /// It wants to play.
    #[error("streams are not played over SRT here, only published")]
    Mode,
}

/// The stream key.
///
/// # Errors
/// [`Error`].
pub fn key(stream_id: &str) -> Result<&str, Error> {
    if stream_id.len() > LONGEST || stream_id.chars().any(char::is_control) {
        return Err(Error::Syntax);
    }
    let key = if let Some(pairs) = stream_id.strip_prefix("#!::") {
        access_control(pairs)?
    } else if stream_id.starts_with("#!") {
        return Err(Error::Syntax); // nested braces: nobody sends them
    } else {
        match stream_id.split_once(':') {
            Some(("publish", key)) => key,
            Some(("read" | "request" | "play", _)) => return Err(Error::Mode),
            Some(_) => return Err(Error::Syntax),
            None => stream_id,
        }
    };
    // Fields that hold an RTMP-like path.
    let key = key.rsplit('/').next().unwrap_or_default();
    if key.is_empty() { Err(Error::Empty) } else { Ok(key) }
}

fn access_control(pairs: &str) -> Result<&str, Error> {
    let (mut resource, mut mode) = ("", None);
    for pair in pairs.split(',').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(Error::Syntax)?;
        match name {
            "r" => resource = value,
            "m" => mode = Some(value),
            "t" if value != "stream" => return Err(Error::Mode),
            _ => {} // user, session, host and the sender's own
        }
    }
    match mode {
        // The guidelines' default is to play, and encoders that leave it out publish all the same.
        Some("publish") | None => Ok(resource),
        Some(_) => Err(Error::Mode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_forms_give_the_key() {
        for text in ["publish:k3y", "k3y", "#!::r=k3y,m=publish", "#!::m=publish,u=me,r=live/k3y", "live/k3y"]
        {
            assert_eq!(key(text), Ok("k3y"), "{text}");
        }
    }

    #[test]
    fn players_and_nonsense_are_told_apart() {
        assert_eq!(key("read:k3y"), Err(Error::Mode));
        assert_eq!(key("#!::r=k3y,m=request"), Err(Error::Mode));
        assert_eq!(key("#!::r=k3y,m=bidirectional"), Err(Error::Mode));
        assert_eq!(key("#!::r=k3y,t=file,m=publish"), Err(Error::Mode));
        for text in ["", "publish:", "#!::m=publish", "#!::", "/"] {
            assert_eq!(key(text), Err(Error::Empty), "{text}");
        }
        for text in ["#!:{r=k3y}", "#!::r", "other:k3y", "a\nb", &"x".repeat(513)] {
            assert_eq!(key(text), Err(Error::Syntax), "{text}");
        }
    }
}
