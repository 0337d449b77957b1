//! What is said of a breach.

use super::quantity::{Amount, Fine};
use crate::monitor::{Check, Finding, Moment, Out};
use crate::si::ServiceId;
use crate::stream::event::Subject;
use crate::ts::Pid;
use crate::units::Ticks27M;

/// A packet's place and time by the monitor's clock.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: u64,
    pub(super) time: Ticks27M,
}

impl From<Moment> for Place {
    fn from(at: Moment) -> Self {
        Self {
            position: at.position,
            time: at.time,
        }
    }
}

/// A buffer of the T-STD.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Buffer {
    Transport,
    Multiplex,
    Elementary,
    Main,
    SystemsTransport,
    Systems,
}

impl Buffer {
    /// As ISO/IEC 13818-1 calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Transport => "TB",
            Self::Multiplex => "MB",
            Self::Elementary => "EB",
            Self::Main => "B",
            Self::SystemsTransport => "TBsys",
            Self::Systems => "Bsys",
        }
    }
}

/// What went wrong with it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Overflow,
    Underflow,
}

impl Fault {
    const fn name(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Underflow => "underflow",
        }
    }
}

/// Says what is found about one PID.
pub(super) struct Reporter<'o, 'f> {
    pub(super) out: &'f mut Out<'o>,
    pub(super) pid: Pid,
    pub(super) service: ServiceId,
    /// The packet that is being followed.
    pub(super) now: Place,
}

impl Reporter<'_, '_> {
    fn finding(&self, check: Check, place: Place) -> Finding {
        let at = Moment {
            position: place.position,
            time: place.time,
        };
        Finding::new(check, Subject::Pid(self.pid), at).of(Some(self.service))
    }

    /// 3.3: a buffer holds more than it can; told in each second in which it does.
    #[cold]
    pub(super) fn fault(
        &mut self,
        place: Place,
        buffer: Buffer,
        kind: Fault,
        fullness: Amount,
        size: Amount,
    ) {
        let finding = self
            .finding(Check::BufferError, place)
            .with("buffer", buffer.name())
            .with("kind", kind.name())
            .with("fullness_bytes", fullness.to_bytes())
            .with("size_bytes", size.to_bytes())
            .lasting(Ticks27M::SECOND);
        (self.out)(finding);
    }

    /// 3.3: an access unit is not whole in its buffer when it is decoded.
    #[cold]
    pub(super) fn missing(
        &mut self,
        place: Place,
        buffer: Buffer,
        missing: Amount,
        fullness: Amount,
        size: Amount,
    ) {
        let finding = self
            .finding(Check::BufferError, place)
            .with("buffer", buffer.name())
            .with("kind", Fault::Underflow.name())
            .with("fullness_bytes", fullness.to_bytes())
            .with("size_bytes", size.to_bytes())
            .with("missing_bytes", missing.to_bytes());
        (self.out)(finding);
    }

    /// 3.9: a buffer was not empty for a second.
    #[cold]
    pub(super) fn not_empty(&mut self, place: Place, buffer: Buffer) {
        let finding = self
            .finding(Check::EmptyBufferError, place)
            .with("buffer", buffer.name())
            .lasting(Ticks27M::SECOND);
        (self.out)(finding);
    }

    /// 3.10: a unit waits too long.
    #[cold]
    pub(super) fn delayed(&mut self, place: Place, delay: Fine, limit: Fine) {
        let finding = self
            .finding(Check::DataDelayError, place)
            .with("delay_ms", delay.ticks().as_millis())
            .with("limit_ms", limit.ticks().as_millis());
        (self.out)(finding);
    }
}
