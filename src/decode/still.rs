//! One key frame of the programme as grey samples, decoded from what viewers get.

use std::path::Path;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use super::{Error, format};
use crate::media::Format;
use crate::pipeline::description::Description;

/// How long a picture may take to come out.
const LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(3);

/// A grey picture.
#[derive(Debug)]
pub struct Grey {
    /// Samples across.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Rows one after another.
    pub data: Vec<u8>,
}

/// Decodes the key frame `unit` of a track of `format`.
///
/// # Errors
/// [`Error`].
pub async fn decode(replacements: Option<&Path>, format: &Format, unit: Bytes) -> Result<Grey, Error> {
    let pipeline = Description::load("check_code", replacements)?.build()?;
    let source: gst_app::AppSrc = pipeline.element("in")?;
    let sink: gst_app::AppSink = pipeline.element("out")?;
    source.set_caps(Some(&format::caps(format)?));
    let pipeline = pipeline.play().await?;
    let failed = || Error::Stream("a key frame of the programme does not come out".into());
    let grey = tokio::task::spawn_blocking(move || {
        let mut buffer = gst::Buffer::from_slice(unit);
        buffer.get_mut().ok_or_else(failed)?.set_pts(gst::ClockTime::ZERO);
        source.push_buffer(buffer).map_err(|_| failed())?;
        source.end_of_stream().map_err(|_| failed())?;
        let sample = sink.try_pull_sample(LIMIT).ok_or_else(failed)?;
        let info =
            gst_video::VideoInfo::from_caps(sample.caps().ok_or_else(failed)?).map_err(|_| failed())?;
        let map = sample.buffer().ok_or_else(failed)?.map_readable().map_err(|_| failed())?;
        let (width, height, stride) =
            (info.width() as usize, info.height() as usize, info.stride()[0] as usize);
        let rows = map.chunks(stride.max(1)).take(height);
        let data: Vec<u8> = rows.flat_map(|row| row[..width.min(row.len())].to_vec()).collect();
        if data.len() == width * height { Ok(Grey { width, height, data }) } else { Err(failed()) }
    })
    .await
    .unwrap_or_else(|_| Err(failed()));
    pipeline.stop().await?;
    grey
}
