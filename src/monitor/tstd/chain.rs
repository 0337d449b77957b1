//! The buffers of one elementary stream.

use std::collections::VecDeque;

use super::finding::{Buffer, Fault, Place, Reporter};
use super::main_buffers::{Behind, End, Piece, PieceAmount};
use super::measured::{Measured, Over, TOLERANCE};
use super::model::{
    CONTRADICTION, Main, Model, NO_MODEL, NO_PARAMETERS, Reason, SCRAMBLED_MODEL, SCRAMBLED_UNITS,
    Signalled, Transfer, aac, wide_subtitles,
};
use super::quantity::{Amount, Fine, Interval};
use super::scheduled::{Plan, Planned};
use super::transport::TransportBuffer;
use super::units::{Delivery, Found, Passing, Stamp, Told, UnitFinder, UnitStart};
use crate::monitor::Check;
use crate::stream::video::VideoFormat;
use crate::ts::{Dts, PACKET_SIZE, Packet, Pcr, Pid};

/// Access units whose decoding has not come yet, at most: ten seconds at 300 fields a second.
const MOST_UNITS: usize = 4096;
/// Packets that wait for an access unit to end or to get its time, at most.
const MOST_PIECES: usize = 65_536;

/// An access unit that was found.
#[derive(Copy, Clone, Debug)]
struct Begun {
    unit: UnitStart,
    delivery: Option<Delivery>,
}

impl Begun {
    /// Where the unit before it ends.
    const fn end_of_previous(&self) -> End {
        End {
            place: self.unit.after_previous,
            data: self.unit.data,
        }
    }
}

/// An access unit that has begun to arrive.
#[derive(Copy, Clone, Debug)]
struct Waiting {
    /// When its first byte came.
    first: Fine,
    /// When it is decoded, once that is known.
    decoded: Option<Fine>,
    /// The place behind it, once that is known.
    end: Option<End>,
    /// Its first byte, when PES headers do not count.
    data: u64,
    /// What it says of its way into EBn.
    delivery: Option<Delivery>,
    /// All of it was followed.
    judged: bool,
    /// Where it begins.
    place: Place,
}

/// The T-STD of one elementary stream.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) pid: Pid,
    pub(super) signalled: Signalled,
    pub(super) model: Result<Model, Reason>,
    pub(super) measured: Measured,
    pub(super) format: Option<VideoFormat>,
    /// The newest packets were scrambled.
    pub(super) scrambled: bool,
    finder: UnitFinder,
    /// Units that were found and not reached.
    begun: VecDeque<Begun>,
    /// The place that has been reached; what stands before `valid` was not followed.
    place: u64,
    valid: u64,
    /// The same, when PES headers do not count.
    data: u64,
    transport: TransportBuffer,
    behind: Behind,
    /// Units that have begun to arrive and are not decoded, in order.
    waiting: VecDeque<Waiting>,
    /// How many of them, from the front, have been looked for in the schedule of their stream.
    planned: usize,
    /// When the last unit with a time is decoded.
    last_decoded: Option<Fine>,
    begun_since_reset: bool,
    over: [Over; 3],
    /// MBn lacks what its schedule wants.
    under: Over,
}

impl Chain {
    pub(super) fn new(pid: Pid, signalled: Signalled) -> Self {
        let mut chain = Self {
            pid,
            signalled,
            model: Err(NO_PARAMETERS),
            measured: Measured::default(),
            format: None,
            scrambled: false,
            finder: UnitFinder::new(signalled.codec, signalled.is_scheduled()),
            begun: VecDeque::new(),
            place: 0,
            valid: 0,
            data: 0,
            transport: TransportBuffer::new(Amount::ZERO, 1),
            behind: Behind::Nothing,
            waiting: VecDeque::new(),
            planned: 0,
            last_decoded: None,
            begun_since_reset: false,
            over: Default::default(),
            under: Over::default(),
        };
        chain.take_model(signalled.model());
        chain
    }

