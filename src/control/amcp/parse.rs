//! AMCP's lines: words, quotes and escapes, and the few commands that cards can follow. Pure.
//!
//! Source: `CasparCG` server, `AMCPProtocolStrategy` and `AMCPCommandsImpl` (the CG commands); its wiki, "AMCP Protocol".

use serde_json::{Map, Value};

/// Where a graphic is: `CasparCG`'s channel and layer, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Our channels in the order of their names.
    pub channel: usize,
    /// Any number; a graphic's own.
    pub layer: u32,
}

/// What a line asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// What this server is.
    Version,
    /// Load a template into a layer.
    Add {
        /// Where.
        place: Place,
        /// A card of ours, or a template.
        template: String,
        /// On air at once.
        plays: bool,
        /// The template's fields.
        data: Map<String, Value>,
    },
    /// On air.
    Play(Place),
    /// Off air, with its animation.
    Stop(Place),
    /// The next step.
    Next(Place),
    /// Other fields.
    Update(Place, Map<String, Value>),
    /// Off air, and forgotten.
    Remove(Place),
    /// Everything of a channel, or of one layer, off air at once.
    Clear(usize, Option<u32>),
}

/// Why a line cannot be followed, as AMCP numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 400: not a command that is known.
    Unknown,
    /// 402: something is missing.
    Missing,
    /// 403: something is there that cannot be used.
    Parameter,
}

/// `CasparCG`'s layer of a CG command that names none.
const USUAL_LAYER: u32 = 9999;

/// A line's words: quotes hold blanks, a backslash the next letter.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted, mut is_word) = (Vec::new(), String::new(), false, false);
    let mut letters = line.trim().chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                is_word = true;
                match letters.next() {
                    Some('n') => word.push('\n'),
                    Some(other) => word.push(other),
                    None => {}
                }
            }
            '"' => {
                is_quoted = !is_quoted;
                is_word = true;
            }
            ' ' | '\t' if !is_quoted => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                }
                is_word = false;
            }
            other => {
                word.push(other);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

/// Reads a line's words.
///
/// # Errors
/// [`Fault`].
pub fn command(words: &[String]) -> Result<Command, Fault> {
    let word = |n: usize| words.get(n).map(String::as_str).ok_or(Fault::Missing);
    let upper = |n: usize| word(n).map(str::to_ascii_uppercase);
    match upper(0)?.as_str() {
        "VERSION" => Ok(Command::Version),
        "CLEAR" => place(word(1)?).map(|(channel, layer)| Command::Clear(channel, layer)),
        "CG" => {
            let (channel, layer) = place(word(1)?)?;
            let place = Place { channel, layer: layer.unwrap_or(USUAL_LAYER) };
            // After the verb comes the Flash layer, which nobody has any more; clients send 0 or 1.
            Ok(match upper(2)?.as_str() {
                "ADD" => Command::Add {
                    place,
                    template: word(4)?.rsplit('/').next().unwrap_or_default().to_owned(),
                    plays: words.get(5).is_some_and(|plays| plays == "1"),
                    data: words.get(6).map_or(Ok(Map::new()), |text| data(text))?,
                },
                "PLAY" => Command::Play(place),
                "STOP" => Command::Stop(place),
                "NEXT" => Command::Next(place),
                "UPDATE" => Command::Update(place, data(word(4)?)?),
                "REMOVE" => Command::Remove(place),
                "CLEAR" => Command::Clear(channel, Some(place.layer)),
                "INVOKE" => match word(4)?.trim_end_matches("()").to_ascii_lowercase().as_str() {
                    "play" => Command::Play(place),
                    "stop" => Command::Stop(place),
                    "next" => Command::Next(place),
                    _ => return Err(Fault::Parameter),
                },
                _ => return Err(Fault::Unknown),
            })
        }
        _ => Err(Fault::Unknown),
    }
}

/// `1` or `1-20`.
fn place(text: &str) -> Result<(usize, Option<u32>), Fault> {
    let (channel, layer) =
        text.split_once('-').map_or((text, None), |(channel, layer)| (channel, Some(layer)));
    let channel = channel.parse().map_err(|_| Fault::Parameter)?;
    let layer = layer.map(str::parse).transpose().map_err(|_| Fault::Parameter)?;
    Ok((channel, layer))
}

/// JSON's fields. The XML of Flash templates is not read.
fn data(text: &str) -> Result<Map<String, Value>, Fault> {
    match serde_json::from_str(text) {
        _ if text.trim().is_empty() => Ok(Map::new()),
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Fault::Parameter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(line: &str) -> Result<Command, Fault> {
        command(&words(line))
    }

    const PLACE: Place = Place { channel: 1, layer: 20 };

    #[test]
    fn lines_are_read_as_the_usual_clients_write_them() {
        let data = json!({ "name": "Lin \"the\" cup", "f1": "C:\\x" }).as_object().unwrap().clone();
        let text = serde_json::to_string(&data).unwrap().replace('\\', "\\\\").replace('"', "\\\"");
        let add =
            |plays| Command::Add { place: PLACE, template: "lower-third".into(), plays, data: data.clone() };
        assert_eq!(read(&format!("CG 1-20 ADD 1 \"lower-third\" 1 \"{text}\"")), Ok(add(true)));
        assert_eq!(read(&format!("  cg 1-20 add 0 shows/lower-third 0 \"{text}\"")), Ok(add(false)));
        assert_eq!(read(&format!("CG 1-20 UPDATE 1 \"{text}\"")), Ok(Command::Update(PLACE, data)));
        assert_eq!(read("CG 1-20 PLAY 1"), Ok(Command::Play(PLACE)));
        assert_eq!(read("CG 1-20 NEXT 0"), Ok(Command::Next(PLACE)));
        assert_eq!(read("CG 1-20 INVOKE 1 \"next()\""), Ok(Command::Next(PLACE)));
        assert_eq!(read(" CLEAR 1"), Ok(Command::Clear(1, None)));
        assert_eq!(read("CLEAR 1-20"), Ok(Command::Clear(1, Some(20))));
        assert_eq!(read("CG 2 STOP 1"), Ok(Command::Stop(Place { channel: 2, layer: USUAL_LAYER })));
    }

    #[test]
    fn what_cannot_be_followed_says_which_way() {
        assert_eq!(read(""), Err(Fault::Missing));
        assert_eq!(read("LOAD 1-1 film"), Err(Fault::Unknown));
        assert_eq!(read("CG 1-20"), Err(Fault::Missing));
        assert_eq!(read("CG one PLAY 1"), Err(Fault::Parameter));
        assert_eq!(read("CG 1-20 UPDATE 1 \"<templateData/>\""), Err(Fault::Parameter));
        assert_eq!(read("CG 1-20 INVOKE 1 explode"), Err(Fault::Parameter));
    }
}
