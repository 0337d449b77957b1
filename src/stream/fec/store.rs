//! The media datagrams that came last, by their numbers.

use crate::stream::RtpHeader;
use crate::units::Arrival;

/// Numbers held: more than twice the largest set spans.
const PLACES: i16 = 1024;
/// Bytes of the longest datagram that is held: of a jumbo frame.
pub(super) const LONGEST: usize = 9000;
/// A step ahead up to this is a loss; beyond it, a stray or a sender that started anew.
const MOST_LOST: i16 = 3000;
/// Those of a sender that has started anew lie no farther apart than this.
const TOGETHER: i16 = 64;
/// Nor are their times, or those of neighbours in a sequence: 10 s at 90 kHz.
const TOGETHER_TICKS: u32 = 900_000;

/// A media datagram, as it came or as it was recovered.
#[derive(Clone, Debug)]
pub(super) struct Media {
    header: RtpHeader,
    pub(super) arrival: Arrival,
    pub(super) recovered: bool,
    /// Empty where there is none.
    bytes: Vec<u8>,
}

impl Media {
    /// The header of 12 bytes, and what follows.
    pub(super) fn parts(&self) -> Option<(&[u8; 12], &[u8])> {
        self.bytes.split_first_chunk()
    }

    /// True when `bytes` are those of this datagram, the marker and the bits before it apart,
    /// which not all senders of FEC sum.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        let kind = |b: &[u8]| b.get(1).map(|b| b & 0x7F);
        kind(&self.bytes) == kind(bytes) && self.bytes.get(2..) == bytes.get(2..)
    }
}

/// The last [`PLACES`] numbers of the sequence that comes.
#[derive(Debug)]
pub(super) struct Store {
    places: Vec<Media>,
    newest: Option<RtpHeader>,
}

impl Store {
    pub(super) fn new() -> Self {
        let none = Media {
            header: RtpHeader {
                sequence: 0,
                timestamp: 0,
                ssrc: 0,
                marker: false,
            },
            arrival: Arrival::default(),
            recovered: false,
            bytes: Vec::new(),
        };
        Self {
            places: vec![none; PLACES as usize],
            newest: None,
        }
    }

    /// Takes a datagram up, in the place of another of its number.
    pub(super) fn put(&mut self, header: &RtpHeader, bytes: &[u8], at: Arrival, recovered: bool) {
        let ahead = match &self.newest {
            Some(newest) if newest.ssrc != header.ssrc => i16::MAX,
            Some(newest) => header.sequence.wrapping_sub(newest.sequence).cast_signed(),
            None => 1,
        };
        if (1..=MOST_LOST).contains(&ahead) {
            self.newest = Some(*header);
        }
        if let Some(place) = self.places.get_mut(place_of(header.sequence)) {
            (place.header, place.arrival, place.recovered) = (*header, at, recovered);
            place.bytes.clear();
            place.bytes.extend_from_slice(bytes);
        }
    }

    /// The datagram of a number, of the sequence that comes.
    pub(super) fn get(&self, number: u16) -> Option<&Media> {
        let newest = self.newest.as_ref()?;
        let media = self.places.get(place_of(number))?;
        let ours = media.header.sequence == number && media.header.ssrc == newest.ssrc;
        (ours && !media.bytes.is_empty() && self.is_near(number)).then_some(media)
    }

    /// What was recovered has come after all.
    pub(super) fn came(&mut self, number: u16) {
        if let Some(place) = self.places.get_mut(place_of(number)) {
            place.recovered = false;
        }
    }

    /// True when a number is one of those that are held, or of as many that are to come.
    pub(super) fn is_near(&self, number: u16) -> bool {
        self.newest.is_some_and(|newest| {
            let back = newest.sequence.wrapping_sub(number).cast_signed();
            (-PLACES + 1..PLACES).contains(&back)
        })
    }

    /// The newest number, and the source.
    pub(super) fn newest(&self) -> Option<&RtpHeader> {
        self.newest.as_ref()
    }

    /// The sequence starts anew with `header`: what is not of it is forgotten.
    pub(super) fn restart(&mut self, header: &RtpHeader) {
        self.newest = Some(*header);
        for place in &mut self.places {
            let apart = place.header.sequence.wrapping_sub(header.sequence);
            let ours = place.header.ssrc == header.ssrc
                && apart.cast_signed().unsigned_abs() <= TOGETHER.unsigned_abs()
                && are_near(place.header.timestamp, header.timestamp);
            if !ours {
                place.bytes.clear();
            }
        }
    }

    /// True when a time stamp is near those of the datagrams numbered so, or of the newest.
    pub(super) fn knows_time(&self, stamp: u32, mut numbers: impl Iterator<Item = u16>) -> bool {
        let near = |header: &RtpHeader| are_near(header.timestamp, stamp);
        self.newest.as_ref().is_some_and(near)
            || numbers.any(|n| self.get(n).is_some_and(|media| near(&media.header)))
    }

    /// How long a datagram takes on average, over `least` numbers or more, up to twice as many.
    pub(super) fn interval(&self, least: u16) -> Option<f64> {
        let newest = self.newest.as_ref()?.sequence;
        let last = self.get(newest)?.arrival;
        (least..=least.saturating_mul(2)).rev().find_map(|back| {
            let first = self.get(newest.wrapping_sub(back))?.arrival;
            Some((last - first).get().max(0) as f64 / f64::from(back.max(1)))
        })
    }
}

fn place_of(number: u16) -> usize {
    usize::from(number % PLACES.unsigned_abs())
}

fn are_near(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed().unsigned_abs() <= TOGETHER_TICKS
}
