//! Reads the QR codes on air again, from the coded pictures that viewers get and as small as they may watch them,
//! and tells producers which can be scanned.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::decode::still;
use crate::media::{CodeAt, CodeCheck, Format};
use crate::overlay::board::{Board, Code};
use crate::overlay::qr;
use crate::time::MediaTime;

/// The heights at which small players show the first rung; the rungs' own come beside them.
const HEIGHTS: [u32; 4] = [720, 540, 480, 360];

/// The key frames of all rungs at one time, as they were published.
#[derive(Debug, Clone)]
pub(super) struct KeyFrames {
    pub(super) time: MediaTime,
    /// By rung.
    pub(super) pictures: Vec<(Format, Bytes)>,
}

/// Checks until the key frames end. Between two checks newer key frames replace older ones.
pub(super) async fn run(
    mut key_frames: watch::Receiver<Option<KeyFrames>>,
    board: Arc<Board>,
    replacements: Option<PathBuf>,
    told: watch::Sender<Vec<CodeCheck>>,
) {
    let mut checked: Vec<Code> = Vec::new();
    while key_frames.changed().await.is_ok() {
        let Some(KeyFrames { time, pictures }) = key_frames.borrow_and_update().clone() else { continue };
        let codes = board.scene().codes_at(time);
        if codes == checked {
            continue;
        }
        if codes.is_empty() {
            told.send_replace(Vec::new());
            checked = codes;
            continue;
        }
        let mut decoded = Vec::new();
        for (format, data) in pictures {
            match still::decode(replacements.as_deref(), &format, data).await {
                Ok(grey) => decoded.push(grey),
                Err(error) => tracing::warn!("the QR codes on air cannot be checked: {error}"),
            }
        }
        let wanted = codes.clone();
        let checking = tokio::task::spawn_blocking(move || check(&decoded, &wanted));
        if let Ok(Some(checks)) = checking.await {
            told.send_replace(checks);
            checked = codes;
        }
    }
}

/// Nothing without a picture.
fn check(rungs: &[still::Grey], codes: &[Code]) -> Option<Vec<CodeCheck>> {
    let top = rungs.first()?;
    let own: Vec<u32> = rungs.iter().map(|rung| rung.height as u32).collect();
    let smaller = HEIGHTS.into_iter().filter(|height| *height < own[0] && !own.contains(height));
    let mut looks: Vec<(u32, &still::Grey)> = own.iter().copied().zip(rungs).collect();
    looks.extend(smaller.map(|height| (height, top)));
    looks.sort_by_key(|(height, _)| std::cmp::Reverse(*height));
    let mut checks: Vec<CodeCheck> =
        codes.iter().map(|code| CodeCheck { card_id: code.card_id.clone(), heights: Vec::new() }).collect();
    for (height, grey) in looks {
        let read = qr::read_at(&grey.data, grey.width, grey.height, height as usize);
        for (check, code) in checks.iter_mut().zip(codes) {
            check.heights.push(CodeAt { height, is_scannable: read.contains(&code.text) });
        }
    }
    Some(checks)
}
