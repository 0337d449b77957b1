//! What was measured, for reports.

use serde::Serialize;

use super::chain::Chain;
use super::finding::Buffer;
use super::measured::Extremes;
use super::model::{CONTRADICTION, Main, SCRAMBLED_MODEL, SCRAMBLED_UNITS, Transfer, Video};
use super::program::Program;
use super::quantity::{Amount, Fine};
use super::systems;
use crate::si::ServiceId;
use crate::ts::Pid;

/// How full the buffers of the T-STD were.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BufferMeasures {
    /// The elementary streams, by service and in the order of its PMT.
    pub streams: Vec<StreamBuffers>,
    /// The systems buffers of each program.
    pub systems: Vec<SystemsBuffers>,
}

/// How full a buffer was.
#[derive(Copy, Clone, Debug, Serialize)]
pub struct Fullness {
    /// `TB`, `MB`, `EB`, `B`, `TBsys` or `Bsys`.
    pub buffer: &'static str,
    /// What it holds.
    pub size_bytes: u64,
    /// At most.
    pub highest_bytes: u64,
    /// What was left when a unit was taken out, at least; only of buffers that may underflow.
    pub lowest_bytes: Option<u64>,
    /// What flows out of it; absent where units are taken out at once.
    pub leak_bps: Option<u64>,
}

/// The buffers of an elementary stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamBuffers {
    /// elementary_PID.
    pub pid: u16,
    /// The service by whose clock it is judged.
    pub service: ServiceId,
    /// Why not all of it could be judged.
    pub not_judged: Option<&'static str>,
    /// Its buffers, as far as they are followed.
    pub buffers: Vec<Fullness>,
    /// Access units with a decoding time.
    pub access_units_total: u64,
    /// How often what was under way was lost to missing packets, scrambling or a new clock.
    pub resets_total: u64,
    /// From a unit's first byte to its decoding, at most.
    pub delay_highest_ms: Option<i64>,
    /// At least.
    pub delay_lowest_ms: Option<i64>,
}

/// TBsys and Bsys of a program.
#[derive(Clone, Debug, Serialize)]
pub struct SystemsBuffers {
    /// Its program_number.
    pub service: ServiceId,
    /// The two.
    pub buffers: Vec<Fullness>,
}

fn fullness(buffer: Buffer, size: Amount, seen: &Extremes, leak: Option<u64>) -> Fullness {
    Fullness {
        buffer: buffer.name(),
        size_bytes: size.to_bytes(),
        highest_bytes: seen.highest.to_bytes(),
        lowest_bytes: seen.lowest.map(Amount::to_bytes),
        leak_bps: leak,
    }
}

impl StreamBuffers {
    pub(super) fn new(chain: &Chain, program: &Program) -> Self {
        let measured = &chain.measured;
        let mut buffers = Vec::new();
        let mut not_judged = chain.model.err();
        if let Ok(model) = chain.model {
            let size = Amount::bytes(model.transport);
            let leak = Some(chain.rate());
            buffers.push(fullness(Buffer::Transport, size, &measured.transport, leak));
            match model.main {
                Main::One(size) => {
                    let size = Amount::bytes(size);
                    buffers.push(fullness(Buffer::Main, size, &measured.last, None));
                }
                Main::Video(Video {
                    transfer: Transfer::Unknown(reason),
                    ..
                }) => not_judged = Some(reason),
                Main::Video(video) => {
                    let leak = match video.transfer {
                        Transfer::Leak => Some(video.leak),
                        Transfer::Hrd(schedule) => Some(schedule.buffer.rate_bps),
                        Transfer::VbvDelay | Transfer::Unknown(_) => None,
                    };
                    let size = video.multiplex;
                    buffers.push(fullness(Buffer::Multiplex, size, &measured.multiplex, leak));
                    let size = video.elementary;
                    buffers.push(fullness(Buffer::Elementary, size, &measured.last, None));
                }
            }
            if measured.contradictions > 0 {
                not_judged = Some(CONTRADICTION);
            }
            if measured.scrambled {
                not_judged = Some(SCRAMBLED_UNITS);
            }
        } else if measured.scrambled {
            not_judged = Some(SCRAMBLED_MODEL);
        }
        if program.intervals == 0 {
            not_judged = Some("no two PCRs date its bytes");
        }
        let ms = |span: Fine| span.ticks().as_millis();
        Self {
            pid: chain.pid.get(),
            service: program.service,
            not_judged,
            buffers,
            access_units_total: measured.units,
            resets_total: measured.resets,
            delay_highest_ms: measured.longest_delay.map(ms),
            delay_lowest_ms: measured.shortest_delay.map(ms),
        }
    }
}

impl SystemsBuffers {
    pub(super) fn new(program: &Program) -> Self {
        let systems = &program.systems;
        Self {
            service: program.service,
            buffers: vec![
                fullness(
                    Buffer::SystemsTransport,
                    systems::TRANSPORT,
                    &systems.transport_seen,
                    Some(systems::RATE),
                ),
                fullness(Buffer::Systems, systems::SIZE, &systems.main_seen, None),
            ],
        }
    }
}

impl BufferMeasures {
    /// The buffers of one PID.
    pub fn of(&self, pid: Pid) -> Option<&StreamBuffers> {
        self.streams.iter().find(|s| s.pid == pid.get())
    }
}
