//! Memory for what many viewers fetch, parts and segments, from where it goes to the network without being copied.
//!
//! It is that of files which have no name (`memfd_create`) and are mapped: for everything else they are `Bytes`, and
//! a connection that is given such bytes finds here where they lie. Pieces of about the same age share a file of one huge
//! page, where the kernel gives one: of small pages, each is counted by sender and receiver, which costs a part half as much
//! again. A file is gone with its last piece; what is in one never changes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, IoSlice};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::process::Resource;

/// Fewer bytes are copied: two calls would cost more.
pub(super) const SHORTEST: usize = 16 * 1024;
/// What pieces share: a huge page of x86 and most of ARM.
const CHUNK: usize = 2 * 1024 * 1024;
/// Where pieces begin: from the middle of a page they would cost twice as much to send to the same machine (measured, nginx's
/// files too), for each page goes out in two.
const PAGE: usize = 4096;
/// Of the files that a process may have open, one in so many is for this; the others are for viewers.
const SHARE: u64 = 8;

/// Where the files are mapped, by address.
static FILES: RwLock<BTreeMap<usize, (usize, Arc<File>)>> = RwLock::new(BTreeMap::new());

/// Pieces that come one after the other and go in about the same order. It is for a runtime's thread: the next chunk's huge page
/// may have to be made room for, which takes the kernel as long as it takes, so a thread for such work does it ahead.
#[derive(Debug, Default)]
pub(super) struct Arena(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    open: Option<Open>,
    next: Next,
}

/// The chunk that is filled now, up to where.
#[derive(Debug)]
struct Open {
    chunk: Arc<Chunk>,
    end: usize,
}

/// The chunk after the open one.
#[derive(Debug, Default)]
enum Next {
    #[default]
    Unasked,
    Asked,
    /// Nothing when there is to be none.
    There(Option<Arc<Chunk>>),
}

#[derive(Debug)]
struct Chunk {
    map: MmapRaw,
    file: Arc<File>,
}

/// Bytes of a chunk.
struct Piece {
    chunk: Arc<Chunk>,
    offset: usize,
    length: usize,
}

/// Bytes in a file.
pub(super) struct Place {
    pub(super) file: Arc<File>,
    pub(super) offset: u64,
    pub(super) length: usize,
}

impl AsRef<[u8]> for Piece {
    #[allow(unsafe_code)]
    fn as_ref(&self) -> &[u8] {
        // SAFETY: inside the map, which lives as long as the chunk, of a file that cannot become shorter. It was written
        // before the piece was made, and nobody writes there again.
        unsafe { std::slice::from_raw_parts(self.chunk.map.as_ptr().add(self.offset), self.length) }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // Before the address means something else.
        FILES.write().unwrap_or_else(PoisonError::into_inner).remove(&(self.map.as_ptr() as usize));
    }
}

impl Arena {
    /// The pieces as one, to be sent often.
    pub(super) fn keep(&self, pieces: &[Bytes]) -> Bytes {
        let length = length_of(pieces);
        if length < SHORTEST {
            return copied(pieces);
        }
        let mut state = lock(&self.0);
        let Some(Open { chunk, end }) = state.open_for(length) else { return copied(pieces) };
        let kept = chunk.keep(end, pieces);
        // Also after an error: nobody has what was written.
        let end = (end + length).next_multiple_of(PAGE);
        if end + 2 * length > chunk.map.len() && matches!(state.next, Next::Unasked) {
            self.ask(&mut state, length);
        }
        state.open = Some(Open { chunk, end });
        kept.unwrap_or_else(|_| copied(pieces))
    }

    /// For pieces of about `length`.
    fn ask(&self, state: &mut State, length: usize) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let length = if length > CHUNK { (length + length / 4).next_multiple_of(CHUNK) } else { CHUNK };
        let arena = Arc::downgrade(&self.0);
        state.next = Next::Asked;
        runtime.spawn_blocking(move || {
            let chunk = Chunk::new(length).inspect(|chunk| chunk.iter().for_each(|chunk| chunk.collapse()));
            if let Some(state) = arena.upgrade() {
                lock(&state).next = Next::There(chunk.ok().flatten());
            }
        });
    }
}

