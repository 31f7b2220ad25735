//! Reads RTMP messages out of chunks. Pure: bytes in, messages out.
//!
//! `rml_rtmp` has a chunk reader too. It is not used: it keeps one message under assembly for all chunk
//! streams, so interleaved messages break it; its length arithmetic underflows when a header changes inside
//! a message; and it buffers whatever length the peer claims. This one holds at most [`Limits`].
//!
//! Source: Adobe's RTMP specification 1.0, section 5.3.

use std::collections::HashMap;

use bytes::{Buf, Bytes, BytesMut};

const INITIAL_CHUNK_SIZE: usize = 128;
const EXTENDED: u32 = 0x00ff_ffff;

/// Why the bytes are not chunks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A header refers to a chunk stream that has sent none.
    #[error("chunk stream {0} starts without a full header")]
    NoHeader(u32),
    /// Too many chunk streams at once.
    #[error("more than {0} chunk streams")]
    Streams(usize),
    /// A message is longer than is taken.
    #[error("a message of {length} bytes; at most {most} are taken")]
    TooLong {
        /// What the header claims.
        length: usize,
        /// The limit.
        most: usize,
    },
    /// More bytes of unfinished messages than are held.
    #[error("{0} bytes of unfinished messages")]
    Unfinished(usize),
    /// A chunk size of zero.
    #[error("chunk size 0")]
    ChunkSize,
}

/// How much a peer may make us hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one message.
    pub message: usize,
    /// Bytes of all unfinished messages together.
    pub unfinished: usize,
    /// Chunk streams.
    pub streams: usize,
}

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// 8 is sound, 9 picture, 20 a command.
    pub type_id: u8,
    /// The message stream.
    pub stream_id: u32,
    /// Milliseconds, wrapping at 2^32.
    pub timestamp: u32,
    /// The body.
    pub body: Bytes,
}

/// What the next header of a chunk stream may leave out.
#[derive(Debug, Default, Clone, Copy)]
struct Known {
    timestamp: u32,
    delta: u32,
    extended: Option<u32>,
    length: usize,
    type_id: u8,
    stream_id: u32,
}

#[derive(Debug, Default)]
struct ChunkStream {
    known: Known,
    body: BytesMut,
}

/// The reader's state.
#[derive(Debug)]
pub struct ChunkReader {
    limits: Limits,
    chunk_size: usize,
    input: BytesMut,
    streams: HashMap<u32, ChunkStream>,
    unfinished: usize,
}

/// A chunk's header, read but not yet consumed.
struct Header {
    chunk_stream: u32,
    known: Known,
    /// Bytes that it takes.
    length: usize,
    /// Whether it begins a message although the last has not ended.
    drops_unfinished: bool,
}

impl ChunkReader {
    /// A reader at the start of a connection, after the handshake.
    pub fn new(limits: Limits) -> Self {
        let streams = HashMap::new();
        Self { limits, chunk_size: INITIAL_CHUNK_SIZE, input: BytesMut::new(), streams, unfinished: 0 }
    }

    /// Changes what the peer may make us hold.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The peer's chunks are `size` bytes from now on.
    ///
    /// # Errors
    /// [`Error::ChunkSize`].
    pub fn set_chunk_size(&mut self, size: u32) -> Result<(), Error> {
        if size == 0 {
            return Err(Error::ChunkSize);
        }
        self.chunk_size = size as usize;
        Ok(())
    }

    /// The peer gives up the unfinished message of a chunk stream.
    pub fn abort(&mut self, chunk_stream: u32) {
        if let Some(stream) = self.streams.get_mut(&chunk_stream) {
            self.unfinished -= stream.body.len();
            stream.body.clear();
        }
    }

