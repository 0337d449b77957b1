//! The PIDs of the output, which stay for ever, and the PMT that describes what is on them.

use super::description::{Description, StreamDescription};
use crate::si::descriptor::Descriptors;
use crate::si::{PmtFields, PmtStream, StreamKind};
use crate::ts::{Pid, SectionBuf};

/// Streams of the output at most.
pub const MAX_SLOTS: usize = 64;

/// A PID of the output and what is on it.
#[derive(Clone, Debug)]
pub struct Slot {
    /// elementary_PID in the output.
    pub pid: Pid,
    /// What was on it last. Its PID is that of the input it was taken from.
    pub stream: StreamDescription,
    /// The input on air has such a stream.
    pub present: bool,
}

/// The output's layout: taken from the input that went on air first, and kept. A stream that a
/// later input has and no slot fits gets a slot of its own.
#[derive(Clone, Debug)]
pub struct Layout {
    /// What it was taken from.
    pub first: Description,
    slots: Vec<Slot>,
    version: u8,
    pmt: Option<SectionBuf>,
}

impl Layout {
    /// The layout of an input.
    pub fn of(description: &Description) -> Self {
        let slots = description.streams.iter().take(MAX_SLOTS);
        let slots = slots.map(|stream| Slot {
            pid: stream.pid,
            stream: stream.clone(),
            present: true,
        });
        let mut layout = Self {
            first: description.clone(),
            slots: slots.collect(),
            version: 0,
            pmt: None,
        };
        layout.describe();
        layout
    }

    /// The layout that a template describes: nothing is on it yet, and it is no PMT before an input
    /// is entered.
    pub fn of_template(description: &Description) -> Self {
        let mut layout = Self::of(description);
        layout.pmt = None;
        for slot in &mut layout.slots {
            slot.present = false;
        }
        layout
    }

    /// The slots.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// version_number of the PMT.
    pub const fn version(&self) -> u8 {
        self.version
    }

    /// The PMT of what is on air.
    pub fn pmt(&self) -> Option<&SectionBuf> {
        self.pmt.as_ref()
    }

    /// The slot of each stream of an input, in its order: by kind, coding, language and role as
    /// far as they agree. `None` where there is no room for one more. Slots that are missing are
    /// made.
    pub fn admit(&mut self, description: &Description) -> Vec<Option<usize>> {
        let streams = &description.streams;
        let mut places = vec![None; streams.len()];
        let mut free: Vec<bool> = vec![true; self.slots.len()];
        for alike in ALIKE {
            for (stream, place) in streams.iter().zip(&mut places) {
                if place.is_some() {
                    continue;
                }
                let mut slots = self.slots.iter().zip(&mut free).enumerate();
                let fits = slots.find(|(_, (slot, free))| **free && alike(&slot.stream, stream));
                if let Some((n, (_, free))) = fits {
                    *free = false;
                    *place = Some(n);
                }
            }
        }
        for (stream, place) in streams.iter().zip(&mut places) {
            if place.is_none() && self.slots.len() < MAX_SLOTS {
                *place = Some(self.slots.len());
                let pid = self.free_pid(stream.pid);
                self.slots.push(Slot {
                    pid,
                    stream: stream.clone(),
                    present: false,
                });
            }
        }
        places
    }

    /// An input with these slots goes on air. True when the PMT is another one now.
    pub fn enter(&mut self, description: &Description, places: &[Option<usize>]) -> bool {
        for (n, slot) in self.slots.iter_mut().enumerate() {
            let stream = places.iter().position(|place| *place == Some(n));
            let stream = stream.and_then(|at| description.streams.get(at));
            slot.present = stream.is_some();
            // What says the same in other words is no change.
            if let Some(stream) = stream
                && !is_same_coding(&slot.stream, stream)
            {
                slot.stream = stream.clone();
            }
        }
        self.describe()
    }

    /// The PID itself where nothing is on it, else the first above it that is free.
    fn free_pid(&self, wanted: Pid) -> Pid {
        let taken = |pid: Pid| {
            pid == self.first.pmt_pid
                || pid == self.first.pcr_pid
                || self.slots.iter().any(|slot| slot.pid == pid)
        };
        let above = wanted.get()..0x1FFF;
        let mut candidates = above.chain(0x20..wanted.get()).map(Pid::from_field);
        candidates.find(|pid| !taken(*pid)).unwrap_or(wanted)
    }

    fn describe(&mut self) -> bool {
        let streams: Vec<_> = self
            .slots
            .iter()
            .filter(|slot| slot.present)
            .map(|slot| PmtStream {
                stream_type: slot.stream.stream_type,
                pid: slot.pid,
                descriptors: Descriptors::new(&slot.stream.descriptors),
            })
            .collect();
        let section = |version| {
            let first = &self.first;
            let program = Descriptors::new(&first.descriptors);
            PmtFields::new(first.service, version, first.pcr_pid, program, &streams).to_section()
        };
        if self.pmt.is_some() && section(self.version) == self.pmt {
            return false;
        }
        if self.pmt.is_some() {
            self.version = (self.version + 1) % 32;
        }
        // A table that is too long for one section leaves the one before.
        let made = section(self.version);
        let changed = made.is_some();
        self.pmt = made.or(self.pmt.take());
        changed
    }
}

