//! When this machine does not keep up: the first rung, which costs the most, is coded with a faster preset, and with the
//! configured one again when all has been well for long.
//!
//! An encoder's preset is set when it starts, so another takes its place, between two segments and in the thread that
//! brings the frames: nothing is lost, and the new one begins with a key frame.

use std::cmp::Ordering;

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
    /// Places in [`PRESETS`]: as configured, and now.
    configured: usize,
    now: usize,
}

impl Relief {
    pub(super) fn new(
        encoder: gst::Element,
        rung: &Rung,
        grid: &Grid,
        configured: &str,
        preset: &str,
    ) -> Self {
        let before = encoder.static_pad("sink").and_then(|pad| pad.peer());
        let place = |name: &str| PRESETS.iter().position(|known| *known == name).unwrap_or(0);
        let (configured, now) = (place(configured), place(preset));
        Self { before, rung: rung.clone(), grid: *grid, configured, now }
    }

    /// Asks for the next faster preset; its name. Nothing when there is none.
    pub(super) fn lower(&mut self) -> Option<&'static str> {
        self.now = self.now.checked_sub(1)?;
        self.ask()
    }

    /// Asks for the next slower one, as far as it is configured.
    pub(super) fn raise(&mut self) -> Option<&'static str> {
        if self.now >= self.configured {
            return None;
        }
        self.now += 1;
        self.ask()
    }

    fn ask(&self) -> Option<&'static str> {
        let preset = PRESETS[self.now];
        let (rung, grid) = (self.rung.clone(), self.grid);
        self.before.as_ref()?.add_probe(gst::PadProbeType::BUFFER, move |before, about| {
            let time = about.buffer().and_then(|buffer| buffer.pts()).map(|pts| MediaTime(pts.nseconds()));
            let frame = time.map(|time| grid.rate().frame_at(time));
            if frame.is_none_or(|frame| !frame.is_multiple_of(grid.frames_per_segment().into())) {
                return gst::PadProbeReturn::Ok;
            }
            if let Err(error) = replace(before, &rung, &grid, preset) {
                tracing::error!("the first rung's encoder cannot be replaced: {error}"); // if it is gone, all is built anew
            }
            gst::PadProbeReturn::Remove
        });
        Some(preset)
    }
}

/// Puts another encoder behind `before`, whose thread this is: no frame is on its way there. Should the old one not end, no
/// frame is taken any more, which the inlet notices in its own time: then all of the pipeline is given up.
fn replace(before: &gst::Pad, rung: &Rung, grid: &Grid, preset: &str) -> Result<(), gst::glib::BoolError> {
    let missing = || gst::glib::bool_error!("the encoder has no place");
    let entry = before.peer().ok_or_else(missing)?;
    let old = entry.parent_element().ok_or_else(missing)?;
    let exit = old.static_pad("src").ok_or_else(missing)?;
    let after = exit.peer().ok_or_else(missing)?;
    let bin = old.parent().and_downcast::<gst::Bin>().ok_or_else(missing)?;
    let new = old.factory().ok_or_else(missing)?.create().build()?;
    // All that it was told, by us or by the owner's own description of the rung. Not what it has by itself: x264enc takes
    // whatever is set as a wish against the preset.
    let is_setting = |about: &gst::glib::ParamSpec| {
        let flags = about.flags();
        flags.contains(gst::glib::ParamFlags::READWRITE)
            && !flags.contains(gst::glib::ParamFlags::CONSTRUCT_ONLY)
            && !matches!(about.name(), "name" | "parent")
    };
    for about in old.list_properties().iter().filter(|about| is_setting(about)) {
        let value = old.property_value(about.name());
        if value.compare(about.default_value()) != Some(Ordering::Equal) {
            new.set_property_from_value(about.name(), &value);
        }
    }
    set_up(&new, "x264", rung, grid, preset);
    // What it holds back comes out; that it ends is nobody's business behind it.
    exit.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, about| match about.event() {
        Some(event) if event.type_() == gst::EventType::Eos => gst::PadProbeReturn::Handled,
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