impl State {
    /// Where the next piece goes.
    fn open_for(&mut self, length: usize) -> Option<Open> {
        let has_room = |open: &Open| open.end + length <= open.chunk.map.len();
        if let Some(open) = self.open.take().filter(has_room) {
            return Some(open);
        }
        if matches!(self.next, Next::There(_))
            && let Next::There(Some(chunk)) = std::mem::take(&mut self.next)
            && let Some(open) = Some(Open { chunk, end: 0 }).filter(has_room)
        {
            return Some(open);
        }
        let chunk = Chunk::new(length.max(CHUNK));
        let chunk = chunk.inspect_err(|error| tracing::debug!("no file for media: {error}")).ok()??;
        Some(Open { chunk, end: 0 })
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What has an age of its own: in a file of its own. Not for a runtime's thread.
pub(super) fn alone(piece: Bytes) -> Bytes {
    if piece.len() < SHORTEST {
        return piece;
    }
    match Chunk::new(piece.len()) {
        Ok(Some(chunk)) => {
            chunk.collapse();
            chunk.keep(0, std::slice::from_ref(&piece)).unwrap_or(piece)
        }
        _ => piece,
    }
}

fn length_of(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).sum()
}

fn copied(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [one] => one.clone(),
        _ => pieces.concat().into(),
    }
}

impl Chunk {
    /// Nothing when there are enough.
    fn new(length: usize) -> Result<Option<Arc<Self>>, Error> {
        let most = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / SHARE;
        if FILES.read().unwrap_or_else(PoisonError::into_inner).len() as u64 >= most {
            return Ok(None);
        }
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = File::from(rustix::fs::memfd_create("vitrine", flags)?);
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, length as u64)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
        let map = MmapOptions::new().len(length).map_raw_read_only(&file)?;
        let chunk = Self { map, file: Arc::new(file) };
        let place = (length, chunk.file.clone());
        FILES.write().unwrap_or_else(PoisonError::into_inner).insert(chunk.map.as_ptr() as usize, place);
        Ok(Some(Arc::new(chunk)))
    }

    /// Into huge pages.
    fn collapse(&self) {
        if let Err(error) = collapse(&self.file, self.map.len()) {
            tracing::debug!("small pages for media: {error}"); // older kernels, or no huge page is free
        }
    }

    fn keep(self: &Arc<Self>, offset: usize, pieces: &[Bytes]) -> Result<Bytes, Error> {
        let mut end = offset;
        for piece in pieces {
            self.file.write_all_at(piece, end as u64)?;
            end += piece.len();
        }
        Ok(Bytes::from_owner(Piece { chunk: self.clone(), offset, length: end - offset }))
    }
}

/// Asks for huge pages in place of a file's small ones. They are asked for where the file is mapped at their own boundaries,
/// which nobody else's mapping need be. Source: madvise(2), `MADV_COLLAPSE`, since Linux 6.1.
#[allow(unsafe_code)]
fn collapse(file: &File, length: usize) -> Result<(), Error> {
    let length = length / CHUNK * CHUNK;
    if length == 0 {
        return Ok(());
    }
    let room = MmapOptions::new().len(length + CHUNK).map_anon()?;
    let start = (room.as_ptr() as usize).next_multiple_of(CHUNK);
    let (flags, none) = (libc::MAP_SHARED | libc::MAP_FIXED, libc::MAP_FAILED);
    // SAFETY: in place of a part of `room`, which nobody uses and which is unmapped below, all of it.
    let outcome = unsafe {
        let found = libc::mmap(start as *mut _, length, libc::PROT_READ, flags, file.as_raw_fd(), 0);
        if found == none { -1 } else { libc::madvise(found, length, libc::MADV_COLLAPSE) }
    };
    let outcome = if outcome == 0 { Ok(()) } else { Err(Error::last_os_error()) };
    drop(room);
    outcome
}

