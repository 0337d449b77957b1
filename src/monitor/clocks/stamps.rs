//! The time stamps of one elementary stream: how often they come, and how far they lie from the
//! program's clock.

use super::Absence;
use crate::monitor::{Check, Finding, Moment, Out, Seen};
use crate::si::{ElementaryStream, ServiceId, StreamKind};
use crate::stream::event::Subject;
use crate::ts::{Dts, Pcr, PesHeader, Pid, Scrambling};
use crate::units::Ticks27M;

/// The longest interval between two PTS (TR 101 290 2.5; ISO/IEC 13818-1 §2.7.4).
const LONGEST_INTERVAL: Ticks27M = Ticks27M::from_millis(700);
/// A longer step of the values is a jump: whether stamps are missing is told by the monitor's
/// clock.
const LONGEST_STEP: Ticks27M = Ticks27M::new(10 * 27_000_000);
/// Stamps are missing when none has come for so much longer than they may: access units come up
/// to a second before they are decoded (ISO/IEC 13818-1 §2.4.2.6), so that their spacing in the
/// stream is not that of the stamps.
const BUFFERED: Ticks27M = Ticks27M::SECOND;

/// The smallest, the mean and the largest of signed spans, in microseconds.
#[derive(Copy, Clone, Debug)]
pub(super) struct Spread {
    pub(super) count: u64,
    sum: i64,
    min: i64,
    max: i64,
}

impl Spread {
    /// Of nothing.
    pub(super) const EMPTY: Self = Self {
        count: 0,
        sum: 0,
        min: 0,
        max: 0,
    };

    pub(super) fn add(&mut self, us: i64) {
        if self.count == 0 {
            (self.min, self.max) = (us, us);
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(us);
        self.min = self.min.min(us);
        self.max = self.max.max(us);
    }

    /// Smallest, mean and largest; `None` of nothing.
    pub(super) fn of_us(&self) -> Option<(i64, i64, i64)> {
        let count = i64::try_from(self.count).unwrap_or(i64::MAX);
        Some((self.min, self.sum.checked_div(count)?, self.max))
    }
}

/// One stream of a service.
#[derive(Debug)]
pub(super) struct Stamps {
    pub(super) pid: Pid,
    pub(super) service: ServiceId,
    pub(super) kind: StreamKind,
    /// It may hold still pictures.
    still: bool,
    /// Place of its clock among the clocks.
    pub(super) clock: Option<usize>,
    /// The newest decoding time, and the epoch of its clock.
    last: Option<(Dts, u32)>,
    /// Begins with the first start of a PES packet in the clear.
    absence: Option<Absence>,
    live: bool,
    pub(super) pts_count: u64,
    pub(super) pts_before_dts: u64,
    pub(super) dts_not_increasing: u64,
    pub(super) scrambled: bool,
    /// PTS minus clock, where the PES packet starts.
    pub(super) lead: Spread,
    /// DTS (or PTS) minus clock.
    pub(super) decode_lead: Spread,
    /// `lead` of the window that goes on.
    pub(super) window: Spread,
}

impl Stamps {
    pub(super) fn new(stream: &ElementaryStream, service: ServiceId, live: bool) -> Self {
        Self {
            pid: stream.pid,
            service,
            kind: stream.kind,
            still: stream.still,
            clock: None,
            last: None,
            absence: None,
            live,
            pts_count: 0,
            pts_before_dts: 0,
            dts_not_increasing: 0,
            scrambled: false,
            lead: Spread::EMPTY,
            decode_lead: Spread::EMPTY,
            window: Spread::EMPTY,
        }
    }

    /// Kept over a new version of its table: what the table says now.
    pub(super) fn renew(
        &mut self,
        stream: &ElementaryStream,
        service: ServiceId,
        clock: Option<usize>,
    ) {
        (self.kind, self.still) = (stream.kind, stream.still);
        (self.service, self.clock) = (service, clock);
    }

    /// True when 2.5 speaks of such a stream: stamps of subtitles, teletext and data come when
    /// there is something to show.
    pub(super) const fn is_regular(&self) -> bool {
        matches!(self.kind, StreamKind::Video | StreamKind::Audio) && !self.still
    }

    fn found(&self, at: Moment) -> Finding {
        Finding::new(Check::PtsError, Subject::Pid(self.pid), at).of(Some(self.service))
    }

    /// Takes a packet in which a PES packet starts; `clock` is what its program's clock shows, in
    /// which epoch.
    pub(super) fn push(&mut self, seen: &Seen<'_>, clock: (Option<Pcr>, u32), out: Out<'_>) {
        let (clock, epoch) = clock;
        if seen.packet.scrambling() != Scrambling::Clear {
            self.scrambled = true;
            self.reset();
            return;
        }
        let Some(pes) = PesHeader::new(seen.packet.payload()) else {
            return;
        };
        if pes.stamps_announced() == 0 {
            self.arm(seen.at);
            return;
        }
        let told = self.absence.as_ref().is_some_and(Absence::is_told);
        self.arm(seen.at);
        if let Some(absence) = &mut self.absence {
            absence.over(seen.at);
        }
        let (Some(pts), Some(decode)) = (pes.pts(), pes.decode_time()) else {
            self.last = None; // the header goes on in the next packet: a stamp of unknown value
            return;
        };
        self.pts_count += 1;
        if let Some(dts) = pes.dts()
            && (pts.to_dts() - dts).is_negative()
        {
            self.pts_before_dts += 1;
        }
        if let Some((last, _)) = self.last.filter(|(_, then)| *then == epoch) {
            let by = decode - last;
            self.dts_not_increasing += u64::from(by <= Ticks27M::ZERO);
            let long = by > LONGEST_INTERVAL && by <= LONGEST_STEP;
            if long && self.is_regular() && !told {
                out(self.found(seen.at).with("interval_ns", by.as_nanos()));
            }
        }
        self.last = Some((decode, epoch));
        if let Some(clock) = clock {
            let us = |span: Ticks27M| span.get() / 27;
            self.lead.add(us(pts - clock));
            self.window.add(us(pts - clock));
            self.decode_lead.add(us(decode.to_pts() - clock));
        }
    }

    fn arm(&mut self, at: Moment) {
        if self.absence.is_none() && self.is_regular() {
            // On a file the values tell of every interval; the monitor's clock tells of a stream
            // that ended, or never had stamps.
            let first = LONGEST_INTERVAL + BUFFERED;
            let again = if self.live { LONGEST_INTERVAL } else { first };
            self.absence = Some(Absence::new(first, again, at));
        }
    }

    /// Time went on to `at`.
    pub(super) fn tick(&mut self, at: Moment, out: Out<'_>) {
        let absent = self
            .absence
            .as_mut()
            .and_then(|a| Some((a.tick(at)?, a.again())));
        if let Some((absent, again)) = absent {
            let finding = self.found(at).with("absent_ms", absent.as_millis());
            let finding = finding.lasting(again);
            out(match self.pts_count {
                0 => finding.with("pts", "never seen"),
                _ => finding,
            });
        }
    }

    /// What was being timed is void.
    pub(super) fn reset(&mut self) {
        self.last = None;
        self.absence = None;
    }
}
