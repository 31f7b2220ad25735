//! Bodies that go from memory to the network without being copied.
//!
//! What many viewers fetch, parts and segments, lies in files that have no name (`memfd_create`), which are mapped: for
//! everything else they are `Bytes`. A connection that is given such bytes to write tells the kernel where they lie
//! (`sendfile`) instead, as file servers do; measured, half of the CPU of a large segment. Where there are too many files,
//! and over TLS, bytes are copied as always. Nothing is held here: what nobody uses any more is gone.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, IoSlice, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{SendAncillaryBuffer, SendFlags};
use rustix::process::Resource;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Fewer bytes are copied: two calls would cost more.
const SHORTEST: usize = 16 * 1024;
/// Of the files that a process may have open, one in so many is for this; the others are for viewers.
const SHARE: u64 = 8;
/// Bytes in one call, so that others have their turn.
const MOST_AT_ONCE: usize = 1024 * 1024;

/// Where the mapped files are, by address.
static FILES: RwLock<BTreeMap<usize, (usize, Arc<std::fs::File>)>> = RwLock::new(BTreeMap::new());

/// A file that is mapped; it is known as long as somebody has some of its bytes.
struct Mapped(Mmap);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // Before the address means something else.
        FILES.write().unwrap_or_else(PoisonError::into_inner).remove(&(self.0.as_ptr() as usize));
    }
}

/// The pieces as one, to be sent often.
pub(super) fn joined(pieces: &[Bytes]) -> Bytes {
    let length = pieces.iter().map(Bytes::len).sum::<usize>();
    if length >= SHORTEST
        && let Ok(Some(mapped)) = map(pieces)
    {
        return mapped;
    }
    match pieces {
        [one] => one.clone(),
        _ => pieces.concat().into(),
    }
}

/// Nothing when there are enough.
#[allow(unsafe_code)]
fn map(pieces: &[Bytes]) -> Result<Option<Bytes>, Error> {
    let most = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / SHARE;
    if FILES.read().unwrap_or_else(PoisonError::into_inner).len() as u64 >= most {
        return Ok(None);
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = std::fs::File::from(rustix::fs::memfd_create("vitrine", flags)?);
    for piece in pieces {
        file.write_all(piece)?;
    }
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW)?;
    // SAFETY: it is sealed, so that nobody can change or shorten it.
    let mapped = Mapped(unsafe { MmapOptions::new().map_copy_read_only(&file)? });
    let place = (mapped.0.len(), Arc::new(file));
    FILES.write().unwrap_or_else(PoisonError::into_inner).insert(mapped.0.as_ptr() as usize, place);
    Ok(Some(Bytes::from_owner(mapped)))
}

/// Bytes in a file.
struct Place {
    file: Arc<std::fs::File>,
    offset: u64,
    length: usize,
}

/// The first of `slices` that lies in a file.
fn find(slices: &[IoSlice]) -> Option<(usize, Place)> {
    if slices.iter().all(|slice| slice.len() < SHORTEST) {
        return None;
    }
    let files = FILES.read().unwrap_or_else(PoisonError::into_inner);
    slices.iter().enumerate().filter(|(_, slice)| slice.len() >= SHORTEST).find_map(|(index, slice)| {
        let address = slice.as_ptr() as usize;
        let (start, (length, file)) = files.range(..=address).next_back()?;
        let is_inside = address + slice.len() <= start + length;
        let place = || Place {
            file: file.clone(),
            offset: (address - start) as u64,
            length: slice.len().min(MOST_AT_ONCE),
        };
        is_inside.then(|| (index, place()))
    })
}

/// A viewer's connection without TLS.
#[derive(Debug)]
pub struct Connection(TcpStream);

impl Connection {
    /// What comes first, without taking it.
    pub(super) async fn peek(&self, first: &mut [u8]) -> Result<usize, Error> {
        self.0.peek(first).await
    }

    fn poll(
        &self,
        context: &mut Context<'_>,
        send: impl Fn() -> rustix::io::Result<usize>,
    ) -> Poll<Result<usize, Error>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match self.0.try_io(Interest::WRITABLE, || send().map_err(Error::from)) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize, Error>> {
        Pin::new(&mut self.0).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        match find(slices) {
            None => Pin::new(&mut self.0).poll_write_vectored(context, slices),
            Some((0, Place { file, offset, length })) => self.poll(context, || {
                let mut offset = offset;
                rustix::fs::sendfile(self.0.as_fd(), &*file, Some(&mut offset), length)
            }),
            // What stands before it waits in the kernel, and goes out in one packet with its beginning.
            Some((before, _)) => self.poll(context, || {
                let flags = SendFlags::MORE | SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
                rustix::net::sendmsg(
                    self.0.as_fd(),
                    &slices[..before],
                    &mut SendAncillaryBuffer::default(),
                    flags,
                )
            }),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Accepts connections without TLS.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// On a port that is bound.
    pub fn new(listener: TcpListener) -> Self {
        Self(listener)
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, peer) = axum::serve::Listener::accept(&mut self.0).await;
        let _ = stream.set_nodelay(true); // slower, but right
        (Connection(stream), peer)
    }

    fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.0.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn bytes(length: usize) -> Bytes {
        (0..length).map(|n| (n % 251) as u8).collect::<Vec<_>>().into()
    }

    #[test]
    fn what_is_large_is_known_as_long_as_somebody_has_some_of_it() {
        let (first, second) = (bytes(SHORTEST), bytes(100));
        let whole = joined(&[first.clone(), second.clone()]);
        assert_eq!(whole, [&first[..], &second].concat());
        let slice = |bytes: &Bytes| find(&[IoSlice::new(bytes)]).map(|(_, place)| place);
        let part = whole.slice(10..10 + SHORTEST);
        drop(whole);
        let place = slice(&part).unwrap();
        assert_eq!((place.offset, place.length), (10, SHORTEST));
        assert!(slice(&first).is_none() && slice(&part.slice(1..)).is_none(), "not there, or too short");
        let address = part.as_ptr() as usize;
        drop(part);
        assert!(!FILES.read().unwrap().contains_key(&(address - 10)));
        assert_eq!(joined(&[second.clone(), second.clone()]).len(), 200, "short ones are copied");
    }

    #[tokio::test]
    async fn every_byte_comes_in_order_however_slowly_it_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut listener = Listener::new(listener);
        let pieces = [bytes(200), joined(&[bytes(5_000_000)]), bytes(30), joined(&[bytes(40_000)]), bytes(7)];
        let sent = pieces.concat();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = axum::serve::Listener::accept(&mut listener).await;
        let writer = tokio::spawn(async move {
            let mut queue: std::collections::VecDeque<Bytes> = pieces.into();
            while !queue.is_empty() {
                let slices: Vec<IoSlice> = queue.iter().map(|piece| IoSlice::new(piece)).collect();
                let mut count = connection.write_vectored(&slices).await.unwrap();
                assert!(count > 0);
                while count > 0 {
                    let front = queue.front_mut().unwrap();
                    let taken = count.min(front.len());
                    let _ = front.split_to(taken);
                    count -= taken;
                    if front.is_empty() {
                        queue.pop_front();
                    }
                }
            }
        });
        let mut got: Vec<u8> = Vec::new();
        let mut some = vec![0; 9000];
        loop {
            match client.read(&mut some).await.unwrap() {
                0 => break,
                count => got.extend(&some[..count]),
            }
        }
        writer.await.unwrap();
        assert_eq!(got.len(), sent.len());
        assert!(got == sent, "in order");
    }
}