    /// Another PMT says this of the stream.
    pub(super) fn signal(&mut self, signalled: Signalled) {
        let signalled = signalled.and_pictures(&self.signalled);
        if signalled == self.signalled {
            return;
        }
        let scheduled = signalled.is_scheduled();
        let other = signalled.codec != self.signalled.codec;
        if other || scheduled != self.signalled.is_scheduled() {
            self.finder = UnitFinder::new(signalled.codec, scheduled);
            (self.place, self.data, self.begun) = (0, 0, VecDeque::new());
        }
        if other {
            self.format = None;
        }
        self.signalled = signalled;
        let model = match &self.format {
            Some(format) => signalled.video(format),
            None => signalled.model(),
        };
        self.take_model(model);
        self.reset();
    }

    /// The stream's own headers say something new.
    fn told(&mut self, told: Told) {
        let model = match told {
            Told::Video(format) => {
                self.format = Some(format);
                self.signalled.video(&format)
            }
            Told::Channels(n) => Ok(aac(n)),
            Told::DisplayDefinition => Ok(wide_subtitles()),
        };
        self.take_model(model);
    }

    /// Whether pictures have a vbv_delay decides how their bytes go into EBn.
    fn pictures(&mut self, have_vbv_delay: bool) {
        if self.signalled.has_vbv_delay(have_vbv_delay)
            && let Some(format) = &self.format
        {
            self.take_model(self.signalled.video(format));
        }
    }

    fn take_model(&mut self, model: Result<Model, Reason>) {
        if model == self.model {
            return;
        }
        self.model = model;
        if let Ok(model) = model {
            self.transport = TransportBuffer::new(Amount::bytes(model.transport), model.rate);
            self.behind = Behind::new(&model.main);
        }
        self.reset();
    }

    /// Packets of the PID are missing, or cannot be read.
    pub(super) fn lose(&mut self) {
        self.finder.reset();
    }

    /// Forgets what is in the buffers: what comes next does not follow from what came.
    pub(super) fn reset(&mut self) {
        if !self.waiting.is_empty() {
            self.measured.resets += 1;
        }
        self.valid = self.place;
        self.waiting.clear();
        self.planned = 0;
        self.last_decoded = None;
        self.begun_since_reset = false;
        self.transport.reset();
        self.behind.reset(self.place, self.data);
    }

    /// Looks into a packet, ahead of [`arrive`](Self::arrive): answers what of it goes on behind
    /// TBn.
    #[inline]
    pub(super) fn find_units(&mut self, packet: &Packet) -> Passing {
        let (begun, waiting) = (&mut self.begun, &mut self.waiting);
        let mut vbv = None;
        let passing = self.finder.push(packet, &mut |found| match found {
            Found::Unit(unit) => {
                if begun.len() >= MOST_UNITS {
                    begun.pop_front();
                }
                let new = Begun {
                    unit,
                    delivery: None,
                };
                if begun.is_empty()
                    && let Some(last) = waiting.back_mut()
                {
                    last.end = last.end.or(Some(new.end_of_previous()));
                }
                begun.push_back(new);
            }
            Found::Delivery(delivery) => {
                match delivery {
                    Delivery::Vbv { .. } => vbv = Some(true),
                    Delivery::NoVbv => vbv = Some(false),
                    Delivery::Period(_) => {}
                }
                let newest = match begun.back_mut() {
                    Some(begun) => Some(&mut begun.delivery),
                    None => waiting.back_mut().map(|w| &mut w.delivery),
                };
                if let Some(newest) = newest {
                    *newest = Some(delivery);
                }
            }
        });
        if let Some(told) = self.finder.take_told() {
            self.told(told);
        }
        if let Some(have_vbv_delay) = vbv {
            self.pictures(have_vbv_delay);
        }
        passing
    }

