//! The sound synchroniser: live sound on the programme's sample grid, silence where there is none. Pure.
//!
//! Sample n of the programme is at n/48000 s. Blocks from the publisher go on where the last one ended; when
//! their times drift from that, the block is made a sample or two longer or shorter until they agree again,
//! which nobody hears. A real gap or jump is followed at once, with short fades.

use std::collections::VecDeque;

use crate::media::AUDIO_HZ;
use crate::time::MediaTime;

type Sample = [f32; 2];

/// A difference that is a gap or a jump, not drift: 40 ms.
const JUMP: i64 = 1920;
/// A difference that is only the protocol's rounding: 1.5 ms.
const DEAD_BAND: f64 = 72.0;
/// At most this share of a block is added or taken away.
const MOST_STRETCH: f64 = 0.002;
/// Length of the fades at the edges of silence: 5 ms.
const FADE: usize = 240;
/// Sound kept ahead of its time: 10 s. More is not taken.
const MOST_WAITING: usize = 480_000;

/// The synchroniser's state.
#[derive(Debug, Default)]
pub struct SoundSync {
    waiting: VecDeque<Sample>,
    /// The programme's sample number of the first waiting sample.
    start: u64,
    /// Where the next block goes on; nothing before the first.
    next: Option<u64>,
    error: f64,
    was_silent: bool,
}

impl SoundSync {
    /// Takes a block of interleaved stereo that is heard at `pts`.
    pub fn push(&mut self, pts: MediaTime, interleaved: &[f32]) {
        let block: Vec<Sample> = interleaved.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
        if block.is_empty() {
            return;
        }
        let due = pts.as_ticks(AUDIO_HZ);
        let difference = self.next.map_or(i64::MAX, |next| due.wrapping_sub(next) as i64);
        if difference.abs() > JUMP {
            self.error = 0.0;
            self.place(due, &block);
            return;
        }
        let next = self.next.unwrap_or(due);
        self.error += (difference as f64 - self.error) * 0.1;
        let most = (block.len() as f64 * MOST_STRETCH).max(1.0);
        let stretch =
            if self.error.abs() > DEAD_BAND { (self.error * 0.02).clamp(-most, most).round() } else { 0.0 };
        if stretch == 0.0 {
            self.place(next, &block);
        } else {
            let length = (block.len() as i64 + stretch as i64).max(1) as usize;
            self.place(next, &resampled(&block, length));
        }
    }

    /// Puts a block at sample `at`, over what may wait there; what is already past is left out.
    fn place(&mut self, at: u64, block: &[Sample]) {
        self.next = Some(at + block.len() as u64);
        let past = self.start.saturating_sub(at).min(block.len() as u64) as usize;
        let (at, block) = (at + past as u64, &block[past..]);
        let offset = at.saturating_sub(self.start) as usize;
        if offset + block.len() > MOST_WAITING {
            return;
        }
        // Shorter when a new publisher begins before the last one's sound has ended; longer over a gap.
        self.waiting.resize(offset, [0.0; 2]);
        self.waiting.extend(block);
    }

    /// The programme's samples `at` to `at + count`, interleaved. Call with growing `at`.
    pub fn pull(&mut self, at: u64, count: usize) -> Vec<f32> {
        let skip = at.saturating_sub(self.start).min(self.waiting.len() as u64) as usize;
        self.waiting.drain(..skip);
        self.start = at;
        let have = self.waiting.len().min(count);
        let mut out: Vec<Sample> = self.waiting.drain(..have).collect();
        self.start += have as u64;
        if self.was_silent {
            for (n, sample) in out.iter_mut().take(FADE).enumerate() {
                *sample = sample.map(|value| value * n as f32 / FADE as f32);
            }
        }
        if have < count {
            for (n, sample) in out.iter_mut().rev().take(FADE).enumerate() {
                *sample = sample.map(|value| value * n as f32 / FADE as f32);
            }
        }
        self.was_silent = have < count;
        self.start = at + count as u64;
        out.resize(count, [0.0; 2]);
        out.into_iter().flatten().collect()
    }
}