    /// Adds bytes from the network.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next whole message, or nothing until more bytes are fed.
    ///
    /// # Errors
    /// [`Error`]; the connection cannot go on.
    pub fn next_message(&mut self) -> Result<Option<Message>, Error> {
        while let Some(Header { chunk_stream, known, length, drops_unfinished }) = self.header()? {
            let begun = self.streams.get(&chunk_stream).map_or(0, |stream| stream.body.len());
            let kept = if drops_unfinished { 0 } else { begun };
            let wanted = (known.length - kept).min(self.chunk_size);
            if self.input.len() < length + wanted {
                return Ok(None);
            }
            self.unfinished = self.unfinished - (begun - kept) + wanted;
            if self.unfinished > self.limits.unfinished {
                return Err(Error::Unfinished(self.unfinished));
            }
            self.input.advance(length);
            let stream = self.streams.entry(chunk_stream).or_default();
            stream.known = known;
            stream.body.truncate(kept);
            stream.body.extend_from_slice(&self.input[..wanted]);
            self.input.advance(wanted);
            if stream.body.len() == known.length {
                self.unfinished -= known.length;
                let body = stream.body.split().freeze();
                let Known { type_id, stream_id, timestamp, .. } = known;
                return Ok(Some(Message { type_id, stream_id, timestamp, body }));
            }
        }
        Ok(None)
    }

    /// Reads a chunk's header without consuming it, so that half a header costs nothing.
    fn header(&self) -> Result<Option<Header>, Error> {
        let mut bytes = &self.input[..];
        let Some((format, chunk_stream)) = basic_header(&mut bytes) else { return Ok(None) };
        let stream = self.streams.get(&chunk_stream);
        if stream.is_none() {
            if format != 0 {
                return Err(Error::NoHeader(chunk_stream));
            }
            if self.streams.len() >= self.limits.streams {
                return Err(Error::Streams(self.limits.streams));
            }
        }
        let needed = [11, 7, 3, 0][usize::from(format)];
        if bytes.len() < needed {
            return Ok(None);
        }
        let is_continuation = stream.is_some_and(|stream| !stream.body.is_empty());
        let mut known = stream.map(|stream| stream.known).unwrap_or_default();
        let mut stamp = None;
        if format < 3 {
            stamp = Some(bytes.get_uint(3) as u32);
        }
        if format < 2 {
            known.length = bytes.get_uint(3) as usize;
            known.type_id = bytes.get_u8();
        }
        if format == 0 {
            known.stream_id = bytes.get_u32_le();
        }
        if known.length > self.limits.message {
            return Err(Error::TooLong { length: known.length, most: self.limits.message });
        }
        if !read_extended(&mut bytes, &mut stamp, &mut known) {
            return Ok(None);
        }
        if let Some(stamp) = stamp {
            known.delta = stamp;
            known.timestamp = if format == 0 { stamp } else { known.timestamp.wrapping_add(stamp) };
        } else if !is_continuation {
            known.timestamp = known.timestamp.wrapping_add(known.delta);
        }
        let length = self.input.len() - bytes.len();
        // Only a continuation (format 3) goes on with a message; any other header begins one.
        Ok(Some(Header { chunk_stream, known, length, drops_unfinished: is_continuation && format < 3 }))
    }
}

/// Format and chunk stream id (5.3.1.1).
fn basic_header(bytes: &mut &[u8]) -> Option<(u8, u32)> {
    let first = *bytes.first()?;
    let (id, length) = match first & 0x3f {
        0 => (u32::from(*bytes.get(1)?) + 64, 2),
        1 => (u32::from(*bytes.get(2)?) * 256 + u32::from(*bytes.get(1)?) + 64, 3),
        id => (u32::from(id), 1),
    };
    *bytes = &bytes[length..];
    Some((first >> 6, id))
}

