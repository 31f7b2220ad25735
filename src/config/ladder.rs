//! The rungs of a channel: its picture in several sizes, for viewers on slower lines.

use serde::Deserialize;

use super::Error;
use crate::media::Canvas;

/// Apple's sizes and rates for H.264 at 30 frames a second, largest first: longer side, shorter side, kb/s. Source: HLS
/// Authoring Specification, 1.32.
const APPLE: [(u32, u32, u32); 6] = [
    (1920, 1080, 6000),
    (1280, 720, 3000),
    (960, 540, 2000),
    (768, 432, 1100),
    (640, 360, 730),
    (416, 234, 145),
];
/// The next rung has at most so much of the pixels of the one before: less of a step helps nobody.
const STEP: f64 = 0.45;
/// Rungs below the first.
const MOST: usize = 7;

/// One rung.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// Its name in addresses.
    pub name: String,
    /// Its size; the rate is the channel's.
    pub canvas: Canvas,
    /// Its bit rate.
    pub kbps: u32,
    /// How it is coded.
    pub coding: Coding,
}

/// How a rung is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// For every player.
    #[default]
    H264,
    /// The same picture in fewer bits, for players that know it.
    Hevc,
}

/// As the file says it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RungFile {
    height: u32,
    width: Option<u32>,
    kbps: u32,
    #[serde(default)]
    codec: Coding,
}

/// The rungs of a channel, the canvas itself first. Without a list the usual ones; an empty list is the canvas alone.
pub(super) fn rungs(
    canvas: Canvas,
    kbps: u32,
    below: Option<Vec<RungFile>>,
    channel: &str,
) -> Result<Vec<Rung>, Error> {
    let mut rungs = vec![Rung { name: "video".into(), canvas, kbps, coding: Coding::H264 }];
    match below {
        None => rungs.extend(usual(canvas, kbps)),
        Some(files) => {
            for file in files {
                rungs.push(read(canvas, &file, channel)?);
            }
        }
    }
    let is_twice = |n: usize| rungs[..n].iter().any(|rung| rung.name == rungs[n].name);
    if rungs.len() > MOST + 1 || (0..rungs.len()).any(is_twice) {
        let value = format!("{} rungs", rungs.len() - 1);
        let key = format!("channels.{channel}.rungs");
        return Err(Error::Value { key, value, reason: "up to 7, each of another size" });
    }
    Ok(rungs)
}

fn usual(canvas: Canvas, kbps: u32) -> Vec<Rung> {
    let mut found: Vec<Rung> = Vec::new();
    let (mut pixels, mut last_kbps) = (f64::from(canvas.width * canvas.height), kbps);
    for (longer, shorter, kbps) in APPLE {
        let own = f64::from(longer * shorter);
        if own <= pixels * STEP && kbps < last_kbps {
            let longer = of_shape(canvas, shorter);
            let (width, height) =
                if canvas.height > canvas.width { (shorter, longer) } else { (longer, shorter) };
            found.push(rung(Canvas { width, height, ..canvas }, kbps, Coding::H264));
            (pixels, last_kbps) = (own, kbps);
        }
    }
    found
}

/// The longer side, even, that goes with `shorter` in the canvas's shape.
fn of_shape(canvas: Canvas, shorter: u32) -> u32 {
    let (long, short) = (canvas.width.max(canvas.height), canvas.width.min(canvas.height));
    (f64::from(shorter * long) / f64::from(short) / 2.0).round() as u32 * 2
}

fn rung(canvas: Canvas, kbps: u32, coding: Coding) -> Rung {
    let name = format!("video-{}", canvas.width.min(canvas.height));
    let name = if coding == Coding::Hevc { name + "-hevc" } else { name };
    Rung { name, canvas, kbps, coding }
}

fn read(canvas: Canvas, file: &RungFile, channel: &str) -> Result<Rung, Error> {
    let bad = |key: &str, value: u32, reason| Error::Value {
        key: format!("channels.{channel}.rungs.{key}"),
        value: value.to_string(),
        reason,
    };
    let shape = f64::from(canvas.width) / f64::from(canvas.height);
    let width = file.width.unwrap_or_else(|| (f64::from(file.height) * shape / 2.0).round() as u32 * 2);
    if !file.height.is_multiple_of(2) || !(64..=canvas.height).contains(&file.height) {
        return Err(bad("height", file.height, "even, from 64 up to the channel's own"));
    }
    if !width.is_multiple_of(2) || !(64..=canvas.width).contains(&width) {
        return Err(bad("width", width, "even, from 64 up to the channel's own"));
    }
    if !(50..=50_000).contains(&file.kbps) {
        return Err(bad("kbps", file.kbps, "50 to 50000"));
    }
    Ok(rung(Canvas { width, height: file.height, ..canvas }, file.kbps, file.codec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameRate;

    fn names(width: u32, height: u32, kbps: u32) -> Vec<(String, u32, u32, u32)> {
        let canvas = Canvas { width, height, rate: FrameRate { num: 30, den: 1 } };
        let rungs = rungs(canvas, kbps, None, "main").unwrap();
        rungs.into_iter().map(|rung| (rung.name, rung.canvas.width, rung.canvas.height, rung.kbps)).collect()
    }

    #[test]
    fn a_channel_has_a_ladder_of_its_own_shape() {
        let lying = [("video", 1280, 720, 3000), ("video-432", 768, 432, 1100), ("video-234", 416, 234, 145)];
        assert_eq!(names(1280, 720, 3000), lying.map(|(n, w, h, k)| (n.to_owned(), w, h, k)));
        let standing = names(1080, 1920, 6000);
        assert_eq!(standing[1], ("video-720".into(), 720, 1280, 3000));
        assert!(names(320, 240, 300).len() == 1, "nothing below it is worth a rung");
    }

    #[test]
    fn a_rung_of_no_sense_is_refused_by_name() {
        let canvas = Canvas { width: 1280, height: 720, rate: FrameRate { num: 30, den: 1 } };
        for (height, kbps, key) in [(1080, 500, "height"), (361, 500, "height"), (360, 1, "kbps")] {
            let file = RungFile { height, width: None, kbps, codec: Coding::H264 };
            let error = rungs(canvas, 3000, Some(vec![file]), "shop").unwrap_err().to_string();
            assert!(error.contains(&format!("channels.shop.rungs.{key}")), "{error}");
        }
        let twice = RungFile { height: 360, width: None, kbps: 500, codec: Coding::H264 };
        assert!(rungs(canvas, 3000, Some(vec![twice.clone(), twice]), "shop").is_err());
    }
}
