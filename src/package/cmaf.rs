//! ISO BMFF boxes for CMAF tracks: the initialisation segment of a track, and one chunk (`moof` + `mdat`)
//! for each part. Boxes come from `mp4-atom`; what goes into them is decided here.
//!
//! Source: ISO/IEC 23000-19 (CMAF) 7.3 for the header and 7.3.2.3 for chunks.

use bytes::Bytes;
use mp4_atom::{
    Atom, Audio, Avc1, Avcc, Codec, Colr, DecodeAtom, Encode, Ftyp, Hdlr, Hvc1, Hvcc, Mdat, Mdhd, Mfhd, Minf,
    Moof, Moov, Mp4a, Mvex, Mvhd, Smhd, Stbl, Stsd, Styp, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun,
    TrunEntry, TrunSamples, Visual, Vmhd, esds,
};

use super::Error;
use super::event::Event;
use crate::media::{self, AUDIO_CHANNELS, AUDIO_HZ, Canvas, Format};

/// `sample_depends_on = 2`: an independent sample.
const KEYFRAME: u32 = 0x0200_0000;
/// `sample_depends_on = 1`, `sample_is_non_sync_sample = 1`.
const DEPENDENT: u32 = 0x0101_0000;
const TRACK_ID: u32 = 1;

/// One sample of a chunk.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Length in ticks of the track's timescale.
    pub duration: u32,
    /// Shown so many ticks after it is decoded; 0 in what our encoders make.
    pub offset: i32,
    /// Whether decoding can start here.
    pub is_keyframe: bool,
    /// The coded bytes.
    pub data: Bytes,
}

/// The initialisation segment of a picture of `canvas` in `format`, H.264 or HEVC as the encoders make it.
///
/// # Errors
/// [`Error::Configuration`] when the format's configuration is not a configuration record.
pub fn video_init(canvas: Canvas, format: &Format) -> Result<Bytes, Error> {
    // BT.709, video range: what the overlay and the encoder work in.
    let colr = Colr::Nclx {
        colour_primaries: 1,
        transfer_characteristics: 1,
        matrix_coefficients: 1,
        full_range_flag: false,
    };
    let size = (canvas.width as u16, canvas.height as u16);
    let trak = video_trak(format, size, canvas.rate.timescale(), Some(colr))?;
    header(canvas.rate.timescale(), vec![trak])
}

/// The initialisation segment of an AAC track with `config`, an `AudioSpecificConfig`.
///
/// # Errors
/// [`Error::Boxes`] when the boxes cannot be written.
pub fn audio_init(config: &Bytes, kbps: u32) -> Result<Bytes, Error> {
    let trak = audio_trak(config, kbps, (AUDIO_HZ, AUDIO_CHANNELS as u16));
    header(AUDIO_HZ, vec![trak])
}

/// The initialisation segment of picture and sound in one: a picture of some pixels with `timescale` ticks a second, and
/// an `AudioSpecificConfig` with its samples a second and channels.
///
/// # Errors
/// [`Error::Configuration`] when the format's configuration is not a configuration record.
pub fn muxed_init(
    format: &Format,
    size: (u16, u16),
    timescale: u32,
    sound: Option<(&Bytes, (u32, u16))>,
) -> Result<Bytes, Error> {
    let mut traks = vec![video_trak(format, size, timescale, None)?];
    traks.extend(sound.map(|(config, about)| audio_trak(config, 0, about)));
    header(timescale, traks)
}

fn video_trak(
    format: &Format,
    (width, height): (u16, u16),
    timescale: u32,
    colr: Option<Colr>,
) -> Result<Trak, Error> {
    let visual = Visual { data_reference_index: 1, width, height, ..Visual::default() };
    let codec = if format.codec == media::Codec::Hevc {
        let hvcc: Hvcc = configuration(&format.config, b"hvcC", "hvcC")?;
        Codec::Hvc1(Hvc1 {
            visual,
            hvcc,
            lhvc: None,
            btrt: None,
            colr,
            pasp: None,
            taic: None,
            fiel: None,
            ccst: None,
            spatial: None,
        })
    } else {
        let avcc: Avcc = configuration(&format.config, b"avcC", "avcC")?;
        Codec::Avc1(Avc1 { visual, avcc, colr, ..Avc1::default() })
    };
    let minf = Minf { vmhd: Some(Vmhd::default()), ..sample_tables(codec) };
    let tkhd = Tkhd { width: width.into(), height: height.into(), ..Tkhd::default() };
    Ok(trak(timescale, b"vide", tkhd, minf))
}

