//! A channel's encoder and packager: coded units to published parts, and another encoder when one fails.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::codes::KeyFrame;
use crate::config;
use crate::director::DirectorHandle;
use crate::encode::Encoder;
use crate::media::{Format, Kind, Packet, Showing};
use crate::overlay::element::{Board, VitrineOverlay};
use crate::package::grid::Grid;
use crate::package::playlist::{Multivariant, multivariant};
use crate::package::segmenter::Segmenter;
use crate::package::{self, cmaf, codec};
use crate::pipeline::{self, Event};
use crate::program::{Outlet, Progress};
use crate::serve::live::Live;
use crate::time::WallTime;

/// Wait before an encoder that failed is built again.
const REBUILD_AFTER: Duration = Duration::from_millis(500);
/// How often the encoder is looked after.
const WATCH: Duration = Duration::from_millis(250);

/// The encoder and the packager behind it.
pub(super) struct Encoding {
    pub(super) replacements: Option<PathBuf>,
    pub(super) channel: config::Channel,
    pub(super) grid: Grid,
    pub(super) board: Arc<Board>,
    pub(super) outlet: Outlet,
    pub(super) live: Arc<Live>,
    pub(super) director: DirectorHandle,
    /// The newest key frame, for those who look at what viewers get.
    pub(super) key_frames: watch::Sender<Option<KeyFrame>>,
}

impl Encoding {
    pub(super) async fn build(&self) -> Result<Encoder, pipeline::Error> {
        let board = self.board.clone();
        let (encoder, inlet) =
            Encoder::start(self.replacements.as_deref(), &self.channel, &self.grid, |pipeline| {
                pipeline.element::<VitrineOverlay>("overlay")?.set_board(board);
                Ok(())
            })
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
        let mut tick = tokio::time::interval(WATCH);
        loop {
            tokio::select! {
                packet = encoder.packets.recv() => match packet {
                    Some(packet) => {
                        let showing = progress.borrow().showing;
                        if let Err(error) = packager.take(packet, showing) {
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
                _ = tick.tick() => if self.outlet.is_stuck() {
                    return "it takes no more frames".into();
                },
            }
        }
    }
}

/// Coded units to parts, and the documents around them.
struct Packager<'a> {
    encoding: &'a Encoding,
    segmenters: [Segmenter; 2],
    codecs: [Option<String>; 2],
    video: Option<Format>,
    /// Whether the sound encoder's first block has come: it holds nothing of the programme.
    is_primed: bool,
}

impl<'a> Packager<'a> {
    fn new(encoding: &'a Encoding) -> Self {
        let segmenter = |kind| Segmenter::new(kind, encoding.grid);
        let segmenters = [segmenter(Kind::Video), segmenter(Kind::Audio)];
        Self { encoding, segmenters, codecs: [None, None], video: None, is_primed: false }
    }

    fn take(&mut self, packet: Packet, showing: Showing) -> Result<(), package::Error> {
        match packet {
            Packet::Format(format) => {
                let kind = format.codec.kind();
                self.configure(kind, &format.config)?;
                if kind == Kind::Video {
                    self.video = Some(format);
                }
                Ok(())
            }
            Packet::Unit(unit) => {
                let track = usize::from(unit.kind == Kind::Audio);
                if self.codecs[track].is_none() {
                    return Err(package::Error::NoConfiguration(unit.kind));
                }
                if unit.kind == Kind::Audio && !std::mem::replace(&mut self.is_primed, true) {
                    return Ok(());
                }
                if let Some(format) =
                    self.video.as_ref().filter(|_| unit.kind == Kind::Video && unit.is_keyframe)
                {
                    let (time, format) = (unit.pts, format.clone());
                    self.encoding.key_frames.send_replace(Some(KeyFrame {
                        time,
                        format,
                        data: unit.data.clone(),
                    }));
                }
                for part in self.segmenters[track].push(&unit)? {
                    if part.is_last && part.kind == Kind::Video {
                        let live = (showing == Showing::Live).then(WallTime::now);
                        self.encoding.director.note_segment(
                            &self.encoding.channel.name,
                            part.segment + 1,
                            live,
                        );
                    }
                    self.encoding.live.publish(part);
                }
                Ok(())
            }
        }
    }

    fn configure(&mut self, kind: Kind, config: &Bytes) -> Result<(), package::Error> {
        let channel = &self.encoding.channel;
        let init = match kind {
            Kind::Video => {
                self.codecs[0] = Some(codec::avc(config)?);
                cmaf::video_init(channel.canvas, config)?
            }
            Kind::Audio => {
                self.codecs[1] = Some(codec::aac(config)?);
                cmaf::audio_init(config, channel.audio_kbps)?
            }
        };
        self.encoding.live.set_init(kind, init);
        if let [Some(video), Some(audio)] = &self.codecs {
            self.encoding.live.set_multivariant(multivariant(&Multivariant {
                canvas: channel.canvas,
                codecs: [video, audio],
                video_kbps: channel.video_kbps,
                audio_kbps: channel.audio_kbps,
            }));
        }
        Ok(())
    }
}