    /// A packet came at a time that nobody knows.
    pub(super) fn skip(&mut self, passing: Passing) {
        self.pass(passing);
        while self
            .begun
            .front()
            .is_some_and(|b| b.unit.start < self.place)
        {
            self.begun.pop_front();
        }
        self.valid = self.place;
    }

    fn pass(&mut self, passing: Passing) {
        self.place += u64::from(passing.bytes);
        self.data += u64::from(passing.bytes.saturating_sub(passing.header));
    }

    /// A packet arrives, of which so many bytes go on behind TBn. `clock` is the PCR at the
    /// beginning of `interval`.
    pub(super) fn arrive(
        &mut self,
        place: Place,
        passing: Passing,
        interval: &Interval,
        clock: Pcr,
        report: &mut Reporter<'_, '_>,
    ) {
        let Ok(Model { transport, .. }) = self.model else {
            self.skip(passing);
            self.reset();
            return;
        };
        let from = interval.start_of(place.position);
        let to = from + interval.packet;
        let passed = self.transport.arrive(from, to);
        if let Some(level) = self.transport.record(&passed) {
            self.measured.transport.high(level);
        }
        if self.over[0].tells(self.transport.is_over(&passed), place) {
            let (level, size) = (self.transport.level(&passed), Amount::bytes(transport));
            report.fault(place, Buffer::Transport, Fault::Overflow, level, size);
        }
        if self.transport.is_stuck(to) {
            report.not_empty(place, Buffer::Transport);
        }
        let Passing { bytes, header } = passing;
        if bytes > 0 {
            let before = self.place;
            self.pass(passing);
            // The bytes that go on are the last of their packet.
            let span = (passed.end - passed.begin).0 * i64::from(bytes) / PACKET_SIZE as i64;
            let piece = Piece {
                begin: passed.end - Fine(span),
                end: passed.end,
                amount: PieceAmount::bytes(bytes),
                header: PieceAmount::bytes(header),
                after: self.place,
            };
            self.behind.push(piece);
            if self.behind.waiting() > MOST_PIECES || self.waiting.len() > MOST_UNITS {
                self.reset();
            }
            if self
                .begun
                .front()
                .is_some_and(|b| b.unit.start < self.place)
            {
                let header = PACKET_SIZE as u64 - u64::from(bytes);
                self.take_begun(before, header, (from, to), place, (interval, clock), report);
            }
        }
        self.decode(to, report);
    }

    /// Units begin in the packet that brought the bytes from `before` on.
    #[inline(never)]
    fn take_begun(
        &mut self,
        before: u64,
        header: u64,
        (from, to): (Fine, Fine),
        place: Place,
        (interval, clock): (&Interval, Pcr),
        report: &mut Reporter<'_, '_>,
    ) {
        while let Some(begun) = self.begun.front().copied() {
            let Begun { unit, delivery } = begun;
            if unit.start >= self.place {
                break;
            }
            self.begun.pop_front();
            match self.waiting.back_mut() {
                Some(last) => last.end = last.end.or(Some(begun.end_of_previous())),
                // The end of a unit that was not followed from its beginning.
                None if !self.begun_since_reset => self.behind.discard(begun.end_of_previous()),
                None => {}
            }
            self.begun_since_reset = true;
            // One that only the next packet told of counts from there.
            let offset = header + unit.start.saturating_sub(before);
            let first = from + Fine((to - from).0 * offset as i64 / PACKET_SIZE as i64);
            let end = self.begun.front().map(Begun::end_of_previous);
            self.waiting.push_back(Waiting {
                first,
                decoded: None,
                end,
                data: unit.data,
                delivery,
                judged: unit.start >= self.valid,
                place,
            });
            let decoded = match unit.stamp {
                Stamp::At(dts) => Some(instant_of(dts, interval, clock)),
                Stamp::After(span) => self.last_decoded.map(|last| last + span),
                Stamp::Between => None,
            };
            if let Some(decoded) = decoded {
                self.date(decoded, report);
            }
        }
    }