fn configuration<T: Atom>(config: &Bytes, kind: &[u8; 4], codec: &'static str) -> Result<T, Error> {
    let header = mp4_atom::Header { kind: mp4_atom::FourCC::new(kind), size: Some(config.len()) };
    T::decode_atom(&header, &mut &config[..])
        .map_err(|error| Error::Configuration { codec, detail: error.to_string() })
}

fn audio_trak(config: &Bytes, kbps: u32, (hz, channels): (u32, u16)) -> Trak {
    let entry = Mp4a {
        audio: Audio {
            data_reference_index: 1,
            channel_count: channels,
            sample_size: 16,
            sample_rate: (hz.min(u32::from(u16::MAX)) as u16).into(),
        },
        esds: esds::Esds {
            es_desc: esds::EsDescriptor {
                es_id: 1,
                dec_config: esds::DecoderConfig {
                    object_type_indication: 0x40,
                    stream_type: 5,
                    max_bitrate: kbps * 1000,
                    avg_bitrate: kbps * 1000,
                    dec_specific: Some(esds::DecoderSpecific {
                        raw: config.to_vec(),
                        ..esds::DecoderSpecific::default()
                    }),
                    ..esds::DecoderConfig::default()
                },
                ..esds::EsDescriptor::default()
            },
        },
        btrt: None,
        taic: None,
    };
    let minf = Minf { smhd: Some(Smhd::default()), ..sample_tables(Codec::Mp4a(entry)) };
    trak(hz, b"soun", Tkhd { volume: 1.into(), ..Tkhd::default() }, minf)
}

fn sample_tables(codec: Codec) -> Minf {
    let stbl =
        Stbl { stsd: Stsd { codecs: vec![codec] }, stco: Some(mp4_atom::Stco::default()), ..Stbl::default() };
    let url = mp4_atom::Url { location: String::new() };
    let dinf = mp4_atom::Dinf { dref: mp4_atom::Dref { entries: vec![mp4_atom::DrefEntry::Url(url)] } };
    Minf { stbl, dinf, ..Minf::default() }
}

fn trak(timescale: u32, handler: &[u8; 4], tkhd: Tkhd, minf: Minf) -> Trak {
    let mut trak = Trak { tkhd: Tkhd { enabled: true, in_movie: true, ..tkhd }, ..Trak::default() };
    trak.mdia.mdhd = Mdhd { timescale, language: "und".into(), ..Mdhd::default() };
    trak.mdia.hdlr = Hdlr { handler: mp4_atom::FourCC::new(handler), name: "Vitrine".into() };
    trak.mdia.minf = minf;
    trak
}

/// Tracks are numbered in order, from [`TRACK_ID`].
fn header(timescale: u32, mut traks: Vec<Trak>) -> Result<Bytes, Error> {
    let ids = TRACK_ID..;
    for (trak, id) in traks.iter_mut().zip(ids.clone()) {
        trak.tkhd.track_id = id;
    }
    let count = traks.len() as u32;
    let trex = ids.take(traks.len()).map(|track_id| Trex {
        track_id,
        default_sample_description_index: 1,
        ..Trex::default()
    });
    let moov = Moov {
        mvhd: Mvhd {
            timescale,
            next_track_id: TRACK_ID + count,
            rate: 1.into(),
            volume: 1.into(),
            ..Mvhd::default()
        },
        mvex: Some(Mvex { mehd: None, trex: trex.collect() }),
        trak: traks,
        ..Moov::default()
    };
    let ftyp = Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: vec![b"iso6".into(), b"cmfc".into(), b"mp41".into()],
    };
    let mut out = Vec::with_capacity(1024);
    ftyp.encode(&mut out)?;
    moov.encode(&mut out)?;
    Ok(out.into())
}

/// One chunk of one track: `styp` when it starts a segment, then `events`, `moof` and `mdat`.
///
/// `decode_time` is in ticks of the track. Samples are in decode order.
///
/// # Errors
/// [`Error::Boxes`] when the boxes cannot be written.
pub fn chunk(
    sequence: u32,
    decode_time: u64,
    samples: &[Sample],
    starts_segment: bool,
    events: &[Event],
) -> Result<Vec<u8>, Error> {
    muxed_chunk(sequence, &[(decode_time, samples)], starts_segment, events)
}

