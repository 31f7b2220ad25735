//! Hands a channel's pictures to viewers, and draws tiles of them onto the sheets for scrubbing.

use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};

use crate::encode::gallery::Gallery;
use crate::media::Picture;
use crate::package::storyboard::{COLUMNS, Place, ROWS, Sheet};
use crate::serve::pictures::Pictures;

/// The longer side of a tile.
const TILE: u32 = 160;
const QUALITY: u8 = 75;

/// Until the channel ends.
pub(super) async fn run(gallery: Arc<Gallery>, pictures: Arc<Pictures>) {
    let (mut small, mut poster) = (gallery.small.subscribe(), gallery.poster.subscribe());
    let mut drawing = Drawing::default();
    loop {
        tokio::select! {
            Ok(()) = small.changed() => {
                let Some(picture) = small.borrow_and_update().clone() else { continue };
                pictures.set_thumbnail(picture.clone());
                if drawing.wants(&picture) {
                    drawing = draw(drawing, picture, pictures.clone()).await;
                }
            }
            Ok(()) = poster.changed() => {
                if let Some(picture) = poster.borrow_and_update().clone() {
                    pictures.set_poster(picture);
                }
            }
            else => return,
        }
    }
}

/// The sheet that is being filled.
#[derive(Default)]
struct Drawing {
    sheet: Option<(Sheet, RgbImage)>,
    last: Option<Place>,
}

async fn draw(mut drawing: Drawing, picture: Picture, pictures: Arc<Pictures>) -> Drawing {
    let drawn = tokio::task::spawn_blocking(move || {
        drawing.last = Some(Place::at(picture.time));
        match drawing.add(&picture, || pictures.newest_sheet()) {
            Ok((sheet, data)) => pictures.put_sheet(sheet, data),
            Err(error) => tracing::warn!("a picture for scrubbing cannot be drawn: {error}"),
        }
        drawing
    });
    drawn.await.unwrap_or_default()
}

impl Drawing {
    /// One picture for each tile: the first that comes.
    fn wants(&self, picture: &Picture) -> bool {
        self.last != Some(Place::at(picture.time))
    }

    /// Adds a tile; the sheet and its file. After a restart the newest sheet of before goes on, if it is the same.
    fn add(
        &mut self,
        picture: &Picture,
        newest: impl FnOnce() -> Option<(Sheet, Vec<u8>)>,
    ) -> Result<(Sheet, Bytes), image::ImageError> {
        let place = Place::at(picture.time);
        let frame = image::load_from_memory_with_format(&picture.jpeg, ImageFormat::Jpeg)?.to_rgb8();
        let longer = frame.width().max(frame.height()).max(1);
        let fit = |side: u32| (side * TILE / longer).max(1);
        let (width, height) = (fit(frame.width()), fit(frame.height()));
        let empty = Sheet { number: place.sheet, tiles: 0, width, height };
        let is_same =
            |sheet: &Sheet| (sheet.number, sheet.width, sheet.height) == (place.sheet, width, height);
        let restored = || {
            let (sheet, data) = newest().filter(|(sheet, _)| is_same(sheet))?;
            let image = image::load_from_memory_with_format(&data, ImageFormat::Jpeg).ok()?.to_rgb8();
            (image.dimensions() == (width * COLUMNS, height * ROWS)).then_some((sheet, image))
        };
        let (mut sheet, mut image) = self
            .sheet
            .take()
            .filter(|(sheet, _)| is_same(sheet))
            .or_else(restored)
            .unwrap_or_else(|| (empty, RgbImage::new(width * COLUMNS, height * ROWS)));
        let tile = image::imageops::thumbnail(&frame, width, height);
        let (x, y) = place.corner((width, height));
        image::imageops::replace(&mut image, &tile, x.into(), y.into());
        sheet.tiles |= 1 << place.tile;
        let mut file = Cursor::new(Vec::new());
        JpegEncoder::new_with_quality(&mut file, QUALITY).encode_image(&image)?;
        self.sheet = Some((sheet, image));
        Ok((sheet, file.into_inner().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MediaTime;

    fn picture(seconds: u64, grey: u8) -> Picture {
        let mut file = Cursor::new(Vec::new());
        let frame = RgbImage::from_pixel(640, 360, image::Rgb([grey; 3]));
        JpegEncoder::new(&mut file).encode_image(&frame).unwrap();
        Picture { time: MediaTime(seconds * 1_000_000_000), jpeg: file.into_inner().into() }
    }

    #[test]
    fn tiles_lie_where_the_text_says_and_a_restart_goes_on() {
        let mut drawing = Drawing::default();
        drawing.add(&picture(300, 10), || None).unwrap();
        let (before, data) = drawing.add(&picture(310, 120), || None).unwrap();
        let mut again = Drawing::default();
        let (sheet, data) = again.add(&picture(371, 240), || Some((before, data.to_vec()))).unwrap();
        assert_eq!(sheet, Sheet { number: 1, tiles: 0b1000_0011, width: 160, height: 90 });
        let image = image::load_from_memory(&data).unwrap().to_rgb8();
        let grey = |x, y| i32::from(image.get_pixel(x, y).0[0]);
        assert!((grey(80, 45) - 10).abs() < 6 && (grey(240, 45) - 120).abs() < 6, "the first two");
        assert!((grey(240, 135) - 240).abs() < 6, "the second of the second row");
        let (next, _) = again.add(&picture(600, 9), || None).unwrap();
        assert_eq!((next.number, next.tiles), (2, 1), "another sheet");
    }
}