/// The first of `slices` that lies in a file.
pub(super) fn find(slices: &[IoSlice]) -> Option<(usize, Place)> {
    if slices.iter().all(|slice| slice.len() < SHORTEST) {
        return None;
    }
    let files = FILES.read().unwrap_or_else(PoisonError::into_inner);
    slices.iter().enumerate().filter(|(_, slice)| slice.len() >= SHORTEST).find_map(|(index, slice)| {
        let address = slice.as_ptr() as usize;
        let (start, (length, file)) = files.range(..=address).next_back()?;
        let is_inside = address + slice.len() <= start + length;
        let place = || Place { file: file.clone(), offset: (address - start) as u64, length: slice.len() };
        is_inside.then(|| (index, place()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize) -> Bytes {
        (0..length).map(|n| (n % 251) as u8).collect::<Vec<_>>().into()
    }

    fn place(bytes: &Bytes) -> Option<Place> {
        find(&[IoSlice::new(bytes)]).map(|(_, place)| place)
    }

    #[test]
    fn what_is_large_is_known_as_long_as_somebody_has_some_of_it() {
        let arena = Arena::default();
        let (first, second) = (bytes(SHORTEST), bytes(100));
        let whole = arena.keep(&[first.clone(), second.clone()]);
        assert_eq!(whole, [&first[..], &second].concat());
        let part = whole.slice(10..10 + SHORTEST);
        drop(whole);
        let found = place(&part).unwrap();
        assert_eq!((found.offset, found.length), (10, SHORTEST));
        assert!(place(&first).is_none() && place(&part.slice(1..)).is_none(), "not there, or too short");
        let address = part.as_ptr() as usize - 10;
        drop(arena);
        assert!(FILES.read().unwrap().contains_key(&address));
        drop(part);
        assert!(!FILES.read().unwrap().contains_key(&address));
        assert_eq!(Arena::default().keep(&[second.clone(), second]).len(), 200, "short ones are copied");
    }

    #[tokio::test]
    async fn the_next_file_is_made_ahead_by_another_thread() {
        let arena = Arena::default();
        let first = arena.keep(&[bytes(900_000)]);
        let there = || match &lock(&arena.0).next {
            Next::There(Some(chunk)) => Some(chunk.file.as_raw_fd()),
            _ => None,
        };
        let made = async {
            loop {
                if let Some(next) = there() {
                    return next;
                }
                tokio::task::yield_now().await;
            }
        };
        let next = tokio::time::timeout(std::time::Duration::from_secs(30), made).await.unwrap();
        let file = |bytes: &Bytes| place(bytes).unwrap().file.as_raw_fd();
        let (second, third) = (arena.keep(&[bytes(900_000)]), arena.keep(&[bytes(900_001)]));
        assert!(file(&first) == file(&second) && file(&third) == next, "taken when the first is full");
        assert!(third == bytes(900_001));
    }

    #[test]
    fn pieces_share_a_file_until_it_is_full_and_keep_what_they_were() {
        let arena = Arena::default();
        let sizes = [700_000, SHORTEST, 900_000, 500_000, 5_000_000, 20_000];
        let kept: Vec<Bytes> = sizes.iter().map(|size| arena.keep(&[bytes(*size)])).collect();
        for (kept, size) in kept.iter().zip(sizes) {
            assert!(*kept == bytes(size), "{size}");
        }
        let file = |n: usize| place(&kept[n]).unwrap().file.as_raw_fd();
        assert!(file(0) == file(1) && file(1) == file(2), "they fit");
        assert!(file(2) != file(3) && file(3) != file(4), "they do not");
        let own = alone(bytes(SHORTEST));
        assert!(own == bytes(SHORTEST) && place(&own).unwrap().offset == 0);
    }
}
