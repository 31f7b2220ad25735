//! ISO BMFF boxes for CMAF tracks: the initialisation segment of a track, and one chunk (`moof` + `mdat`)
//! for each part. Boxes come from `mp4-atom`; what goes into them is decided here.
//!
//! Source: ISO/IEC 23000-19 (CMAF) 7.3 for the header and 7.3.2.3 for chunks.

use bytes::Bytes;
use mp4_atom::{
    Audio, Avc1, Avcc, Codec, Colr, DecodeAtom, Encode, Ftyp, Hdlr, Mdat, Mdhd, Mfhd, Minf, Moof, Moov, Mp4a,
    Mvex, Mvhd, Smhd, Stbl, Stsd, Styp, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun, TrunEntry, TrunSamples,
    Visual, Vmhd, esds,
};

use super::Error;
use crate::media::{AUDIO_CHANNELS, AUDIO_HZ, Canvas};

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
    /// Whether decoding can start here.
    pub is_keyframe: bool,
    /// The coded bytes.
    pub data: Bytes,
}

/// The initialisation segment of an H.264 track of `canvas` whose decoder configuration is `avcc`.
///
/// # Errors
/// [`Error::Configuration`] when `avcc` is not a configuration record.
pub fn video_init(canvas: Canvas, avcc: &Bytes) -> Result<Bytes, Error> {
    let config = Avcc::decode_atom(
        &mp4_atom::Header { kind: mp4_atom::FourCC::new(b"avcC"), size: Some(avcc.len()) },
        &mut &avcc[..],
    );
    let config = config.map_err(|error| Error::Configuration { codec: "avcC", detail: error.to_string() })?;
    let (width, height) = (canvas.width as u16, canvas.height as u16);
    let entry = Avc1 {
        visual: Visual { data_reference_index: 1, width, height, ..Visual::default() },
        avcc: config,
        // BT.709, video range: what the overlay and the encoder work in.
        colr: Some(Colr::Nclx {
            colour_primaries: 1,
            transfer_characteristics: 1,
            matrix_coefficients: 1,
            full_range_flag: false,
        }),
        ..Avc1::default()
    };
    let minf = Minf { vmhd: Some(Vmhd::default()), ..sample_tables(Codec::Avc1(entry)) };
    let tkhd = Tkhd { width: width.into(), height: height.into(), ..Tkhd::default() };
    header(canvas.rate.timescale(), b"vide", tkhd, minf)
}

/// The initialisation segment of an AAC track with `config`, an `AudioSpecificConfig`.
///
/// # Errors
/// [`Error::Boxes`] when the boxes cannot be written.
pub fn audio_init(config: &Bytes, kbps: u32) -> Result<Bytes, Error> {
    let entry = Mp4a {
        audio: Audio {
            data_reference_index: 1,
            channel_count: AUDIO_CHANNELS as u16,
            sample_size: 16,
            sample_rate: (AUDIO_HZ as u16).into(),
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
    header(AUDIO_HZ, b"soun", Tkhd { volume: 1.into(), ..Tkhd::default() }, minf)
}

fn sample_tables(codec: Codec) -> Minf {
    let stbl =
        Stbl { stsd: Stsd { codecs: vec![codec] }, stco: Some(mp4_atom::Stco::default()), ..Stbl::default() };
    let url = mp4_atom::Url { location: String::new() };
    let dinf = mp4_atom::Dinf { dref: mp4_atom::Dref { entries: vec![mp4_atom::DrefEntry::Url(url)] } };
    Minf { stbl, dinf, ..Minf::default() }
}

fn header(timescale: u32, handler: &[u8; 4], tkhd: Tkhd, minf: Minf) -> Result<Bytes, Error> {
    let mut trak =
        Trak { tkhd: Tkhd { track_id: TRACK_ID, enabled: true, in_movie: true, ..tkhd }, ..Trak::default() };
    trak.mdia.mdhd = Mdhd { timescale, language: "und".into(), ..Mdhd::default() };
    trak.mdia.hdlr = Hdlr { handler: mp4_atom::FourCC::new(handler), name: "Vitrine".into() };
    trak.mdia.minf = minf;
    let trex = Trex { track_id: TRACK_ID, default_sample_description_index: 1, ..Trex::default() };
    let moov = Moov {
        mvhd: Mvhd {
            timescale,
            next_track_id: TRACK_ID + 1,
            rate: 1.into(),
            volume: 1.into(),
            ..Mvhd::default()
        },
        mvex: Some(Mvex { mehd: None, trex: vec![trex] }),
        trak: vec![trak],
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

/// One chunk: `styp` when it starts a segment, then `moof` and `mdat`.
///
/// `decode_time` is in ticks of the track. Samples are in decode order and have no reordering: the
/// encoder makes no B-frames, so composition offsets are zero.
///
/// # Errors
/// [`Error::Boxes`] when the boxes cannot be written.
pub fn chunk(
    sequence: u32,
    decode_time: u64,
    samples: &[Sample],
    starts_segment: bool,
) -> Result<Vec<u8>, Error> {
    let payload: usize = samples.iter().map(|sample| sample.data.len()).sum();
    let mut out = Vec::with_capacity(payload + 160 + samples.len() * 12);
    if starts_segment {
        let brands = vec![b"msdh".into(), b"cmfs".into()];
        Styp { major_brand: b"msdh".into(), minor_version: 0, compatible_brands: brands }.encode(&mut out)?;
    }
    let mut moof = moof(sequence, decode_time, samples);
    let mut measured = Vec::new();
    moof.encode(&mut measured)?;
    // The offset from the moof's first byte to the payload: the moof and the mdat's 8-byte header.
    moof.traf[0].trun[0].data_offset = Some(measured.len() as i32 + 8);
    moof.encode(&mut out)?;
    let mut data = Vec::with_capacity(payload);
    for sample in samples {
        data.extend_from_slice(&sample.data);
    }
    Mdat { data }.encode(&mut out)?;
    Ok(out)
}

fn moof(sequence: u32, decode_time: u64, samples: &[Sample]) -> Moof {
    let entries = samples.iter().map(|sample| TrunEntry {
        duration: Some(sample.duration),
        size: Some(sample.data.len() as u32),
        flags: Some(if sample.is_keyframe { KEYFRAME } else { DEPENDENT }),
        cts: None,
    });
    Moof {
        mfhd: Mfhd { sequence_number: sequence },
        traf: vec![Traf {
            tfhd: Tfhd { track_id: TRACK_ID, default_base_is_moof: true, ..Tfhd::default() },
            tfdt: Some(Tfdt { base_media_decode_time: decode_time }),
            trun: vec![Trun { data_offset: Some(0), samples: TrunSamples::Explicit(entries.collect()) }],
            ..Traf::default()
        }],
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
        let sample =
            |data: &'static [u8], is_keyframe| Sample { duration: 1000, is_keyframe, data: data.into() };
        let bytes = chunk(7, u64::from(u32::MAX) + 5, &[sample(b"key", true), sample(b"delta", false)], true)
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
