//! A slate, coded once: a picture that does not move, of a segment's length, and a block of silence. They are repeated
//! where no encoder runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gstreamer as gst;

use super::Encoder;
use super::gallery::Gallery;
use crate::config::{self, Channel, Coding, Rung};
use crate::media::{AUDIO_CHANNELS, AUDIO_HZ, AccessUnit, Format, FrameRate, Kind, Packet};
use crate::package::grid::{AAC_BLOCK, Grid};
use crate::pipeline::raw::{Frame, Sink, Sound};
use crate::pipeline::{self, Pipeline};
use crate::time::MediaTime;

/// A picture that does not move needs little.
const KBPS: u32 = 800;
/// Frames beyond those that are kept: an encoder may hold some back.
const MORE: u64 = 30;
/// Blocks of sound before the one that is kept: encoders begin with what is not quite silence.
const FIRST_BLOCKS: u64 = 4;
/// Most that coding may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A coded slate.
#[derive(Debug, Clone)]
pub struct Coded {
    /// How its picture is coded.
    pub picture: Format,
    /// How its sound is.
    pub sound: Format,
    rate: FrameRate,
    pictures: Vec<AccessUnit>,
    silence: AccessUnit,
}

/// A slate that is shown: how much of it was.
#[derive(Debug, Clone, Copy)]
pub struct Showing {
    start: MediaTime,
    pictures: u64,
    blocks: u64,
}

impl Showing {
    /// From `start` on.
    pub fn new(start: MediaTime) -> Self {
        Self { start, pictures: 0, blocks: 0 }
    }

    /// The next unit of `slate`, repeated for ever, if it is due at `now`.
    pub fn next(&mut self, slate: &Coded, now: MediaTime) -> Option<AccessUnit> {
        let picture = self.start.offset(slate.rate.time_of(self.pictures).0 as i64);
        let block = MediaTime::from_ticks(self.blocks * u64::from(AAC_BLOCK), AUDIO_HZ);
        let block = self.start.offset(block.0 as i64);
        if picture.min(block) > now {
            return None;
        }
        let (time, unit) = if picture <= block {
            let place = self.pictures % slate.pictures.len() as u64;
            self.pictures += 1;
            (picture, &slate.pictures[place as usize])
        } else {
            self.blocks += 1;
            (block, &slate.silence)
        };
        Some(AccessUnit { pts: time, dts: time, ..unit.clone() })
    }
}

/// Codes `picture`, a frame of the channel's canvas. `prepare` is as for [`Encoder::start`].
///
/// # Errors
/// [`pipeline::Error`].
pub async fn code(
    replacements: Option<&Path>,
    channel: &Channel,
    picture: &gst::Buffer,
    prepare: impl FnOnce(&Pipeline) -> Result<(), pipeline::Error>,
) -> Result<Coded, pipeline::Error> {
    let rung = Rung { name: "slate".into(), canvas: channel.canvas, kbps: KBPS, coding: Coding::H264 };
    let channel = Channel { rungs: vec![rung], ..channel.clone() };
    let grid = Grid::new(channel.canvas.rate, &config::Hls::default());
    let gallery = Arc::<Gallery>::default();
    let (mut encoder, inlet) = Encoder::start(replacements, &channel, &grid, &gallery, None, prepare).await?;
    let picture = picture.clone();
    let feeding = tokio::task::spawn_blocking(move || feed(&*inlet, &grid, &picture));
    let collected = tokio::time::timeout(LIMIT, collect(&mut encoder, &grid)).await;
    encoder.stop().await?;
    let _ = feeding.await; // it ends with the encoder
    collected.ok().flatten().ok_or_else(|| pipeline::Error::Refused { name: "slate".into() })
}

fn feed(inlet: &dyn Sink, grid: &Grid, picture: &gst::Buffer) {
    let rate = grid.rate();
    for n in 0..u64::from(grid.frames_per_segment()) + MORE {
        let (time, next) = (rate.time_of(n), rate.time_of(n + 1));
        let mut buffer = picture.copy();
        let fields = buffer.make_mut();
        fields.set_pts(gst::ClockTime::from_nseconds(time.0));
        fields.set_duration(gst::ClockTime::from_nseconds(next.0 - time.0));
        let count = next.as_ticks(AUDIO_HZ) - time.as_ticks(AUDIO_HZ);
        let samples = vec![0.0; count as usize * AUDIO_CHANNELS];
        if !inlet.frame(Frame { pts: time, buffer }) || !inlet.sound(Sound { pts: time, samples }) {
            return;
        }
    }
}

/// Takes what is coded until it is enough.
async fn collect(encoder: &mut Encoder, grid: &Grid) -> Option<Coded> {
    let (mut formats, mut pictures, mut silence, mut blocks) = ([None, None], Vec::new(), None, 0);
    loop {
        match encoder.packets.recv().await?.1 {
            Packet::Format(format) => {
                let place = usize::from(format.codec.kind() == Kind::Audio);
                formats[place] = Some(format);
            }
            Packet::Unit(unit) if unit.kind == Kind::Audio => {
                blocks += 1;
                silence = Some(unit).filter(|_| blocks > FIRST_BLOCKS);
            }
            Packet::Unit(unit) => pictures.push(unit),
        }
        if pictures.len() >= grid.frames_per_segment() as usize
            && let ([Some(picture), Some(sound)], Some(silence)) = (&formats, &silence)
        {
            pictures.truncate(grid.frames_per_segment() as usize);
            let (picture, sound, silence) = (picture.clone(), sound.clone(), silence.clone());
            return Some(Coded { picture, sound, rate: grid.rate(), pictures, silence });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Codec;
    use bytes::Bytes;

    fn unit(kind: Kind, is_keyframe: bool) -> AccessUnit {
        let time = MediaTime::ZERO;
        AccessUnit { kind, pts: time, dts: time, is_keyframe, data: Bytes::new() }
    }

    #[test]
    fn a_slate_is_repeated_with_a_key_frame_at_each_beginning() {
        let format = |codec| Format { codec, config: Bytes::new() };
        let slate = Coded {
            picture: format(Codec::H264),
            sound: format(Codec::Aac),
            rate: FrameRate { num: 30, den: 1 },
            pictures: (0..60).map(|n| unit(Kind::Video, n == 0)).collect(),
            silence: unit(Kind::Audio, true),
        };
        let start = MediaTime(7_000_000_000);
        let (mut showing, mut units) = (Showing::new(start), Vec::new());
        for ms in (0..6000).step_by(100) {
            while let Some(unit) = showing.next(&slate, start.offset(ms * 1_000_000)) {
                assert!(unit.dts.since(start) <= ms * 1_000_000, "not before it is due");
                units.push(unit);
            }
        }
        assert!(units.is_sorted_by_key(|unit| unit.dts));
        let keys: Vec<i64> = units
            .iter()
            .filter(|unit| unit.kind == Kind::Video && unit.is_keyframe)
            .map(|unit| unit.dts.since(start) / 1_000_000)
            .collect();
        assert_eq!(keys, [0, 2000, 4000]);
        assert_eq!(units.iter().filter(|unit| unit.kind == Kind::Audio).count(), 277);
    }
}