/// One chunk of several tracks, in the order of their header: each with its decode time and its samples.
///
/// # Errors
/// [`Error::Boxes`] when the boxes cannot be written.
pub fn muxed_chunk(
    sequence: u32,
    tracks: &[(u64, &[Sample])],
    starts_segment: bool,
    events: &[Event],
) -> Result<Vec<u8>, Error> {
    let bytes = |samples: &[Sample]| samples.iter().map(|sample| sample.data.len()).sum::<usize>();
    let payload: usize = tracks.iter().map(|(_, samples)| bytes(samples)).sum();
    let count: usize = tracks.iter().map(|(_, samples)| samples.len()).sum();
    let mut out = Vec::with_capacity(payload + 200 + count * 16);
    if starts_segment {
        let brands = vec![b"msdh".into(), b"cmfs".into()];
        Styp { major_brand: b"msdh".into(), minor_version: 0, compatible_brands: brands }.encode(&mut out)?;
    }
    for event in events {
        event.write(&mut out)?;
    }
    let trafs = tracks.iter().zip(TRACK_ID..).filter(|((_, samples), _)| !samples.is_empty());
    let mut moof = Moof {
        mfhd: Mfhd { sequence_number: sequence },
        traf: trafs.map(|((decode_time, samples), id)| traf(id, *decode_time, samples)).collect(),
    };
    let mut measured = Vec::new();
    moof.encode(&mut measured)?;
    // From the moof's first byte to a track's payload: the moof, the mdat's 8-byte header, the tracks before.
    let mut offset = measured.len() + 8;
    let written = tracks.iter().filter(|(_, samples)| !samples.is_empty());
    for (traf, (_, samples)) in moof.traf.iter_mut().zip(written) {
        traf.trun[0].data_offset = Some(offset as i32);
        offset += bytes(samples);
    }
    moof.encode(&mut out)?;
    let mut data = Vec::with_capacity(payload);
    for sample in tracks.iter().flat_map(|(_, samples)| samples.iter()) {
        data.extend_from_slice(&sample.data);
    }
    Mdat { data }.encode(&mut out)?;
    Ok(out)
}

fn traf(track_id: u32, decode_time: u64, samples: &[Sample]) -> Traf {
    let has_offsets = samples.iter().any(|sample| sample.offset != 0);
    let entries = samples.iter().map(|sample| TrunEntry {
        duration: Some(sample.duration),
        size: Some(sample.data.len() as u32),
        flags: Some(if sample.is_keyframe { KEYFRAME } else { DEPENDENT }),
        cts: has_offsets.then_some(sample.offset.into()),
    });
    Traf {
        tfhd: Tfhd { track_id, default_base_is_moof: true, ..Tfhd::default() },
        tfdt: Some(Tfdt { base_media_decode_time: decode_time }),
        trun: vec![Trun { data_offset: Some(0), samples: TrunSamples::Explicit(entries.collect()) }],
        ..Traf::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp4_atom::Any;

    fn boxes(bytes: &Bytes) -> Vec<Any> {
        use mp4_atom::Decode;
        let mut input = &bytes[..];
        let mut found = Vec::new();
        while !input.is_empty() {
            found.push(Any::decode(&mut input).unwrap());
        }
        found
    }

    #[test]
    fn a_chunk_points_at_its_own_payload() {
        let sample = |data: &'static [u8], is_keyframe| Sample {
            duration: 1000,
            offset: 0,
            is_keyframe,
            data: data.into(),
        };
        let bytes =
            chunk(7, u64::from(u32::MAX) + 5, &[sample(b"key", true), sample(b"delta", false)], true, &[])
                .unwrap();
        let bytes = Bytes::from(bytes);
        let found = boxes(&bytes);
        let [Any::Styp(styp), Any::Moof(moof), Any::Mdat(mdat)] = &found[..] else { panic!("{found:?}") };
        let traf = &moof.traf[0];
        assert_eq!(traf.tfdt.as_ref().unwrap().base_media_decode_time, u64::from(u32::MAX) + 5);
        let mut before = Vec::new();
        styp.encode(&mut before).unwrap();
        let payload = before.len() + traf.trun[0].data_offset.unwrap() as usize;
        assert_eq!(&bytes[payload..], b"keydelta");
        assert_eq!(mdat.data, b"keydelta");
    }

    #[test]
    fn an_audio_header_carries_the_whole_configuration() {
        let config = Bytes::from_static(&[0x11, 0x90, 0x56, 0xe5, 0x00]);
        let found = boxes(&audio_init(&config, 128).unwrap());
        let Any::Moov(moov) = &found[1] else { panic!("{found:?}") };
        let Codec::Mp4a(entry) = &moov.trak[0].mdia.minf.stbl.stsd.codecs[0] else { panic!() };
        assert_eq!(entry.esds.es_desc.dec_config.dec_specific.as_ref().unwrap().raw, &config[..]);
    }
}
