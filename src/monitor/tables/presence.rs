//! Which PIDs are there, and which should be: 1.6 and 3.4.a.

use super::TableLimits;
use super::watch::again;
use crate::monitor::{Check, Finding, Moment, Out};
use crate::si::descriptor::{CaDescriptor, Descriptors};
use crate::si::{Pat, Pmt, ServiceId, StreamKind};
use crate::stream::Programs;
use crate::stream::event::Subject;
use crate::ts::{Pid, PidSet};
use crate::units::Ticks27M;

/// ATSC's base PID (A/65 §4.2), which no PMT refers to.
const ATSC_BASE: Pid = Pid::from_field(0x1FFB);
/// PIDs up to this one are assigned or reserved (ISO/IEC 13818-1 table 2-3, EN 300 468 table 1).
const LAST_ASSIGNED: u16 = 0x1F;

/// What the tables say of a PID.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Role {
    /// Nothing.
    None,
    /// It carries a table, or is named without a word on what it is.
    Named,
    /// A stream of a service.
    Stream(StreamKind),
    /// The clock of a service, and nothing else.
    Clock,
    /// The ECMs of a service.
    Ecm,
}

/// A PID.
#[derive(Debug)]
pub(super) struct Sight {
    pid: Pid,
    /// Its last packet; before the first, when it was first waited for.
    pub(super) last: Ticks27M,
    /// A packet of it came.
    pub(super) seen: bool,
    /// One came in the role that it has now.
    pub(super) fresh: bool,
    /// The place of what reads its sections, plus one; 0: nothing does.
    pub(super) reader: u16,
    role: Role,
    service: Option<ServiceId>,
    /// How long it may stay away.
    limit: Ticks27M,
    /// Since when it is in this role.
    since: Ticks27M,
    /// When a finding last spoke of it.
    told: Option<Ticks27M>,
}

/// The PIDs that came or are referred to.
#[derive(Debug)]
pub(super) struct Presence {
    /// For each PID the place of its sight plus one; 0: never heard of.
    places: Box<[u16; Pid::COUNT]>,
    sights: Vec<Sight>,
    /// Where EMMs are, by the CAT.
    emm: PidSet,
    /// When the first PAT came.
    pat_since: Option<Ticks27M>,
    /// Some PMT refers to some PID.
    pub(super) refers: bool,
}

impl Presence {
    pub(super) fn new() -> Self {
        Self {
            places: Box::new([0; Pid::COUNT]),
            sights: Vec::new(),
            emm: PidSet::new(),
            pat_since: None,
            refers: false,
        }
    }

    /// What is known of a PID of which a packet or a table told; at most 8192 of them.
    #[inline]
    pub(super) fn known(&mut self, pid: Pid) -> Option<&mut Sight> {
        let place = usize::from(self.places[pid.index()]);
        self.sights.get_mut(place.wrapping_sub(1))
    }

    /// The sight of a PID, made when there is none.
    pub(super) fn sight(&mut self, pid: Pid, at: Ticks27M) -> &mut Sight {
        let place = &mut self.places[pid.index()];
        if *place == 0 {
            self.sights.push(Sight {
                pid,
                last: at,
                seen: false,
                fresh: false,
                reader: 0,
                role: Role::None,
                service: None,
                limit: Ticks27M::MAX,
                since: at,
                told: None,
            });
            *place = self.sights.len() as u16;
        }
        &mut self.sights[usize::from(*place) - 1]
    }

    /// Forgets where sections are read; each reader says again.
    pub(super) fn clear_readers(&mut self) {
        self.sights.iter_mut().for_each(|s| s.reader = 0);
    }

    /// The CAT names the PIDs of EMMs.
    pub(super) fn emm(&mut self, pids: impl Iterator<Item = Pid>) {
        for pid in pids {
            self.emm.insert(pid);
        }
    }

    /// A CAT of another version: what the last one named is named no longer.
    pub(super) fn clear_emm(&mut self) {
        self.emm = PidSet::new();
    }

