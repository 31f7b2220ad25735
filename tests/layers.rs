//! Keeps the table of layers true: which module may use which, and which may not touch what.

#![allow(clippy::unwrap_used)] // a failed step fails the test, with its place

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The layer of each module of `src`; a file listed by path is stricter than its module.
const LAYERS: &[(u8, &[&str])] = &[
    (0, &["time", "id", "media", "config"]),
    (1, &["state", "package"]),
    (2, &["pipeline", "store", "observe"]),
    (3, &["ingest", "decode", "program", "overlay", "encode", "push"]),
    (4, &["director", "control", "serve"]),
    (5, &["app"]),
];

/// Files of higher layers that are rules all the same: pure functions of what they are given.
const PURE: &[&str] = &[
    "ingest/timeline.rs",
    "ingest/meter.rs",
    "ingest/health.rs",
    "ingest/limits.rs",
    "ingest/srt/streamid.rs",
    "ingest/srt/programs.rs",
    "ingest/rtmp/chunk.rs",
    "ingest/rtmp/amf.rs",
    "ingest/rtmp/flv.rs",
    "ingest/rtmp/flv/enhanced.rs",
    "ingest/rtmp/flv/keyframe.rs",
    "ingest/rtmp/session.rs",
    "program/choice.rs",
    "program/sync.rs",
    "program/sound.rs",
    "overlay/animate.rs",
    "overlay/blend.rs",
    "overlay/colour.rs",
    "overlay/content.rs",
    "overlay/desk/place.rs",
    "overlay/film.rs",
    "overlay/sprite.rs",
    "overlay/template/check.rs",
    "overlay/template/manifest.rs",
    "overlay/text.rs",
    "control/amcp/parse.rs",
    "control/catalogue/amount.rs",
    "control/catalogue/columns.rs",
    "control/catalogue/feed.rs",
    "control/catalogue/import.rs",
    "control/catalogue/merchant.rs",
    "control/catalogue/plan.rs",
    "control/catalogue/row.rs",
    "control/message.rs",
    "control/message/people.rs",
    "control/message/rundown.rs",
    "control/message/schema.rs",
    "director/history.rs",
];

fn layer(module: &str) -> u8 {
    LAYERS
        .iter()
        .find(|(_, modules)| modules.contains(&module))
        .map_or_else(|| panic!("{module} has no layer: give it one in tests/layers.rs"), |(layer, _)| *layer)
}

/// May `from` use `to`?
fn may_use(from: &str, to: &str) -> bool {
    let (above, below) = (layer(from), layer(to));
    match above {
        _ if from == to => true,
        0 | 1 => below == 0,
        // Machines do not use each other, but all may observe; the store speaks of state.
        2 => below == 0 || to == "observe" || (from == "store" && to == "state"),
        // Stages do not use one another.
        3 => below <= 2,
        // Doors reach the director, what is packaged, and the store's words; no stage and no pipeline.
        4 => {
            below <= 1
                || to == "store"
                || to == "observe"
                || (below == 4 && (to == "director" || from == "control"))
        }
        _ => true,
    }
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// Every source file by its path in `src`, without its tests.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    let name = |path: &Path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
    let code = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
    };
    found.iter().filter(|path| !path.ends_with("tests.rs")).map(|path| (name(path), code(path))).collect()
}

/// The module that a file belongs to; `lib.rs` and `main.rs` are above all.
fn module_of(file: &str) -> Option<&str> {
    let first = file.split('/').next()?.trim_end_matches(".rs");
    (first != "lib" && first != "main").then_some(first)
}

#[test]
fn modules_use_only_what_their_layer_may() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        let Some(from) = module_of(&file) else { continue };
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for used in line.split("crate::").skip(1) {
                // `use crate::{a, b}` would hide what is used.
                let names = used.trim_start_matches('{').split(['}', ';']).next().unwrap_or_default();
                let is_group = used.starts_with('{');
                for name in if is_group { names.split(',').collect() } else { vec![names] } {
                    let to = name
                        .trim()
                        .split([':', ' ', ')', ',', '<', '>', '(', '.'])
                        .next()
                        .unwrap_or_default();
                    let is_module = LAYERS.iter().any(|(_, modules)| modules.contains(&to));
                    if is_module && !may_use(from, to) {
                        wrong.push(format!("{file}: {from} may not use {to}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rules_are_pure() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        let is_rule =
            module_of(&file).is_some_and(|module| layer(module) <= 1) || PURE.contains(&file.as_str());
        for banned in ["tokio::", "gstreamer", "rusqlite", "std::fs", "std::net", "::now()", "axum"] {
            if is_rule && file != "time.rs" && code.contains(banned) {
                // The configuration names addresses and reads its one file.
                if file == "config.rs" && (banned == "std::fs" || banned == "std::net") {
                    continue;
                }
                // They count by address or name some, and open none.
                let is_about_addresses = ["ingest/limits.rs", "config/viewers.rs"].contains(&file.as_str());
                if is_about_addresses && banned == "std::net" {
                    continue;
                }
                wrong.push(format!("{file} holds {banned}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_pure_file_is_there() {
    let sources = sources();
    for file in PURE {
        assert!(sources.contains_key(*file), "{file} is listed as pure and is gone");
    }
}

#[test]
fn files_have_one_reason_to_exist() {
    for (file, code) in sources() {
        let lines = code.lines().count();
        assert!(lines <= 500, "{file} has {lines} lines without its tests; 350 is our size, 500 the limit");
    }
}

#[test]
fn only_time_reads_a_clock() {
    for (file, code) in sources() {
        if file != "time.rs" {
            for banned in ["Instant::now", "SystemTime::now"] {
                assert!(!code.contains(banned), "{file} reads a clock");
            }
        }
    }
}
