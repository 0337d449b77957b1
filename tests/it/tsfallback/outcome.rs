//! What came of a fault: counted in what is decoded of an output, and in what came of it when.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use headend::ts::Packet;

use super::numbered::{FRAME_MS, Heard, Picture, heard, pictures, pids, sound_behind_picture};
use super::{NOT_OURS, complaints, decoding_times, stamps};
use crate::harness::judge_says;

/// One GOP, and what is allowed beside it and the time-out without a delay, in ms.
const ALLOWED: f64 = 1000.0 + 100.0;
/// With a delay the output goes on as if nothing had happened; a machine that is busy wakes late.
const HICCUP: f64 = 250.0;
/// Two inputs whose pictures come within this of one another are joined without any being shown
/// again; farther apart, by what they are apart: they are not aligned by what they carry.
const TOGETHER: f64 = 15.0;

/// A frame of AAC at 48 kHz; one of MPEG sound is longer.
const SOUND_FRAME: f64 = 21.3;

/// What came of a fault in an output.
pub struct Outcome {
    pub delayed: bool,
    /// From the fault to the first packet of the backup, in ms.
    pub first: f64,
    pub missing: i64,
    /// By how many pictures what is shown after is behind (repeated) or ahead (skipped).
    pub repeated: i64,
    pub skipped: i64,
    pub torn: usize,
    /// The longest time without any packet and without one of the picture, in ms.
    pub silence: f64,
    pub pictureless: f64,
    /// How much later the second input comes than the first.
    pub lag: f64,
    /// By how much sound lies otherwise to the picture than in the source, at worst: of the first
    /// input and of the second, in ms.
    pub offset: [f64; 2],
}

impl Outcome {
    pub const HEAD: &str = "fault          delay  to backup  missing repeated skipped torn  silence  no picture  inputs apart  A/V of 1, of 2";

    pub fn row(&self, fault: &str) -> String {
        format!(
            "{:14} {:5} {:7.0} ms {:8} {:8} {:7} {:4} {:5.0} ms {:8.0} ms {:10.1} ms {:6.1} ms {:5.1} ms",
            fault,
            if self.delayed { "1.5 s" } else { "none" },
            self.first,
            self.missing,
            self.repeated,
            self.skipped,
            self.torn,
            self.silence,
            self.pictureless,
            self.lag,
            self.offset[0],
            self.offset[1],
        )
    }

    pub fn new(delayed: bool, lag: f64) -> Self {
        Self {
            delayed,
            lag,
            first: f64::NAN,
            missing: 0,
            repeated: 0,
            skipped: 0,
            torn: 0,
            silence: 0.0,
            pictureless: 0.0,
            offset: [0.0; 2],
        }
    }

    /// Looks at the output, of which nothing is missing but for a fault that is found after so many
    /// ms; `damaged` when the old input was damaged as long as it was on air. What is wrong.
    pub fn look(
        &mut self,
        file: &Path,
        sources: &[PathBuf; 2],
        found: f64,
        damaged: bool,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let damaged = damaged && !self.delayed;
        let gap = found + ALLOWED;
        // No time-out with a GOP behind it is short enough for the interval of stamps.
        let ignored = match self.delayed {
            true => NOT_OURS.to_owned(),
            false => format!("{NOT_OURS},pts_interval"),
        };
        if !damaged {
            let said = complaints(file);
            if !said.is_empty() {
                wrong.push(format!("ffmpeg says {said}"));
            }
            wrong.extend(judge_says(file, &["--ignore", &ignored]));
            self.look_at_order(file, &mut wrong);
            self.compare(file, sources, &mut wrong);
        }
        self.look_at_pictures(file, gap, damaged, &mut wrong);
        self.listen(file, gap, damaged, &mut wrong);
        let allowed = match self.delayed {
            true => HICCUP,
            false => gap + FRAME_MS,
        };
        // What is held for the delay may be entered before the fault, or long after.
        if !self.delayed && (self.first.is_nan() || self.first > gap) {
            wrong.push(format!(
                "the backup comes {} ms after the fault",
                self.first
            ));
        }
        if self.silence > allowed || self.pictureless > allowed {
            wrong.push(format!(
                "silent for {} ms, without picture for {} ms",
                self.silence, self.pictureless
            ));
        }
        wrong
    }

    /// As ffprobe sees it, what is decoded later comes later.
    fn look_at_order(&self, file: &Path, wrong: &mut Vec<String>) {
        for kind in ["v", "a"] {
            let times = decoding_times(file, kind);
            let back = times.windows(2).find(|pair| pair[1] <= pair[0]);
            if let Some(pair) = back {
                wrong.push(format!(
                    "DTS of {kind} go from {} to {} ms",
                    pair[0], pair[1]
                ));
            }
        }
    }

    /// Sound lies to the picture as in the source: to a frame of sound.
    fn compare(&mut self, file: &Path, sources: &[PathBuf; 2], wrong: &mut Vec<String>) {
        for (n, source) in sources.iter().enumerate() {
            let input = n as u8 + 1;
            let there = sound_behind_picture(source, input);
            let here = sound_behind_picture(file, input);
            if here.is_empty() {
                wrong.push(format!("no pause in the sound of input {input}"));
            }
            let apart = here.iter().map(|ms| (ms - there[1]).abs());
            self.offset[n] = apart.fold(0.0, f64::max);
            if self.offset[n] > SOUND_FRAME {
                wrong.push(format!(
                    "sound of input {input} is off by {} ms",
                    self.offset[n]
                ));
            }
        }
    }

