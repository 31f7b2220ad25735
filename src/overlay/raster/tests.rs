use super::*;
use crate::overlay::content::Look;
use crate::overlay::golden::raster;
use crate::overlay::template::Library;
use crate::overlay::template::manifest::Sample;

fn design(id: &str) -> Arc<Design> {
    Library::built_in().designs[id].clone()
}

/// The product card's sample with another title and price.
fn product(title: &str, price_minor: i64, stock: Option<u32>) -> Content {
    let design = design("product");
    let mut sample: Sample = design.native.sample.clone();
    sample.products[0].title = title.into();
    sample.products[0].price_minor = price_minor;
    sample.products[0].old_price_minor = None;
    sample.products[0].stock = stock;
    Content::of_sample(&design, &Look::default(), &sample)
}

fn drawn(raster: &Raster, content: &Content) -> Drawn {
    raster.card(&design("product"), content, 1.0).unwrap()
}

#[test]
fn a_long_title_is_clipped_inside_the_card() {
    let raster = raster();
    let short = drawn(&raster, &product("Cup", 1999, None)).picture;
    let long = drawn(&raster, &product(&"Very long words ".repeat(600), 1999, None)).picture;
    assert_eq!((short.width, short.height), (long.width, long.height), "the card keeps its size");
    assert_eq!(short.data[3], 0, "round corners are transparent");
}

#[test]
fn another_price_is_another_picture_and_the_same_is_the_same() {
    let raster = raster();
    let draw = |price| drawn(&raster, &product("Cup", price, None)).picture;
    assert_eq!(draw(1999), draw(1999));
    assert_ne!(draw(1999), draw(1899));
}

#[test]
fn a_picture_that_is_broken_or_gone_gives_the_placeholder() {
    let broken = Raster::new(Fonts::bundled(), Arc::new(|_| Some(b"junk".to_vec())));
    let gone = Raster::new(Fonts::bundled(), Arc::new(|_| None));
    let content = product("Cup", 1999, None);
    assert_eq!(drawn(&broken, &content).picture, drawn(&gone, &content).picture);
    assert_ne!(drawn(&raster(), &content).picture, drawn(&gone, &content).picture);
}

#[test]
fn words_that_are_markup_stay_words() {
    let raster = raster();
    let plain = drawn(&raster, &product("<b>1 < 2 & \"3\"</b><img src=code>", 1999, None));
    let same = drawn(&raster, &product("<b>1 < 2 & \"3\"</b><img src=code>", 1999, None));
    assert_eq!(plain, same);
    let html =
        content::fill(&design("product"), &product("<script>A & B</script>{{ price }}", 1, None), "card")
            .unwrap();
    assert!(html.contains("&lt;script&gt;A &amp; B"), "{html}");
    assert!(html.contains("{{ price }}"), "template language in a title is a title: {html}");
}

#[test]
fn hostile_words_are_drawn_safely_in_every_template() {
    let raster = raster();
    let hostile = [
        "x".repeat(10_000),
        "👩\u{200d}👩\u{200d}👧\u{200d}👦".repeat(200),
        "\u{202e}99.1$ \u{2066}\u{2067}\u{200f}abc".repeat(30),
        "a\u{0}\u{7}\u{1b}[31m\n\r\tb\u{85}".into(),
        format!("Z{}", "\u{0301}\u{0489}\u{20dd}".repeat(2000)),
        "\u{fdfd}".repeat(500),
        "W".repeat(300) + &"i".repeat(300),
        String::new(),
    ];
    for design in Library::built_in().designs.values() {
        let usual = raster.card(design, &Content::sample(design, &Look::default()), 1.0).unwrap().picture;
        for text in &hostile {
            let mut sample = design.native.sample.clone();
            for product in &mut sample.products {
                product.title.clone_from(text);
            }
            for value in sample.data.values_mut() {
                match value {
                    serde_json::Value::String(words) => words.clone_from(text),
                    serde_json::Value::Array(lines) => lines.fill(text.clone().into()),
                    _ => {}
                }
            }
            let content = Content::of_sample(design, &Look::default(), &sample);
            let picture = raster.card(design, &content, 1.0).unwrap().picture;
            assert!(picture.height <= usual.height * 2, "{}: {:?}", design.template.id, picture.height);
            assert!(picture.width <= 1280, "{}: {:?}", design.template.id, picture.width);
        }
    }
}

