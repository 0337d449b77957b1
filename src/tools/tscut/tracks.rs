//! The streams in a container that describes each once, at its head: they must stay as they are.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::{Context, Level};
use crate::cut::contents::Contents;
use crate::cut::survey::Plan;
use crate::io::Container;
use crate::stream::access_unit::AudioFrame;
use crate::stream::codec::Codec;
use crate::stream::video::VideoFormatDetector;
use crate::ts::{Packet, PesHeader, Pid, Pts};

/// The streams that a container was begun with.
#[derive(Debug)]
pub(super) struct Tracks {
    name: &'static str,
    pub(super) carried: BTreeMap<Pid, Codec>,
    /// Of which something was said when PAT or PMT changed.
    said: BTreeSet<Pid>,
    pictures: BTreeMap<Pid, Picture>,
    sounds: BTreeMap<Pid, Sound>,
}

#[derive(Debug)]
struct Picture {
    detector: VideoFormatDetector,
    size: Option<(u32, u32)>,
    /// The PTS of the PES packet being passed.
    pts: Option<Pts>,
}

/// Samples a second, and another rate that was met once: what looks like a header may be none.
#[derive(Debug, Default)]
struct Sound {
    rate: Option<u32>,
    other: Option<u32>,
}

impl Tracks {
    /// Those that a container can carry; says which it cannot.
    pub(super) fn of(container: Container, plan: &Plan, context: &Context) -> Self {
        let mut tracks = Self {
            name: match container {
                Container::Mp4 => "mp4",
                Container::Matroska => "mkv",
            },
            carried: BTreeMap::new(),
            said: BTreeSet::new(),
            pictures: BTreeMap::new(),
            sounds: BTreeMap::new(),
        };
        let name = tracks.name;
        for program in plan.contents.programs() {
            for (pid, codec) in &program.streams {
                let timed = is_timed(*codec);
                let subtitle = *codec == Codec::DvbSubtitle && container == Container::Matroska;
                let words = if timed && !plan.present.contains(pid) {
                    // What ffmpeg finds no frame of, it cannot describe in a header.
                    format!("PID {pid} ({codec}) carries nothing at the in-point: left out")
                } else if !timed && !subtitle {
                    format!("{name} cannot carry PID {pid} ({codec}): left out")
                } else {
                    tracks.carry(*pid, *codec);
                    continue;
                };
                tracks.said.insert(*pid);
                context.say(Level::Warning, &words);
            }
        }
        tracks
    }

    fn carry(&mut self, pid: Pid, codec: Codec) {
        self.carried.insert(pid, codec);
        if let Some(detector) = VideoFormatDetector::new(codec) {
            let (size, pts) = (None, None);
            self.pictures.insert(
                pid,
                Picture {
                    detector,
                    size,
                    pts,
                },
            );
        } else if codec.is_audio() {
            self.sounds.insert(pid, Sound::default());
        }
    }

    /// PAT or PMT are others: what of that the container cannot hold, in words; says what it
    /// leaves out.
    pub(super) fn follow(&mut self, contents: &Contents, context: &Context) -> Option<String> {
        if !contents.is_complete() {
            return None;
        }
        let streams = contents.programs().iter().flat_map(|p| &p.streams);
        let now: BTreeMap<Pid, Codec> = streams.copied().collect();
        let (mut gone, mut came) = (Vec::new(), Vec::new());
        for (pid, codec) in &self.carried {
            match now.get(pid) {
                Some(other) if other != codec => {
                    return Some(format!("PID {pid} changes from {codec} to {other}"));
                }
                Some(_) => {}
                None => gone.push((*pid, *codec)),
            }
        }
        for (pid, codec) in now.iter().filter(|(_, codec)| is_timed(**codec)) {
            if !self.carried.contains_key(pid) {
                came.push((*pid, *codec));
            }
        }
        for (pid, codec) in &gone {
            // One in place of another: the file would be dumb, or dark, from there on.
            let same = |(_, other): &&(Pid, Codec)| other.is_video() == codec.is_video();
            if let Some((new, other)) = came.iter().find(same).filter(|_| is_timed(*codec)) {
                return Some(format!(
                    "PID {new} ({other}) takes the place of {pid} ({codec})"
                ));
            }
        }
        for ((pid, codec), word) in
            (gone.iter().map(|it| (it, "ends"))).chain(came.iter().map(|it| (it, "begins")))
        {
            if self.said.insert(*pid) {
                let name = self.name;
                let left = match word {
                    "begins" => format!(": left out of the {name}, a .ts keeps it"),
                    _ => String::new(),
                };
                let words = format!("PID {pid} ({codec}) {word} inside the range{left}");
                context.say(Level::Warning, &words);
            }
        }
        None
    }

    /// The next packets of the stream, as they stand in the recording: a change in them that the
    /// container cannot hold, in words, with the PID and the PTS from which on it holds.
    pub(super) fn watch(&mut self, packets: &[Packet]) -> Option<(String, Pid, Option<Pts>)> {
        packets.iter().find_map(|packet| {
            let words = self.look(packet)?;
            let pid = packet.pid();
            let pts = match self.pictures.get(&pid) {
                Some(picture) => picture.pts,
                None => PesHeader::new(packet.payload()).and_then(|h| h.pts()),
            };
            Some((words, pid, pts))
        })
    }

    fn look(&mut self, packet: &Packet) -> Option<String> {
        let pid = packet.pid();
        if let Some(picture) = self.pictures.get_mut(&pid) {
            if packet.payload_unit_start() {
                picture.pts = PesHeader::new(packet.payload()).and_then(|h| h.pts());
            }
            let format = picture.detector.push(packet)?;
            let new = (format.width, format.height);
            let old = *picture.size.get_or_insert(new);
            let ((a, b), (c, d)) = (old, new);
            return (old != new)
                .then(|| format!("the picture on PID {pid} changes from {a}x{b} to {c}x{d}"));
        }
        if !packet.payload_unit_start() {
            return None;
        }
        let sound = self.sounds.get_mut(&pid)?;
        let codec = *self.carried.get(&pid)?;
        let header = PesHeader::new(packet.payload())?;
        let payload = packet.payload().get(header.header_len()..)?;
        let new = AudioFrame::at(codec, payload)?.rate;
        let old = *sound.rate.get_or_insert(new);
        let before = sound.other.replace(new);
        (old != new && before == Some(new))
            .then(|| format!("the sound on PID {pid} changes from {old} Hz to {new} Hz"))
    }
}

fn is_timed(codec: Codec) -> bool {
    codec.is_video() || codec.is_audio()
}
