//! MBn and EBn where the stream itself says when its bytes go from one to the other: by vbv_delay
//! (ISO/IEC 13818-1 §2.4.2.3), or by the NAL HRD (§2.14.3.1 and §2.17.2, with ITU-T H.264 §C.1.1
//! and H.265 §C.2.2).
//!
//! A place is here its number among the bytes of the elementary stream: PES headers stand in MBn
//! and are gone when the byte behind them goes on.

use std::collections::VecDeque;

use super::main_buffers::{Piece, Removal};
use super::model::Transfer;
use super::quantity::{Amount, Fine};
use super::units::Delivery;
use crate::stream::video::{DeliverySchedule, InitialDelay};
use crate::units::Ticks27M;

/// An access unit, as its way into EBn is planned.
#[derive(Copy, Clone, Debug)]
pub(super) struct Planned {
    /// The places of its first byte and behind its last.
    pub(super) start: u64,
    pub(super) end: u64,
    /// When it is decoded.
    pub(super) decoded: Fine,
    /// What it says of its way.
    pub(super) delivery: Option<Delivery>,
}

/// What became of a unit's plan.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// It has its place in the schedule.
    Made,
    /// The schedule has not begun.
    NotYet,
    /// It would go on before what stands in front of it: the schedule says nonsense.
    Contradiction,
}

/// The schedule has reached this place by this time; between two steps bytes flow evenly.
#[derive(Copy, Clone, Debug)]
struct Step {
    time: Fine,
    place: Amount,
}

/// Bytes that come into MBn.
#[derive(Copy, Clone, Debug)]
struct Inflow {
    begin: Fine,
    end: Fine,
    amount: Amount,
    header: bool,
}

/// MBn and EBn by a schedule.
#[derive(Clone, Debug)]
pub(super) struct ScheduledBuffers {
    rule: Rule,
    inflow: VecDeque<Inflow>,
    steps: VecDeque<Step>,
    /// Up to when it has been followed; from the first step on.
    time: Option<Fine>,
    /// Places: what has come into MBn, gone on to EBn, been decoded.
    arrived: Amount,
    passed: Amount,
    removed: Amount,
    /// PES headers in MBn, each in front of a place, and all of them.
    headers: VecDeque<(Amount, Amount)>,
    held: Amount,
    /// The most that was in MBn, and that should have gone on and had not come, since this was last
    /// asked.
    highest: Amount,
    missing: Amount,
}

/// Which schedule it is.
#[derive(Clone, Debug)]
enum Rule {
    Vbv,
    Hrd {
        schedule: DeliverySchedule,
        /// Of the buffering period.
        initial: Option<InitialDelay>,
        /// When the last unit is in EBn.
        last: Option<Fine>,
    },
}

impl ScheduledBuffers {
    /// By vbv_delay, or by an HRD; `None` where neither rules.
    pub(super) fn new(transfer: &Transfer) -> Option<Self> {
        let rule = match transfer {
            Transfer::VbvDelay => Rule::Vbv,
            Transfer::Hrd(schedule) => Rule::Hrd {
                schedule: *schedule,
                initial: None,
                last: None,
            },
            Transfer::Leak | Transfer::Unknown(_) => return None,
        };
        Some(Self {
            rule,
            inflow: VecDeque::new(),
            steps: VecDeque::new(),
            time: None,
            arrived: Amount::ZERO,
            passed: Amount::ZERO,
            removed: Amount::ZERO,
            headers: VecDeque::new(),
            held: Amount::ZERO,
            highest: Amount::ZERO,
            missing: Amount::ZERO,
        })
    }

    /// Empties both; the next byte is at `place`.
    pub(super) fn reset(&mut self, place: u64) {
        if let Rule::Hrd { initial, last, .. } = &mut self.rule {
            (*initial, *last) = (None, None);
        }
        self.inflow.clear();
        self.steps.clear();
        self.headers.clear();
        self.time = None;
        let place = Amount::bytes(place);
        (self.arrived, self.passed, self.removed) = (place, place, place);
        (self.held, self.highest, self.missing) = (Amount::ZERO, Amount::ZERO, Amount::ZERO);
    }

    /// Bytes leave TBn, the first of them those of a PES header.
    pub(super) fn push(&mut self, piece: &Piece) {
        let Piece {
            begin,
            end,
            amount,
            header,
            ..
        } = *piece;
        let (amount, header) = (Amount::from(amount), Amount::from(header));
        let span = i128::from((end - begin).0);
        let between = begin + Fine((span * header.0 / amount.0.max(1)) as i64);
        if header > Amount::ZERO {
            self.inflow.push_back(Inflow {
                begin,
                end: between,
                amount: header,
                header: true,
            });
        }
        if amount > header {
            self.inflow.push_back(Inflow {
                begin: between,
                end,
                amount: amount - header,
                header: false,
            });
        }
    }

    /// Pieces that have come and are not followed.
    pub(super) fn waiting(&self) -> usize {
        self.inflow.len()
    }

