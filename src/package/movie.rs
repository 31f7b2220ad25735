//! One MP4 file out of kept segments: the samples as they lie on disk, behind a table of contents that every editor and
//! player reads. Nothing is coded again, and the media is not read to make the table: only its chunks' headers.
//!
//! Source: ISO/IEC 14496-12, 8.6 and 8.7 for the sample tables.

use std::io::{Read, Seek, SeekFrom};

use bytes::Bytes;
use mp4_atom::{
    Co64, DecodeAtom, Edts, Elst, ElstEntry, Encode, FourCC, Ftyp, Header, Moof, Moov, Stsc, StscEntry, Stss,
    Stsz, StszSamples, Stts, SttsEntry, Trak, TrunSamples,
};

use super::Error;

/// Ticks a second of the whole file.
const MOVIE_HZ: u32 = 1000;
/// Longest header of a chunk that is believed: a part has some hundred samples.
const MOST_HEADER: u64 = 1 << 20;

/// A run of samples in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Which file, by its place in the list of the track's files.
    pub file: usize,
    /// Where its samples begin in the file.
    pub offset: u64,
    /// Ticks of its first sample.
    pub tick: u64,
    /// Length in ticks, size in bytes and whether decoding can begin there, of each sample.
    pub samples: Vec<(u32, u32, bool)>,
}

impl Chunk {
    fn bytes(&self) -> u64 {
        self.samples.iter().map(|(_, size, _)| u64::from(*size)).sum()
    }
}

/// Why a movie cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MovieError {
    /// A segment.
    #[error("a segment cannot be read")]
    Read(#[from] std::io::Error),
    /// What is in it.
    #[error("a segment has unexpected boxes: {0}")]
    Boxes(String),
}

/// The chunks of one segment.
///
/// # Errors
/// [`MovieError`].
pub fn chunks(file: usize, segment: &mut (impl Read + Seek)) -> Result<Vec<Chunk>, MovieError> {
    let mut found: Vec<Chunk> = Vec::new();
    let mut at = 0_u64;
    let mut head = [0_u8; 8];
    let mut pending: Option<Chunk> = None;
    while read_whole(segment, &mut head)? {
        let size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        if size < 8 {
            return Err(MovieError::Boxes(format!("a box of {size} bytes at {at}")));
        }
        match &head[4..] {
            b"moof" if size <= MOST_HEADER => {
                let mut body = vec![0; size as usize - 8];
                segment.read_exact(&mut body)?;
                pending = Some(samples(file, &body)?);
            }
            b"mdat" => {
                found.extend(pending.take().map(|chunk| Chunk { offset: at + 8, ..chunk }));
                segment.seek(SeekFrom::Start(at + size))?;
            }
            _ => _ = segment.seek(SeekFrom::Start(at + size))?,
        }
        at += size;
    }
    Ok(found)
}

/// Fills `buffer`; `false` at the end.
fn read_whole(from: &mut impl Read, buffer: &mut [u8]) -> Result<bool, std::io::Error> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn samples(file: usize, mut body: &[u8]) -> Result<Chunk, MovieError> {
    let wrong = |detail: &str| MovieError::Boxes(detail.to_owned());
    let header = Header { kind: FourCC::new(b"moof"), size: Some(body.len()) };
    let moof = Moof::decode_atom(&header, &mut body).map_err(|error| wrong(&error.to_string()))?;
    let [traf] = &moof.traf[..] else { return Err(wrong("not one track in a chunk")) };
    let (Some(tfdt), [trun]) = (&traf.tfdt, &traf.trun[..]) else {
        return Err(wrong("a chunk without a time"));
    };
    let TrunSamples::Explicit(entries) = &trun.samples else { return Err(wrong("samples without sizes")) };
    let samples = entries.iter().map(|entry| {
        // The non-sync flag: 8.8.3.1.
        let is_key = entry.flags.is_some_and(|flags| flags & 0x0001_0000 == 0);
        Some((entry.duration?, entry.size?, is_key))
    });
    let samples: Option<Vec<_>> = samples.collect();
    let samples = samples.ok_or_else(|| wrong("samples without sizes"))?;
    Ok(Chunk { file, offset: 0, tick: tfdt.base_media_decode_time, samples })
}

