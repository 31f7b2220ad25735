use super::*;

fn options() -> Options {
    Options { currency: Some("EUR".into()), shop: Some("https://shop.example/".into()), ..Options::default() }
}

fn read_all(file: &[u8], options: &Options) -> Feed {
    read(file, options, &|_| None, WallTime::parse("2026-11-22T12:00:00Z").unwrap()).unwrap()
}

fn drafts(text: &str) -> Vec<Draft> {
    let feed = read_all(text.as_bytes(), &options());
    assert_eq!(feed.problems, [], "{text}");
    feed.drafts
}

#[test]
fn a_table_of_our_own_columns_is_read_with_any_separator() {
    for text in [
        "sku,title,price,old price,stock,link\ncup,\"Cup, blue\",12.90,19.90,5,https://a.example/cup\n",
        "\u{feff}SKU;Title;Price;oldPrice;Stock;Link\r\ncup;Cup, blue;12,90;19,90 €;5;https://a.example/cup\r\n",
        "sku\ttitle\tprice\told_price\tstock\tlink\ncup\tCup, blue\t12.9\t19.9\t5\thttps://a.example/cup",
    ] {
        let [cup] = drafts(text).try_into().unwrap();
        assert_eq!((cup.sku.as_str(), cup.title.as_deref(), cup.row), ("cup", Some("Cup, blue"), 2));
        assert_eq!((cup.price_minor, cup.currency.as_deref()), (Some(1290), Some("EUR")));
        assert_eq!((cup.old_price_minor, cup.stock), (Patch::Set(1990), Patch::Set(5)));
        assert_eq!(cup.link, Patch::Set("https://a.example/cup".into()));
    }
}

#[test]
fn what_a_table_does_not_say_stays_and_what_it_leaves_empty_goes() {
    let [cup] = drafts("sku,stock\ncup,7\n").try_into().unwrap();
    assert_eq!((cup.title, cup.price_minor, cup.link), (None, None, Patch::Keep));
    let [cup] = drafts("sku,price,old price,stock\ncup,5,,\n").try_into().unwrap();
    assert_eq!((cup.old_price_minor, cup.stock), (Patch::Clear, Patch::Clear));
}

#[test]
fn an_excel_file_from_china_is_read() {
    let (file, _, _) = encoding_rs::GB18030.encode("货号,商品名称,价格,库存\nA 100/5,陶瓷杯,¥89.00,12\n");
    let feed = read_all(&file, &Options { currency: Some("CNY".into()), ..Options::default() });
    assert_eq!((feed.encoding, feed.problems.len()), ("GB18030", 0));
    assert_eq!(feed.drafts[0].title.as_deref(), Some("陶瓷杯"));
    assert_eq!((feed.drafts[0].sku.as_str(), feed.drafts[0].price_minor), ("A-100-5", Some(8900)));
    let (file, _, _) = encoding_rs::WINDOWS_1252.encode("sku;title;price\na;Café crème;5\nb;Thé;6\n");
    assert_eq!(read_all(&file, &options()).drafts[0].title.as_deref(), Some("Café crème"));
    // Valid as Chinese, and German.
    let (file, _, _) = encoding_rs::WINDOWS_1252.encode("sku;title;price\na;Küche Möbel Größe Señor;5\n");
    let feed = read_all(&file, &options());
    assert_eq!(
        (feed.encoding, feed.drafts[0].title.as_deref()),
        ("windows-1252", Some("Küche Möbel Größe Señor"))
    );
    let utf16: Vec<u8> =
        "\u{feff}sku\ttitle\tprice\ncup\t杯\t5\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read_all(&utf16, &options()).drafts[0].title.as_deref(), Some("杯"));
}

