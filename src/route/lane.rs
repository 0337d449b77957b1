//! One route: a service on its way into one output.

use super::carriage::Carriage;
use super::clock::Clock;
use super::event::RouteEvent;
use super::order::{Order, Selection, SiMode};
use super::router::{Out, Route, Status};
use super::tables::{Tables, network_pid};
use crate::si::{Service, ServiceId};
use crate::stream::{Counters, Programs};
use crate::ts::{ContinuityCounter, Packet, Pid, SectionBuf};
use crate::units::{Arrival, Ticks27M};

/// A service that is not there for so long is said.
const PATIENCE: Ticks27M = Ticks27M::from_millis(2_000);

/// A PID of the output as far as it went.
#[derive(Clone, Debug)]
struct Output {
    pid: Pid,
    /// Whose packets are on it.
    source: Pid,
    /// Added to the counters of the source: 0 unless another source was there before. `None`
    /// until its next packet tells.
    shift: Option<u8>,
    last: Option<ContinuityCounter>,
}

/// Why nothing is sent.
#[derive(Copy, Clone, Debug)]
struct Waiting {
    since: Option<Arrival>,
    why: &'static str,
    said: bool,
}

/// What is counted of a route.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Counts {
    packets: u64,
    table_packets: u64,
    begun: u64,
    changed: u64,
    gone: u64,
    clashes: u64,
    /// Sections of its EIT whose CRC_32 is wrong.
    pub(super) damaged: u64,
}

/// A route.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) route: Route,
    pub(super) order: Order,
    /// The service that is on it now, or was last.
    pub(super) service: Option<ServiceId>,
    pub(super) name: Option<String>,
    waiting: Option<Waiting>,
    pub(super) clock: Clock,
    pub(super) carriage: Option<Carriage>,
    /// PIDs of the input that pass into these outputs.
    takes: Vec<(Pid, usize)>,
    outputs: Vec<Output>,
    tables: Tables,
    pub(super) counts: Counts,
}

impl Lane {
    pub(super) fn new(route: Route, order: Order, by_arrival: bool) -> Self {
        Self {
            route,
            order,
            service: None,
            name: None,
            waiting: Some(Waiting {
                since: None,
                why: "no PAT has come",
                said: false,
            }),
            clock: Clock::new(by_arrival),
            carriage: None,
            takes: Vec::new(),
            outputs: Vec::new(),
            tables: Tables::new(),
            counts: Counts::default(),
        }
    }

    /// True while its service is there.
    pub(super) const fn is_on(&self) -> bool {
        self.waiting.is_none()
    }

