//! Which picture a rung's is scaled from: the whole one, or one that a larger rung has made of it already, which costs less.
//! It knows sizes only, and never what makes or codes them.

use gstreamer as gst;

use crate::media::Canvas;

/// The picture's sizes that others can be made of, each behind a tee.
pub(super) struct Sizes {
    whole: gst::Element,
    canvas: Canvas,
    made: Vec<(Canvas, gst::Element)>,
}

impl Sizes {
    /// With the picture as it was composed, of `canvas`'s size, behind the tee `whole`.
    pub(super) fn new(whole: gst::Element, canvas: Canvas) -> Self {
        Self { whole, canvas, made: Vec::new() }
    }

    /// The tee of the picture as it was composed.
    pub(super) fn whole(&self) -> &gst::Element {
        &self.whole
    }

    /// Takes note of a rung's picture. Only of one in this machine's memory: a chip's frames may be its own.
    pub(super) fn add(&mut self, rung: Canvas, tee: gst::Element) {
        self.made.push((rung, tee));
    }

    /// The tee of what a rung's picture is to be made of: the smallest that is as large, or one and a half times as large.
    /// Less would blur. At that, 416x234 by way of 768x432 is within 0.1 dB of 416x234 straight from 1280x720, and nearer
    /// to what was composed than what swscale's bilinear makes of it.
    pub(super) fn best_for(&self, rung: Canvas) -> &gst::Element {
        let is_enough = |have: u32, need: u32| have == need || 2 * have >= 3 * need;
        let is_for = |made: Canvas| {
            made.width < self.canvas.width
                && is_enough(made.width, rung.width)
                && is_enough(made.height, rung.height)
        };
        let made = self.made.iter().filter(|(made, _)| is_for(*made));
        made.min_by_key(|(made, _)| made.width * made.height).map_or(&self.whole, |(_, tee)| tee)
    }
}

#[cfg(test)]
mod tests {
    use gstreamer::prelude::*;

    use super::*;
    use crate::media::FrameRate;

    fn canvas(width: u32, height: u32) -> Canvas {
        Canvas { width, height, rate: FrameRate { num: 30, den: 1 } }
    }

    #[test]
    fn a_rung_is_made_of_the_smallest_picture_that_does_not_blur_it() {
        gst::init().unwrap();
        let tee = |name: &str| gst::ElementFactory::make("tee").name(name).build().unwrap();
        let mut sizes = Sizes::new(tee("whole"), canvas(1280, 720));
        sizes.add(canvas(1280, 720), tee("first"));
        let of = |sizes: &Sizes, width, height| sizes.best_for(canvas(width, height)).name().to_string();
        assert_eq!(of(&sizes, 768, 432), "whole", "a rung of the whole's size saves nothing");
        sizes.add(canvas(768, 432), tee("second"));
        sizes.add(canvas(640, 360), tee("third"));
        assert_eq!(of(&sizes, 416, 234), "third");
        assert_eq!(of(&sizes, 512, 288), "second", "640 is less than half as wide again");
        assert_eq!(of(&sizes, 640, 360), "third", "the same size is as good as can be");
        assert_eq!(of(&sizes, 960, 540), "whole", "nothing is made of what is smaller");
    }
}
