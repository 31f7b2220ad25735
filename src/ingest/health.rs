//! What a producer should know of a publisher, in plain words, each with what to do about it. Pure.

use crate::media::{Advice, Canvas, Level, PublisherStatus};

/// Key frames further apart make the picture wait after a start, a loss or a takeover.
const KEYFRAMES_S: f64 = 4.5;
/// Below this the upload does not carry what the encoder makes.
const PACE: f64 = 0.95;
/// Of frames received in the last reading: missing ones beyond this are seen.
const LOSS: f64 = 0.01;

/// What was counted at the reading before, so that old troubles are forgotten.
#[derive(Debug, Clone, Copy, Default)]
pub struct Before {
    /// `frames_lost` then.
    pub lost: u64,
    /// `frames_repaired` then.
    pub repaired: u64,
    /// `srt.dropped` then.
    pub dropped: u64,
    /// `srt.undecrypted` then.
    pub undecrypted: u64,
    /// `frames` then.
    pub frames: u64,
}

impl Before {
    /// What stands in `status`.
    pub fn of(status: &PublisherStatus) -> Self {
        let srt = status.srt.unwrap_or_default();
        Self {
            lost: status.frames_lost,
            repaired: status.frames_repaired,
            dropped: srt.dropped,
            undecrypted: srt.undecrypted,
            frames: status.frames,
        }
    }
}

/// The verdict, the worst first; never empty.
pub fn verdict(status: &PublisherStatus, before: &Before, canvas: Canvas) -> Vec<Advice> {
    let mut found = Vec::new();
    let mut say = |level, text: String| found.push(Advice { level, text });
    transport(status, before, &mut say);
    encoding(status, canvas, &mut say);
    if found.is_empty() {
        found.push(Advice { level: Level::Good, text: "all is well".into() });
    }
    found.sort_by_key(|advice| std::cmp::Reverse(advice.level));
    found
}

fn transport(status: &PublisherStatus, before: &Before, say: &mut impl FnMut(Level, String)) {
    if status.pace > 0.0 && status.pace < PACE {
        let short = ((1.0 - status.pace) * 100.0).round();
        let kbps = ((f64::from(status.bitrate_kbps) * 0.8 / 100.0).floor() * 100.0).max(100.0);
        say(
            Level::Bad,
            format!(
                "upload is {short} % below the bitrate: set the encoder to {kbps} kb/s, or use a better network"
            ),
        );
    }
    let frames = status.frames.saturating_sub(before.frames);
    let lost = status.frames_lost.saturating_sub(before.lost);
    if lost as f64 > LOSS * (frames + lost) as f64 {
        let share = (lost as f64 * 100.0 / (frames + lost) as f64).ceil();
        say(
            Level::Bad,
            format!(
                "{share} % of the frames are missing: the encoder leaves them out, or they are lost on the way"
            ),
        );
    }
    let Some(srt) = status.srt else { return };
    if srt.dropped > before.dropped {
        let latency = (f64::from(srt.latency_ms) * 2.0).max(srt.rtt_ms * 4.0 / 10.0 * 10.0).round();
        let count = srt.dropped - before.dropped;
        say(
            Level::Bad,
            format!("{count} packets were lost for good: set the SRT latency to {latency} ms in the encoder"),
        );
    } else if status.frames_repaired > before.repaired {
        say(Level::Warning, "parts of the picture are missing and were mended".into());
    }
    if srt.undecrypted > before.undecrypted {
        say(Level::Bad, "packets cannot be decrypted: check the passphrase".into());
    }
    if srt.rtt_ms * 3.0 > f64::from(srt.latency_ms) {
        say(
            Level::Warning,
            format!(
                "the round trip is {:.0} ms: an SRT latency of {:.0} ms would leave time to send lost packets again",
                srt.rtt_ms,
                (srt.rtt_ms * 4.0 / 10.0).ceil() * 10.0
            ),
        );
    }
}

