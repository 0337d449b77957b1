//! PAT, PMT and SDT of the output, at a pace of their own.

use super::layout::Layout;
use crate::si::descriptor::Descriptors;
use crate::si::{
    OriginalNetworkId, PatEntry, PatFields, RunningStatus, Sdt, SdtFields, SdtService, ServiceId,
};
use crate::stream::{SectionAssembler, SectionPacketizer};
use crate::ts::{Packet, Pid, Section, SectionBuf, SectionSyntax};
use crate::units::{StreamTime, Ticks27M};

/// PAT and PMT this often: TR 101 290 wants them each 0.5 s, TS 101 154 each 0.1 s.
const PSI_EVERY: Ticks27M = Ticks27M::from_millis(80);
/// The SDT this often: EN 300 468 wants it each 2 s.
const SDT_EVERY: Ticks27M = Ticks27M::from_millis(1_000);

/// What the SDT of an input says about its service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Naming {
    pub(super) network: OriginalNetworkId,
    pub(super) descriptors: Vec<u8>,
}

/// Looks for the naming of a service.
#[derive(Debug)]
pub(super) struct NamingReader {
    sdt: SectionAssembler,
    pub(super) found: Option<Naming>,
}

impl NamingReader {
    pub(super) const fn new() -> Self {
        Self {
            sdt: SectionAssembler::new(Pid::SDT),
            found: None,
        }
    }

    /// Takes a packet of the SDT's PID.
    pub(super) fn push(&mut self, packet: &Packet, service: ServiceId) {
        let found = &mut self.found;
        self.sdt.push(packet, |section| {
            let Ok(bytes) = section else { return };
            if found.is_some() {
                return;
            }
            let Ok(section) = Section::new(bytes) else {
                return;
            };
            let Some(sdt) = Sdt::new(section).filter(Sdt::is_actual) else {
                return;
            };
            let network = sdt.original_network_id();
            let of_it = sdt.services().find(|s| s.service == service);
            *found = of_it.map(|s| Naming {
                network,
                descriptors: s.descriptors.as_bytes().to_vec(),
            });
        });
    }
}

/// Writes the tables.
#[derive(Debug)]
pub(super) struct Tables {
    pat: Option<SectionBuf>,
    sdt: Option<SectionBuf>,
    naming: Option<Naming>,
    /// The EIT tells what is on now and next.
    events: bool,
    pat_out: SectionPacketizer,
    pmt_out: SectionPacketizer,
    sdt_out: SectionPacketizer,
    next_psi: StreamTime,
    next_sdt: StreamTime,
}

impl Tables {
    /// The tables of a layout, due at once at `now`.
    pub(super) fn new(layout: &Layout, now: StreamTime) -> Self {
        let first = &layout.first;
        let entry = PatEntry {
            program: first.service,
            pid: first.pmt_pid,
        };
        Self {
            pat: PatFields::new(first.transport_stream, 0, &[entry]).to_section(),
            sdt: None,
            naming: None,
            events: false,
            pat_out: SectionPacketizer::new(Pid::PAT),
            pmt_out: SectionPacketizer::new(first.pmt_pid),
            sdt_out: SectionPacketizer::new(Pid::SDT),
            next_psi: now,
            next_sdt: now,
        }
    }

    /// True while the service has no name yet.
    pub(super) const fn is_nameless(&self) -> bool {
        self.sdt.is_none()
    }

    /// Takes the name of the service.
    pub(super) fn name(&mut self, layout: &Layout, naming: &Naming) {
        self.naming = Some(naming.clone());
        self.describe(layout);
    }

    /// The name of the service, once it has one.
    pub(super) const fn naming(&self) -> Option<&Naming> {
        self.naming.as_ref()
    }

    /// Sections of the EIT are passed from here on.
    pub(super) fn announce_events(&mut self, layout: &Layout) {
        if !std::mem::replace(&mut self.events, true) {
            self.describe(layout);
        }
    }

    fn describe(&mut self, layout: &Layout) {
        let Some(naming) = &self.naming else { return };
        let service = SdtService {
            service: layout.first.service,
            eit_schedule: false,
            eit_present_following: self.events,
            running: RunningStatus::Running,
            scrambled: false,
            descriptors: Descriptors::new(&naming.descriptors),
        };
        let fields = SdtFields {
            actual: true,
            syntax: SectionSyntax {
                extension: layout.first.transport_stream.0,
                // It says one thing more once there are any.
                version: u8::from(self.events),
                current: true,
                number: 0,
                last_number: 0,
            },
            original_network: naming.network,
            services: &[service],
        };
        self.sdt = fields.to_section();
    }

    /// The tables are due at `now`: what they say has changed.
    pub(super) fn hurry(&mut self, now: StreamTime) {
        self.next_psi = self.next_psi.min(now);
    }

    /// When the next table is due.
    pub(super) fn due(&self) -> StreamTime {
        match &self.sdt {
            Some(_) => self.next_psi.min(self.next_sdt),
            None => self.next_psi,
        }
    }

    /// Writes what is due at `now`.
    pub(super) fn write(&mut self, layout: &Layout, now: StreamTime, out: &mut dyn FnMut(&Packet)) {
        if now >= self.next_psi {
            self.next_psi = now + PSI_EVERY;
            self.pat_out.push(&self.pat, &mut *out);
            self.pmt_out.push(layout.pmt(), &mut *out);
        }
        if self.sdt.is_some() && now >= self.next_sdt {
            self.next_sdt = now + SDT_EVERY;
            self.sdt_out.push(&self.sdt, out);
        }
    }
}
