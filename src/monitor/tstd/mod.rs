//! The transport stream system target decoder (ISO/IEC 13818-1 §2.4.2), and what TR 101 290
//! V1.4.1 asks of it: 3.3 buffers, 3.9 buffers that never empty, 3.10 data that waits too long.
//!
//! Every program is modelled by its own PCRs and nothing else: two of them date the bytes between,
//! so the model follows one PCR interval behind the stream. A byte passes TBn at Rxn, stays in Bn
//! until it is decoded, or goes through MBn to EBn at Rbxn. All of it is fluid, byte by byte, in
//! whole numbers (`quantity`): nothing drifts, and the wrap of the PCR is not seen.
//!
//! After missing packets, scrambling, a new clock or another PMT the buffers are taken as empty:
//! what is found then is true, what is not found may yet have been.

mod chain;
mod finding;
mod main_buffers;
mod measured;
mod measures;
mod model;
mod program;
mod quantity;
mod scheduled;
mod systems;
mod transport;
mod units;

use std::collections::BTreeSet;

pub use measures::{BufferMeasures, Fullness, StreamBuffers, SystemsBuffers};

use self::chain::Chain;
use self::model::Signalled;
use self::program::Program;
use self::systems::SectionBytes;
use super::{Check, Out, Seen, Verdict};
use crate::si::{Pmt, Service};
use crate::stream::Programs;
use crate::ts::Pid;

/// Elementary streams that are followed at most, of all programs together: each may hold some
/// hundred kilobytes that wait for their decoding.
const MOST_STREAMS: usize = 512;

/// Who is told of a PID.
#[derive(Clone, Debug, Default)]
struct Route {
    /// The stream that it is, of which program.
    stream: Option<(u16, u16)>,
    /// Programs of which it is the PCR_PID.
    clocks: Vec<u16>,
    /// Programs to whose systems buffers it goes.
    systems: Vec<u16>,
    sections: SectionBytes,
}

/// The T-STD of every program of a stream.
#[derive(Debug)]
pub struct SystemTargetDecoders {
    programs: Vec<Program>,
    routes: Vec<Route>,
    /// For each PID, its place in `routes` and one more; 0 for those that nobody is told of.
    places: Box<[u16; Pid::COUNT]>,
}

impl SystemTargetDecoders {
    /// None yet.
    pub fn new() -> Self {
        Self {
            programs: Vec::new(),
            routes: Vec::new(),
            places: vec![0; Pid::COUNT]
                .try_into()
                .unwrap_or_else(|_| Box::new([0; Pid::COUNT])),
        }
    }

    /// After a PAT or PMT changed: the services as they are now. Programs that are as they were go
    /// on; the others begin anew.
    pub fn services(&mut self, programs: &Programs) {
        let mut old = std::mem::take(&mut self.programs);
        let mut claimed = BTreeSet::new();
        for service in programs.services() {
            let Some(section) = programs.pmt_section(service.id) else {
                continue;
            };
            let (Some(pmt), Some(pcr_pid)) = (Pmt::new(section.section()), service.pcr_pid) else {
                continue;
            };
            let streams: Vec<_> = pmt
                .streams()
                .filter(|s| claimed.len() < MOST_STREAMS && claimed.insert(s.pid))
                .map(|s| (s.pid, Signalled::new(&s, pmt.descriptors())))
                .collect();
            let before = old.iter().position(|p| p.service == service.id);
            let before = before.map(|n| old.swap_remove(n));
            self.programs.push(renew(before, service, pcr_pid, streams));
        }
        self.route();
    }

    /// Says of each PID who is told.
    fn route(&mut self) {
        let (places, routes) = (&mut self.places, &mut self.routes);
        places.fill(0);
        routes.clear();
        let mut of = |pid: Pid, change: &mut dyn FnMut(&mut Route)| {
            let place = &mut places[pid.index()];
            if *place == 0 {
                routes.push(Route::default());
                *place = u16::try_from(routes.len()).unwrap_or(0);
            }
            if let Some(route) = routes.get_mut(usize::from(*place).wrapping_sub(1)) {
                change(route);
            }
        };
        for (n, program) in (0..).zip(&self.programs) {
            of(program.pcr_pid, &mut |r| r.clocks.push(n));
            for pid in systems::EVERYWHERE.into_iter().chain([program.pmt_pid]) {
                of(pid, &mut |r| r.systems.push(n));
            }
            for (k, chain) in (0..).zip(&program.chains) {
                if chain.can_be_followed() {
                    of(chain.pid, &mut |r| r.stream = Some((n, k)));
                }
            }
        }
    }