fn encoding(status: &PublisherStatus, canvas: Canvas, say: &mut impl FnMut(Level, String)) {
    match status.keyframe_interval_s {
        Some(seconds) if seconds > KEYFRAMES_S => {
            say(Level::Warning, format!("key frames every {seconds:.0} s: set the encoder to 2 s"));
        }
        _ => {}
    }
    if status.video_codec.is_none() {
        say(Level::Warning, "no picture comes: sound only".into());
    } else if status.audio_codec.is_none() {
        say(Level::Warning, "no sound comes".into());
    }
    let rate = canvas.rate.as_f64();
    if status.video_codec.is_some() && status.fps > 0.0 && status.fps < rate * 0.6 {
        say(
            Level::Warning,
            format!(
                "{:.0} frames a second, the programme has {rate:.0}: motion will not be smooth",
                status.fps
            ),
        );
    }
    if let (Some(width), Some(height)) = (status.width, status.height) {
        let is_tall = |width: u32, height: u32| height > width;
        if is_tall(width, height) != is_tall(canvas.width, canvas.height) {
            say(
                Level::Warning,
                format!(
                    "the picture is {width}x{height} in a {}x{} programme: turn it",
                    canvas.width, canvas.height
                ),
            );
        } else if u64::from(width) * u64::from(height) * 2
            < u64::from(canvas.width) * u64::from(canvas.height)
        {
            say(
                Level::Warning,
                format!(
                    "the picture is only {width}x{height}: set the encoder to the programme's {}x{}",
                    canvas.width, canvas.height
                ),
            );
        }
    }
    for note in &status.notes {
        say(Level::Warning, note.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{FrameRate, SrtStatus};

    const CANVAS: Canvas = Canvas { width: 1280, height: 720, rate: FrameRate { num: 30, den: 1 } };

    fn well() -> PublisherStatus {
        PublisherStatus {
            video_codec: Some("H.264"),
            audio_codec: Some("AAC"),
            width: Some(1280),
            height: Some(720),
            fps: 30.0,
            bitrate_kbps: 3000,
            pace: 1.0,
            keyframe_interval_s: Some(2.0),
            frames: 3000,
            ..PublisherStatus::default()
        }
    }

    fn first(status: &PublisherStatus) -> (Level, String) {
        let advice = verdict(status, &Before { frames: 2970, ..Before::default() }, CANVAS);
        (advice[0].level, advice[0].text.clone())
    }

    #[test]
    fn nothing_wrong_is_said_too() {
        assert_eq!(first(&well()), (Level::Good, "all is well".into()));
    }

    #[test]
    fn each_trouble_has_its_sentence() {
        let (level, text) = first(&PublisherStatus { keyframe_interval_s: Some(10.0), ..well() });
        assert_eq!((level, text.as_str()), (Level::Warning, "key frames every 10 s: set the encoder to 2 s"));
        let (level, text) = first(&PublisherStatus { pace: 0.8, ..well() });
        assert!(level == Level::Bad && text.starts_with("upload is 20 % below the bitrate"), "{text}");
        let (level, text) = first(&PublisherStatus { frames_lost: 3, ..well() });
        assert!(level == Level::Bad && text.contains("frames are missing"), "{text}");
        let (_, text) = first(&PublisherStatus { width: Some(720), height: Some(1280), ..well() });
        assert!(text.contains("turn it"), "{text}");
        let (_, text) = first(&PublisherStatus { audio_codec: None, ..well() });
        assert_eq!(text, "no sound comes");
        let srt = SrtStatus { rtt_ms: 20.0, latency_ms: 120, dropped: 7, ..SrtStatus::default() };
        let (level, text) = first(&PublisherStatus { srt: Some(srt), ..well() });
        assert!(level == Level::Bad && text.contains("7 packets") && text.contains("240 ms"), "{text}");
    }

    #[test]
    fn the_worst_comes_first() {
        let (level, _) = first(&PublisherStatus { keyframe_interval_s: Some(10.0), pace: 0.5, ..well() });
        assert_eq!(level, Level::Bad);
    }
}