    pub(super) fn status(&self) -> Status<'_> {
        Status {
            route: self.route,
            service: self.service,
            name: self.name.as_deref(),
            on: self.is_on(),
        }
    }

    /// True where a change of that service is one of this route's.
    pub(super) fn may_be(&self, id: ServiceId, programs: &Programs) -> bool {
        self.service == Some(id) || self.find(programs).is_some_and(|s| s.id == id)
    }

    /// The service that is wanted, where the input has it.
    fn find<'p>(&self, programs: &'p Programs) -> Option<&'p Service> {
        match (&self.order.selection, self.route.only) {
            (Selection::One(selector), _) => programs.services().find(|s| selector.selects(s)),
            (Selection::Every, Some(id)) => programs.service(id),
            (Selection::Every, None) => None,
        }
    }

    /// Makes the route what the tables of the input say.
    pub(super) fn settle(&mut self, programs: &Programs, say: &mut dyn FnMut(RouteEvent)) {
        let Some(service) = self.find(programs) else {
            let why = match self.order.selection {
                Selection::One(crate::si::ServiceSelector::Name(_)) => "no service has that name",
                _ => "the PAT does not name it",
            };
            return self.lose(why, say);
        };
        if service.pmt_pid.get() < 0x10 {
            return self.lose("its PMT is on a PID of another table", say);
        }
        let pmt = programs.pmt_section(service.id);
        let Some(pmt) = pmt.and_then(|s| crate::si::Pmt::new(s.section())) else {
            // A PMT that has moved to another PID: until it comes the old one holds.
            if let Some(waiting) = &mut self.waiting {
                waiting.why = "its PMT has not come";
            }
            return;
        };
        let carriage = Carriage::of(&pmt, service.pmt_pid, &self.order);
        let before = match self.counts.table_packets {
            0 => Vec::new(),
            _ => self.tables.counters(),
        };
        let (outputs, tables) = (&self.outputs, &mut self.tables);
        let changed = tables.describe(programs, service, &carriage, &self.order, |pid| {
            outputs.iter().find(|o| o.pid == pid).and_then(|o| o.last)
        });
        let route = self.route.slot + 1;
        let old = self.carriage.replace(carriage);
        let new = self.carriage.as_ref();
        let new = new.map_or_else(Vec::new, |c| c.pids.keys().copied().collect());
        let clashes = self.carriage.iter().flat_map(|c| &c.clashes);
        for (pid, wanted) in clashes {
            if old
                .as_ref()
                .is_none_or(|c| !c.clashes.contains(&(*pid, *wanted)))
            {
                self.counts.clashes += 1;
                let (pid, wanted) = (*pid, *wanted);
                say(RouteEvent::Clash { route, pid, wanted });
            }
        }
        let same = self.service.replace(service.id) == Some(service.id);
        self.name.clone_from(&service.name);
        if self.waiting.take().is_some() || !same {
            self.counts.begun += 1;
            say(RouteEvent::Begun {
                route,
                service: service.id,
                name: service.name.clone(),
                pids: new.len(),
            });
        } else if changed {
            self.counts.changed += 1;
            let old: Vec<Pid> = old.map_or_else(Vec::new, |c| c.pids.into_keys().collect());
            let without = |a: &[Pid], b: &[Pid]| -> Vec<Pid> {
                a.iter().filter(|pid| !b.contains(pid)).copied().collect()
            };
            say(RouteEvent::Changed {
                route,
                service: service.id,
                version: self.tables.pmt_version().unwrap_or_default(),
                added: without(&new, &old),
                removed: without(&old, &new),
            });
        }
        self.take_up(programs, &before);
    }

    /// The service is not there.
    fn lose(&mut self, why: &'static str, say: &mut dyn FnMut(RouteEvent)) {
        if let Some(waiting) = &mut self.waiting {
            waiting.why = why;
            return;
        }
        self.counts.gone += 1;
        if let Some(service) = self.service {
            let route = self.route.slot + 1;
            say(RouteEvent::Gone { route, service });
        }
        self.waiting = Some(Waiting {
            since: None,
            why,
            said: true,
        });
        self.tables.end();
        self.takes.clear();
    }

    /// Finds the PIDs that pass, and where each goes on; `before` are those that tables were on.
    fn take_up(&mut self, programs: &Programs, before: &[(Pid, ContinuityCounter)]) {
        let Some(carriage) = &self.carriage else {
            return;
        };
        let mut pairs: Vec<_> = carriage.pids.iter().map(|(a, b)| (*a, *b)).collect();
        let as_they_come: &[Pid] = match self.order.si {
            SiMode::None => &[],
            SiMode::Own => &[Pid::TDT],
            SiMode::All => &[Pid::NIT, Pid::SDT, Pid::EIT, Pid::RST, Pid::TDT],
        };
        let network = network_pid(programs).filter(|_| self.order.si == SiMode::All);
        for pid in as_they_come.iter().copied().chain(network) {
            let taken = carriage.uses(pid) || pairs.iter().any(|pair| pair.0 == pid);
            if !taken && pid != carriage.pmt_source {
                pairs.push((pid, pid));
            }
        }
        self.takes.clear();
        for (source, pid) in pairs {
            let known = self.outputs.iter().position(|o| o.pid == pid);
            let place = known.unwrap_or(self.outputs.len());
            if known.is_none() {
                self.outputs.push(Output {
                    pid,
                    source,
                    shift: Some(0),
                    last: None,
                });
            }
            let table = before.iter().find(|(table, _)| *table == pid);
            if let Some(output) = self.outputs.get_mut(place) {
                if let Some((_, counter)) = table {
                    (output.last, output.shift) = (Some(*counter), None);
                }
                if output.source != source {
                    (output.source, output.shift) = (source, None);
                }
            }
            self.takes.push((source, place));
        }
    }

    /// The PIDs of the input that pass, and the place that [`Lane::carry`] wants.
    pub(super) fn takes(&self) -> &[(Pid, usize)] {
        &self.takes
    }

    /// Sends a packet of the input, after the tables that are due.
    #[inline]
    pub(super) fn carry(&mut self, packet: &Packet, place: usize, by_arrival: bool, out: Out<'_>) {
        if !by_arrival
            && let Some(pcr) = packet.pcr()
            && self.carriage.as_ref().and_then(|c| c.clock) == Some(packet.pid())
        {
            self.clock.pcr(pcr);
        }
        self.send_tables(out);
        let Some(output) = self.outputs.get_mut(place) else {
            return;
        };
        self.counts.packets += 1;
        let counter = packet.continuity_counter();
        if output.shift == Some(0) && output.pid == output.source {
            output.last = Some(counter);
            return out(self.route, packet);
        }
        let shift = *output.shift.get_or_insert_with(|| match output.last {
            // Another stream was there: the counter goes on.
            Some(last) if packet.has_payload() => last.next().steps_since(counter),
            Some(last) => last.steps_since(counter),
            None => 0,
        });
        let mut packet = *packet;
        let counter = ContinuityCounter::wrapping(counter.get().wrapping_add(shift));
        packet.set_continuity_counter(counter);
        packet.set_pid(output.pid);
        output.last = Some(counter);
        out(self.route, &packet);
    }

    /// Sends the tables that are due.
    #[inline]
    pub(super) fn send_tables(&mut self, out: Out<'_>) {
        let (route, counts) = (self.route, &mut self.counts);
        let (now, step) = (self.clock.now(), self.clock.step());
        self.tables.send(now, step, &mut |packet| {
            counts.packets += 1;
            counts.table_packets += 1;
            out(route, packet);
        });
    }

    /// The input's PAT passes.
    pub(super) fn pat_passes(&mut self) {
        self.tables.pat_passes(self.clock.now());
    }

    /// A PMT passes on `pid`.
    pub(super) fn pmt_passes(&mut self, pid: Pid) {
        if self.carriage.as_ref().is_some_and(|c| c.pmt_source == pid) {
            self.tables.pmt_passes(self.clock.now());
        }
    }

    /// Takes a section of the EIT of its service.
    pub(super) fn take_event(&mut self, section: &SectionBuf, say: &mut dyn FnMut(RouteEvent)) {
        if !self.tables.take_event(section.clone()) {
            let route = self.route.slot + 1;
            say(RouteEvent::SiDropped { route });
        }
    }

    /// Says, once and after a while, that the service is not there.
    pub(super) fn wait(&mut self, at: Arrival, ended: bool, say: &mut dyn FnMut(RouteEvent)) {
        let Some(waiting) = self.waiting.as_mut().filter(|w| !w.said) else {
            return;
        };
        let since = *waiting.since.get_or_insert(at);
        if ended || at - since >= PATIENCE {
            waiting.said = true;
            say(RouteEvent::Awaited {
                route: self.route.slot + 1,
                wanted: match self.route.only {
                    Some(id) => id.to_string(),
                    None => self.order.selection.to_string(),
                },
                why: waiting.why,
            });
        }
    }

    /// True when the service was never there.
    pub(super) const fn never_began(&self) -> bool {
        self.counts.begun == 0
    }

    pub(super) fn counters(&self, out: &mut dyn Counters) {
        let Counts {
            packets,
            table_packets,
            begun,
            changed,
            gone,
            clashes,
            damaged,
        } = self.counts;
        let guide = &self.tables.guide;
        out.set("routed_packets", packets);
        out.set("table_packets", table_packets);
        out.set("begun_total", begun);
        out.set("pmt_changes_total", changed);
        out.set("gone_total", gone);
        out.set("pid_clashes_total", clashes);
        out.set("eit_sections_total", guide.sections);
        out.set("eit_dropped_total", guide.dropped);
        out.set("eit_damaged_total", damaged);
    }
}