    /// The newest unit is decoded at `decoded`; those before it that have no time of their own
    /// share what is between their neighbours.
    fn date(&mut self, decoded: Fine, report: &mut Reporter<'_, '_>) {
        let undated = self
            .waiting
            .iter()
            .rev()
            .take_while(|u| u.decoded.is_none())
            .count();
        let first = self.waiting.len() - undated;
        for k in 0..undated {
            let Some(unit) = self.waiting.get_mut(first + k) else {
                break;
            };
            let at = match self.last_decoded {
                _ if k + 1 == undated => decoded,
                Some(last) => {
                    let share = (decoded - last).0 / undated as i64;
                    last + Fine(share * (k as i64 + 1))
                }
                None => {
                    // Before the first stamp nothing is known: out with it.
                    unit.judged = false;
                    Fine::EARLIEST
                }
            };
            unit.decoded = Some(at);
            if !unit.judged {
                continue;
            }
            let delay = at - unit.first;
            self.measured.unit(delay);
            if let Ok(Model {
                delay: Some(limit), ..
            }) = self.model
                && delay > limit
            {
                report.delayed(unit.place, delay, limit);
            }
        }
        self.last_decoded = Some(decoded);
    }

    /// Looks for the places of units in the schedule of their stream.
    #[inline(never)]
    fn plan(&mut self) {
        let Behind::Scheduled(buffers) = &mut self.behind else {
            return;
        };
        while let Some(unit) = self.waiting.get_mut(self.planned) {
            let (Some(decoded), Some(end)) = (unit.decoded, unit.end) else {
                return;
            };
            let planned = Planned {
                start: unit.data,
                end: end.data,
                decoded,
                delivery: unit.delivery,
            };
            let plan = if decoded == Fine::EARLIEST {
                Plan::NotYet
            } else {
                buffers.plan(&planned)
            };
            match plan {
                Plan::Made => {}
                Plan::NotYet => (unit.judged, unit.decoded) = (false, Some(Fine::EARLIEST)),
                Plan::Contradiction => {
                    self.measured.contradictions += 1;
                    return self.reset();
                }
            }
            self.planned += 1;
        }
    }

    /// Takes out of the buffers what is due by `now`.
    fn decode(&mut self, now: Fine, report: &mut Reporter<'_, '_>) {
        if matches!(self.behind, Behind::Scheduled(_)) {
            self.plan();
        }
        while let Some(unit) = self.waiting.front() {
            let (Some(time), Some(end)) = (unit.decoded, unit.end) else {
                break;
            };
            if time > now {
                break;
            }
            if let Behind::Scheduled(buffers) = &self.behind
                && (self.planned == 0 || time > Fine::EARLIEST && !buffers.knows(time))
            {
                // Without a unit behind it, nobody knows how its last bytes go on.
                break;
            }
            let (place, judged) = (unit.place, unit.judged);
            self.waiting.pop_front();
            self.planned = self.planned.saturating_sub(1);
            self.remove(time, end, judged, place, report);
        }
        // Nothing is taken out before this, so what has come can be followed at once.
        let until = match self.waiting.front() {
            None => now,
            Some(Waiting {
                decoded: Some(time),
                ..
            }) => now.min(*time),
            Some(_) => return,
        };
        self.behind.advance(until);
        let place = report.now;
        self.multiplex(place, report);
    }