/// What has to agree, the most first.
const ALIKE: [fn(&StreamDescription, &StreamDescription) -> bool; 4] = [
    |a, b| is_same_coding(a, b) && same_use(a, b),
    same_use,
    |a, b| a.kind == b.kind && a.kind != StreamKind::Data && a.language == b.language,
    |a, b| a.kind == b.kind && matches!(a.kind, StreamKind::Video | StreamKind::Audio),
];

fn same_use(a: &StreamDescription, b: &StreamDescription) -> bool {
    let data = a.kind == StreamKind::Data;
    a.kind == b.kind
        && a.language == b.language
        && a.role == b.role
        && (!data || a.stream_type == b.stream_type)
}

fn is_same_coding(a: &StreamDescription, b: &StreamDescription) -> bool {
    a.stream_type == b.stream_type && a.coded == b.coded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::si::{self, Language, Pmt, ServiceId, StreamType, TransportStreamId};
    use crate::stream::codec::Codec;

    fn stream(
        pid: u16,
        kind: StreamKind,
        stream_type: u8,
        language: &[u8; 3],
    ) -> StreamDescription {
        StreamDescription {
            pid: Pid::from_field(pid),
            stream_type: StreamType(stream_type),
            descriptors: Vec::new(),
            kind,
            coded: match stream_type {
                0x1B => Some(si::Codec::H264),
                0x02 => Some(si::Codec::Mpeg2Video),
                _ => Some(si::Codec::Mp2),
            },
            codec: Codec::Other,
            language: Some(Language(*language)),
            role: 0,
        }
    }

    fn description(streams: Vec<StreamDescription>) -> Description {
        Description {
            transport_stream: TransportStreamId(1),
            service: ServiceId(7),
            pmt_pid: Pid::from_field(0x100),
            pcr_pid: Pid::from_field(0x101),
            descriptors: Vec::new(),
            streams,
            others: 0,
        }
    }

    fn pmt(layout: &Layout) -> (u8, Vec<(u16, u8)>) {
        let pmt = Pmt::new(layout.pmt().unwrap().section()).unwrap();
        let streams = pmt.streams().map(|s| (s.pid.get(), s.stream_type.0));
        (pmt.syntax().version, streams.collect())
    }

    #[test]
    fn sound_finds_its_language_and_what_is_left_its_kind() {
        use StreamKind::{Audio, Video};
        let first = description(vec![
            stream(0x101, Video, 0x1B, b"und"),
            stream(0x102, Audio, 4, b"fra"),
            stream(0x103, Audio, 4, b"eng"),
        ]);
        let mut layout = Layout::of(&first);
        let other = description(vec![
            stream(0x201, Audio, 4, b"eng"),
            stream(0x202, Audio, 4, b"deu"),
            stream(0x203, Video, 0x1B, b"und"),
        ]);
        assert_eq!(layout.admit(&other), [Some(2), Some(1), Some(0)]);
        assert!(!layout.enter(&other, &[Some(2), Some(1), Some(0)]));
    }

    #[test]
    fn a_template_has_its_pids_and_its_pmt_names_what_the_input_has() {
        use StreamKind::{Audio, Video};
        let template = description(vec![
            stream(0x101, Video, 0x1B, b"und"),
            stream(0x102, Audio, 4, b"fra"),
            stream(0x103, Audio, 4, b"eng"),
        ]);
        let mut layout = Layout::of_template(&template);
        assert!(layout.pmt().is_none());
        let input = description(vec![
            stream(0x201, Audio, 4, b"eng"),
            stream(0x202, Video, 0x02, b"und"),
        ]);
        let places = layout.admit(&input);
        assert_eq!(places, [Some(2), Some(0)]);
        layout.enter(&input, &places);
        assert_eq!(pmt(&layout), (0, vec![(0x101, 0x02), (0x103, 4)]));
    }

    #[test]
    fn the_version_steps_when_what_is_described_changes_and_only_then() {
        use StreamKind::{Audio, Video};
        let first = description(vec![
            stream(0x101, Video, 0x1B, b"und"),
            stream(0x102, Audio, 4, b"fra"),
        ]);
        let mut layout = Layout::of(&first);
        assert_eq!(pmt(&layout), (0, vec![(0x101, 0x1B), (0x102, 4)]));
        // Another coding, no sound, and a second picture on a PID that is taken.
        let other = description(vec![
            stream(0x101, Video, 0x02, b"und"),
            stream(0x102, Video, 0x02, b"und"),
        ]);
        let places = layout.admit(&other);
        assert_eq!(places, [Some(0), Some(2)]);
        assert!(layout.enter(&other, &places));
        assert_eq!(pmt(&layout), (1, vec![(0x101, 0x02), (0x103, 0x02)]));
        assert!(!layout.enter(&other, &places));
        let places = layout.admit(&first);
        assert!(layout.enter(&first, &places));
        assert_eq!(pmt(&layout), (2, vec![(0x101, 0x1B), (0x102, 4)]));
    }
}
