//! What of the input a route carries, and as which PIDs.

use std::collections::BTreeMap;

use super::order::Order;
use crate::si::descriptor::{CaDescriptor, Descriptors};
use crate::si::{Pmt, PmtFields, PmtStream};
use crate::ts::{Pid, SectionBuf, SectionSyntax};

/// The PIDs of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carriage {
    /// Where its PMT is in the input.
    pub(super) pmt_source: Pid,
    /// The PMT's PID in the output.
    pub(super) pmt: Pid,
    /// PCR_PID in the input; `None` where there is no clock.
    pub(super) clock: Option<Pid>,
    /// Streams, clock and ECMs: the PID of the input, and that of the output.
    pub(super) pids: BTreeMap<Pid, Pid>,
    /// PIDs that could not be mapped, for another has that PID: they stay what they are.
    pub(super) clashes: Vec<(Pid, Pid)>,
}

impl Carriage {
    /// The PIDs that a PMT names, its own at `source`.
    pub(super) fn of(pmt: &Pmt<'_>, source: Pid, order: &Order) -> Self {
        let mut named: Vec<Pid> = pmt.streams().map(|s| s.pid).collect();
        named.push(pmt.pcr_pid());
        if !order.drop_ca {
            let loops = pmt.streams().map(|s| s.descriptors);
            let loops = loops.chain([pmt.descriptors()]);
            named.extend(loops.flat_map(|l| l.all::<CaDescriptor<'_>>().map(|ca| ca.pid)));
        }
        // What stands on a PID of the system layer, or on the PMT's own, is not a stream.
        named.retain(|pid| pid.get() >= 0x10 && *pid != Pid::NULL && *pid != source);
        let clock = Some(pmt.pcr_pid()).filter(|pid| *pid != Pid::NULL);
        let mut pids: BTreeMap<Pid, Pid> = named
            .into_iter()
            .chain([source])
            .map(|pid| (pid, order.pids.get(pid)))
            .collect();
        let clashes = part(&mut pids);
        Self {
            pmt_source: source,
            pmt: pids.remove(&source).unwrap_or(source),
            clock,
            pids,
            clashes,
        }
    }

    /// What a PID is in the output.
    fn get(&self, pid: Pid) -> Pid {
        match pid == self.pmt_source {
            true => self.pmt,
            false => self.pids.get(&pid).copied().unwrap_or(pid),
        }
    }

    /// True when the output has something of the input's own on that PID.
    pub(super) fn uses(&self, pid: Pid) -> bool {
        self.pmt == pid || self.pids.values().any(|out| *out == pid)
    }

    /// The PMT for the output with a version: that of the input to the byte where nothing in it
    /// is changed.
    pub(super) fn pmt(
        &self,
        section: &SectionBuf,
        drop_ca: bool,
        version: u8,
    ) -> Option<SectionBuf> {
        let pmt = Pmt::new(section.section())?;
        let syntax = SectionSyntax {
            version,
            ..pmt.syntax()
        };
        let access = |l: Descriptors<'_>| l.all::<CaDescriptor<'_>>().next().is_some();
        let has_ca = access(pmt.descriptors()) || pmt.streams().any(|s| access(s.descriptors));
        let mapped = self.pids.iter().any(|(from, to)| from != to);
        if !(mapped || drop_ca && has_ca) {
            return match version == pmt.syntax().version {
                true => Some(section.clone()),
                false => {
                    let body = section.section().body();
                    SectionBuf::long(Pmt::TABLE_ID, false, syntax, body)
                }
            };
        }
        let descriptors = |l: Descriptors<'_>| match drop_ca {
            true => l.without_access(),
            false => l.with_access(|pid| Some(self.get(pid))),
        };
        let program = descriptors(pmt.descriptors());
        let streams: Vec<_> = pmt
            .streams()
            .map(|s| (s.stream_type, self.get(s.pid), descriptors(s.descriptors)))
            .collect();
        let streams: Vec<_> = streams
            .iter()
            .map(|(stream_type, pid, descriptors)| PmtStream {
                stream_type: *stream_type,
                pid: *pid,
                descriptors: Descriptors::new(descriptors),
            })
            .collect();
        let fields = PmtFields {
            syntax,
            pcr_pid: self.get(pmt.pcr_pid()),
            descriptors: Descriptors::new(&program),
            streams: &streams,
        };
        fields.to_section()
    }
}

/// Gives PIDs that share one of the output their own back, those that were mapped first; which.
fn part(pids: &mut BTreeMap<Pid, Pid>) -> Vec<(Pid, Pid)> {
    let mut clashes = Vec::new();
    // Each turn gives one PID its own back: there are as many turns as PIDs at most.
    loop {
        let shared = pids.iter().find(|(from, to)| {
            from != to && pids.iter().any(|(other, out)| out == *to && other != *from)
        });
        let Some((from, to)) = shared.map(|(from, to)| (*from, *to)) else {
            return clashes;
        };
        pids.insert(from, from);
        clashes.push((from, to));
    }
}
