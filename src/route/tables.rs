//! PAT, PMT and SDT of a route, and when they are sent.

use super::carriage::Carriage;
use super::guide::Guide;
use super::order::{Order, SiMode};
use crate::si::{
    Pat, PatEntry, PatFields, Sdt, SdtFields, SdtService, Service, ServiceId, TransportStreamId,
};
use crate::stream::Programs;
use crate::stream::SectionPacketizer;
use crate::ts::{ContinuityCounter, Packet, Pid, SectionBuf, SectionSyntax};
use crate::units::{StreamTime, Ticks27M};

/// PAT and PMT this often, and as often as in the input: TS 101 154 §4.1.7 wants each 0.1 s.
const PSI_EVERY: Ticks27M = Ticks27M::from_millis(100);
/// Before its limit a table is sent by so much: the next packet may come later.
const PSI_MARGIN: Ticks27M = Ticks27M::from_millis(10);
/// The SDT this often: TR 101 211 §4.4 wants it each 2 s.
const SDT_EVERY: Ticks27M = Ticks27M::from_millis(1_000);
/// Sections of one table keep this distance: 25 ms (EN 300 468 §5.1.4.1), and a little for where
/// in its datagram a packet lies.
pub(super) const GAP: Ticks27M = Ticks27M::from_millis(30);

/// A section whose version steps when it says something else, and only then.
#[derive(Clone, Debug, Default)]
struct Kept(Option<SectionBuf>);

impl Kept {
    /// Makes it what `make` writes with a version: `version`, which is the input's, unless that
    /// was the last one of something else. True when it says something else now.
    fn set(&mut self, version: u8, make: impl Fn(u8) -> Option<SectionBuf>) -> bool {
        let last = self.0.as_ref().and_then(|s| s.section().syntax());
        let version = match last {
            Some(last) if make(last.version) == self.0 => return false,
            Some(last) if last.version == version => (version + 1) % 32,
            _ => version,
        };
        match make(version) {
            Some(made) => {
                self.0 = Some(made);
                true
            }
            None => false,
        }
    }

    fn version(&self) -> Option<u8> {
        Some(self.0.as_ref()?.section().syntax()?.version)
    }
}

/// A table that is sent again and again.
#[derive(Debug)]
struct Repeated {
    kept: Kept,
    out: SectionPacketizer,
    /// At the latest.
    due: StreamTime,
    /// At the earliest.
    free: StreamTime,
}

impl Repeated {
    fn new(pid: Pid) -> Self {
        Self {
            kept: Kept::default(),
            out: SectionPacketizer::new(pid),
            due: StreamTime::default(),
            free: StreamTime::default(),
        }
    }

    fn next(&self) -> StreamTime {
        self.due.max(self.free)
    }

    /// Makes it due at `now`, where it may be sent; when it is due.
    fn pass(&mut self, now: StreamTime) -> StreamTime {
        if now >= self.free {
            self.due = self.due.min(now);
        }
        self.next()
    }

    /// Sends it if it may be sent at `now` and is due by `late`; true when it was sent.
    fn send(&mut self, now: StreamTime, late: StreamTime, put: &mut dyn FnMut(&Packet)) -> bool {
        let due = late >= self.due && now >= self.free;
        if due {
            self.out.push(&self.kept.0, put);
        }
        due
    }
}

/// The tables of a route.
#[derive(Debug)]
pub(super) struct Tables {
    pat: Repeated,
    pmt: Repeated,
    sdt: Repeated,
    eit: SectionPacketizer,
    pub(super) guide: Guide,
    /// SDT and EIT are written: the PIDs are not those of streams.
    has_sdt: bool,
    has_eit: bool,
    on: bool,
    next: StreamTime,
}

impl Tables {
    pub(super) fn new() -> Self {
        Self {
            pat: Repeated::new(Pid::PAT),
            pmt: Repeated::new(Pid::NULL),
            sdt: Repeated::new(Pid::SDT),
            eit: SectionPacketizer::new(Pid::EIT),
            guide: Guide::default(),
            has_sdt: false,
            has_eit: false,
            on: false,
            next: StreamTime::default(),
        }
    }

    /// Makes the tables those of a service; true when the PMT says something else now. `last`
    /// gives the counter of a PID that the output had before.
    pub(super) fn describe(
        &mut self,
        programs: &Programs,
        service: &Service,
        carriage: &Carriage,
        order: &Order,
        last: impl Fn(Pid) -> Option<ContinuityCounter>,
    ) -> bool {
        let Some(section) = programs.pmt_section(service.id) else {
            return false;
        };
        if self.pmt.out.pid() != carriage.pmt {
            let counter = last(carriage.pmt).unwrap_or_default();
            self.pmt.out = SectionPacketizer::after(carriage.pmt, counter);
        }
        let version = service.pmt_version.unwrap_or_default();
        let make = |version| carriage.pmt(section, order.drop_ca, version);
        let pmt = self.pmt.kept.set(version, make);
        let pat = self.describe_association(programs, service.id, carriage.pmt, order.si);
        if pat || pmt || !self.on {
            // What is new is said at once.
            for table in [&mut self.pat, &mut self.pmt] {
                (table.due, table.free) = Default::default();
            }
        }
        let own = order.si == SiMode::Own;
        // Packets of the input were there: the counters go on.
        if let Some(counter) = last(Pid::SDT).filter(|_| !self.has_sdt) {
            self.sdt.out = SectionPacketizer::after(Pid::SDT, counter);
        }
        if let Some(counter) = last(Pid::EIT).filter(|_| !self.has_eit) {
            self.eit = SectionPacketizer::after(Pid::EIT, counter);
        }
        let named = own && !carriage.uses(Pid::SDT) && self.name(programs, service.id);
        if named || !self.on {
            self.sdt.due = StreamTime::default();
        }
        self.has_sdt = own && !carriage.uses(Pid::SDT) && self.sdt.kept.0.is_some();
        self.has_eit = own && !carriage.uses(Pid::EIT);
        self.on = true;
        self.next = StreamTime::default();
        pmt
    }