const MERCHANT: &str = r#"<?xml version="1.0"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>Shop</title>
<item><title>Cup</title><g:id>cup</g:id><link>https://a.example/cup</link><g:price>15.00 USD</g:price>
<g:image_link>https://a.example/cup.jpg</g:image_link><g:availability>in_stock</g:availability>
<g:shipping><g:price>4.00 USD</g:price></g:shipping></item>
<item><g:title>Pot</g:title><g:id>pot</g:id><g:price>40 USD</g:price><g:sale_price>30 USD</g:sale_price>
<g:sale_price_effective_date>2026-11-01T00:00-0800/2026-11-30T23:59-0800</g:sale_price_effective_date>
<g:availability>out of stock</g:availability></item>
<item><g:title>Mat</g:title><g:id>mat</g:id><g:price>40 USD</g:price><g:sale_price>30 USD</g:sale_price>
<g:sale_price_effective_date>2026-12-01T00:00Z/2026-12-30T23:59Z</g:sale_price_effective_date></item>
</channel></rss>"#;

#[test]
fn googles_xml_is_read_and_a_sale_counts_while_it_lasts() {
    let feed = read_all(MERCHANT.as_bytes(), &Options::default());
    assert_eq!((feed.format, feed.problems.len()), (Format::GoogleXml, 0));
    let [cup, pot, mat] = feed.drafts.try_into().unwrap();
    assert_eq!((cup.title.as_deref(), cup.price_minor), (Some("Cup"), Some(1500)));
    assert_eq!(cup.image.as_deref(), Some("https://a.example/cup.jpg"));
    assert_eq!((cup.stock, cup.old_price_minor), (Patch::Clear, Patch::Keep));
    assert_eq!((pot.price_minor, pot.old_price_minor), (Some(3000), Patch::Set(4000)));
    assert_eq!(pot.stock, Patch::Set(0));
    assert_eq!((mat.price_minor, mat.old_price_minor), (Some(4000), Patch::Clear));
}

#[test]
fn atom_and_a_table_by_google_are_read() {
    let atom = r#"<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"><entry>
<id>https://a.example/1</id><g:id>cup</g:id><title>Cup</title><link href="https://a.example/cup"/><g:price>5 EUR</g:price></entry></feed>"#;
    let [cup] = drafts(atom).try_into().unwrap();
    assert_eq!((cup.sku.as_str(), cup.link), ("cup", Patch::Set("https://a.example/cup".into())));
    let table = "id\ttitle\tdescription\tlink\timage link\tavailability\tprice\tsale price\ncup\tCup\t\"5\" high\thttps://a.example/cup\thttps://a.example/c.jpg\tin_stock\t15.00 USD\t12.00 USD\n";
    let feed = read_all(table.as_bytes(), &Options::default());
    assert_eq!((feed.format, &feed.problems[..]), (Format::Google, &[][..]));
    assert_eq!(
        (feed.drafts[0].price_minor, &feed.drafts[0].old_price_minor),
        (Some(1200), &Patch::Set(1500))
    );
}

#[test]
fn shopifys_export_is_read_with_its_variants() {
    let text = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Variant Compare At Price,Image Src,Status\n\
        cup,Cup,Colour,Blue,CUP-B,shopify,5,deny,12.00,15.00,https://a.example/b.jpg,active\n\
        cup,,,Red,,shopify,-2,deny,12.00,,,\n\
        cup,,,,,,,,,,https://a.example/more.jpg,\n\
        pot,Pot,Title,Default Title,POT,,0,deny,40.00,,,active\n\
        old,Old,Title,Default Title,OLD,,0,deny,40.00,,,archived\n";
    let feed = read_all(text.as_bytes(), &options());
    assert_eq!((feed.format, &feed.problems[..]), (Format::Shopify, &[][..]));
    assert_eq!(feed.passed_over[0].reason, "its status is archived");
    let [blue, red, pot] = feed.drafts.try_into().unwrap();
    assert_eq!((blue.sku.as_str(), blue.title.as_deref()), ("CUP-B", Some("Cup Blue")));
    assert_eq!((blue.old_price_minor, blue.stock), (Patch::Set(1500), Patch::Set(5)));
    assert_eq!(blue.link, Patch::Set("https://shop.example/products/cup".into()));
    assert_eq!(
        (red.sku.as_str(), red.title.as_deref(), red.stock),
        ("cup-Red", Some("Cup Red"), Patch::Set(0))
    );
    assert_eq!(red.image.as_deref(), Some("https://a.example/b.jpg"));
    assert_eq!((pot.title.as_deref(), pot.stock), (Some("Pot"), Patch::Clear));
    let newer = "Title,URL handle,Status,SKU,Price,Compare-at price,Inventory tracker,Inventory quantity,Continue selling when out of stock\n\
        Cup,cup,Active,CUP,12.00,,shopify,3,DENY\n";
    let feed = read_all(newer.as_bytes(), &options());
    assert_eq!((feed.format, feed.drafts[0].stock.clone()), (Format::Shopify, Patch::Set(3)), "{feed:?}");
}