    #[inline(never)]
    fn remove(
        &mut self,
        time: Fine,
        end: End,
        judged: bool,
        place: Place,
        report: &mut Reporter<'_, '_>,
    ) {
        let Ok(model) = self.model else {
            return;
        };
        let (removal, buffer, size, may_be_late) = match (&mut self.behind, model.main) {
            (Behind::One(buffer), Main::One(size)) => (
                buffer.remove(time, end.place),
                Buffer::Main,
                Amount::bytes(size),
                false,
            ),
            (Behind::Video(buffers), Main::Video(video)) => {
                let removal = buffers.remove(time, end.place);
                (
                    removal,
                    Buffer::Elementary,
                    video.elementary,
                    video.low_delay,
                )
            }
            (Behind::Scheduled(buffers), Main::Video(_)) if time == Fine::EARLIEST => {
                // It is not in the schedule.
                return buffers.discard(end.data);
            }
            (Behind::Scheduled(buffers), Main::Video(video)) => {
                let removal = buffers.remove(time, end.data);
                // TR 101 290 excuses low_delay with the leak method only; with low_delay_hrd_flag
                // the HRD itself waits for the unit.
                let excused = video.low_delay && video.transfer != Transfer::VbvDelay;
                (removal, Buffer::Elementary, video.elementary, excused)
            }
            _ => return,
        };
        self.measured.last.high(removal.before);
        if self.over[2].is_told(removal.before, size, place) {
            report.fault(place, buffer, Fault::Overflow, removal.before, size);
        }
        if judged {
            self.measured.last.low(removal.left);
            if removal.missing > TOLERANCE && !may_be_late {
                report.missing(place, buffer, removal.missing, removal.before, size);
            }
        }
        self.multiplex(place, report);
    }

    /// Looks at MBn.
    fn multiplex(&mut self, place: Place, report: &mut Reporter<'_, '_>) {
        let Ok(Model {
            main: Main::Video(video),
            ..
        }) = &self.model
        else {
            return;
        };
        let (level, missing, stuck) = match &mut self.behind {
            Behind::Video(buffers) => (buffers.take_highest(), Amount::ZERO, buffers.is_stuck()),
            Behind::Scheduled(buffers) => (buffers.take_highest(), buffers.take_missing(), false),
            Behind::One(_) | Behind::Nothing => return,
        };
        self.measured.multiplex.high(level);
        if self.over[1].is_told(level, video.multiplex, place) {
            report.fault(
                place,
                Buffer::Multiplex,
                Fault::Overflow,
                level,
                video.multiplex,
            );
        }
        if self.under.is_told(missing, Amount::ZERO, place) {
            let size = video.multiplex;
            report.missing(place, Buffer::Multiplex, missing, Amount::ZERO, size);
        }
        if stuck {
            report.not_empty(place, Buffer::Multiplex);
        }
    }

    /// It has a model, or will have one when its headers have come.
    pub(super) fn can_be_followed(&self) -> bool {
        !matches!(self.signalled.model(), Err(reason) if reason != NO_PARAMETERS)
    }

    /// Why a check could not be judged of it as a whole; `None` where it was, or where no buffers
    /// are defined for it.
    pub(super) fn hindrance(&self, check: Check) -> Option<Reason> {
        let scrambled = self.measured.scrambled;
        match self.model {
            Err(NO_MODEL) => None,
            Err(_) if scrambled => Some(SCRAMBLED_MODEL),
            Err(reason) => Some(reason),
            // TB leaks at its rate whatever it holds.
            Ok(_) if check == Check::EmptyBufferError => None,
            Ok(_) if scrambled => Some(SCRAMBLED_UNITS),
            Ok(_) if check == Check::DataDelayError => None,
            Ok(_) if self.measured.contradictions > 0 => Some(CONTRADICTION),
            Ok(model) => match model.main {
                Main::Video(video) => match video.transfer {
                    Transfer::Unknown(reason) => Some(reason),
                    _ => None,
                },
                Main::One(_) => None,
            },
        }
    }

    /// Bits a second out of TBn.
    pub(super) const fn rate(&self) -> u64 {
        self.transport.rate()
    }
}

/// The instant of a decoding time: the short way round from the PCR that begins the interval.
fn instant_of(dts: Dts, interval: &Interval, clock: Pcr) -> Fine {
    interval.time + Fine::of(dts.to_pts() - clock)
}
