//! What is in the stream, without decoding it: bit rates, pictures, sound, groups of pictures,
//! scrambling, splice information and present/following events.
//!
//! Most packets cost a count, a comparison of their scrambling bits and a look into a table of
//! PIDs; those of sound are looked at once a second, those of video where a PES packet starts.

mod audio;
mod gop;
mod guide;
mod log;
mod rates;
mod scrambling;
mod splices;
mod video;

use std::collections::BTreeMap;

use serde::Serialize;

use self::audio::AudioWatch;
use self::rates::Rates;
use self::scrambling::Scrambling;
use self::splices::{Clock, SpliceWatch};
use self::video::VideoWatch;
use super::{Moment, Seen};
use crate::si::{ElementaryStream, Pmt, Service, ServiceId};
use crate::stream::codec::Codec;
use crate::stream::{ProgramEvent, Programs};
use crate::ts::Pid;

pub use audio::Audio;
pub use gop::{Gops, Range};
pub use guide::GuideEntry;
pub use log::Log;
pub use rates::{MAX_PID_SERIES, MAX_SERVICE_SERIES, Rate, pids_of};
pub use scrambling::ScramblingChange;
pub use splices::{Splice, SplicePid, SpliceSegment};
pub use video::Video;

/// PIDs that are looked into at most.
pub const MAX_WATCHED: usize = 1024;

/// What is done with the packets of a PID.
#[derive(Debug)]
enum What {
    /// Only its PCRs are wanted.
    Clock,
    Audio(AudioWatch),
    Video(Box<VideoWatch>),
    Splice(SpliceWatch),
}

#[derive(Debug)]
struct Watched {
    pid: Pid,
    what: What,
    /// Its PCRs date splices; the newest.
    clock: bool,
    pcr: Option<Clock>,
}

/// The family of what is in the stream. It finds nothing wrong.
#[derive(Debug)]
pub struct Content {
    rates: Rates,
    scrambling: Scrambling,
    /// For each PID, one more than its place in `watched`; 0 for the others.
    places: Box<[u16; Pid::COUNT]>,
    watched: Vec<Watched>,
    splices: Log<Splice>,
    guide: Log<GuideEntry>,
    /// Told from outside, where sound is decoded.
    loudness: BTreeMap<Pid, Loudness>,
    now: Moment,
}

