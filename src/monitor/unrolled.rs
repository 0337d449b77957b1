//! The PCRs of one PID as the time that passed between them.

use crate::stream::timeline::Timeline;
use crate::ts::{ContinuityCounter, Packet, Pcr};

use super::clock::{Knot, due, pace};

/// The longest interval between two PCRs (ISO/IEC 13818-1 §2.7.2 with TR 101 290 2.3.b): a longer
/// one is time that passed only where the bytes between agree.
const LONGEST_INTERVAL: i64 = 100 * 27_000;

/// A [`Timeline`] that does not take a jump of the clock for time.
///
/// A step of the values over 100 ms that nothing announces is a PCR that is late, or a clock that
/// was set. What came between tells which: bytes for 40 ms at the rate of before are 40 ms. So the
/// step counts when it is no longer than 100 ms more than those, or than twice the step before
/// (clocks that always come rarely, in a stream of any rate), or when packets of the PID are missing
/// in it: those bytes took their time. Else time goes on at the rate of before.
#[derive(Clone, Debug, Default)]
pub(super) struct Unrolled {
    line: Timeline,
    /// Ticks of jumps, which the line counts.
    cut: i64,
    newest: Option<Knot>,
    /// The newest interval that counted: its ticks and its pace.
    usual: Option<(i64, u64)>,
    /// Of the newest packet with a payload.
    counter: Option<ContinuityCounter>,
    /// Packets are missing since the newest PCR.
    missing: bool,
}

impl Unrolled {
    /// The newest PCR.
    pub(super) fn last_pcr(&self) -> Option<Pcr> {
        self.line.last_pcr()
    }

    /// Takes the next packet of the PID, whatever it carries.
    pub(super) fn pass(&mut self, packet: &Packet) {
        let counter = packet.continuity_counter();
        if packet.has_payload() {
            let due = |last: ContinuityCounter| counter == last || counter == last.next();
            self.missing |= self.counter.is_some_and(|last| !due(last));
            self.counter = Some(counter);
        }
    }

    /// Takes the PCR of the packet that was passed last, with so many packets before it.
    pub(super) fn push(&mut self, position: u64, pcr: Pcr, announced: bool) -> Knot {
        let missing = std::mem::take(&mut self.missing);
        let tick = self.line.push(pcr, announced);
        let mut knot = Knot {
            position,
            ticks: tick.time.ticks() - self.cut,
        };
        if let Some(before) = self.newest
            && tick.jump.is_none()
        {
            let step = knot.ticks - before.ticks;
            let packets = position.saturating_sub(before.position);
            match self.usual.filter(|_| !missing && step > LONGEST_INTERVAL) {
                Some((usual, rate))
                    if step > (due(packets, rate) + LONGEST_INTERVAL).max(2 * usual) =>
                {
                    let over = step - due(packets, rate);
                    self.cut += over;
                    knot.ticks -= over;
                }
                _ => self.usual = Some((step, pace(before, knot))),
            }
        }
        self.newest = Some(knot);
        knot
    }
}
