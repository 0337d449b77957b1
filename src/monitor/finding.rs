//! What a check sees, and what it says.

use crate::si::ServiceId;
use crate::stream::event::{Event, Severity, Subject, Value};
use crate::ts::{Packet, Pid};
use crate::units::{Arrival, Ticks27M};

use super::{Check, Priority};

/// Where in a stream, and when.
///
/// `time` is the monitor's clock: it counts from the first packet, by arrival on a live input and
/// by the PCRs of the first service on a file; it never goes back.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Packets before it.
    pub position: u64,
    /// Since the first packet.
    pub time: Ticks27M,
}

/// A packet, as a check sees it: its sync byte is right and transport_error_indicator is not set.
#[derive(Copy, Clone, Debug)]
pub struct Seen<'p> {
    /// The packet.
    pub packet: &'p Packet,
    /// Its PID.
    pub pid: Pid,
    /// Its place.
    pub at: Moment,
    /// When it came, where arrivals tell the time; elsewhere nothing.
    pub arrival: Arrival,
    /// Packets of its PID are missing before it, or it is out of order: what was begun is broken.
    pub broken: bool,
    /// It repeats the packet before it of its PID (ISO/IEC 13818-1 §2.4.3.3): legal, and carries
    /// nothing new.
    pub repeated: bool,
}

/// Where findings go.
pub type Out<'o> = &'o mut dyn FnMut(Finding);

/// Whether a check could be judged on this input.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was; what it found is all there was to find.
    Judged,
    /// It was, but for what this reason names.
    InPart(&'static str),
    /// It was not, for this reason.
    NotJudged(&'static str),
}

/// Something that a check found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// By which check.
    pub check: Check,
    /// About what.
    pub subject: Subject,
    /// The service it belongs to, where there is one.
    pub service: Option<ServiceId>,
    /// Where and when.
    pub at: Moment,
    /// What exactly: unit in the key.
    pub fields: Vec<(&'static str, Value)>,
    /// It goes on: while it does, it is found again after so long at the latest. Zero of what is
    /// over.
    pub again: Ticks27M,
}

impl Finding {
    /// A finding about `subject`.
    pub const fn new(check: Check, subject: Subject, at: Moment) -> Self {
        Self {
            check,
            subject,
            service: None,
            at,
            fields: Vec::new(),
            again: Ticks27M::ZERO,
        }
    }

    /// The same, of something that goes on and is found again after `again` at the latest.
    #[must_use]
    pub const fn lasting(mut self, again: Ticks27M) -> Self {
        self.again = again;
        self
    }

    /// The same, about a PID of `service`.
    #[must_use]
    pub const fn of(mut self, service: Option<ServiceId>) -> Self {
        self.service = service;
        self
    }

    /// The same, with a field more.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((key, value.into()));
        self
    }
}

impl Event for Finding {
    fn name(&self) -> &'static str {
        self.check.name()
    }

    fn severity(&self) -> Severity {
        match self.check.priority() {
            Priority::One | Priority::Two => Severity::Error,
            Priority::Three | Priority::Four => Severity::Warning,
        }
    }

    fn subject(&self) -> Subject {
        self.subject
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        field("at_packet", self.at.position.into());
        field("at_ms", self.at.time.as_millis().into());
        if let Some(service) = self.service {
            field("service", u64::from(service.0).into());
        }
        for (key, value) in &self.fields {
            field(key, value.clone());
        }
    }
}
