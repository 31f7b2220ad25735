//! When this machine does not keep up: the first rung, which costs the most, is coded with a faster preset.
//!
//! An encoder's preset is set when it starts, so another takes its place, between two segments and in the thread that
//! brings the frames: nothing is lost, and the new one begins with a key frame.

use gstreamer as gst;
use gstreamer::prelude::*;

use super::choice::set_up;
use crate::config::{PRESETS, Rung};
use crate::package::grid::Grid;
use crate::time::MediaTime;

/// The first rung's encoder and what it is set to.
pub(super) struct Relief {
    /// What stands before it, and stays when it is replaced.
    before: Option<gst::Pad>,
    rung: Rung,
    grid: Grid,
    preset: &'static str,
}

impl Relief {
    pub(super) fn new(encoder: gst::Element, rung: &Rung, grid: &Grid, preset: &str) -> Self {
        let before = encoder.static_pad("sink").and_then(|pad| pad.peer());
        let preset = PRESETS.iter().find(|known| **known == preset).copied().unwrap_or(PRESETS[0]);
        Self { before, rung: rung.clone(), grid: *grid, preset }
    }

    /// Asks for the next faster preset; its name.
    pub(super) fn next(&mut self) -> Option<&'static str> {
        let place = PRESETS.iter().position(|known| *known == self.preset)?;
        self.preset = PRESETS.get(place.checked_sub(1)?)?;
        let (rung, grid, preset) = (self.rung.clone(), self.grid, self.preset);
        self.before.as_ref()?.add_probe(gst::PadProbeType::BUFFER, move |before, about| {
            let time = about.buffer().and_then(|buffer| buffer.pts()).map(|pts| MediaTime(pts.nseconds()));
            let frame = time.map(|time| grid.rate().frame_at(time));
            if frame.is_none_or(|frame| !frame.is_multiple_of(grid.frames_per_segment().into())) {
                return gst::PadProbeReturn::Ok;
            }
            if let Err(error) = replace(before, &rung, &grid, preset) {
                tracing::error!("the first rung keeps its encoder: {error}");
            }
            gst::PadProbeReturn::Remove
        });
        Some(preset)
    }
}

/// Puts another encoder behind `before`, whose thread this is: no frame is on its way there.
fn replace(before: &gst::Pad, rung: &Rung, grid: &Grid, preset: &str) -> Result<(), gst::glib::BoolError> {
    let missing = || gst::glib::bool_error!("the encoder has no place");
    let entry = before.peer().ok_or_else(missing)?;
    let old = entry.parent_element().ok_or_else(missing)?;
    let exit = old.static_pad("src").ok_or_else(missing)?;
    let after = exit.peer().ok_or_else(missing)?;
    let bin = old.parent().and_downcast::<gst::Bin>().ok_or_else(missing)?;
    let new = gst::ElementFactory::make("x264enc").build()?;
    for name in ["tune", "sliced-threads", "b-adapt", "bframes", "vbv-buf-capacity", "pass", "option-string"]
    {
        new.set_property_from_value(name, &old.property_value(name));
    }
    set_up(&new, "x264", rung, grid, preset);
    // What it holds back comes out; that it ends is nobody's business behind it.
    exit.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, about| match about.event() {
        Some(event) if event.type_() == gst::EventType::Eos => gst::PadProbeReturn::Drop,
        _ => gst::PadProbeReturn::Ok,
    });
    entry.send_event(gst::event::Eos::new());
    old.set_state(gst::State::Null).map_err(|_| gst::glib::bool_error!("the encoder does not stop"))?;
    before.unlink(&entry)?;
    exit.unlink(&after)?;
    bin.remove(&old)?;
    bin.add(&new)?;
    let linked = |_| missing();
    before.link(&new.static_pad("sink").ok_or_else(missing)?).map_err(linked)?;
    new.static_pad("src").ok_or_else(missing)?.link(&after).map_err(linked)?;
    new.sync_state_with_parent()
}