    /// The tables say something else of the PIDs.
    pub(super) fn services(&mut self, programs: &Programs, limits: &TableLimits, at: Ticks27M) {
        self.pat_since.get_or_insert(at);
        let mut roles: Vec<(Pid, Role, Option<ServiceId>)> = Vec::new();
        // What stands first counts: a stream is more than a clock, and that more than a name.
        for service in programs.services() {
            let id = Some(service.id);
            for stream in &service.streams {
                roles.push((stream.pid, Role::Stream(stream.kind), id));
            }
        }
        for service in programs.services() {
            let id = Some(service.id);
            roles.extend(service.pcr_pid.map(|pid| (pid, Role::Clock, id)));
            let section = programs.pmt_section(service.id);
            let pmt = section.and_then(|s| Pmt::new(s.section()));
            if let Some(pmt) = &pmt {
                let ecm = |d: Descriptors<'_>| {
                    let all = d.all::<CaDescriptor<'_>>();
                    all.map(|ca| (ca.pid, Role::Ecm, id)).collect::<Vec<_>>()
                };
                roles.extend(ecm(pmt.descriptors()));
                roles.extend(pmt.streams().flat_map(|s| ecm(s.descriptors)));
            }
            roles.push((service.pmt_pid, Role::Named, id));
        }
        let network = programs
            .pat_sections()
            .filter_map(|s| Pat::new(s.section())?.network_pid());
        roles.extend(network.map(|pid| (pid, Role::Named, None)));
        let mut named = PidSet::new();
        self.refers = false;
        for (pid, role, service) in roles {
            if named.insert(pid) {
                self.refers |= role != Role::Named;
                let sight = self.sight(pid, at);
                sight.service = service;
                sight.take(role, limits, at);
            }
        }
        for sight in self.sights.iter_mut().filter(|s| !named.contains(s.pid)) {
            sight.service = None;
            sight.take(Role::None, limits, at);
        }
    }

    /// Looks for PIDs that are away, and for those that should be.
    pub(super) fn tick(&mut self, at: Moment, limits: &TableLimits, out: Out<'_>) {
        let (emm, pat) = (&self.emm, self.pat_since);
        for sight in &mut self.sights {
            if sight.role != Role::None {
                if sight.is_late(at.time) {
                    let lasts = again(sight.limit);
                    sight.check_absence(at, lasts, out);
                }
            } else if let Some(pat) = pat
                && sight.needs_reference(limits)
                && !emm.contains(sight.pid)
            {
                sight.check_reference(pat, at, limits, out);
            }
        }
    }

    /// What was timed is void.
    pub(super) fn reset(&mut self, at: Ticks27M) {
        for sight in &mut self.sights {
            (sight.last, sight.since) = (at, at);
            (sight.fresh, sight.told) = (false, None);
        }
    }
}

impl Sight {
    fn take(&mut self, role: Role, limits: &TableLimits, at: Ticks27M) {
        if (self.role == Role::None) != (role == Role::None) {
            (self.since, self.told) = (at, None);
            self.fresh = false;
        }
        self.role = role;
        let limit = match role {
            Role::None | Role::Named => None,
            Role::Stream(kind) => limits.absence.of(kind),
            Role::Clock => limits.absence.clock,
            Role::Ecm => limits.absence.ecm,
        };
        self.limit = limit.unwrap_or(Ticks27M::MAX);
    }

    /// It was away for longer than it may be.
    #[inline]
    pub(super) fn is_late(&self, at: Ticks27M) -> bool {
        at - self.last > self.limit
    }

    fn kind(&self) -> String {
        match self.role {
            Role::None | Role::Named => "other".to_owned(),
            Role::Stream(kind) => kind.to_string(),
            Role::Clock => "clock".to_owned(),
            Role::Ecm => "ecm".to_owned(),
        }
    }

    /// 1.6: it is referred to, and stays away (it `lasts` so long until it is told again), or has
    /// until now (zero).
    #[cold]
    pub(super) fn check_absence(&mut self, at: Moment, lasts: Ticks27M, out: Out<'_>) {
        let from = self.last.max(self.since);
        let told = self.told.filter(|told| *told > from);
        let wait = told.map_or(self.limit, |_| again(self.limit));
        if at.time - told.unwrap_or(from) <= wait {
            return;
        }
        self.told = Some(at.time);
        out(Finding::new(Check::PidError, Subject::Pid(self.pid), at)
            .of(self.service)
            .with("reason", if self.seen { "absent" } else { "never seen" })
            .with("kind", self.kind())
            .with("absent_ms", (at.time - from).as_millis())
            .with("limit_ms", self.limit.as_millis())
            .lasting(lasts));
    }

    fn needs_reference(&self, limits: &TableLimits) -> bool {
        let pid = self.pid;
        let exempt = pid.get() <= LAST_ASSIGNED || pid == Pid::NULL || pid == ATSC_BASE;
        self.fresh && !exempt && !limits.declared.contains(pid)
    }

    /// 3.4.a: it is there, and nothing refers to it.
    fn check_reference(&mut self, pat: Ticks27M, at: Moment, limits: &TableLimits, out: Out<'_>) {
        let from = self.since.max(pat);
        let again = self.told.is_none_or(|told| self.last > told);
        let waited = at.time - self.told.map_or(from, |told| told.max(from));
        if !again || waited <= limits.unreferenced {
            return;
        }
        self.told = Some(at.time);
        let finding = Finding::new(Check::UnreferencedPid, Subject::Pid(self.pid), at);
        out(finding
            .with("since_ms", from.as_millis())
            .with("limit_ms", limits.unreferenced.as_millis())
            .lasting(limits.unreferenced));
    }
}