    /// Takes a packet.
    #[inline]
    pub fn push(&mut self, seen: &Seen<'_>, out: Out<'_>) {
        let place = usize::from(self.places[seen.pid.index()]);
        if place > 0 {
            self.take(place - 1, seen, out);
        }
    }

    fn take(&mut self, place: usize, seen: &Seen<'_>, mut out: Out<'_>) {
        let Some(route) = self.routes.get_mut(place) else {
            return;
        };
        let position = seen.at.position;
        let has_clock = !route.clocks.is_empty() && seen.packet.has_adaptation();
        if has_clock {
            for n in &route.clocks {
                self.programs[usize::from(*n)].clock_before(seen.packet, position);
            }
        }
        if let Some((n, stream)) = route.stream {
            self.programs[usize::from(n)].stream_packet(stream, seen);
        }
        if !route.systems.is_empty() {
            if seen.broken {
                route.sections.reset();
            }
            let bytes = if seen.repeated {
                0
            } else {
                route.sections.push(seen.packet)
            };
            for n in &route.systems {
                self.programs[usize::from(*n)].systems_packet(seen, bytes);
            }
        }
        if has_clock {
            for n in &route.clocks {
                self.programs[usize::from(*n)].clock_after(seen.packet, position, &mut out);
            }
        }
    }

    /// Packets of some PID are missing before the next one: the bytes between two PCRs do not tell
    /// when they came.
    pub fn lost(&mut self) {
        self.programs.iter_mut().for_each(Program::lose);
    }

    /// Packets were lost: what was being timed is void.
    pub fn reset(&mut self) {
        self.programs.iter_mut().for_each(Program::reset);
    }

    /// Whether its checks could be judged.
    pub fn verdict(&self, check: Check) -> Verdict {
        if self.programs.is_empty() {
            return Verdict::NotJudged("no program with a PMT and a PCR_PID");
        }
        if self.programs.iter().all(|p| p.intervals == 0) {
            return Verdict::NotJudged("no two PCRs of a program date its bytes");
        }
        let chains = || self.programs.iter().flat_map(|p| &p.chains);
        let hindrance = chains().find_map(|c| c.hindrance(check));
        if check == Check::DataDelayError && chains().all(|c| c.measured.units == 0) {
            let none = "no access unit with a time stamp could be followed";
            return Verdict::NotJudged(hindrance.unwrap_or(none));
        }
        hindrance.map_or(Verdict::Judged, Verdict::InPart)
    }

    /// What was measured.
    pub fn measures(&self) -> BufferMeasures {
        let chains = |p| Program::chains_of(p).map(move |c| StreamBuffers::new(c, p));
        BufferMeasures {
            streams: self.programs.iter().flat_map(chains).collect(),
            systems: self.programs.iter().map(SystemsBuffers::new).collect(),
        }
    }
}

impl Default for SystemTargetDecoders {
    fn default() -> Self {
        Self::new()
    }
}

/// The program as its PMT describes it now.
fn renew(
    before: Option<Program>,
    service: &Service,
    pcr_pid: Pid,
    streams: Vec<(Pid, Signalled)>,
) -> Program {
    let Some(mut program) = before else {
        let chains = streams.into_iter().map(|(pid, s)| Chain::new(pid, s));
        return Program::new(service.id, pcr_pid, service.pmt_pid, chains.collect());
    };
    let same = program.pcr_pid == pcr_pid
        && program.chains.len() == streams.len()
        && program
            .chains
            .iter()
            .zip(&streams)
            .all(|(c, (pid, s))| c.pid == *pid && c.signalled == *s);
    program.pmt_pid = service.pmt_pid;
    if same {
        return program;
    }
    program.reset();
    program.pcr_pid = pcr_pid;
    let mut old = std::mem::take(&mut program.chains);
    for (pid, signalled) in streams {
        let chain = match old.iter().position(|c| c.pid == pid) {
            Some(n) => {
                let mut chain = old.swap_remove(n);
                chain.signal(signalled);
                chain
            }
            None => Chain::new(pid, signalled),
        };
        program.chains.push(chain);
    }
    program
}
