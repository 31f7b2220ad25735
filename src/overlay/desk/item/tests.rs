use super::*;
use crate::media::FrameRate;
use crate::overlay::blend::{self, Target};
use crate::overlay::content::Look;
use crate::overlay::golden;
use crate::overlay::sprite::Rgba;
use crate::overlay::template::Library;
use crate::state::Transitions;
use crate::time::WallTime;

const ENTER: u64 = 1_000_000_000;
/// Rows of the picture that are kept: the lower part, where the cards are.
const ROWS: std::ops::Range<usize> = 200..360;

fn easel() -> Easel {
    let canvas = Canvas { width: 640, height: 360, rate: FrameRate { num: 30, den: 1 } };
    let studio = Arc::new(Studio::new(golden::raster(), Library::built_in()));
    Easel { studio, canvas, format: Format::default() }
}

/// A template's sample coming on air, as its manifest says but for `transition`.
fn coming(easel: &Easel, template: &str, transition: Option<Transition>) -> Item {
    let design = easel.studio.design(template).unwrap();
    let own = design.template.transition;
    let transition = transition.map_or(own, |how| Transitions { enter: Some(how), ..own });
    let animation = design.native.animation;
    let drawn = (i64::from(animation.in_ms) * 1_000_000, i64::from(animation.out_ms) * 1_000_000);
    let slot = design.template.slot;
    let airing = Airing {
        id: "air_1".into(),
        card_id: "card".into(),
        sku: None,
        channel: "main".into(),
        slot,
        code: "preview0".into(),
        since: WallTime(0),
        since_programme: MediaTime(ENTER),
        step: 1,
        ends_programme: None,
        is_pinned: false,
        is_practice: false,
    };
    let start = Start {
        airing,
        card: Card { template: template.into(), ..Card::default() },
        content: Content::sample(&design, &Look::default()),
        link: "https://shop.example/go/preview0".into(),
        times: Times { enter: Some(MediaTime(ENTER)), leave: None },
        moves: Moves::new(transition, slot, drawn),
        design: design.clone(),
        first_frame: MediaTime(ENTER),
        countdown_end: None,
        now: MediaTime(ENTER),
    };
    Item::new(easel, start).unwrap()
}

fn finish(item: &mut Item, easel: &Easel) {
    while item.work(easel).unwrap() {}
}

/// The luma of the frames, counted from the entrance, one below the other.
fn strip(item: &mut Item, easel: &Easel, frames: &[u64]) -> Rgba {
    let (width, height) = (easel.canvas.width as usize, easel.canvas.height as usize);
    let layer = item.layer(MediaTime::ZERO);
    let mut rows = Vec::new();
    for frame in frames {
        let mut data = vec![60; width * height];
        let now = easel.nearest(MediaTime(ENTER + frame * easel.frame_nanos() as u64));
        let canvas = (easel.canvas.width, easel.canvas.height);
        if let Some((pose, sprite)) = layer.at(canvas, easel.frame_nanos(), now) {
            blend::plane(&mut Target { data: &mut data, stride: width, width, height }, sprite, 0, &pose);
        }
        rows.extend_from_slice(&data[ROWS.start * width..ROWS.end * width]);
    }
    let height = (rows.len() / width) as u32;
    Rgba {
        width: width as u32,
        height,
        data: rows.iter().flat_map(|luma| [*luma, *luma, *luma, 255]).collect(),
    }
}

/// Compares a movement, made twice, with its golden frames.
fn check(name: &str, make: impl Fn(&Easel) -> Rgba) {
    let (once, again) = (make(&easel()), make(&easel()));
    assert!(once.data == again.data, "{name}: made twice, it is not the same");
    golden::check(&format!("frames-{name}"), &once).unwrap();
}

fn entrance(name: &str, template: &str, how: Option<Transition>, frames: &[u64]) {
    check(name, |easel| {
        let mut item = coming(easel, template, how);
        finish(&mut item, easel);
        strip(&mut item, easel, frames)
    });
}

#[test]
fn a_card_slides_wipes_fades_and_pops_in_as_it_did() {
    entrance("slide", "product", Some(Transition::Slide), &[0, 3, 6, 12]);
    entrance("wipe", "product", Some(Transition::Wipe), &[0, 3, 6, 12]);
    entrance("fade", "product", Some(Transition::Fade), &[0, 3, 6, 12]);
    entrance("pop", "product", Some(Transition::Pop), &[0, 3, 6, 12]);
}

#[test]
fn the_keyframes_of_a_template_come_as_they_did() {
    entrance("css", "lower-third", None, &[0, 4, 8, 12, 21]);
}

#[test]
fn a_new_price_turns_as_it_did() {
    check("roll", |easel| {
        let mut item = coming(easel, "product", Some(Transition::Cut));
        finish(&mut item, easel);
        let mut content = item.content.clone();
        let price = content.price().unwrap();
        let new: String = price.chars().map(|c| if c == '9' { '5' } else { c }).collect();
        assert_ne!(price, new);
        content.values.insert("price".into(), serde_json::to_string(&new).unwrap());
        let from = easel.nearest(MediaTime(2 * ENTER));
        item.change(easel, content, false, from).unwrap();
        finish(&mut item, easel);
        strip(&mut item, easel, &[29, 30, 34, 38, 41, 42])
    });
}

#[test]
fn a_second_step_fades_in_as_it_did() {
    check("step", |easel| {
        let mut item = coming(easel, "hidden-price", Some(Transition::Cut));
        finish(&mut item, easel);
        for (step, is_cut, from) in [("1", true, ENTER), ("2", false, 2 * ENTER)] {
            let mut content = item.content.clone();
            content.values.insert("step".into(), step.into());
            item.change(easel, content, is_cut, easel.nearest(MediaTime(from))).unwrap();
            finish(&mut item, easel);
        }
        strip(&mut item, easel, &[29, 30, 36, 41, 42])
    });
}

#[test]
fn a_card_that_times_out_plays_its_own_exit() {
    check("exit", |easel| {
        let mut item = coming(easel, "lower-third", Some(Transition::Cut));
        finish(&mut item, easel);
        let leave = easel.nearest(MediaTime(2 * ENTER));
        item.times.leave = Some(leave);
        while item.due(MediaTime(ENTER)).is_some() {
            item.advance(easel, MediaTime(ENTER), |_, _| None).unwrap();
        }
        strip(&mut item, easel, &[29, 30, 33, 36, 39, 40])
    });
}