/// Goes over from `last` to `next`, both interleaved, within [`FADE`].
pub fn cross_fade(last: &[f32], next: &mut [f32]) {
    for (n, (last, next)) in last.iter().zip(next.iter_mut()).take(FADE * 2).enumerate() {
        let share = (n / 2) as f32 / FADE as f32;
        *next = *next * share + last * (1.0 - share);
    }
}

/// The block with another number of samples, by cubic (Catmull-Rom) interpolation.
fn resampled(block: &[Sample], length: usize) -> Vec<Sample> {
    let last = block.len() - 1;
    let step = last as f64 / (length.max(2) - 1) as f64;
    let at = |n: isize| block[n.clamp(0, last as isize) as usize];
    (0..length)
        .map(|n| {
            let position = n as f64 * step;
            let (whole, t) = (position.floor() as isize, position.fract() as f32);
            let [a, b, c, d] = [at(whole - 1), at(whole), at(whole + 1), at(whole + 2)];
            std::array::from_fn(|channel| {
                let [a, b, c, d] = [a[channel], b[channel], c[channel], d[channel]];
                b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(sample: u64) -> MediaTime {
        MediaTime::from_ticks(sample, AUDIO_HZ)
    }

    fn tone(from: usize, count: usize) -> Vec<f32> {
        (from..from + count).flat_map(|n| [(n as f32 * 0.05).sin() * 0.5; 2]).collect()
    }

    #[test]
    fn continuous_sound_passes_untouched_whatever_the_rounding() {
        let mut sync = SoundSync::default();
        for n in 0..20 {
            let rounded = MediaTime(time(10_000 + n * 1024).0 / 1_000_000 * 1_000_000);
            sync.push(rounded, &tone(n as usize * 1024, 1024));
        }
        let start = sync.next.unwrap() - 20 * 1024;
        sync.pull(start - 10, 10);
        let out = sync.pull(start, 10 * 1024);
        assert_eq!(out[2 * FADE..], tone(0, 10 * 1024)[2 * FADE..]);
    }

    #[test]
    fn nothing_gives_silence_of_the_right_length() {
        let mut sync = SoundSync::default();
        assert_eq!(sync.pull(480, 1600), vec![0.0; 3200]);
    }

    #[test]
    fn a_gap_is_silence_and_the_sound_after_it_is_at_its_time() {
        let mut sync = SoundSync::default();
        sync.push(time(0), &tone(0, 1024));
        sync.push(time(9600), &vec![0.25; 2048]);
        let out = sync.pull(0, 12_000);
        assert!(out[2 * 1024..2 * 9600].iter().all(|value| *value == 0.0));
        assert!((out[2 * 10_000] - 0.25).abs() < 1e-6);
    }

    #[test]
    fn drift_is_taken_out_and_never_grows_into_an_offset() {
        let mut sync = SoundSync::default();
        let mut due = 0.0_f64;
        for _ in 0..20_000 {
            sync.push(time(due as u64), &vec![0.1; 2048]);
            due += 1024.0 * 1.0003; // the publisher's crystal is 300 ppm slow
            let next = sync.next.unwrap();
            assert!((next as f64 - due).abs() < 480.0, "within 10 ms");
            sync.pull(next.saturating_sub(4096), 1);
        }
    }

    #[allow(clippy::float_cmp)] // silence is exactly zero
    #[test]
    fn late_sound_is_left_out_not_played_late() {
        let mut sync = SoundSync::default();
        sync.pull(0, 4800);
        sync.push(time(0), &vec![0.5; 2 * 4800 + 2 * 100]);
        let out = sync.pull(4800, 200);
        assert!(out[2 * 99] > 0.0 || out[2 * 50] > 0.0);
        assert_eq!(out[2 * 150], 0.0);
    }

    #[test]
    fn a_jump_back_replaces_what_was_waiting() {
        let mut sync = SoundSync::default();
        sync.push(time(0), &vec![0.5; 2 * 4800]);
        sync.push(time(2400), &vec![-0.5; 2 * 4800]);
        let out = sync.pull(0, 7200);
        assert!(out[2 * 2000] > 0.4 && out[2 * 3000] < -0.4 && out[2 * 6000] < -0.4);
    }
}