/// One track of a movie.
#[derive(Debug)]
pub struct Track {
    /// Its initialisation segments, each once.
    pub inits: Vec<Bytes>,
    /// The place in `inits` of each file.
    pub init_of_file: Vec<usize>,
    /// In order; a jump of the segments' numbers begins another run.
    pub runs: Vec<Vec<Chunk>>,
}

/// Bytes to be sent one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The track.
    pub track: usize,
    /// The file, as in [`Chunk::file`].
    pub file: usize,
    /// From here on.
    pub offset: u64,
    /// So many bytes.
    pub length: u64,
}

/// A movie: what comes first, and where the rest lies.
#[derive(Debug)]
pub struct Movie {
    /// Everything before the samples.
    pub head: Bytes,
    /// The samples.
    pub pieces: Vec<Piece>,
}

impl Movie {
    /// Bytes of the whole file.
    pub fn length(&self) -> u64 {
        self.head.len() as u64 + self.pieces.iter().map(|piece| piece.length).sum::<u64>()
    }
}

/// A movie of `tracks`, whose runs belong together: the first is the picture's.
///
/// # Errors
/// [`Error`] when an initialisation segment or a box is not right.
pub fn movie(tracks: &[Track]) -> Result<Movie, Error> {
    let moovs: Vec<Vec<Moov>> =
        tracks.iter().map(|t| t.inits.iter().map(header).collect()).collect::<Result<_, _>>()?;
    let hz: Vec<u32> =
        moovs.iter().map(|of| of.first().map_or(1, |moov| moov.trak[0].mdia.mdhd.timescale)).collect();
    let tables: Vec<Table> = (0..tracks.len()).map(|n| Table::new(tracks, &hz, n)).collect();
    let mut order: Vec<(u64, usize, usize)> = Vec::new();
    for (track, table) in tables.iter().enumerate() {
        let ms = |tick: u64| tick * 1000 / u64::from(hz[track].max(1));
        order.extend(table.chunks.iter().enumerate().map(|(n, (tick, _))| (ms(*tick), track, n)));
    }
    order.sort_unstable();
    let mut pieces: Vec<Piece> = Vec::with_capacity(order.len());
    for (_, track, n) in &order {
        let chunk = tables[*track].chunks[*n].1;
        pieces.push(Piece { track: *track, file: chunk.file, offset: chunk.offset, length: chunk.bytes() });
    }
    let total: u64 = pieces.iter().map(|piece| piece.length).sum();
    let write = |base: u64| -> Result<Vec<u8>, Error> {
        let mut places: Vec<Vec<u64>> = tables.iter().map(|table| vec![0; table.chunks.len()]).collect();
        let mut at = base;
        for ((_, track, n), piece) in order.iter().zip(&pieces) {
            places[*track][*n] = at;
            at += piece.length;
        }
        let mut traks = Vec::new();
        for (n, table) in tables.iter().enumerate() {
            traks.extend(table.trak(n, &moovs[n], std::mem::take(&mut places[n]), &tracks[n]));
        }
        head(traks, total)
    };
    // Offsets have one width: the head's length does not depend on them.
    let length = write(0)?.len() as u64;
    Ok(Movie { head: write(length)?.into(), pieces })
}

fn header(init: &Bytes) -> Result<Moov, Error> {
    let mut rest = &init[..];
    while !rest.is_empty() {
        if let mp4_atom::Any::Moov(moov) = mp4_atom::Decode::decode(&mut rest)? {
            return Ok(moov);
        }
    }
    Err(Error::Configuration { codec: "moov", detail: "is missing".into() })
}