    fn look_at_pictures(&mut self, file: &Path, gap: f64, damaged: bool, wrong: &mut Vec<String>) {
        let (pictures, stamps) = (pictures(file), stamps(file, "v"));
        if pictures.len() != stamps.len() && !damaged {
            wrong.push(format!(
                "{} pictures, {} decoded",
                stamps.len(),
                pictures.len()
            ));
        }
        self.torn = pictures.iter().filter(|p| **p == Picture::Torn).count();
        if self.torn > 0 && !damaged {
            wrong.push(format!("{} pictures are torn", self.torn));
        }
        let slots: Vec<i64> = stamps
            .iter()
            .map(|ms| ((ms - stamps[0]) / FRAME_MS).round() as i64)
            .collect();
        let off = stamps
            .iter()
            .zip(&slots)
            .map(|(ms, slot)| (ms - stamps[0] - *slot as f64 * FRAME_MS).abs());
        let off = off.fold(0.0, f64::max);
        if off > 1.0 {
            wrong.push(format!("a picture is {off} ms off its slot"));
        }
        for pair in slots.windows(2) {
            if pair[1] <= pair[0] {
                wrong.push(format!("two pictures in slot {}", pair[0]));
            }
            self.missing += (pair[1] - pair[0] - 1).max(0);
        }
        let most = if self.delayed {
            0
        } else {
            (gap / FRAME_MS) as i64
        };
        if self.missing > most {
            wrong.push(format!("{} frame slots are empty", self.missing));
        }
        let read = pictures.iter().zip(&slots);
        let read: Vec<(u8, i64)> = read
            .filter_map(|(picture, slot)| match picture {
                // What is put by the slot is the same for all pictures of an input.
                Picture::Whole(input, number) => Some((*input, number - slot)),
                Picture::Torn => None,
            })
            .collect();
        let parts: Vec<&[(u8, i64)]> = read.chunk_by(|a, b| a == b).collect();
        let inputs: Vec<(u8, i64, usize)> = parts
            .iter()
            .map(|part| (part[0].0, part[0].1, part.len()))
            .collect();
        let [(1, before, _), (2, after, _)] = inputs[..] else {
            if !damaged {
                wrong.push(format!(
                    "pictures are not one run of each input: {inputs:?}"
                ));
            }
            return;
        };
        // Picture N of one was presented with picture N of the other.
        let ahead = after - before;
        (self.repeated, self.skipped) = ((-ahead).max(0), ahead.max(0));
        let apart = match self.lag.abs() {
            lag if lag <= TOGETHER => 0,
            lag => ((lag - TOGETHER) / FRAME_MS).ceil() as i64,
        };
        if ahead.abs() > apart {
            wrong.push(format!(
                "pictures of the second input are {ahead} ahead, which comes {} ms later",
                self.lag
            ));
        }
    }

    fn listen(&self, file: &Path, gap: f64, damaged: bool, wrong: &mut Vec<String>) {
        let heard = heard(file);
        let mut parts: Vec<(Heard, usize)> = Vec::new();
        for part in heard.chunk_by(|a, b| a == b) {
            parts.push((part[0], part.len()));
        }
        // The coder's run-in where the output begins, and where one tone ends and another begins.
        let lasting = parts.iter().filter(|(_, windows)| *windows > 4);
        let mut lasting: Vec<Heard> = lasting.map(|(heard, _)| *heard).collect();
        lasting.dedup();
        if lasting != [Heard::Tone(1), Heard::Tone(2)] && !damaged {
            wrong.push(format!("heard is {parts:?}"));
        }
        let stamps = stamps(file, "a");
        let steps = stamps.windows(2).map(|pair| pair[1] - pair[0]);
        let longest = steps.fold(0.0, f64::max);
        // A frame of MPEG sound is 24 ms, one of AAC 21.3 ms.
        let allowed = if self.delayed { 48.1 } else { gap + 48.0 };
        if longest > allowed {
            wrong.push(format!("no sound for {longest} ms"));
        }
    }
}

/// From one instant to another, in ms.
pub fn ms(from: Instant, to: Instant) -> f64 {
    to.duration_since(from).as_secs_f64() * 1000.0
}

/// The longest time from one instant to the next, in ms.
pub fn longest(instants: impl Iterator<Item = Instant>) -> f64 {
    let instants: Vec<Instant> = instants.collect();
    let steps = instants.windows(2).map(|pair| ms(pair[0], pair[1]));
    steps.fold(0.0, f64::max)
}

/// What of a packet tells it from every other, whatever becomes of its header and of a PES header.
type Tail = [u8; 64];

fn pictures_of(bytes: &[u8], pid: u16) -> impl Iterator<Item = Tail> {
    let packets = Packet::slice_of(bytes).0.iter();
    let packets = packets.filter(move |packet| packet.pid().get() == pid && packet.has_payload());
    packets.map(|packet| *packet.as_bytes().last_chunk().unwrap())
}

/// The packets of picture of an output, and when they came. The layout is that of input 1.
pub fn packets_of_picture(taken: &[(Instant, Vec<u8>)]) -> impl Iterator<Item = (Instant, Tail)> {
    taken
        .iter()
        .flat_map(|(at, datagram)| pictures_of(datagram, pids(1).0).map(|tail| (*at, tail)))
}

/// The packets of picture of input 2 that input 1 has none like.
pub fn packets_only_of(two: &Path, one: &Path) -> HashSet<Tail> {
    let tails = |file: &Path, pid| -> HashSet<Tail> {
        pictures_of(&std::fs::read(file).unwrap(), pid).collect()
    };
    let ones = tails(one, pids(1).0);
    let mut twos = tails(two, pids(2).0);
    twos.retain(|tail| !ones.contains(tail));
    twos
}
