//! Cards drawn to be looked at before they are shown, and what is wrong with a drawing in words.

use super::{Desk, place};
use crate::overlay::content::{Content, When};
use crate::overlay::fonts::Missing;
use crate::overlay::qr::Area;
use crate::overlay::sprite::Rgba;
use crate::overlay::template::Design;
use crate::state::{Card, State};

/// Where a card's QR leads when it is only looked at.
const PREVIEW_CODE: &str = "preview0";

/// A drawn card that is not on air.
#[derive(Debug)]
pub struct Preview {
    /// Its pixels.
    pub picture: Rgba,
    /// Where it rests in the canvas.
    pub at: (i32, i32),
    /// What its producer should know.
    pub problems: Vec<String>,
}

impl Desk {
    /// Draws a card as it goes on air in this channel, with a code that leads nowhere, and where it rests.
    ///
    /// # Errors
    /// In words.
    pub fn preview(&self, card: &Card, state: &State) -> Result<Preview, String> {
        let design = self.studio.design(&card.template).map_err(|error| error.to_string())?;
        let content = self.still(&design, card, state).ok_or("its product is gone")?;
        let scale = self.easel().scale(card);
        let drawn = self.studio.raster.whole(&design, &content, scale).map_err(|error| error.to_string())?;
        let problems = self.problems_of(&drawn.missing, drawn.code);
        let picture = drawn.with_code(&self.link(PREVIEW_CODE));
        let at = place::rest(self.canvas, card.place(), card.position, (picture.width, picture.height));
        Ok(Preview { picture, at, problems })
    }

    /// Draws a template's sample as in this channel.
    ///
    /// # Errors
    /// In words.
    pub fn sample(&self, template: &str) -> Result<Preview, String> {
        let design = self.studio.design(template).map_err(|error| error.to_string())?;
        let content = Content::sample(&design, &self.look);
        let card = Card { slot: Some(design.template.slot), ..Card::default() };
        let scale = self.easel().scale(&card);
        let drawn = self.studio.raster.whole(&design, &content, scale).map_err(|error| error.to_string())?;
        let problems = self.problems_of(&drawn.missing, drawn.code);
        let picture = drawn.with_code(&self.link(PREVIEW_CODE));
        let at = place::rest(self.canvas, card.place(), None, (picture.width, picture.height));
        Ok(Preview { picture, at, problems })
    }

    /// What a card shows when it is not on air.
    pub(super) fn still(&self, design: &Design, card: &Card, state: &State) -> Option<Content> {
        let now = self.clock.now();
        let when = When { airing: None, first_frame: now, now, epoch: self.clock.epoch() };
        Content::of(design, &self.look, card, state, &when)
    }

    pub(super) fn problems_of(&self, missing: &[Missing], code: Option<Area>) -> Vec<String> {
        let mut problems: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let shorter = self.canvas.width.min(self.canvas.height);
        if let Some(area) = code {
            let percent = f64::from(area.height) * 100.0 / f64::from(shorter);
            if percent + 0.5 < self.qr_percent {
                problems.push(format!(
                    "its QR is {percent:.0} % of the picture high; {:.0} % scan well: make the card larger",
                    self.qr_percent
                ));
            }
        }
        problems
    }
}