fn head(traks: Vec<Trak>, total: u64) -> Result<Vec<u8>, Error> {
    let duration = traks.iter().map(|trak| trak.tkhd.duration).max().unwrap_or(0);
    let moov = Moov {
        mvhd: mp4_atom::Mvhd {
            timescale: MOVIE_HZ,
            duration,
            next_track_id: traks.len() as u32 + 1,
            rate: 1.into(),
            volume: 1.into(),
            ..mp4_atom::Mvhd::default()
        },
        trak: traks,
        ..Moov::default()
    };
    let brands = vec![b"isom".into(), b"iso2".into(), b"avc1".into(), b"mp41".into()];
    let mut out = Vec::new();
    Ftyp { major_brand: b"isom".into(), minor_version: 512, compatible_brands: brands }.encode(&mut out)?;
    moov.encode(&mut out)?;
    // Size 1: the length stands behind the name, in 64 bits.
    out.extend_from_slice(&1_u32.to_be_bytes());
    out.extend_from_slice(b"mdat");
    out.extend_from_slice(&(total + 16).to_be_bytes());
    Ok(out)
}

/// A track's samples in the movie's time, which has no jumps.
struct Table<'a> {
    /// Each with its tick in the movie.
    chunks: Vec<(u64, &'a Chunk)>,
    durations: Vec<u32>,
    /// Ticks before the first sample.
    delay: u64,
}

impl<'a> Table<'a> {
    /// Runs follow one another by the first track's lengths; where another track is shorter or longer, the last sample
    /// before makes up for it, so that sound and picture stay together.
    fn new(tracks: &'a [Track], hz: &[u32], n: usize) -> Self {
        let mut table = Self { chunks: Vec::new(), durations: Vec::new(), delay: 0 };
        let (mut base, mut at) = (0.0_f64, 0_u64); // seconds of the movie; ticks of this track
        for (run, lead) in tracks[n].runs.iter().zip(&tracks[0].runs) {
            let (Some(first), Some(lead_first)) = (run.first(), lead.first()) else { continue };
            let lead_start = lead_first.tick as f64 / f64::from(hz[0]);
            let start = base + (first.tick as f64 / f64::from(hz[n]) - lead_start).max(0.0);
            let wanted = (start * f64::from(hz[n])).round() as u64;
            match table.durations.last_mut() {
                Some(last) => *last = (i64::from(*last) + wanted as i64 - at as i64).max(1) as u32,
                None => table.delay = wanted,
            }
            at = table.delay + table.durations.iter().map(|ticks| u64::from(*ticks)).sum::<u64>();
            for chunk in run {
                table.chunks.push((at, chunk));
                table.durations.extend(chunk.samples.iter().map(|(ticks, _, _)| *ticks));
                at += chunk.samples.iter().map(|(ticks, _, _)| u64::from(*ticks)).sum::<u64>();
            }
            let ticks: u64 =
                lead.iter().flat_map(|chunk| &chunk.samples).map(|(ticks, _, _)| u64::from(*ticks)).sum();
            base += ticks as f64 / f64::from(hz[0]);
        }
        table
    }

    fn trak(&self, n: usize, moovs: &[Moov], places: Vec<u64>, track: &Track) -> Option<Trak> {
        let mut trak = moovs.first()?.trak.first()?.clone();
        let length: u64 = self.durations.iter().map(|ticks| u64::from(*ticks)).sum();
        let in_movie = |ticks: u64| ticks * u64::from(MOVIE_HZ) / u64::from(trak.mdia.mdhd.timescale.max(1));
        let (delay, played) = (in_movie(self.delay), in_movie(length));
        trak.tkhd.track_id = n as u32 + 1;
        trak.tkhd.duration = delay + played;
        if delay > 0 {
            let entry = |segment_duration, media_time| ElstEntry {
                segment_duration,
                media_time,
                media_rate: 1.into(),
            };
            trak.edts =
                Some(Edts { elst: Some(Elst { entries: vec![entry(delay, None), entry(played, Some(0))] }) });
        }
        trak.mdia.mdhd.duration = length;
        let samples = || self.chunks.iter().flat_map(|(_, chunk)| &chunk.samples);
        let keys: Vec<u32> =
            samples().zip(1..).filter(|((_, _, is_key), _)| *is_key).map(|(_, n)| n).collect();
        let is_all_keys = keys.len() == self.durations.len();
        let stbl = &mut trak.mdia.minf.stbl;
        stbl.stsd.codecs =
            moovs.iter().flat_map(|moov| moov.trak[0].mdia.minf.stbl.stsd.codecs.clone()).collect();
        stbl.stts = Stts { entries: self.times() };
        stbl.stss = (!is_all_keys).then_some(Stss { entries: keys });
        stbl.stsc = Stsc { entries: self.places(track) };
        stbl.stsz =
            Stsz { samples: StszSamples::Different { sizes: samples().map(|(_, size, _)| *size).collect() } };
        stbl.stco = None;
        stbl.co64 = Some(Co64 { entries: places });
        Some(trak)
    }

