//! The families of checks, side by side: what each is told.

use crate::stream::{ProgramEvent, Programs};

use super::content::Content;
use super::{Check, Moment, Out, Seen, Verdict};

/// Every family.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) content: Content,
}

impl Families {
    pub(super) fn new() -> Self {
        Self {
            content: Content::new(),
        }
    }

    /// Following the tables observed something.
    pub(super) fn event(&mut self, event: &ProgramEvent, at: Moment) {
        self.content.event(event, at);
    }

    /// After a PAT or PMT changed: the services as they are now.
    pub(super) fn services(&mut self, programs: &Programs, at: Moment) {
        self.content.services(programs, at);
    }

    /// A packet came, null packets included.
    #[inline]
    pub(super) fn push(&mut self, seen: &Seen<'_>, _out: Out<'_>) {
        self.content.push(seen);
    }

    /// Time went on to `at`.
    pub(super) fn tick(&mut self, at: Moment, _out: Out<'_>) {
        self.content.tick(at);
    }

    /// Packets were lost: what was being timed is void.
    pub(super) fn reset(&mut self, at: Moment) {
        self.content.reset(at);
    }

    /// Whether a check of a family could be judged.
    pub(super) fn verdict(&self, _check: Check) -> Verdict {
        Verdict::NotJudged("no machine measures it")
    }
}
