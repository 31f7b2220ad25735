//! Uncoded pictures and sound on their way between stages, with programme times.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use crate::time::MediaTime;

/// A picture of the canvas's size, I420.
#[derive(Debug, Clone)]
pub struct Frame {
    /// When it is shown.
    pub pts: MediaTime,
    /// The planes; may be shared, so it is copied before it is written.
    pub buffer: gst::Buffer,
}

/// A block of sound: interleaved stereo at 48 kHz.
#[derive(Debug, Clone)]
pub struct Sound {
    /// When its first sample is heard.
    pub pts: MediaTime,
    /// Left, right, left, right.
    pub samples: Vec<f32>,
}

/// A stage that takes raw media. Calls come from one streaming thread for each kind.
pub trait Sink: Send + Sync {
    /// Takes a picture. `false` when it cannot take any more, now or ever.
    fn frame(&self, frame: Frame) -> bool;

    /// Takes sound. `false` when it cannot take any more, now or ever.
    fn sound(&self, sound: Sound) -> bool;
}

/// Says upstream that frames may have padding, so that the decoder writes into them directly. An appsink does not
/// say so by itself, and then every frame is copied once more.
pub fn take_padded_frames(out: &gst_app::AppSink) {
    let Some(pad) = out.static_pad("sink") else { return };
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
        if let Some(query) = info.query_mut()
            && let gst::QueryViewMut::Allocation(allocation) = query.view_mut()
        {
            allocation.add_allocation_meta::<gst_video::VideoMeta>(None);
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
}

/// The pads of an element of ours that takes and gives frames: one each way.
pub fn pads() -> Vec<gst::PadTemplate> {
    let formats = [gst_video::VideoFormat::I420, gst_video::VideoFormat::Nv12];
    let caps = gst_video::VideoCapsBuilder::new().format_list(formats).build();
    [("src", gst::PadDirection::Src), ("sink", gst::PadDirection::Sink)]
        .into_iter()
        .map(|(name, direction)| {
            gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps)
                .expect("name, direction and caps are valid")
        })
        .collect()
}