    fn describe_association(
        &mut self,
        programs: &Programs,
        program: ServiceId,
        pid: Pid,
        si: SiMode,
    ) -> bool {
        let first = programs.pat_sections().next();
        let Some(pat) = first.and_then(|s| Pat::new(s.section())) else {
            return false;
        };
        let network = network_pid(programs).filter(|_| si == SiMode::All);
        let network = network.map(|pid| PatEntry {
            program: ServiceId(0),
            pid,
        });
        let entries: Vec<_> = network
            .into_iter()
            .chain([PatEntry { program, pid }])
            .collect();
        let id = pat.transport_stream_id();
        let make = |version| PatFields::new(id, version, &entries).to_section();
        self.pat.kept.set(pat.syntax().version, make)
    }

    /// Makes the SDT that of the service; true when it says something else now.
    fn name(&mut self, programs: &Programs, id: ServiceId) -> bool {
        let sections = programs.sdt_sections();
        let mut sdts = sections.filter_map(|s| Sdt::new(s.section()));
        let line = sdts.find_map(|sdt| {
            let line: SdtService<'_> = sdt.services().find(|line| line.service == id)?;
            Some((sdt, line))
        });
        let Some((sdt, line)) = line else {
            return false;
        };
        let TransportStreamId(extension) = sdt.transport_stream_id();
        self.sdt.kept.set(sdt.syntax().version, |version| {
            let fields = SdtFields {
                actual: true,
                syntax: SectionSyntax {
                    extension,
                    version,
                    current: true,
                    number: 0,
                    last_number: 0,
                },
                original_network: sdt.original_network_id(),
                services: &[line],
            };
            fields.to_section()
        })
    }

    /// The service is gone: nothing is sent until it is described again.
    pub(super) fn end(&mut self) {
        self.on = false;
        self.guide.clear();
    }

    /// The input's PAT passes: ours goes with it, unless it went a moment ago.
    pub(super) fn pat_passes(&mut self, now: StreamTime) {
        self.next = self.pat.pass(now).min(self.next);
    }

    /// The input's PMT passes: ours goes with it, unless it went a moment ago.
    pub(super) fn pmt_passes(&mut self, now: StreamTime) {
        self.next = self.pmt.pass(now).min(self.next);
    }

    /// Takes a section of the EIT of the service; false where there is no room for it.
    pub(super) fn take_event(&mut self, section: SectionBuf) -> bool {
        if !self.on || !self.has_eit {
            return true;
        }
        self.next = StreamTime::default();
        self.guide.push(section)
    }

    /// Sends what is due at `now`, which may be `step` later for a receiver.
    #[inline]
    pub(super) fn send(&mut self, now: StreamTime, step: Ticks27M, put: &mut dyn FnMut(&Packet)) {
        if self.on && now + step + PSI_MARGIN >= self.next {
            self.send_due(now, step, put);
        }
    }

    fn send_due(&mut self, now: StreamTime, step: Ticks27M, put: &mut dyn FnMut(&Packet)) {
        let late = now + step;
        for table in [&mut self.pat, &mut self.pmt] {
            if table.send(now, late + PSI_MARGIN, put) {
                (table.due, table.free) = (now + PSI_EVERY, now + GAP);
            }
        }
        if self.has_sdt && self.sdt.send(now, late, put) {
            (self.sdt.due, self.sdt.free) = (now + SDT_EVERY, late + GAP);
        }
        while let Some(section) = self.guide.take(now, late) {
            self.eit.push([&section], &mut *put);
        }
        let mut next = self.pat.next().min(self.pmt.next());
        if self.has_sdt {
            next = next.min(self.sdt.next());
        }
        self.next = self.guide.due().map_or(next, |due| due.min(next));
    }

    /// The PIDs that tables are on, and their counters.
    pub(super) fn counters(&self) -> Vec<(Pid, ContinuityCounter)> {
        let outs = [
            (true, &self.pmt.out),
            (self.has_sdt, &self.sdt.out),
            (self.has_eit, &self.eit),
        ];
        let outs = outs.into_iter().filter(|(has, _)| *has);
        outs.map(|(_, out)| (out.pid(), out.last())).collect()
    }

    /// version_number of the PMT.
    pub(super) fn pmt_version(&self) -> Option<u8> {
        self.pmt.kept.version()
    }
}

/// The PID of the network information table, as the PAT of the input names it.
pub(super) fn network_pid(programs: &Programs) -> Option<Pid> {
    let pats = programs
        .pat_sections()
        .filter_map(|s| Pat::new(s.section()));
    let mut pids = pats.filter_map(|pat| pat.network_pid());
    pids.find(|pid| pid.get() >= 0x10 && *pid != Pid::NULL)
}