    fn times(&self) -> Vec<SttsEntry> {
        let mut entries: Vec<SttsEntry> = Vec::new();
        for sample_delta in self.durations.iter().copied() {
            match entries.last_mut() {
                Some(last) if last.sample_delta == sample_delta => last.sample_count += 1,
                _ => entries.push(SttsEntry { sample_count: 1, sample_delta }),
            }
        }
        entries
    }

    fn places(&self, track: &Track) -> Vec<StscEntry> {
        let mut entries: Vec<StscEntry> = Vec::new();
        for ((_, chunk), first_chunk) in self.chunks.iter().zip(1..) {
            let samples_per_chunk = chunk.samples.len() as u32;
            let sample_description_index = track.init_of_file[chunk.file] as u32 + 1;
            let is_same = entries.last().is_some_and(|last| {
                (last.samples_per_chunk, last.sample_description_index)
                    == (samples_per_chunk, sample_description_index)
            });
            if !is_same {
                entries.push(StscEntry { first_chunk, samples_per_chunk, sample_description_index });
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::package::cmaf::{self, Sample};

    fn segment(tick: u64, samples: u64, duration: u32) -> Vec<u8> {
        let sample = |n: u64| Sample {
            duration,
            offset: 0,
            is_keyframe: n == 0,
            data: Bytes::from(vec![n as u8; 10]),
        };
        let all: Vec<Sample> = (0..samples).map(sample).collect();
        let mut bytes = cmaf::chunk(1, tick, &all[..1], true, &[]).unwrap();
        bytes.extend(cmaf::chunk(2, tick + u64::from(duration), &all[1..], false, &[]).unwrap());
        bytes
    }

    #[test]
    fn chunks_are_found_by_their_headers() {
        let found = chunks(3, &mut Cursor::new(segment(90_000, 60, 1000))).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].tick, found[1].tick, found[1].samples.len()), (90_000, 91_000, 59));
        assert!(found[0].samples[0].2 && !found[1].samples[0].2);
        let bytes = segment(90_000, 60, 1000);
        assert_eq!(bytes[found[1].offset as usize], 1, "the second sample's first byte");
        assert!(chunks(0, &mut Cursor::new(b"\0\0\0\x04moof".to_vec())).is_err(), "no box is so short");
    }

    #[test]
    fn a_jump_is_closed_and_sound_stays_with_the_picture() {
        let picture = |tick| chunks(0, &mut Cursor::new(segment(tick, 60, 1000))).unwrap();
        let sound = |tick, blocks| chunks(0, &mut Cursor::new(segment(tick, blocks, 1024))).unwrap();
        let audio = Bytes::from_static(&[0x11, 0x90]);
        let init = cmaf::audio_init(&audio, 128).unwrap();
        let track = |runs| Track { inits: vec![init.clone()], init_of_file: vec![0], runs };
        let tracks = [
            track(vec![picture(48_000 * 10), picture(48_000 * 20)]),
            track(vec![sound(48_000 * 10 + 100, 58), sound(48_000 * 20 + 50, 58)]),
        ];
        // Both at 48 kHz here: 60 pictures of 1000 ticks; the second run's sound begins 50 ticks after its picture.
        let table = Table::new(&tracks, &[48_000, 48_000], 1);
        assert_eq!(table.delay, 100);
        let first: u64 = table.durations[..58].iter().map(|ticks| u64::from(*ticks)).sum();
        assert_eq!(table.delay + first, 60_050);
        let movie = movie(&tracks).unwrap();
        assert_eq!(movie.pieces.len(), 8);
        assert_eq!(movie.length(), movie.head.len() as u64 + 2 * 600 + 2 * 580);
    }
}