#[test]
fn the_price_is_never_cut() {
    let raster = raster();
    for (code, minor) in [("IDR", 99_999_999_900), ("VND", 9_999_999_999), ("KWD", 999_999_999)] {
        let design = design("product");
        let mut sample = design.native.sample.clone();
        (sample.products[0].currency, sample.products[0].price_minor) = (code.into(), minor);
        sample.products[0].old_price_minor = None;
        for is_portrait in [false, true] {
            let look = Look { is_portrait, ..Look::default() };
            let content = Content::of_sample(&design, &look, &sample);
            let widest = |class: &str| {
                let html = content::fill(&design, &content, "card").unwrap();
                boxes(&raster, &design, &html, class)
            };
            let (price, room) = (widest("price"), widest("prices"));
            assert!(
                price.0 + price.1 <= room.0 + room.1 + 1.0,
                "{code} {is_portrait}: {price:?} in {room:?}"
            );
        }
    }
}

/// Left edge and width of the first element of a class.
fn boxes(raster: &Raster, design: &Design, html: &str, class: &str) -> (f32, f32) {
    let node = takumi::from_html(html, FromHtmlOptions::default()).unwrap();
    let mut options = RenderOptions::builder()
        .viewport(Viewport::new((None, None)))
        .node(node.clone())
        .fonts(&raster.fonts.registry)
        .stylesheet(design.sheet.clone())
        .build();
    let context = options.take_render_context();
    let scene =
        Scene::lay_out(RenderNode::from_node(&context, node), Viewport::new((None, None)), true).unwrap();
    let mut found = None;
    scene.view().for_each_paint(|paint| {
        let node = scene.root.node_at_path(&paint.path).and_then(|node| node.node.as_ref());
        if node.is_some_and(|node| node.classes().any(|own| own == class)) && found.is_none() {
            let layout = scene.results.layout(paint.node_id).unwrap();
            found = Some((paint.transform.x, layout.size.width));
        }
    });
    found.unwrap_or_else(|| panic!("no {class}"))
}

#[test]
fn a_product_without_stock_carries_the_stamp_by_itself() {
    let raster = raster();
    let (some, none) = (product("Cup", 1999, Some(1)), product("Cup", 1999, Some(0)));
    let html = |content: &Content| content::fill(&design("product"), content, "card").unwrap();
    assert!(!html(&some).contains("sold-out-stamp") && html(&none).contains("sold-out-stamp"));
    assert_ne!(drawn(&raster, &some).picture, drawn(&raster, &none).picture);
}

#[test]
fn a_card_with_a_code_says_where_it_comes_and_it_can_be_read() {
    let raster = raster();
    for id in ["product", "flash-sale", "coupon", "tray", "qr", "apartment", "course", "trip"] {
        let design = design(id);
        for (is_portrait, scale) in [(false, 1.0), (true, 1.0), (false, 1.5)] {
            let look = Look { is_portrait, ..Look::default() };
            let drawn = raster.card(&design, &Content::sample(&design, &look), scale).unwrap();
            let area = drawn.code.unwrap_or_else(|| panic!("{id} has no code"));
            assert!(area.height as f32 >= 0.15 * 720.0 * scale, "{id}: {area:?}");
            let picture = drawn.with_code("https://shop.example.com:8080/go/abcd2345");
            let grey: Vec<u8> = picture.data.chunks_exact(4).map(|pixel| pixel[1]).collect();
            let read = qr::read(&grey, picture.width as usize, picture.height as usize);
            assert_eq!(read, ["https://shop.example.com:8080/go/abcd2345"], "{id} {is_portrait} {scale}");
        }
    }
}

#[test]
fn words_read_from_the_right_turn_the_card_round() {
    let raster = Raster::new(Fonts::load(&[]), Arc::new(|_| None));
    let design = design("product");
    let mut sample = design.native.sample.clone();
    sample.products[0].title = "كوب خزفي مصنوع يدويًا".into();
    let content = Content::of_sample(&design, &Look::default(), &sample);
    let drawn = raster.card(&design, &content, 1.0).unwrap();
    assert!(content.language.1);
    assert!(drawn.code.unwrap().x < 100, "the QR is at the left: {:?}", drawn.code);
}
