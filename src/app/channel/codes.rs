//! Reads the QR codes on air again, from the coded picture that viewers get and as small as they may watch it, and
//! tells producers which can be scanned.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::decode::still;
use crate::media::{CodeAt, CodeCheck, Format};
use crate::overlay::board::{Board, Code};
use crate::overlay::qr;
use crate::time::MediaTime;

/// The heights at which players show a picture on a bad line; the canvas's own comes first.
const HEIGHTS: [u32; 4] = [720, 540, 480, 360];

/// A key frame as it was published.
#[derive(Debug, Clone)]
pub(super) struct KeyFrame {
    pub(super) time: MediaTime,
    pub(super) format: Format,
    pub(super) data: Bytes,
}

/// Checks until the key frames end. Between two checks newer key frames replace older ones.
pub(super) async fn run(
    mut key_frames: watch::Receiver<Option<KeyFrame>>,
    board: Arc<Board>,
    replacements: Option<PathBuf>,
    told: watch::Sender<Vec<CodeCheck>>,
) {
    let mut checked: Vec<Code> = Vec::new();
    while key_frames.changed().await.is_ok() {
        let Some(key_frame) = key_frames.borrow_and_update().clone() else { continue };
        let codes = board.scene().codes_at(key_frame.time);
        if codes == checked {
            continue;
        }
        if codes.is_empty() {
            told.send_replace(Vec::new());
            checked = codes;
            continue;
        }
        match still::decode(replacements.as_deref(), &key_frame.format, key_frame.data).await {
            Ok(grey) => {
                let wanted = codes.clone();
                let Ok(checks) = tokio::task::spawn_blocking(move || check(&grey, &wanted)).await else {
                    continue;
                };
                told.send_replace(checks);
                checked = codes;
            }
            Err(error) => tracing::warn!("the QR codes on air cannot be checked: {error}"),
        }
    }
}

fn check(grey: &still::Grey, codes: &[Code]) -> Vec<CodeCheck> {
    let own = grey.height as u32;
    let mut checks: Vec<CodeCheck> =
        codes.iter().map(|code| CodeCheck { card_id: code.card_id.clone(), heights: Vec::new() }).collect();
    for height in [own].into_iter().chain(HEIGHTS.into_iter().filter(|height| *height < own)) {
        let read = qr::read_at(&grey.data, grey.width, grey.height, height as usize);
        for (check, code) in checks.iter_mut().zip(codes) {
            check.heights.push(CodeAt { height, is_scannable: read.contains(&code.text) });
        }
    }
    checks
}
