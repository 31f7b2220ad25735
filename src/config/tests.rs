use super::*;

fn file(text: &str) -> Result<Config, Error> {
    let file =
        toml::from_str(text).map_err(|error| Error::Parse { path: "x".into(), detail: error.to_string() })?;
    Config::merge(Flags::default(), file)
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let written: File = toml::from_str("http = '127.0.0.1:1'\nrtmp = '127.0.0.1:2'").unwrap();
    let flags = Flags { http: Some("127.0.0.1:9".parse().unwrap()), ..Flags::default() };
    let config = Config::merge(flags, written).unwrap();
    assert_eq!(config.http.port(), 9);
    assert_eq!(config.rtmp.port(), 2);
    assert_eq!(config.data_dir, PathBuf::from("data"));
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    let error = file("htpp = '127.0.0.1:1'").unwrap_err();
    assert!(error.to_string().contains("htpp"), "{error}");
}

#[test]
fn a_vertical_channel_stands_beside_main() {
    let config = file("[channels.shop]\nwidth = 720\nheight = 1280\nfps = '30000/1001'").unwrap();
    let names: Vec<_> = config.channels.iter().map(|channel| channel.name.as_str()).collect();
    assert_eq!(names, ["main", "shop"]);
    assert_eq!(config.channels[1].canvas.height, 1280);
    assert_eq!(config.channels[1].canvas.rate.den, 1001);
}

#[test]
fn bad_values_are_named() {
    for (text, key) in [
        ("[channels.main]\nwidth = 1279", "channels.main.width"),
        ("[channels.main]\nfps = '0'", "channels.main.fps"),
        ("[channels.main]\npreset = 'fastest'", "channels.main.preset"),
        ("[hls]\nsegment_s = 0.1", "hls.segment_s"),
        ("public_url = 'shop.example'", "public_url"),
        ("[overlay]\nbrand_colour = 'red'", "overlay.brand_colour"),
        ("[channels.main]\nfont = 'a;b'", "channels.main.font"),
        ("[overlay]\ntheme = 'pink'", "theme"),
    ] {
        let error = file(text).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}