impl Content {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self {
            rates: Rates::new(),
            scrambling: Scrambling::new(),
            places: vec![0; Pid::COUNT]
                .try_into()
                .unwrap_or_else(|_| Box::new([0; Pid::COUNT])),
            watched: Vec::new(),
            splices: Log::new(),
            guide: Log::new(),
            loudness: BTreeMap::new(),
            now: Moment::default(),
        }
    }

    /// After a PAT or PMT changed: the services as they are now.
    pub fn services(&mut self, programs: &Programs, at: Moment) {
        self.now = at;
        self.rates.services(programs);
        let mut old = std::mem::take(&mut self.watched);
        self.places.fill(0);
        for service in programs.services() {
            for stream in &service.streams {
                self.watch(stream, service, programs, &mut old);
            }
        }
        let clocks = self.watched.iter().filter_map(|w| match &w.what {
            What::Splice(splice) => splice.pcr_pid,
            _ => None,
        });
        for pid in clocks.collect::<Vec<_>>() {
            let kept = old.iter().find(|w| w.pid == pid).and_then(|w| w.pcr);
            let Some(place) = self.place(pid, || What::Clock) else {
                continue;
            };
            place.clock = true;
            place.pcr = place.pcr.or(kept);
        }
    }

    fn watch(
        &mut self,
        stream: &ElementaryStream,
        service: &Service,
        programs: &Programs,
        old: &mut Vec<Watched>,
    ) {
        if self.places[stream.pid.index()] != 0 || stream.pid == Pid::NULL {
            return; // a PID of several services is looked at once
        }
        let codec = codec_of(stream, service, programs);
        let known = old.iter().position(|w| w.pid == stream.pid);
        let known = known.map(|at| old.swap_remove(at));
        let (what, pcr) = match known {
            Some(Watched { what, pcr, .. }) => (Some(what), pcr),
            None => (None, None),
        };
        let kept = what.filter(|w| match w {
            What::Audio(a) => a.codec() == codec,
            What::Video(v) => v.codec() == codec,
            What::Splice(_) => codec == Codec::Scte35,
            What::Clock => false,
        });
        let fresh = || match codec {
            Codec::Scte35 => Some(What::Splice(SpliceWatch::new(stream.pid))),
            c if c.is_audio() => Some(What::Audio(AudioWatch::new(c))),
            c => VideoWatch::new(c).map(|v| What::Video(Box::new(v))),
        };
        let Some(mut what) = kept.or_else(fresh) else {
            return;
        };
        if let What::Splice(splice) = &mut what {
            splice.belongs_to(service.id, service.pcr_pid);
        }
        if let Some(place) = self.place(stream.pid, || what) {
            place.pcr = pcr;
        }
    }

    /// The place of a PID that is watched, made if there is none; `None` when there are too many.
    fn place(&mut self, pid: Pid, what: impl FnOnce() -> What) -> Option<&mut Watched> {
        if self.places[pid.index()] == 0 {
            if self.watched.len() == MAX_WATCHED {
                return None;
            }
            self.watched.push(Watched {
                pid,
                what: what(),
                clock: false,
                pcr: None,
            });
            self.places[pid.index()] = self.watched.len() as u16;
        }
        let place = usize::from(self.places[pid.index()]);
        self.watched.get_mut(place - 1)
    }

    /// What following the tables observed.
    pub fn event(&mut self, event: &ProgramEvent, at: Moment) {
        guide::log(event, at, &mut self.guide);
    }

    /// Sound of a PID was found to be so loud.
    pub fn is_as_loud(&mut self, pid: Pid, loudness: Loudness) {
        self.loudness.insert(pid, loudness);
    }

    /// Takes a packet.
    #[inline]
    pub fn push(&mut self, seen: &Seen<'_>) {
        self.rates.push(seen.pid, seen.at);
        self.scrambling.push(seen);
        let place = usize::from(self.places[seen.pid.index()]);
        if place != 0 {
            self.look(place - 1, seen);
        }
    }

    fn look(&mut self, place: usize, seen: &Seen<'_>) {
        let Some(watched) = self.watched.get_mut(place) else {
            return;
        };
        if watched.clock
            && let Some(pcr) = seen.packet.pcr()
        {
            watched.pcr = Some((pcr, seen.at.time));
        }
        match &mut watched.what {
            What::Clock => {}
            What::Audio(audio) => audio.push(seen),
            What::Video(video) => video.push(seen),
            What::Splice(splice) => {
                let pcr_pid = splice.pcr_pid;
                let clock = pcr_pid.and_then(|pid| self.clock(pid));
                if let Some(What::Splice(splice)) = self.watched.get_mut(place).map(|w| &mut w.what)
                {
                    splice.push(seen, clock, &mut self.splices);
                }
            }
        }
    }

    fn clock(&self, pid: Pid) -> Option<Clock> {
        let place = usize::from(self.places[pid.index()]).checked_sub(1)?;
        self.watched.get(place)?.pcr
    }

    /// Time went on to `at`: windows of the bit rate that are over are closed.
    pub fn tick(&mut self, at: Moment) {
        self.now = at;
        self.rates.tick(at);
    }

    /// Packets were lost or the clock jumped: what was begun is void.
    pub fn reset(&mut self, at: Moment) {
        self.now = at;
        self.rates.reset(at);
        for watched in &mut self.watched {
            watched.pcr = None;
            match &mut watched.what {
                What::Audio(audio) => audio.reset(),
                What::Video(video) => video.reset(),
                What::Clock | What::Splice(_) => {}
            }
        }
    }

    /// How many formats the pictures of a PID had so far.
    pub fn picture_formats(&self, pid: Pid) -> u64 {
        let place = usize::from(self.places[pid.index()]).checked_sub(1);
        match place.and_then(|p| self.watched.get(p)).map(|w| &w.what) {
            Some(What::Video(video)) => video.formats(),
            _ => 0,
        }
    }

    /// What was seen up to the last tick.
    pub fn measures(&self) -> Measures {
        let mut rates = self.rates.pids();
        let stuffing = rates.get(&Pid::NULL).cloned().unwrap_or_default();
        let mut pids = Vec::with_capacity(rates.len());
        for (pid, rate) in std::mem::take(&mut rates) {
            let place = usize::from(self.places[pid.index()]).checked_sub(1);
            let what = place.and_then(|p| self.watched.get(p)).map(|w| &w.what);
            pids.push(PidContent {
                pid: pid.get(),
                rate,
                scrambled: self.scrambling.of(pid),
                key_changes_total: self.scrambling.key_changes(pid),
                audio: match what {
                    Some(What::Audio(audio)) => audio.measures(),
                    _ => None,
                },
                loudness: self.loudness.get(&pid).copied(),
                video: match what {
                    Some(What::Video(video)) => video.format(),
                    _ => None,
                },
                gops: match what {
                    Some(What::Video(video)) => Some(video.gops(self.now.time)),
                    _ => None,
                },
            });
        }
        let splices = self.watched.iter().filter_map(|w| match &w.what {
            What::Splice(splice) => Some(splice.figures().clone()),
            _ => None,
        });
        let services = self.rates.by_service().into_iter();
        Measures {
            total: self.rates.total(),
            stuffing,
            services: services
                .map(|(id, rate)| ServiceContent { id, rate })
                .collect(),
            pids,
            splice_pids: splices.collect(),
            splices: self.splices.clone(),
            guide: self.guide.clone(),
            scrambling: self.scrambling.changes().clone(),
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::new()
    }
}

