//! `vitrineoverlay`: a `GStreamer` element that blends the present [`Scene`](super::board::Scene) into I420 or NV12 frames, in place.
//!
//! The streaming thread only takes a reference to a finished scene and blends; drawing happens elsewhere,
//! ahead of time. With nothing to show the element passes buffers through untouched and uncopied.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer_base as gst_base;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use gstreamer_video::subclass::prelude::*;

use super::animate::{self, Pose};
use super::blend;
use super::board::Board;
use super::colour::{Format, Matrix, Pixels, Range};
use super::sprite::Sprite;
use crate::time::MediaTime;

/// What caps say of colours; what they leave open is as `GStreamer`'s own defaults for the size.
fn format_of(info: &gst_video::VideoInfo) -> Format {
    let colours = info.colorimetry();
    Format {
        pixels: if info.format() == gst_video::VideoFormat::Nv12 { Pixels::Nv12 } else { Pixels::I420 },
        matrix: match colours.matrix() {
            gst_video::VideoColorMatrix::Bt601 | gst_video::VideoColorMatrix::Fcc => Matrix::Bt601,
            gst_video::VideoColorMatrix::Bt2020 => Matrix::Bt2020,
            _ => Matrix::Bt709,
        },
        range: if colours.range() == gst_video::VideoColorRange::Range0_255 {
            Range::Full
        } else {
            Range::Video
        },
    }
}

mod imp {
    use super::{
        Arc, Board, MediaTime, Mutex, PoisonError, Pose, Sprite, VideoFilterImpl, VideoFrameExt, animate,
        blend, format_of, glib, gst, gst_base, gst_video,
    };
    use crate::pipeline::raw;
    use gstreamer_base::prelude::*;
    use gstreamer_video::subclass::prelude::*;
    use std::sync::LazyLock;

    /// The element's state.
    #[derive(Debug, Default)]
    pub struct VitrineOverlay {
        pub(super) board: Mutex<Option<Arc<Board>>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for VitrineOverlay {
        const NAME: &'static str = "VitrineOverlay";
        type Type = super::VitrineOverlay;
        type ParentType = gst_video::VideoFilter;
    }

    impl ObjectImpl for VitrineOverlay {}
    impl GstObjectImpl for VitrineOverlay {}

    impl ElementImpl for VitrineOverlay {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                gst::subclass::ElementMetadata::new(
                    "Vitrine overlay",
                    "Filter/Effect/Video",
                    "Blends drawn cards into the frame, in place",
                    "The Vitrine authors",
                )
            });
            Some(&METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(raw::pads);
            TEMPLATES.as_ref()
        }
    }

    impl BaseTransformImpl for VitrineOverlay {
        const MODE: gst_base::subclass::BaseTransformMode =
            gst_base::subclass::BaseTransformMode::AlwaysInPlace;
        const PASSTHROUGH_ON_SAME_CAPS: bool = false;
        const TRANSFORM_IP_ON_PASSTHROUGH: bool = true;

        fn before_transform(&self, buffer: &gst::BufferRef) {
            let now = MediaTime(buffer.pts().map_or(0, gst::ClockTime::nseconds));
            let has_layers = self.board().is_some_and(|board| {
                board.scene().layers.iter().any(|layer| !animate::has_gone(layer.times, &layer.moves, now))
            });
            // Out of passthrough a shared buffer is copied before it is written: only when there is
            // something to write.
            self.obj().set_passthrough(!has_layers);
        }
    }

    /// Blends one sprite. One that was made for another format waits until it is drawn anew: `false`.
    fn lay(
        frame: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
        sprite: &Sprite,
        pose: &Pose,
    ) -> Result<bool, gst::FlowError> {
        if sprite.format != format_of(frame.info()) {
            return Ok(false);
        }
        for index in 0..sprite.planes.len() {
            let stride = frame.plane_stride()[index] as usize;
            // Interleaved chroma has as many samples in a row as luma.
            let width = (frame.width() as usize).div_ceil(1 << sprite.planes[index].shift.0);
            let height = frame.comp_height(index as u32) as usize;
            let data = frame.plane_data_mut(index as u32).map_err(|_| gst::FlowError::Error)?;
            let mut target = blend::Target { data, stride, width, height };
            blend::plane(&mut target, sprite, index, pose);
        }
        Ok(true)
    }

    impl VideoFilterImpl for VitrineOverlay {
        fn set_info(
            &self,
            incaps: &gst::Caps,
            in_info: &gst_video::VideoInfo,
            outcaps: &gst::Caps,
            out_info: &gst_video::VideoInfo,
        ) -> Result<(), gst::LoggableError> {
            if let Some(board) = self.board() {
                board.set_format(format_of(in_info));
            }
            self.parent_set_info(incaps, in_info, outcaps, out_info)
        }

        fn transform_frame_ip(
            &self,
            frame: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
        ) -> Result<gst::FlowSuccess, gst::FlowError> {
            let Some(board) = self.board() else { return Ok(gst::FlowSuccess::Ok) };
            let scene = board.scene();
            let now = MediaTime(frame.buffer().pts().map_or(0, gst::ClockTime::nseconds));
            let frame_nanos = frame.buffer().duration().map_or(33_333_333, |length| length.nseconds() as i64);
            let canvas = (frame.width(), frame.height());
            let mut is_whole = true;
            for layer in &scene.layers {
                let Some((pose, sprite)) = layer.at(canvas, frame_nanos, now) else { continue };
                is_whole &= lay(frame, sprite, &pose)?;
                if let Some(crawl) = &layer.crawl {
                    for pose in crawl.poses(&pose, now) {
                        is_whole &= lay(frame, &crawl.sprite, &pose)?;
                    }
                }
            }
            board.compose(&scene, now);
            if is_whole {
                board.note(&scene, now);
            }
            Ok(gst::FlowSuccess::Ok)
        }

        fn transform_frame_ip_passthrough(
            &self,
            frame: &gst_video::VideoFrameRef<&gst::BufferRef>,
        ) -> Result<gst::FlowSuccess, gst::FlowError> {
            if let Some(board) = self.board() {
                let now = MediaTime(frame.buffer().pts().map_or(0, gst::ClockTime::nseconds));
                let scene = board.scene();
                // One that was set since this frame was let through is not in it.
                if scene.layers.iter().all(|layer| animate::has_gone(layer.times, &layer.moves, now)) {
                    board.compose(&scene, now);
                    board.note(&scene, now);
                }
            }
            Ok(gst::FlowSuccess::Ok)
        }
    }

    impl VitrineOverlay {
        fn board(&self) -> Option<Arc<Board>> {
            self.board.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }
}

