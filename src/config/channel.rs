//! A channel's part of the configuration.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::look::{Look, LookFile, Theme};
use super::push::{self, Push};
use super::{Error, Rung, ladder};
use crate::media::{Canvas, FrameRate};

/// A source's rank unless said otherwise: every encoder goes before it.
pub const DEFAULT_SOURCE_RANK: u32 = 100;
/// What codes pictures; each has its `pipelines/rung_NAME.gst`. The first that the machine has is taken.
pub const ENCODERS: [&str; 6] = ["va", "nv", "qsv", "v4l2", "x264", "openh264"];
/// x264's presets that keep up live, the fastest first.
pub const PRESETS: [&str; 6] = ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"];

/// What viewers can choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The programme with its cards in the picture.
    #[default]
    Burned,
    /// The publisher's own picture; players draw the cards from the metadata.
    Clean,
    /// Both.
    Both,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ChannelFile {
    width: Option<u32>,
    height: Option<u32>,
    fps: Option<String>,
    video_kbps: Option<u32>,
    audio_kbps: Option<u32>,
    preset: Option<String>,
    mode: Mode,
    rungs: Option<Vec<ladder::RungFile>>,
    encoder: Option<String>,
    pub(super) srt_passphrase: Option<String>,
    source: Option<String>,
    source_rank: Option<u32>,
    push: BTreeMap<String, push::PushFile>,
    theme: Option<Theme>,
    brand_colour: Option<String>,
    font: Option<String>,
    locale: Option<String>,
}

/// One channel: a programme with its own picture, keys and playlists.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// The name in addresses.
    pub name: String,
    /// Picture size and rate.
    pub canvas: Canvas,
    /// Its picture in several sizes, the canvas itself first.
    pub rungs: Vec<Rung>,
    /// What viewers can choose from. Without the programme there are no rungs.
    pub mode: Mode,
    /// What codes the picture; nothing means the best that the machine has.
    pub encoder: Option<String>,
    /// Audio bit rate.
    pub audio_kbps: u32,
    /// x264's preset.
    pub preset: String,
    /// What SRT callers must encrypt with; nothing means that they need not.
    pub srt_passphrase: Option<String>,
    /// Where the programme is pushed to.
    pub push: Vec<Push>,
    /// A source that the channel fetches itself, and its rank; the API's choice goes before it.
    pub source: Option<(String, u32)>,
    /// How its cards look.
    pub look: Look,
}

/// A channel as described, and as `look` where it says nothing.
pub(super) fn read(name: String, file: ChannelFile, look: &Look) -> Result<Channel, Error> {
    let bad = |key: &str, value: String, reason| Error::Value {
        key: format!("channels.{name}{key}"),
        value,
        reason,
    };
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 40 || !name.chars().all(is_plain) {
        return Err(bad("", name.clone(), "1 to 40 of a-z, 0-9 and -"));
    }
    let fps = file.fps.unwrap_or_else(|| "30".into());
    let rate =
        parse_rate(&fps).ok_or_else(|| bad(".fps", fps, "such as \"25\" or \"30000/1001\", up to 60"))?;
    let canvas = Canvas { width: file.width.unwrap_or(1280), height: file.height.unwrap_or(720), rate };
    for (key, size) in [(".width", canvas.width), (".height", canvas.height)] {
        if size % 2 != 0 || !(128..=3840).contains(&size) {
            return Err(bad(key, size.to_string(), "even, 128 to 3840"));
        }
    }
    let video_kbps = file.video_kbps.unwrap_or_else(|| default_kbps(canvas));
    if !(100..=50_000).contains(&video_kbps) {
        return Err(bad(".video_kbps", video_kbps.to_string(), "100 to 50000"));
    }
    let audio_kbps = file.audio_kbps.unwrap_or(128);
    if !(32..=320).contains(&audio_kbps) {
        return Err(bad(".audio_kbps", audio_kbps.to_string(), "32 to 320"));
    }
    let preset = file.preset.unwrap_or_else(|| "veryfast".into());
    if !PRESETS.contains(&preset.as_str()) {
        return Err(bad(".preset", preset, "ultrafast, superfast, veryfast, faster, fast or medium"));
    }
    let srt_passphrase = file.srt_passphrase.filter(|passphrase| !passphrase.is_empty());
    // libsrt's own bounds.
    if srt_passphrase.as_ref().is_some_and(|passphrase| !(10..=79).contains(&passphrase.len())) {
        return Err(bad(".srt_passphrase", "(hidden)".into(), "10 to 79 characters"));
    }
    let source = file.source.map(|source| (source, file.source_rank.unwrap_or(DEFAULT_SOURCE_RANK)));
    let own =
        LookFile { theme: file.theme, brand_colour: file.brand_colour, font: file.font, locale: file.locale };
    let look = own.over(look, &format!("channels.{name}"))?;
    let mut rungs = ladder::rungs(canvas, video_kbps, file.rungs, &name)?;
    if file.mode == Mode::Clean {
        if !file.push.is_empty() {
            return Err(bad(
                ".mode",
                "clean".into(),
                "burned or both, when the programme is pushed somewhere",
            ));
        }
        rungs.clear(); // nothing is coded
    }
    let encoder = file.encoder.filter(|encoder| encoder != "auto");
    if encoder.as_ref().is_some_and(|encoder| !ENCODERS.contains(&encoder.as_str())) {
        return Err(bad(
            ".encoder",
            encoder.unwrap_or_default(),
            "auto, va, nv, qsv, v4l2, x264 or openh264",
        ));
    }
    if file.push.len() > push::MOST {
        return Err(bad(".push", file.push.len().to_string(), "up to 20 targets"));
    }
    let push: Result<Vec<Push>, Error> =
        file.push.into_iter().map(|(target, file)| push::read(target, file, &name, &rungs)).collect();
    let push = push?;
    Ok(Channel {
        name,
        canvas,
        rungs,
        mode: file.mode,
        encoder,
        audio_kbps,
        preset,
        srt_passphrase,
        push,
        source,
        look,
    })
}

fn parse_rate(text: &str) -> Option<FrameRate> {
    let (num, den) = match text.split_once('/') {
        Some((num, den)) => (num.parse().ok()?, den.parse().ok()?),
        None => (text.parse().ok()?, 1),
    };
    let rate = FrameRate { num, den };
    ((den == 1 || den == 1001) && (5.0..=60.0).contains(&rate.as_f64())).then_some(rate)
}

/// Apple's ladder gives 3000 kb/s for 1280x720 at 30; other sizes by their pixels to the power 0.75.
fn default_kbps(canvas: Canvas) -> u32 {
    let pixels = f64::from(canvas.width * canvas.height) / f64::from(1280 * 720);
    let rate = canvas.rate.as_f64() / 30.0;
    ((3000.0 * pixels.powf(0.75) * rate.powf(0.5) / 50.0).round() * 50.0).max(300.0) as u32
}
