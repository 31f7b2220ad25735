//! `vitrineoverlay`: a `GStreamer` element that blends the present [`Scene`] into I420 frames, in place.
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
use tokio::sync::watch;

use super::animate::{self, Times};
use super::blend;
use super::sprite::Sprite;
use crate::time::MediaTime;

/// One card in the scene.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The airing's id.
    pub id: String,
    /// The drawn card.
    pub sprite: Arc<Sprite>,
    /// Where it rests, in pixels from the top left.
    pub rest: (u32, u32),
    /// When it comes and goes.
    pub times: Times,
}

/// All that is laid over the programme, bottom first.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// The revision of the state that it shows.
    pub rev: u64,
    /// Bottom first.
    pub layers: Vec<Layer>,
}

/// Which state the newest composed frame shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drawn {
    /// The state's revision.
    pub rev: u64,
    /// Programme time of the first frame that shows it.
    pub first_frame: MediaTime,
}

/// The scene's holder, shared by the one who draws and the element that blends.
#[derive(Debug)]
pub struct Board {
    scene: Mutex<Arc<Scene>>,
    drawn: watch::Sender<Drawn>,
}

impl Default for Board {
    fn default() -> Self {
        Self { scene: Mutex::default(), drawn: watch::Sender::new(Drawn::default()) }
    }
}

impl Board {
    /// Replaces the scene, from the next frame on.
    pub fn set(&self, scene: Scene) {
        *self.scene.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(scene);
    }

    /// The present scene.
    pub fn scene(&self) -> Arc<Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Follows which revision is in the picture.
    pub fn drawn(&self) -> watch::Receiver<Drawn> {
        self.drawn.subscribe()
    }

    fn note(&self, rev: u64, frame: MediaTime) {
        self.drawn.send_if_modified(|drawn| {
            let is_new = drawn.rev != rev;
            if is_new {
                *drawn = Drawn { rev, first_frame: frame };
            }
            is_new
        });
    }
}

mod imp {
    use super::{
        Arc, Board, MediaTime, Mutex, PoisonError, VideoFilterImpl, VideoFrameExt, animate, blend, glib, gst,
        gst_base, gst_video,
    };
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
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let caps = gst_video::VideoCapsBuilder::new().format(gst_video::VideoFormat::I420).build();
                [("src", gst::PadDirection::Src), ("sink", gst::PadDirection::Sink)]
                    .into_iter()
                    .map(|(name, direction)| {
                        gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps)
                            .expect("name, direction and caps are valid")
                    })
                    .collect()
            });
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
                board.scene().layers.iter().any(|layer| !animate::has_gone(layer.times, now))
            });
            // Out of passthrough a shared buffer is copied before it is written: only when there is
            // something to write.
            self.obj().set_passthrough(!has_layers);
        }
    }

    impl VideoFilterImpl for VitrineOverlay {
        fn transform_frame_ip(
            &self,
            frame: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
        ) -> Result<gst::FlowSuccess, gst::FlowError> {
            let Some(board) = self.board() else { return Ok(gst::FlowSuccess::Ok) };
            let scene = board.scene();
            let now = MediaTime(frame.buffer().pts().map_or(0, gst::ClockTime::nseconds));
            let frame_nanos = frame.buffer().duration().map_or(33_333_333, |length| length.nseconds() as i64);
            let height = frame.height();
            for layer in &scene.layers {
                let Some(pose) = animate::pose(layer.times, layer.rest, height, frame_nanos, now) else {
                    continue;
                };
                for index in 0..3 {
                    let stride = frame.plane_stride()[index] as usize;
                    let width = frame.comp_width(index as u32) as usize;
                    let height = frame.comp_height(index as u32) as usize;
                    let data = frame.plane_data_mut(index as u32).map_err(|_| gst::FlowError::Error)?;
                    let mut target = blend::Target { data, stride, width, height };
                    blend::plane(&mut target, &layer.sprite, index, &pose);
                }
            }
            // A card whose time has not come is not in the picture yet.
            if scene.layers.iter().all(|layer| layer.times.enter.is_none_or(|enter| enter <= now)) {
                board.note(scene.rev, now);
            }
            Ok(gst::FlowSuccess::Ok)
        }

        fn transform_frame_ip_passthrough(
            &self,
            frame: &gst_video::VideoFrameRef<&gst::BufferRef>,
        ) -> Result<gst::FlowSuccess, gst::FlowError> {
            if let Some(board) = self.board() {
                let now = MediaTime(frame.buffer().pts().map_or(0, gst::ClockTime::nseconds));
                board.note(board.scene().rev, now);
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
