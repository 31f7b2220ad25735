//! A channel's encoder and packager: coded units to published parts, and another encoder when one fails.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::airings::Events;
use super::codes::KeyFrames;
use super::pushing::Fan;
use crate::config::{self, Coding};
use crate::director::DirectorHandle;
use crate::encode::Encoder;
use crate::encode::gallery::Gallery;
use crate::media::{AccessUnit, Format, Kind, Packet, Showing};
use crate::overlay::board::Board;
use crate::overlay::element::VitrineOverlay;
use crate::package::grid::Grid;
use crate::package::multivariant::{self, Rate, Sound};
use crate::package::parameter_sets::ParameterSets;
use crate::package::segmenter::{Part, Segmenter};
use crate::package::{self, cmaf, codec};
use crate::pipeline::{self, Event};
use crate::program::{Outlet, Progress};
use crate::serve::live::Live;
use crate::time::{MediaTime, WallTime};

/// Wait before an encoder that failed is built again.
const REBUILD_AFTER: Duration = Duration::from_millis(500);
/// The sound's name in addresses.
pub(super) const SOUND: &str = "audio";
/// How often the encoder is looked after.
const WATCH: Duration = Duration::from_millis(250);
/// How often it is told how busy it is.
const LOAD_EVERY: Duration = Duration::from_secs(1);

/// The encoder and the packager behind it.
pub(super) struct Encoding {
    pub(super) replacements: Option<PathBuf>,
    pub(super) channel: config::Channel,
    pub(super) grid: Grid,
    pub(super) board: Arc<Board>,
    pub(super) gallery: Arc<Gallery>,
    pub(super) outlet: Outlet,
    pub(super) live: Arc<Live>,
    pub(super) director: DirectorHandle,
    /// The newest key frames, for those who look at what viewers get.
    pub(super) key_frames: watch::Sender<Option<KeyFrames>>,
    /// The preset that the first rung was lowered to, because the machine did not keep up.
    pub(super) relief: watch::Sender<Option<&'static str>>,
    /// How busy the encoders are.
    pub(super) load: watch::Sender<Option<f64>>,
    /// What is told within the media.
    pub(super) events: Arc<Events>,
    /// For platforms.
    pub(super) fan: Arc<Fan>,
}

impl Encoding {
    pub(super) async fn build(&self) -> Result<Encoder, pipeline::Error> {
        let board = self.board.clone();
        let lowered = *self.relief.borrow();
        let (encoder, inlet) = Encoder::start(
            self.replacements.as_deref(),
            &self.channel,
            &self.grid,
            &self.gallery,
            lowered,
            |pipeline| {
                pipeline.element::<VitrineOverlay>("overlay")?.set_board(board);
                Ok(())
            },
        )
        .await?;
        self.outlet.connect(inlet);
        Ok(encoder)
    }

    /// Packages until `stop`; builds the encoder anew whenever it fails or sticks.
    pub(super) async fn run(
        self,
        first: Encoder,
        progress: watch::Receiver<Progress>,
        stop: CancellationToken,
    ) {
        let mut encoder = first;
        loop {
            let failure = tokio::select! {
                () = stop.cancelled() => {
                    drop(progress); // ends the programme's thread
                    let _ = encoder.stop().await;
                    return;
                }
                failure = self.watch(&mut encoder, &progress) => failure,
            };
            tracing::error!(channel = self.channel.name, "the encoder is built anew: {failure}");
            if let Err(error) = encoder.stop().await {
                tracing::error!(channel = self.channel.name, "{error}");
            }
            encoder = tokio::select! {
                () = stop.cancelled() => return,
                encoder = self.rebuild() => encoder,
            };
        }
    }

    /// The first rung is coded with another preset from now on.
    fn tell_preset(&self, preset: Option<&'static str>) {
        let Some(preset) = preset else { return };
        let channel = &self.channel.name;
        tracing::warn!(
            channel,
            "the first rung is coded with preset {preset} from now on, by what this machine can do"
        );
        self.relief.send_replace((preset != self.channel.preset).then_some(preset));
    }

    async fn rebuild(&self) -> Encoder {
        loop {
            tokio::time::sleep(REBUILD_AFTER).await;
            match self.build().await {
                Ok(encoder) => return encoder,
                Err(error) => tracing::error!(channel = self.channel.name, "no encoder: {error}"),
            }
        }
    }