/// The extended timestamp (5.3.1.3). `false` when more bytes are needed.
fn read_extended(bytes: &mut &[u8], stamp: &mut Option<u32>, known: &mut Known) -> bool {
    match stamp {
        Some(short) if *short == EXTENDED => {
            if bytes.len() < 4 {
                return false;
            }
            let value = bytes.get_u32();
            known.extended = Some(value);
            *stamp = Some(value);
        }
        Some(_) => known.extended = None,
        None => {
            // The specification repeats the field in every chunk; some encoders leave it out. It is
            // there if the bytes say the same again.
            if let Some(value) = known.extended {
                if bytes.len() < 4 {
                    return false;
                }
                if bytes[..4] == value.to_be_bytes() {
                    bytes.advance(4);
                }
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { message: 4096, unfinished: 8192, streams: 8 };

    fn header0(stream: u8, stamp: u32, length: usize, type_id: u8) -> Vec<u8> {
        let mut out = vec![stream];
        out.extend_from_slice(&stamp.min(EXTENDED).to_be_bytes()[1..]);
        out.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
        out.push(type_id);
        out.extend_from_slice(&1_u32.to_le_bytes());
        if stamp >= EXTENDED {
            out.extend_from_slice(&stamp.to_be_bytes());
        }
        out
    }

    fn all(reader: &mut ChunkReader) -> Vec<Message> {
        std::iter::from_fn(|| reader.next_message().unwrap()).collect()
    }

    #[test]
    fn messages_of_two_chunk_streams_may_interleave() {
        let mut reader = ChunkReader::new(LIMITS);
        let (video, audio) = ([9_u8; 200], [8_u8; 10]);
        let mut bytes = header0(6, 40, 200, 9);
        bytes.extend_from_slice(&video[..128]);
        bytes.extend(header0(4, 41, 10, 8));
        bytes.extend_from_slice(&audio);
        bytes.push(0xc6);
        bytes.extend_from_slice(&video[128..]);
        for byte in &bytes {
            reader.feed(&[*byte]); // one at a time: half a header must not be lost
        }
        let messages = all(&mut reader);
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[0].type_id, messages[0].body.len()), (8, 10));
        assert_eq!((messages[1].type_id, messages[1].body.len(), messages[1].timestamp), (9, 200, 40));
    }

    #[test]
    fn bytes_one_by_one_give_the_same_messages() {
        let mut bytes = header0(4, 0, 3, 8);
        bytes.extend_from_slice(b"abc");
        bytes.extend_from_slice(&[0x84, 0, 0, 20]); // format 2: a delta
        bytes.extend_from_slice(b"def");
        bytes.push(0xc4); // format 3: the same delta again
        bytes.extend_from_slice(b"ghi");
        let mut reader = ChunkReader::new(LIMITS);
        let mut messages = Vec::new();
        for byte in &bytes {
            reader.feed(&[*byte]);
            messages.extend(reader.next_message().unwrap());
        }
        let stamps: Vec<_> = messages.iter().map(|message| message.timestamp).collect();
        assert_eq!(stamps, [0, 20, 40]);
        assert_eq!(messages[2].body, "ghi");
    }

    #[test]
    fn extended_timestamps_are_read_with_and_without_repetition() {
        for is_repeated in [true, false] {
            let mut reader = ChunkReader::new(LIMITS);
            let mut bytes = header0(6, 0x0123_4567, 200, 9);
            bytes.extend_from_slice(&[7; 128]);
            bytes.push(0xc6);
            if is_repeated {
                bytes.extend_from_slice(&0x0123_4567_u32.to_be_bytes());
            }
            bytes.extend_from_slice(&[7; 72]);
            reader.feed(&bytes);
            let messages = all(&mut reader);
            assert_eq!((messages[0].timestamp, messages[0].body.len()), (0x0123_4567, 200));
            assert!(messages[0].body.iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn a_claimed_length_over_the_limit_is_refused_at_the_header() {
        let mut reader = ChunkReader::new(LIMITS);
        reader.feed(&header0(6, 0, 5000, 9));
        assert_eq!(reader.next_message(), Err(Error::TooLong { length: 5000, most: 4096 }));
    }

    #[test]
    fn unfinished_messages_are_bounded_together() {
        let mut reader = ChunkReader::new(LIMITS);
        reader.set_chunk_size(3000).unwrap();
        for stream in 3..6 {
            reader.feed(&header0(stream, 0, 4000, 9));
            reader.feed(&[0; 3000]);
        }
        assert!(matches!(reader.next_message(), Err(Error::Unfinished(_))));
    }

    #[test]
    fn a_header_inside_a_message_does_not_upset_the_count() {
        let mut reader = ChunkReader::new(LIMITS);
        reader.feed(&header0(6, 0, 200, 9));
        reader.feed(&[1; 128]);
        reader.feed(&header0(6, 0, 2, 9)); // shorter than what is already there
        reader.feed(b"ok");
        assert_eq!(reader.next_message().unwrap().unwrap().body, "ok");
        assert_eq!(reader.unfinished, 0);
    }

    #[test]
    fn a_chunk_without_a_header_before_it_is_an_error() {
        let mut reader = ChunkReader::new(LIMITS);
        reader.feed(&[0xc3, 0, 0]);
        assert_eq!(reader.next_message(), Err(Error::NoHeader(3)));
    }
}
