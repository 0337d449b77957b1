//! Whether each PMT comes in time (1.5.a).

use super::watch::{Watch, again};
use crate::monitor::{Check, Finding, Moment, Out};
use crate::si::ServiceId;
use crate::stream::event::Subject;
use crate::ts::Pid;
use crate::units::Ticks27M;

/// The time without a section of a PMT, of each PID that carries them (1.5.a).
#[derive(Debug)]
pub(super) struct PmtWatch {
    pub(super) pid: Pid,
    watch: Watch,
    /// The programs whose PMT should be here. One that never came is missed even while those of
    /// others come.
    programs: Vec<(ServiceId, Watch)>,
}

impl PmtWatch {
    pub(super) const fn new(pid: Pid, at: Ticks27M) -> Self {
        Self {
            pid,
            watch: Watch::new(at),
            programs: Vec::new(),
        }
    }

    /// These programs should be here.
    pub(super) fn programs(&mut self, programs: impl Iterator<Item = ServiceId>, at: Ticks27M) {
        let known = std::mem::take(&mut self.programs);
        let watch = |id| {
            known
                .iter()
                .find(|(known, _)| *known == id)
                .map(|(_, w)| *w)
        };
        self.programs
            .extend(programs.map(|id| (id, watch(id).unwrap_or(Watch::new(at)))));
    }

    fn finding(&self, service: Option<ServiceId>, at: Moment) -> Finding {
        Finding::new(Check::PmtError2, Subject::Pid(self.pid), at).of(service)
    }

    /// The program of the PID, where there is one only.
    pub(super) fn service(&self) -> Option<ServiceId> {
        match self.programs[..] {
            [(id, _)] => Some(id),
            _ => None,
        }
    }

    /// A section came.
    pub(super) fn came(&mut self, program: ServiceId, at: Moment, limit: Ticks27M, out: Out<'_>) {
        if let Some((_, watch)) = self.programs.iter_mut().find(|(id, _)| *id == program) {
            watch.came(at.time, limit);
        }
        if let Some(took) = self.watch.came(at.time, limit) {
            out(self
                .finding(self.service(), at)
                .with("reason", "late")
                .with("interval_ms", took.as_millis())
                .with("limit_ms", limit.as_millis()));
        }
    }

    pub(super) fn tick(&mut self, at: Moment, limit: Ticks27M, out: Out<'_>) {
        let seen = self.watch.seen();
        if let Some(absent) = self.watch.overdue(at.time, limit) {
            out(self
                .finding(self.service(), at)
                .with("reason", if seen { "absent" } else { "never seen" })
                .with("absent_ms", absent.as_millis())
                .with("limit_ms", limit.as_millis())
                .lasting(again(limit)));
        }
        if !seen {
            return;
        }
        for place in 0..self.programs.len() {
            let (id, watch) = &mut self.programs[place];
            let (id, never) = (*id, !watch.seen());
            if let Some(absent) = watch.overdue(at.time, limit).filter(|_| never) {
                out(self
                    .finding(Some(id), at)
                    .with("reason", "never seen")
                    .with("absent_ms", absent.as_millis())
                    .with("limit_ms", limit.as_millis())
                    .lasting(again(limit)));
            }
        }
    }

    pub(super) fn reset(&mut self, at: Ticks27M) {
        self.watch.restart(at);
        self.programs.iter_mut().for_each(|(_, w)| w.restart(at));
    }
}