    /// Packages until the encoder fails; returns how.
    async fn watch(&self, encoder: &mut Encoder, progress: &watch::Receiver<Progress>) -> String {
        let mut packager = Packager::new(self);
        let (mut tick, mut strain) = (tokio::time::interval(WATCH), Strain::default());
        let mut every = tokio::time::interval(LOAD_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                packet = encoder.packets.recv() => match packet {
                    Some((track, packet)) => {
                        self.fan.tell(track, &packet);
                        let showing = progress.borrow().showing;
                        if let Err(error) = packager.take(track, packet, showing) {
                            return error.to_string();
                        }
                    }
                    None => return "it ended".into(),
                },
                Some(event) = encoder.events.recv() => match event {
                    Event::Error(detail) => return detail,
                    Event::Warning(detail) => tracing::warn!(channel = self.channel.name, "encoder: {detail}"),
                    Event::Eos => return "it ended".into(),
                },
                _ = every.tick() => {
                    self.load.send_replace(encoder.load.share());
                }
                _ = tick.tick() => {
                    if self.outlet.is_stuck() {
                        return "it takes no more frames".into();
                    }
                    let skipped_frames = progress.borrow().skipped_frames;
                    match strain.look(skipped_frames) {
                        Some(Need::Relief) => self.tell_preset(encoder.lower_preset()),
                        Some(Need::Quality) => self.tell_preset(encoder.raise_preset()),
                        None => {}
                    }
                }
            }
        }
    }
}

/// Looks without a loss after which a lowered preset is raised by a step: five minutes, doubled each time it was lowered.
const CALM_LOOKS: u32 = 1200;
/// Half a day.
const MOST_CALM_LOOKS: u32 = 172_800;

/// Whether pictures have been left out, lately.
#[derive(Debug)]
struct Strain {
    seen: u64,
    level: u32,
    calm: u32,
    patience: u32,
}

impl Default for Strain {
    fn default() -> Self {
        Self { seen: 0, level: 0, calm: 0, patience: CALM_LOOKS }
    }
}

/// What a look finds.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    /// Something has to give: pictures were left out in most of the last few looks.
    Relief,
    /// There would be room for more, as it seems.
    Quality,
}

impl Strain {
    fn look(&mut self, skipped_frames: u64) -> Option<Need> {
        let is_bad = std::mem::replace(&mut self.seen, skipped_frames) < skipped_frames;
        if is_bad {
            (self.level, self.calm) = (self.level + 4, 0);
        } else {
            (self.level, self.calm) = (self.level.saturating_sub(1), self.calm + 1);
        }
        if self.level >= 40 {
            self.level = 0; // what is done now needs time to help
            self.patience = (self.patience * 2).min(MOST_CALM_LOOKS);
            return Some(Need::Relief);
        }
        if self.calm >= self.patience {
            self.calm = 0;
            return Some(Need::Quality);
        }
        None
    }
}

/// Coded units to parts, and the documents around them.
struct Packager<'a> {
    encoding: &'a Encoding,
    /// Of the rungs, then of the sound.
    tracks: Vec<Track>,
    /// Whether the sound encoder's first block has come: it holds nothing of the programme.
    is_primed: bool,
}

/// A rendition on its way.
struct Track {
    segmenter: Segmenter,
    codec: Option<String>,
    format: Option<Format>,
    sets: ParameterSets,
    /// The newest key frame of a rung, and its time.
    key_frame: Option<(MediaTime, Bytes)>,
    /// Bytes and seconds of the segment in progress.
    pending: (u64, f64),
    rate: Rate,
    /// As the multivariant playlist says it.
    told: Rate,
}

impl Track {
    fn new(kind: Kind, grid: Grid, kbps: u32) -> Self {
        let rate = Rate::new(kbps);
        Self {
            segmenter: Segmenter::new(kind, grid),
            codec: None,
            format: None,
            sets: ParameterSets::default(),
            key_frame: None,
            pending: (0, 0.0),
            rate,
            told: rate,
        }
    }

    /// Counts a part; whether players should be told of a higher rate.
    fn count(&mut self, part: &Part) -> bool {
        self.pending.0 += part.data.len() as u64;
        self.pending.1 += part.seconds();
        if !part.is_last {
            return false;
        }
        let (bytes, seconds) = std::mem::take(&mut self.pending);
        self.rate.count(bytes, seconds);
        self.rate.exceeds(&self.told)
    }
}

impl<'a> Packager<'a> {
    fn new(encoding: &'a Encoding) -> Self {
        let channel = &encoding.channel;
        let rungs = channel.rungs.iter().map(|rung| Track::new(Kind::Video, encoding.grid, rung.kbps));
        let sound = Track::new(Kind::Audio, encoding.grid, channel.audio_kbps);
        Self { encoding, tracks: rungs.chain([sound]).collect(), is_primed: false }
    }

    fn take(&mut self, track: usize, packet: Packet, showing: Showing) -> Result<(), package::Error> {
        match packet {
            Packet::Format(format) => {
                self.configure(track, &format)?;
                self.tracks[track].sets = ParameterSets::of(&format);
                self.tracks[track].format = Some(format);
                Ok(())
            }
            Packet::Unit(unit) => self.pack(track, unit, showing),
        }
    }