    /// Finds the place of the next unit in the schedule.
    pub(super) fn plan(&mut self, unit: &Planned) -> Plan {
        let before = self.steps.back().map(|s| s.time);
        let later = |delay: Fine| unit.decoded - delay;
        match &mut self.rule {
            Rule::Vbv => {
                let Some(Delivery::Vbv { delay, after_code }) = unit.delivery else {
                    return Plan::NotYet;
                };
                let time = later(ticks_of_90khz(delay.into()));
                if before.is_some_and(|before| time <= before) {
                    return Plan::Contradiction;
                }
                let place = Amount::bytes(after_code);
                self.steps.push_back(Step { time, place });
            }
            Rule::Hrd {
                schedule,
                initial,
                last,
            } => {
                let period = match unit.delivery {
                    Some(Delivery::Period(new)) => {
                        *initial = Some(new);
                        true
                    }
                    _ => false,
                };
                let Some(told) = *initial else {
                    return Plan::NotYet;
                };
                let offset = if period { 0 } else { told.offset };
                let earliest = later(ticks_of_90khz(u64::from(told.delay) + u64::from(offset)));
                let begin = match *last {
                    None => earliest,
                    // Without a pause, but where the stream itself says that there was one.
                    Some(last) if schedule.constant => {
                        let pause = period && earliest - last > ticks_of_90khz(ROUNDING);
                        if pause { earliest } else { last }
                    }
                    Some(last) => last.max(earliest),
                };
                let bytes = Amount::bytes(unit.end.saturating_sub(unit.start));
                // A nonsensical rate may lead far.
                let end = (begin + bytes.time_at(schedule.buffer.rate_bps).0).min(Fine::LATEST);
                *last = Some(end);
                if before.is_none_or(|before| begin > before) {
                    self.steps.push_back(Step {
                        time: begin,
                        place: Amount::bytes(unit.start),
                    });
                }
                self.steps.push_back(Step {
                    time: end,
                    place: Amount::bytes(unit.end),
                });
            }
        }
        Plan::Made
    }

    /// Whether the schedule is known up to `time`.
    pub(super) fn knows(&self, time: Fine) -> bool {
        self.steps.back().is_some_and(|s| s.time >= time)
    }

    /// Follows what has come by `until`, as far as the schedule is known.
    pub(super) fn advance(&mut self, until: Fine) {
        let (Some(first), Some(last)) = (self.steps.front(), self.steps.back()) else {
            return;
        };
        let until = until.min(last.time);
        let mut now = match self.time {
            Some(now) => now,
            None if until < first.time => return,
            None => {
                let first = *first;
                self.arrive(first.time);
                self.pass(first.place);
                first.time
            }
        };
        while now < until {
            while self.steps.get(1).is_some_and(|s| s.time <= now) {
                self.steps.pop_front();
            }
            let mut next = until;
            if let Some(step) = self.steps.get(1) {
                next = next.min(step.time);
            }
            if let Some(piece) = self.inflow.front() {
                next = next.min(if piece.begin > now {
                    piece.begin
                } else {
                    piece.end
                });
            }
            self.arrive(next);
            self.pass(self.planned(next));
            now = next;
        }
        self.time = Some(now);
    }

    /// What stands before `end` is taken out of EBn as soon as it comes there.
    pub(super) fn discard(&mut self, end: u64) {
        self.removed = self.removed.max(Amount::bytes(end));
    }

    /// At `time` the unit that ends at `end` is taken out of EBn.
    pub(super) fn remove(&mut self, time: Fine, end: u64) -> Removal {
        self.advance(time);
        let end = Amount::bytes(end);
        let before = (self.passed - self.removed).max(Amount::ZERO);
        self.removed = self.removed.max(end);
        Removal {
            before,
            left: (self.passed - self.removed).max(Amount::ZERO),
            missing: (end - self.passed).max(Amount::ZERO),
        }
    }

    /// The most that was in MBn since this was last asked.
    pub(super) fn take_highest(&mut self) -> Amount {
        std::mem::replace(&mut self.highest, Amount::ZERO)
    }

    /// The most that should have gone on to EBn and had not come, since this was last asked.
    pub(super) fn take_missing(&mut self) -> Amount {
        std::mem::replace(&mut self.missing, Amount::ZERO)
    }

    /// What comes by `until` comes.
    fn arrive(&mut self, until: Fine) {
        while let Some(piece) = self.inflow.front_mut().filter(|p| p.begin < until) {
            let whole = piece.end <= until;
            let come = if whole {
                piece.amount
            } else {
                let (gone, all) = (until - piece.begin, piece.end - piece.begin);
                Amount(piece.amount.0 * i128::from(gone.0) / i128::from(all.0.max(1)))
            };
            if piece.header {
                self.held += come;
                match self.headers.back_mut() {
                    Some((place, amount)) if *place == self.arrived => *amount += come,
                    _ => self.headers.push_back((self.arrived, come)),
                }
            } else {
                self.arrived += come;
            }
            if !whole {
                piece.amount -= come;
                piece.begin = until;
                return;
            }
            self.inflow.pop_front();
        }
    }

    /// What the schedule says goes on, as far as it has come.
    fn pass(&mut self, planned: Amount) {
        self.missing = self.missing.max(planned - self.arrived);
        self.passed = self.passed.max(planned.min(self.arrived));
        while let Some((_, amount)) = self.headers.front().filter(|(at, _)| *at < self.passed) {
            self.held -= *amount;
            self.headers.pop_front();
        }
        let level = self.arrived - self.passed + self.held;
        self.highest = self.highest.max(level);
    }

    /// The place that the schedule reaches by `time`, which is not behind its second step.
    fn planned(&self, time: Fine) -> Amount {
        let Some(from) = self.steps.front() else {
            return self.passed;
        };
        let Some(to) = self.steps.get(1) else {
            return from.place;
        };
        let (gone, all) = (time - from.time, to.time - from.time);
        let amount = (to.place - from.place).0 * i128::from(gone.0) / i128::from(all.0.max(1));
        from.place + Amount(amount)
    }
}

/// Ticks by which a stream's own figures may round (H.264 equations C-15 and C-16).
const ROUNDING: u64 = 2;

fn ticks_of_90khz(n: u64) -> Fine {
    const TICK: i64 = 300;
    Fine::of(Ticks27M::new(i64::try_from(n).unwrap_or(0) * TICK))
}
