//! The multivariant playlist: rungs, the sound alone, key frames. Bandwidths are what the encoders are told, and
//! what was measured where that is more.
//!
//! Source: draft-pantos-hls-rfc8216bis-22 4.4.6, Apple's HLS Authoring Specification 1 and 9 (named "A x.y").

use std::fmt::Write;

use super::{clean, playlist};
use crate::media::Canvas;

/// Boxes add under 1 %.
const BOXES: f64 = 1.01;
/// The encoder's buffer lets a segment peak at 1.3 times its rate (see `encode`).
const PEAK: f64 = 1.3;
/// The sound's rate is nearly constant.
const SOUND_PEAK: f64 = 1.05;

/// Bits a second of a rendition, as measured and as meant.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rate {
    told_kbps: u32,
    peak_bps: f64,
    bits: f64,
    seconds: f64,
}

impl Rate {
    /// Of an encoder that is told `kbps`.
    pub fn new(kbps: u32) -> Self {
        Self { told_kbps: kbps, ..Self::default() }
    }

    /// Counts a whole segment.
    pub fn count(&mut self, bytes: u64, seconds: f64) {
        if seconds > 0.0 {
            let bits = bytes as f64 * 8.0;
            self.peak_bps = self.peak_bps.max(bits / seconds);
            // The average of about an hour: A 1.28.
            let fade = (-seconds / 3600.0_f64).exp();
            (self.bits, self.seconds) = (self.bits * fade + bits, self.seconds * fade + seconds);
        }
    }

    fn average(&self) -> f64 {
        let measured = if self.seconds > 0.0 { self.bits / self.seconds } else { 0.0 };
        measured.max(f64::from(self.told_kbps) * 1000.0 * BOXES)
    }

    fn peak(&self, factor: f64) -> f64 {
        self.peak_bps.max(f64::from(self.told_kbps) * 1000.0 * BOXES * factor)
    }

    /// Whether players should be told of higher ones than `told`: 2 % are not worth a new playlist.
    pub fn exceeds(&self, told: &Self) -> bool {
        self.average() > told.average() * 1.02 || self.peak(PEAK) > told.peak(PEAK) * 1.02
    }
}

/// One picture.
#[derive(Debug, Clone)]
pub struct Rung {
    /// The rendition's name.
    pub name: String,
    /// Size and rate.
    pub canvas: Canvas,
    /// RFC 6381 string.
    pub codec: String,
    /// Its bits.
    pub rate: Rate,
}

/// The sound of all rungs.
#[derive(Debug, Clone)]
pub struct Sound {
    /// The rendition's name.
    pub name: String,
    /// RFC 6381 string.
    pub codec: String,
    /// Its bits.
    pub rate: Rate,
}

/// The text: rungs in the order given, then the sound alone, for networks that carry no more (A 9.21), unless `is_whole`
/// is false: VLC 3 takes the sound alone for all the sound there is, plays one segment of it and is silent from then on.
pub fn text(rungs: &[Rung], sound: &Sound, is_whole: bool) -> String {
    let mut out = String::from("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    write(&mut out, rungs, sound, is_whole).expect("writing to a string does not fail");
    out
}

/// The text for a publisher's own picture and sound in one track file, `uri`.
pub fn clean(uri: &str, header: &clean::Header, rate: &Rate, frame_rate: f64) -> String {
    let (width, height) = header.size;
    let mut out = format!(
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-STREAM-INF:BANDWIDTH={:.0},AVERAGE-BANDWIDTH={:.0},CODECS=\"{}\",\
         RESOLUTION={width}x{height}",
        rate.peak(PEAK).ceil(),
        rate.average().ceil(),
        header.codecs
    );
    if frame_rate > 0.0 {
        let _ = write!(out, ",FRAME-RATE={frame_rate:.3}");
    }
    out + ",CLOSED-CAPTIONS=NONE\n" + uri + "\n"
}

fn write(out: &mut String, rungs: &[Rung], sound: &Sound, is_whole: bool) -> std::fmt::Result {
    writeln!(
        out,
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Programme\",DEFAULT=YES,AUTOSELECT=YES,\
         CHANNELS=\"2\",URI=\"{}\"",
        playlist::file(&sound.name)
    )?;
    for rung in rungs {
        let Canvas { width, height, rate } = rung.canvas;
        writeln!(
            out,
            "#EXT-X-STREAM-INF:BANDWIDTH={:.0},AVERAGE-BANDWIDTH={:.0},CODECS=\"{},{}\",\
             RESOLUTION={width}x{height},FRAME-RATE={:.3},AUDIO=\"audio\",CLOSED-CAPTIONS=NONE\n{}",
            (rung.rate.peak(PEAK) + sound.rate.peak(SOUND_PEAK)).ceil(),
            (rung.rate.average() + sound.rate.average()).ceil(),
            rung.codec,
            sound.codec,
            rate.as_f64(),
            playlist::file(&rung.name),
        )?;
    }
    if is_whole {
        writeln!(
            out,
            "#EXT-X-STREAM-INF:BANDWIDTH={:.0},AVERAGE-BANDWIDTH={:.0},CODECS=\"{}\",AUDIO=\"audio\"\n{}",
            sound.rate.peak(SOUND_PEAK).ceil(),
            sound.rate.average().ceil(),
            sound.codec,
            playlist::file(&sound.name),
        )?;
    }
    for rung in rungs {
        let Canvas { width, height, .. } = rung.canvas;
        // A key frame may be as large as half of its segment, and players fetch them one after the other.
        writeln!(
            out,
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={:.0},CODECS=\"{}\",RESOLUTION={width}x{height},URI=\"{}\"",
            (rung.rate.peak(PEAK) / 2.0).ceil(),
            rung.codec,
            playlist::key_frames_file(&rung.name),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameRate;

    fn rungs() -> (Vec<Rung>, Sound) {
        let rung = |name: &str, width, height, kbps| Rung {
            name: name.into(),
            canvas: Canvas { width, height, rate: FrameRate { num: 30, den: 1 } },
            codec: "avc1.64001f".into(),
            rate: Rate::new(kbps),
        };
        let sound = Sound { name: "audio".into(), codec: "mp4a.40.2".into(), rate: Rate::new(128) };
        (vec![rung("video", 1280, 720, 3000), rung("v432", 768, 432, 1100)], sound)
    }

    #[test]
    fn every_rung_the_sound_and_the_key_frames_are_named() {
        let (rungs, sound) = rungs();
        let text = super::text(&rungs, &sound, true);
        let lines = super::text(&rungs, &sound, false);
        assert!(!lines.contains("\naudio.m3u8") && lines.contains("URI=\"audio.m3u8\""), "{lines}");
        assert!(text.contains("RESOLUTION=768x432,FRAME-RATE=30.000"), "{text}");
        assert!(text.contains("CODECS=\"mp4a.40.2\",AUDIO=\"audio\"\naudio.m3u8"), "{text}");
        assert_eq!(text.matches("#EXT-X-I-FRAME-STREAM-INF").count(), 2);
        assert!(text.contains("BANDWIDTH=4074744,AVERAGE-BANDWIDTH=3159280,"), "{text}");
    }

    #[test]
    fn more_than_was_told_is_told() {
        let told = Rate::new(1000);
        let mut measured = told;
        measured.count(250_000, 2.0);
        assert!(!measured.exceeds(&told), "1000 kb/s as told");
        measured.count(400_000, 2.0);
        assert!(measured.exceeds(&told), "a segment of 1600 kb/s");
    }
}
