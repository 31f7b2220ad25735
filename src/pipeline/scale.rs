//! `vitrinescale`: a `GStreamer` element that makes another size of I420 or NV12 frames.
//!
//! A rung's picture is scaled thirty times a second or more, and `videoscale` needs three times swscale's CPU for
//! 1280x720 to 768x432, with two source samples for each result, which makes small words flicker. Here every source sample
//! counts, by `fast_image_resize`'s convolution.
//! Across a row it is slow for single bytes: it goes over a few samples for each result, and adds up the few sums. Four rows
//! woven into pixels of four bytes are the same work for one result of each, with nothing to add up: half of the time.
//! It never adds borders, converts colours or looks at where chroma was sampled: its error is a sixth of a chroma sample at
//! a third of the size.

use fast_image_resize::images::{TypedCroppedImage, TypedCroppedImageMut, TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x2, U8x4};
use fast_image_resize::{Filter, FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use gstreamer as gst;
use gstreamer::glib;
use gstreamer_base as gst_base;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

/// One plane of a frame: bytes of rows that are `stride` bytes apart, of which `width` samples are seen.
struct Plane<D> {
    data: D,
    stride: usize,
    width: u32,
    height: u32,
}

/// The mean of what a result's sample covers, and a quarter of it more on either side with less and less weight: small words
/// stay sharp and nothing flickers. A third fewer samples are read than for a triangle, and reading them is what costs.
fn weight(x: f64) -> f64 {
    ((0.75 - x.abs()) * 2.0).clamp(0.0, 1.0)
}

/// Makes `to` of `from`, samples being `P`s; `None` when a plane is smaller than it says.
fn resize<P: PixelTrait>(resizer: &mut Resizer, from: &Plane<&[u8]>, to: Plane<&mut [u8]>) -> Option<()> {
    let filter = FilterType::Custom(Filter::new("covered", weight, 0.75).ok()?);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
    let across = |stride: usize| (stride / size_of::<P>()) as u32;
    let whole = from.data.get(..from.stride * from.height as usize)?;
    let source = TypedImageRef::<P>::from_buffer(across(from.stride), from.height, whole).ok()?;
    let source = TypedCroppedImage::from_ref(&source, 0, 0, from.width, from.height).ok()?;
    let whole = to.data.get_mut(..to.stride * to.height as usize)?;
    let mut target = TypedImage::<P>::from_buffer(across(to.stride), to.height, whole).ok()?;
    let mut target = TypedCroppedImageMut::from_ref(&mut target, 0, 0, to.width, to.height).ok()?;
    resizer.resize_typed(&source, &mut target, &options).ok()
}

/// What scaling needs, kept from frame to frame.
#[derive(Default)]
struct Scaler {
    resizer: Resizer,
    /// Rows of the source's width, as many as there will be.
    rows: Vec<u8>,
    /// The same, in fours.
    woven: Vec<u8>,
    /// Those of the result's width.
    narrow: Vec<u8>,
}

impl Scaler {
    /// Makes `to` of `from`, samples being bytes; `None` when a plane is smaller than it says.
    fn bytes(&mut self, from: &Plane<&[u8]>, to: Plane<&mut [u8]>) -> Option<()> {
        if from.width == to.width {
            return resize::<U8>(&mut self.resizer, from, to);
        }
        let (before, after) = (from.width as usize, to.width as usize);
        let fours = to.height.div_ceil(4);
        let wide = room(&mut self.rows, before * 4 * fours as usize);
        let woven = room(&mut self.woven, wide.len());
        let narrow = room(&mut self.narrow, after * 4 * fours as usize);
        let rows = Plane { data: &mut wide[..], stride: before, width: from.width, height: to.height };
        resize::<U8>(&mut self.resizer, from, rows)?;
        for (rows, woven) in wide.chunks_exact(4 * before).zip(woven.chunks_exact_mut(4 * before)) {
            weave(rows, woven);
        }
        let fours_of_source = Plane { data: &*woven, stride: 4 * before, width: from.width, height: fours };
        let fours = Plane { data: &mut narrow[..], stride: 4 * after, width: to.width, height: fours };
        resize::<U8x4>(&mut self.resizer, &fours_of_source, fours)?;
        let seen = to.data.get_mut(..to.stride * to.height as usize)?;
        for (narrow, rows) in narrow.chunks_exact(4 * after).zip(seen.chunks_mut(4 * to.stride)) {
            unweave(narrow, rows, to.stride, after);
        }
        Some(())
    }
}

/// `length` bytes with anything in them: planes take turns, and clearing what grows again costs.
fn room(kept: &mut Vec<u8>, length: usize) -> &mut [u8] {
    kept.resize(kept.len().max(length), 0);
    &mut kept[..length]
}

/// Four rows, one after the other, to pixels of a byte of each. As words, which the compiler does many at a time.
fn weave(rows: &[u8], woven: &mut [u8]) {
    let (upper, lower) = rows.split_at(rows.len() / 2);
    let (first, second) = upper.split_at(upper.len() / 2);
    let (third, fourth) = lower.split_at(lower.len() / 2);
    let samples = first.iter().zip(second).zip(third).zip(fourth);
    for (pixel, (((first, second), third), fourth)) in woven.as_chunks_mut::<4>().0.iter_mut().zip(samples) {
        let word = u32::from(*first) | u32::from(*second) << 8 | u32::from(*third) << 16;
        *pixel = (word | u32::from(*fourth) << 24).to_le_bytes();
    }
}

/// The way back, to as many rows as there are, of `width` samples.
fn unweave(woven: &[u8], rows: &mut [u8], stride: usize, width: usize) {
    for (index, row) in rows.chunks_mut(stride).enumerate() {
        for (sample, pixel) in row[..width].iter_mut().zip(woven.as_chunks::<4>().0) {
            *sample = (u32::from_le_bytes(*pixel) >> (8 * index)) as u8;
        }
    }
}

mod imp {
    use super::super::raw;
    use super::{Plane, Scaler, U8x2, glib, gst, gst_base, gst_video, resize};
    use gstreamer_video::prelude::*;
    use gstreamer_video::subclass::prelude::*;
    use std::sync::{LazyLock, Mutex, PoisonError};

    /// The element's state: what scaling needed for the last frame is kept for the next.
    #[derive(Default)]
    pub struct VitrineScale {
        scaler: Mutex<Scaler>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for VitrineScale {
        const NAME: &'static str = "VitrineScale";
        type Type = super::VitrineScale;
        type ParentType = gst_video::VideoFilter;
    }

    impl ObjectImpl for VitrineScale {}
    impl GstObjectImpl for VitrineScale {}

    impl ElementImpl for VitrineScale {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                gst::subclass::ElementMetadata::new(
                    "Vitrine scale",
                    "Filter/Converter/Video/Scaler",
                    "Makes another size of the frame",
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

    impl BaseTransformImpl for VitrineScale {
        const MODE: gst_base::subclass::BaseTransformMode =
            gst_base::subclass::BaseTransformMode::NeverInPlace;
        const PASSTHROUGH_ON_SAME_CAPS: bool = true;
        const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

        /// The same size before any other.
        fn transform_caps(
            &self,
            _: gst::PadDirection,
            caps: &gst::Caps,
            filter: Option<&gst::Caps>,
        ) -> Option<gst::Caps> {
            let mut any_size = caps.clone();
            for structure in any_size.make_mut().iter_mut() {
                structure.remove_fields(["width", "height", "pixel-aspect-ratio"]);
            }
            let mut both = caps.clone();
            both.merge(any_size);
            Some(filter.map_or_else(
                || both.clone(),
                |filter| filter.intersect_with_mode(&both, gst::CapsIntersectMode::First),
            ))
        }
    }

    impl VideoFilterImpl for VitrineScale {
        fn transform_frame(
            &self,
            from: &gst_video::VideoFrameRef<&gst::BufferRef>,
            to: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
        ) -> Result<gst::FlowSuccess, gst::FlowError> {
            let mut scaler = self.scaler.lock().unwrap_or_else(PoisonError::into_inner);
            for index in 0..from.n_planes() {
                // A plane's first component has its size: in NV12 both chroma components are in plane 1.
                let source = Plane {
                    stride: from.plane_stride()[index as usize] as usize,
                    width: from.comp_width(index),
                    height: from.comp_height(index),
                    data: from.plane_data(index).map_err(|_| gst::FlowError::Error)?,
                };
                let target = Plane {
                    stride: to.plane_stride()[index as usize] as usize,
                    width: to.comp_width(index),
                    height: to.comp_height(index),
                    data: to.plane_data_mut(index).map_err(|_| gst::FlowError::Error)?,
                };
                let is_pairs = from.format() == gst_video::VideoFormat::Nv12 && index == 1;
                let done = if is_pairs {
                    resize::<U8x2>(&mut scaler.resizer, &source, target)
                } else {
                    scaler.bytes(&source, target)
                };
                done.ok_or(gst::FlowError::Error)?;
            }
            Ok(gst::FlowSuccess::Ok)
        }
    }
}

glib::wrapper! {
    /// The element; `pipelines/*.gst` name it `vitrinescale`.
    pub struct VitrineScale(ObjectSubclass<imp::VitrineScale>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

/// Makes `vitrinescale` known to this process. Calling it again changes nothing.
///
/// # Errors
/// `GStreamer`'s, when its registry refuses the element.
pub fn register() -> Result<(), glib::BoolError> {
    gst::Element::register(None, "vitrinescale", gst::Rank::NONE, VitrineScale::static_type())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gstreamer_app as gst_app;

    /// The last of some frames of `pattern`, scaled from one size to the other.
    fn scaled(pattern: &str, format: &str, from: (u32, u32), to: (u32, u32)) -> gst::Sample {
        gst::init().unwrap();
        register().unwrap();
        let text = format!(
            "videotestsrc num-buffers=2 pattern={pattern} foreground-color=0xffb03020 \
             ! video/x-raw,format={format},width={},height={},framerate=30/1,colorimetry=bt709 \
             ! vitrinescale ! video/x-raw,width={},height={},pixel-aspect-ratio=1/1 ! appsink name=out sync=false",
            from.0, from.1, to.0, to.1
        );
        let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
        let out = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let limit = gst::ClockTime::from_seconds(20);
        let (_, last) = (out.try_pull_sample(limit).unwrap(), out.try_pull_sample(limit).unwrap());
        pipeline.set_state(gst::State::Null).unwrap();
        last
    }

    /// All samples that are seen, plane by plane, row by row.
    fn seen(sample: &gst::Sample) -> Vec<Vec<u8>> {
        let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
        let frame =
            gst_video::VideoFrameRef::from_buffer_ref_readable(sample.buffer().unwrap(), &info).unwrap();
        (0..frame.n_planes())
            .map(|index| {
                let width = (frame.comp_width(index) * frame.comp_pstride(index) as u32) as usize;
                let stride = frame.plane_stride()[index as usize] as usize;
                let rows =
                    frame.plane_data(index).unwrap().chunks(stride).take(frame.comp_height(index) as usize);
                rows.flat_map(|row| row[..width].to_vec()).collect()
            })
            .collect()
    }

    #[test]
    fn one_colour_stays_that_colour_at_every_size_and_in_every_plane() {
        for (from, to) in [((1280, 720), (768, 432)), ((1280, 720), (426, 240)), ((202, 110), (1280, 720))] {
            for format in ["I420", "NV12"] {
                let (small, same) =
                    (scaled("solid-color", format, from, to), scaled("solid-color", format, to, to));
                let (small, same) = (seen(&small), seen(&same));
                assert_eq!(small, same, "{format} {from:?} to {to:?}");
                assert_eq!(small[0].len(), (to.0 * to.1) as usize);
            }
        }
    }

    #[test]
    fn woven_rows_are_scaled_to_the_same_bytes_as_single_ones() {
        let source: Vec<u8> =
            (0..200 * 120_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut scaler = Scaler::default();
        for (width, height, stride) in [(120, 72, 120), (67, 31, 80), (300, 121, 304)] {
            let from = Plane { data: &source[..], stride: 200, width: 198, height: 120 };
            let [mut single, mut woven] =
                [vec![7; stride * height as usize], vec![7; stride * height as usize]];
            let to = Plane { data: &mut single[..], stride, width, height };
            resize::<U8>(&mut scaler.resizer, &from, to).unwrap();
            scaler.bytes(&from, Plane { data: &mut woven[..], stride, width, height }).unwrap();
            assert!(single == woven, "{width}x{height}");
        }
        let from = Plane { data: &source[..9], stride: 200, width: 198, height: 120 };
        let to = Plane { data: &mut [0; 100][..], stride: 10, width: 10, height: 10 };
        assert!(scaler.bytes(&from, to).is_none(), "fewer bytes than it says");
    }

    #[test]
    fn lines_finer_than_the_result_become_their_mean_and_not_some_of_them() {
        // Black and white pixels in turn, at a third of the size: grey everywhere but at the rim.
        let frame = seen(&scaled("checkers-1", "I420", (1280, 720), (426, 240)));
        let middle: Vec<u8> = frame[0][426 * 120 + 20..426 * 120 + 400].to_vec();
        let (least, most) = (middle.iter().min().unwrap(), middle.iter().max().unwrap());
        assert!(most - least < 40, "{least} to {most}");
    }
}