/// How a stream is coded, by what its PMT says.
fn codec_of(stream: &ElementaryStream, service: &Service, programs: &Programs) -> Codec {
    let section = programs.pmt_section(service.id);
    let pmt = section.and_then(|s| Pmt::new(s.section()));
    let described = pmt.and_then(|p| p.streams().find(|s| s.pid == stream.pid));
    described.map_or(Codec::Other, |s| {
        Codec::of(s.stream_type.0, s.descriptors.as_bytes())
    })
}

/// What was seen in a stream.
#[derive(Clone, Debug, Serialize)]
pub struct Measures {
    /// The rate of everything, damaged packets included.
    pub total: Rate,
    /// The rate of null packets.
    pub stuffing: Rate,
    /// The services in the order they came.
    pub services: Vec<ServiceContent>,
    /// The PIDs that came, by PID.
    pub pids: Vec<PidContent>,
    /// The PIDs of splice information.
    pub splice_pids: Vec<SplicePid>,
    /// The commands of splice information, repeats counted and not repeated.
    pub splices: Log<Splice>,
    /// Present and following, each change.
    pub guide: Log<GuideEntry>,
    /// PIDs that became scrambled, or clear.
    pub scrambling: Log<ScramblingChange>,
}

/// How loud sound is (EBU R 128, ITU-R BS.1770).
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize)]
pub struct Loudness {
    /// Of everything so far.
    pub integrated_lufs: Option<f64>,
    /// Of 3 s, the newest that was told.
    pub short_term_lufs: Option<f64>,
    /// Loudness range.
    pub range_lu: Option<f64>,
}

/// What is in a service.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceContent {
    /// service_id.
    pub id: ServiceId,
    /// The rate of its PMT, clock, streams and ECMs together.
    pub rate: Rate,
}

/// What is in a PID.
#[derive(Clone, Debug, Serialize)]
pub struct PidContent {
    /// The PID.
    pub pid: u16,
    /// Its rate.
    pub rate: Rate,
    /// Whether its last packet with a payload was scrambled.
    pub scrambled: Option<bool>,
    /// How often the key became the other one, odd or even.
    pub key_changes_total: u64,
    /// Of sound.
    pub audio: Option<Audio>,
    /// Of sound, where it was decoded.
    pub loudness: Option<Loudness>,
    /// Of video, once its headers came.
    pub video: Option<Video>,
    /// Of video.
    pub gops: Option<Gops>,
}

#[cfg(test)]
mod tests;
