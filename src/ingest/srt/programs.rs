//! Which program of a transport stream to take: the first that has a picture. Pure; looks at the tables only.
//!
//! Packets are 188 bytes, and libsrt delivers whole messages of them.
//!
//! Source: ISO/IEC 13818-1, 2.4.4 (program association and map sections); `stream_type` from table 2-34.

use std::collections::BTreeMap;

const PACKET: usize = 188;
const SYNC: u8 = 0x47;
/// Bytes after which the tables must have come; they are sent ten times a second.
const PATIENCE: usize = 500_000;
/// Programs looked at.
const MOST: usize = 64;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The program to take, or nothing when no table came: then the demultiplexer chooses.
    pub program: Option<u16>,
    /// The others.
    pub others: Vec<u16>,
}

/// Looks for the tables.
#[derive(Debug, Default)]
pub struct Programs {
    /// Program numbers and the packet ids of their maps, in the stream's order.
    listed: Vec<(u16, u16)>,
    /// Whether a program has a picture, by the packet id of its map.
    has_video: BTreeMap<u16, bool>,
    seen: usize,
}

impl Programs {
    /// Looks at whole packets; the choice once it is clear.
    pub fn look(&mut self, bytes: &[u8]) -> Option<Choice> {
        self.seen += bytes.len();
        for packet in bytes.chunks_exact(PACKET).filter(|packet| packet[0] == SYNC) {
            self.packet(packet);
        }
        let choice = |found: &(u16, u16)| Choice {
            program: Some(found.0),
            others: self
                .listed
                .iter()
                .map(|(program, _)| *program)
                .filter(|other| *other != found.0)
                .collect(),
        };
        if let [only] = &self.listed[..] {
            return Some(choice(only));
        }
        for program in &self.listed {
            match self.has_video.get(&program.1) {
                Some(true) => return Some(choice(program)),
                Some(false) => {}
                None => break, // an earlier one may still turn out to have a picture
            }
        }
        if self.seen < PATIENCE {
            return None;
        }
        let with_video = self.listed.iter().find(|(_, map)| self.has_video.get(map) == Some(&true));
        Some(with_video.or(self.listed.first()).map_or(Choice { program: None, others: Vec::new() }, choice))
    }

    fn packet(&mut self, packet: &[u8]) {
        let id = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let is_start = packet[1] & 0x40 != 0;
        let is_map = self.listed.iter().any(|(_, map)| *map == id);
        if !is_start || !(id == 0 || is_map) {
            return;
        }
        let Some(section) = section(packet) else { return };
        if id == 0 {
            self.association(section);
        } else if let Some(has_video) = map_has_video(section) {
            self.has_video.insert(id, has_video);
        }
    }

    fn association(&mut self, section: &[u8]) {
        if section.first() != Some(&0) || !self.listed.is_empty() {
            return;
        }
        let entries = section.get(8..).unwrap_or_default().chunks_exact(4).take(MOST);
        self.listed = entries
            .map(|entry| {
                (u16::from_be_bytes([entry[0], entry[1]]), u16::from_be_bytes([entry[2] & 0x1f, entry[3]]))
            })
            .filter(|(program, _)| *program != 0) // the network's own
            .collect();
    }
}

/// The section that starts in a packet, without its checksum, as far as the packet goes.
fn section(packet: &[u8]) -> Option<&[u8]> {
    let payload = match packet[3] >> 4 & 3 {
        1 => packet.get(4..)?,
        3 => packet.get(5 + usize::from(packet[4])..)?,
        _ => return None,
    };
    let pointer = usize::from(*payload.first()?);
    let section = payload.get(1 + pointer..)?;
    let length = usize::from(u16::from_be_bytes([*section.get(1)? & 0x0f, *section.get(2)?]));
    let end = (3 + length).checked_sub(4)?;
    Some(&section[..end.min(section.len())])
}

fn map_has_video(section: &[u8]) -> Option<bool> {
    if section.first() != Some(&2) {
        return None;
    }
    let skip = usize::from(u16::from_be_bytes([*section.get(10)? & 0x0f, *section.get(11)?]));
    let mut streams = section.get(12 + skip..)?;
    while let [stream_type, _, _, high, low, ..] = streams {
        // MPEG-1, MPEG-2, MPEG-4 part 2, H.264, HEVC, VVC.
        if matches!(stream_type, 0x01 | 0x02 | 0x10 | 0x1b | 0x24 | 0x33) {
            return Some(true);
        }
        let length = usize::from(u16::from_be_bytes([high & 0x0f, *low]));
        streams = streams.get(5 + length..).unwrap_or_default();
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(id: u16, table: &[u8]) -> Vec<u8> {
        let mut bytes = vec![SYNC, 0x40 | (id >> 8) as u8, id as u8, 0x10, 0];
        bytes.extend_from_slice(table);
        bytes.resize(PACKET, 0xff);
        bytes
    }

    fn association(programs: &[(u16, u16)]) -> Vec<u8> {
        let mut table = vec![0, 0xb0, (5 + programs.len() * 4 + 4) as u8, 0, 1, 0xc1, 0, 0];
        for (program, map) in programs {
            table.extend([program.to_be_bytes(), (map | 0xe000).to_be_bytes()].concat());
        }
        table.extend([0; 4]);
        packet(0, &table)
    }

    fn map(id: u16, types: &[u8]) -> Vec<u8> {
        let mut table = vec![2, 0xb0, (9 + types.len() * 5 + 4) as u8, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 0];
        for stream_type in types {
            table.extend([*stream_type, 0xe1, 1, 0xf0, 0]);
        }
        table.extend([0; 4]);
        packet(id, &table)
    }

    #[test]
    fn one_program_is_taken_at_once() {
        let choice = Programs::default().look(&association(&[(0, 16), (7, 256)])).unwrap();
        assert_eq!(choice, Choice { program: Some(7), others: vec![] });
    }

    #[test]
    fn of_several_the_first_with_a_picture_is_taken_whatever_the_order_of_their_maps() {
        let mut programs = Programs::default();
        assert_eq!(programs.look(&association(&[(1, 256), (2, 257), (3, 258)])), None);
        assert_eq!(programs.look(&map(258, &[0x1b, 0x0f])), None);
        assert_eq!(programs.look(&map(257, &[0x0f, 0x24])), None);
        let choice = programs.look(&map(256, &[0x03])).unwrap();
        assert_eq!(choice, Choice { program: Some(2), others: vec![1, 3] });
    }

    #[test]
    fn without_tables_the_wait_ends() {
        let mut programs = Programs::default();
        let junk = vec![0xff; PACKET * 1000];
        let choice = (0..20).find_map(|_| programs.look(&junk)).unwrap();
        assert_eq!(choice.program, None);
    }
}