#[test]
fn woocommerces_export_is_read_without_its_parents() {
    let text = "ID,Type,SKU,Name,Published,\"In stock?\",Stock,\"Backorders allowed?\",\"Sale price\",\"Regular price\",\"Date sale price starts\",\"Date sale price ends\",Images\n\
        7,simple,CUP,Cup,1,1,5,0,9.5,12,,,\"https://a.example/1.jpg, https://a.example/2.jpg\"\n\
        8,variable,SHIRT,Shirt,1,1,,0,,,,,\n\
        9,variation,,Shirt - Red,1,0,,0,,20,,,\n\
        10,simple,SOON,Soon,1,1,,0,5,20,2026-12-24,,\n";
    let feed = read_all(text.as_bytes(), &options());
    assert_eq!((feed.format, &feed.problems[..]), (Format::WooCommerce, &[][..]));
    assert_eq!(feed.passed_over.len(), 1);
    let [cup, red, soon] = feed.drafts.try_into().unwrap();
    assert_eq!(
        (cup.price_minor, cup.old_price_minor, cup.stock),
        (Some(950), Patch::Set(1200), Patch::Set(5))
    );
    assert_eq!(cup.image.as_deref(), Some("https://a.example/1.jpg"));
    assert_eq!(cup.link, Patch::Set("https://shop.example/?p=7".into()));
    assert_eq!((red.sku.as_str(), red.stock), ("id-9", Patch::Set(0)));
    assert_eq!((soon.price_minor, soon.old_price_minor), (Some(2000), Patch::Clear));
}

#[test]
fn mistakes_are_told_by_row_and_field() {
    let text = "sku,title,price,stock\n,None,5,\na,A,\"1,299\",\nb,B,5,many\nc,C,5,\nc,C again,5,\n";
    let feed = read_all(text.as_bytes(), &options());
    let told: Vec<_> = feed.problems.iter().map(|note| (note.row, note.field.as_deref().unwrap())).collect();
    assert_eq!(told, [(2, "sku"), (3, "price"), (4, "stock"), (6, "sku")]);
    assert_eq!(feed.drafts.len(), 1);
    let list = r#"[{"sku":"a","title":"A","priceMinor":100,"currency":"EUR"},{"sku":"b","price":1},{"sku":"c","priceMinor":"x"},7]"#;
    let feed = read_all(list.as_bytes(), &options());
    assert_eq!((feed.format, feed.drafts.len()), (Format::Json, 1));
    assert!(feed.problems[0].reason.contains("unknown field `price`"), "{:?}", feed.problems);
    assert_eq!((feed.problems[1].row, feed.problems[1].field.as_deref()), (3, Some("priceMinor")));
}

#[test]
fn other_files_are_refused_in_words() {
    let refused =
        |text: &str| read(text.as_bytes(), &options(), &|_| None, WallTime(0)).unwrap_err().to_string();
    assert!(refused("hello").contains("no columns"));
    assert!(refused("").contains("no columns"));
    assert!(refused("<html></html>").contains("no item"));
    assert!(refused("<rss><item></rss>").contains("XML"));
    assert!(refused("[1,").contains("JSON"));
    assert!(refused("{}").contains("not a list"));
    let bomb = r#"<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;">]><rss><item><id>&y;</id></item></rss>"#;
    assert!(refused(bomb).contains("XML"));
}