glib::wrapper! {
    /// The element; `pipelines/*.gst` name it `vitrineoverlay`.
    pub struct VitrineOverlay(ObjectSubclass<imp::VitrineOverlay>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

impl VitrineOverlay {
    /// Gives the element the board whose scene it blends.
    pub fn set_board(&self, board: Arc<Board>) {
        *self.imp().board.lock().unwrap_or_else(PoisonError::into_inner) = Some(board);
    }
}

/// Makes `vitrineoverlay` known to this process. Calling it again changes nothing.
///
/// # Errors
/// `GStreamer`'s, when its registry refuses the element.
pub fn register() -> Result<(), glib::BoolError> {
    gst::Element::register(None, "vitrineoverlay", gst::Rank::NONE, VitrineOverlay::static_type())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::animate::{Moves, Times};
    use crate::overlay::board::{Layer, Scene};
    use crate::overlay::film::Face;
    use crate::overlay::film::Film;
    use crate::overlay::sprite::Rgba;
    use gstreamer_app as gst_app;

    /// Y, U and V in the middle of a red card over black, in frames of `format` and `colorimetry`.
    fn red_card_in(format: &str, colorimetry: &str) -> [u8; 3] {
        gst::init().unwrap();
        register().unwrap();
        let text = format!(
            "videotestsrc pattern=black ! video/x-raw,format={format},width=32,height=32,framerate=30/1,\
             colorimetry={colorimetry} ! vitrineoverlay name=overlay ! appsink name=out sync=false"
        );
        let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
        let board = Arc::new(Board::default());
        pipeline.by_name("overlay").unwrap().downcast::<VitrineOverlay>().unwrap().set_board(board.clone());
        let sink = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let limit = gst::ClockTime::from_seconds(20);
        sink.try_pull_preroll(limit).unwrap();
        // The format is known with the first frame; the same one is drawn again with a card for it.
        let red = Rgba { width: 32, height: 32, data: [255, 0, 0, 255].repeat(32 * 32) };
        let sprite = Arc::new(Sprite::from_rgba(&red, board.format()));
        let mut film = Film::default();
        film.plan(Face { from: MediaTime::ZERO, sprite, at: (0, 0) });
        let (times, moves) = (Times::default(), Moves::cut());
        let layer = Layer { id: String::new(), film, crawl: None, times, moves, code: None };
        board.set(Scene { rev: 1, due: MediaTime::ZERO, layers: vec![layer], ..Scene::default() });
        let caps = sink.sink_pads()[0].current_caps().unwrap();
        let info = gst_video::VideoInfo::from_caps(&caps).unwrap();
        pipeline.seek_simple(gst::SeekFlags::FLUSH, gst::ClockTime::ZERO).unwrap();
        let sample = sink.try_pull_sample(limit).unwrap();
        let frame =
            gst_video::VideoFrameRef::from_buffer_ref_readable(sample.buffer().unwrap(), &info).unwrap();
        let luma = frame.plane_data(0).unwrap()[16 * info.stride()[0] as usize + 16];
        let chroma = frame.plane_data(1).unwrap();
        let [u, v] = if format == "NV12" {
            let at = 8 * info.stride()[1] as usize + 16;
            [chroma[at], chroma[at + 1]]
        } else {
            let at = |plane: usize| 8 * info.stride()[plane] as usize + 8;
            [chroma[at(1)], frame.plane_data(2).unwrap()[at(2)]]
        };
        pipeline.set_state(gst::State::Null).unwrap();
        [luma, u, v]
    }

    #[test]
    fn colours_are_as_the_frame_says() {
        for format in ["I420", "NV12"] {
            assert_eq!(red_card_in(format, "bt709"), [63, 102, 240], "{format}");
            assert_eq!(red_card_in(format, "bt601"), [81, 90, 240], "{format}");
            // 1:4:0:0 is BT.601 in full range, as cameras and JPEG have it.
            assert_eq!(red_card_in(format, "1:4:0:0"), [76, 85, 255], "{format}");
        }
    }
}
