//! Bodies that go from memory to the network without being copied.
//!
//! A connection that is given bytes of an arena to write tells the kernel where they lie (`sendfile`) instead, as file
//! servers do; measured, half of the CPU of a large segment. Other bytes, and all over TLS, are copied as always. Who takes
//! nothing for a minute is gone. Nothing is held here.

use std::io::{Error, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::arena::{self, Place};

/// Bytes in one call, so that others have their turn.
const MOST_AT_ONCE: usize = 1024 * 1024;
/// A viewer that takes nothing of an answer for so long is gone: it would keep the memory of what it was given.
/// Source: tcp(7), `TCP_USER_TIMEOUT`; as long as nginx's `send_timeout`.
const STUCK_MS: u32 = 60_000;

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
        match arena::find(slices) {
            None => Pin::new(&mut self.0).poll_write_vectored(context, slices),
            Some((0, Place { file, offset, length })) => self.poll(context, || {
                let mut offset = offset;
                rustix::fs::sendfile(self.0.as_fd(), &*file, Some(&mut offset), length.min(MOST_AT_ONCE))
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

/// What every viewer's connection is told when it is accepted, with or without TLS. That the system may refuse it is no harm:
/// then it is slower, or a viewer that is gone is noticed later.
pub fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, STUCK_MS);
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
        prepare(&stream);
        (Connection(stream), peer)
    }

    fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.0.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn bytes(length: usize) -> Bytes {
        (0..length).map(|n| (n % 251) as u8).collect::<Vec<_>>().into()
    }

    #[tokio::test]
    async fn every_byte_comes_in_order_however_slowly_it_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut listener = Listener::new(listener);
        let pieces =
            [bytes(200), arena::alone(bytes(5_000_000)), bytes(30), arena::alone(bytes(40_000)), bytes(7)];
        let sent = pieces.concat();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = axum::serve::Listener::accept(&mut listener).await;
        assert_eq!(
            rustix::net::sockopt::tcp_user_timeout(&connection.0),
            Ok(STUCK_MS),
            "who reads nothing is gone"
        );
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