    fn pack(&mut self, track: usize, unit: AccessUnit, showing: Showing) -> Result<(), package::Error> {
        if self.tracks[track].codec.is_none() {
            return Err(package::Error::NoConfiguration(unit.kind));
        }
        if unit.kind == Kind::Audio && !std::mem::replace(&mut self.is_primed, true) {
            return Ok(());
        }
        if unit.kind == Kind::Video && unit.is_keyframe {
            self.tracks[track].key_frame = Some((unit.pts, unit.data.clone()));
            self.tell_key_frames(unit.pts);
        }
        let unit = AccessUnit { data: self.tracks[track].sets.with(&unit), ..unit };
        for event in self.encoding.events.take() {
            let rungs = self.encoding.channel.rungs.len();
            for rung in &mut self.tracks[..rungs] {
                rung.segmenter.announce(event.clone());
            }
        }
        for part in self.tracks[track].segmenter.push(&unit)? {
            if part.is_last && track == 0 {
                let live = (showing == Showing::Live).then(WallTime::now);
                self.encoding.director.note_segment(&self.encoding.channel.name, part.segment + 1, live);
            }
            let is_more = self.tracks[track].count(&part);
            self.encoding.live.publish(track, part);
            if is_more {
                self.tell();
            }
        }
        Ok(())
    }

    /// Tells the key frames at `time`, once they are there of all rungs.
    fn tell_key_frames(&self, time: MediaTime) {
        let of_rung = |track: &Track| {
            let (_, data) = track.key_frame.clone().filter(|(at, _)| *at == time)?;
            Some((track.format.clone()?, data))
        };
        // HEVC's are made from the same frames, and are not decoded again.
        let rungs = self.encoding.channel.rungs.iter().zip(&self.tracks);
        let rungs = rungs.filter(|(rung, _)| rung.coding == Coding::H264).map(|(_, track)| track);
        if let Some(pictures) = rungs.map(of_rung).collect() {
            self.encoding.key_frames.send_replace(Some(KeyFrames { time, pictures }));
        }
    }

    fn configure(&mut self, track: usize, format: &Format) -> Result<(), package::Error> {
        let channel = &self.encoding.channel;
        let (codec, init) = match channel.rungs.get(track) {
            Some(rung) => (codec::picture(format)?, cmaf::video_init(rung.canvas, format)?),
            None => (codec::aac(&format.config)?, cmaf::audio_init(&format.config, channel.audio_kbps)?),
        };
        self.tracks[track].codec = Some(codec);
        self.encoding.live.set_init(track, init);
        self.tell();
        Ok(())
    }

    /// Issues the multivariant playlist, once all of it is known.
    fn tell(&mut self) {
        let channel = &self.encoding.channel;
        for track in &mut self.tracks {
            track.told = track.rate;
        }
        let codecs: Option<Vec<String>> = self.tracks.iter().map(|track| track.codec.clone()).collect();
        let Some(mut codecs) = codecs.filter(|_| !channel.rungs.is_empty()) else { return };
        let sound = Sound {
            name: SOUND.into(),
            codec: codecs.pop().unwrap_or_default(),
            rate: self.tracks[channel.rungs.len()].rate,
        };
        let rungs: Vec<_> = channel
            .rungs
            .iter()
            .zip(codecs)
            .zip(&self.tracks)
            .map(|((rung, codec), track)| multivariant::Rung {
                name: rung.name.clone(),
                canvas: rung.canvas,
                codec,
                rate: track.rate,
            })
            .collect();
        let text = |is_whole| multivariant::text(&rungs, &sound, is_whole);
        self.encoding.live.set_multivariant(text(true), text(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_relieved_and_what_was_relieved_is_tried_again_ever_later() {
        let (mut strain, mut skipped) = (Strain::default(), 0);
        let mut until = |need: &Need, is_bad: bool| {
            let mut look = || {
                skipped += u64::from(is_bad);
                strain.look(skipped)
            };
            (1..1_000_000_i32).find(|_| look().as_ref() == Some(need)).unwrap()
        };
        assert_eq!(until(&Need::Relief, true), 10);
        assert_eq!(until(&Need::Quality, false), 2 * CALM_LOOKS as i32);
        assert_eq!(until(&Need::Relief, true), 10);
        assert_eq!(until(&Need::Quality, false), 4 * CALM_LOOKS as i32);
        let mut now_and_then = Strain::default();
        let needs = (0..1000).filter_map(|n| now_and_then.look(n / 10)).count();
        assert_eq!(needs, 0, "one in ten looks is no lasting trouble");
    }
}
