//! The contract that every store keeps.

use super::*;
use crate::state::{Card, Command, Moment, Product, Slot};
use crate::time::MediaTime;

struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(crate::id::new("vitrine-store"));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn store(&self) -> Sqlite {
        Sqlite::open(&self.0.join("vitrine.db")).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn moment(n: u64) -> Moment {
    Moment {
        wall: WallTime(n as i64),
        programme: [("main".to_owned(), MediaTime(n))].into(),
        airing_id: format!("air_{n}"),
        code: format!("code{n}"),
        is_cut: false,
    }
}

fn run(store: &mut dyn Store, state: State, n: u64, command: Command) -> State {
    let (next, changes) = state.apply(command, &moment(n)).unwrap();
    store.save(&next, &changes).unwrap();
    next
}

fn on_air(store: &mut dyn Store) -> State {
    let product = Product {
        sku: "cup".into(),
        title: "杯子 ☕".into(),
        image: None,
        price_minor: 100,
        old_price_minor: None,
        currency: "CNY".into(),
        stock: None,
        link: None,
    };
    let card = Card { slot: Some(Slot::UpperLeft), ..Card::of_product("a", "cup") };
    let state = State {
        channels: vec!["main".into()],
        templates: crate::state::template::samples(),
        ..State::default()
    };
    let state = run(store, state, 1, Command::PutProduct(product));
    let state = run(store, state, 2, Command::PutCard(card));
    run(store, state, 3, Command::ShowCard { card_id: "a".into(), channel: "main".into() })
}

#[test]
fn what_is_on_air_is_there_after_a_restart() {
    let folder = Folder::new();
    let state = on_air(&mut folder.store());
    let loaded = folder.store().load().unwrap();
    let from_outside =
        State { channels: state.channels.clone(), templates: state.templates.clone(), ..loaded };
    assert_eq!(from_outside, state);
}

#[test]
fn a_code_leads_to_its_airing_after_the_end_of_it() {
    let folder = Folder::new();
    let mut store = folder.store();
    let state = on_air(&mut store);
    run(&mut store, state, 4, Command::ClearAll { channel: None });
    let record = folder.store().airing("code3").unwrap().unwrap();
    assert_eq!(record, AiringRecord { id: "air_3".into(), card_id: "a".into(), sku: Some("cup".into()) });
    assert_eq!(store.airing("nosuch").unwrap(), None);
    assert!(folder.store().load().unwrap().airings.is_empty());
}

#[test]
fn a_channel_keeps_its_epoch_and_counts_its_starts() {
    let folder = Folder::new();
    let first = folder.store().start_channel("main", WallTime(1000)).unwrap();
    assert_eq!((first.epoch, first.restarts, first.last_segment), (WallTime(1000), 0, None));
    folder.store().note_segment("main", 17, Some(WallTime(5))).unwrap();
    folder.store().note_segment("main", 18, None).unwrap();
    let second = folder.store().start_channel("main", WallTime(9000)).unwrap();
    assert_eq!((second.epoch, second.restarts, second.last_segment), (WallTime(1000), 1, Some(18)));
    assert_eq!(second.last_live, Some(WallTime(5)));
}

#[test]
fn keys_and_sources_are_there_after_a_restart() {
    let folder = Folder::new();
    let mut store = folder.store();
    let state = State { channels: vec!["main".into()], ..State::default() };
    let key = crate::state::StreamKey {
        id: "k1".into(),
        channel: "main".into(),
        name: "host".into(),
        rank: 2,
        made: WallTime(9),
        digest: crate::id::digest("secret"),
    };
    let state = run(&mut store, state, 1, Command::PutStreamKey(key));
    let source = crate::state::Source { url: "clip.mp4".into(), rank: 100 };
    let set = Command::SetSource { channel: "main".into(), source: Some(source) };
    let state = run(&mut store, state, 2, set);
    let loaded = folder.store().load().unwrap();
    let from_outside =
        State { channels: state.channels.clone(), templates: state.templates.clone(), ..loaded };
    assert_eq!(from_outside, state);
    let bytes = std::fs::read(folder.0.join("vitrine.db")).unwrap();
    assert!(!bytes.windows(6).any(|six| six == b"secret"));
}
