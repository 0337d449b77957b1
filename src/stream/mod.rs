//! Machines over packets, without clock or I/O: fed `(packets, arrival)`, asked for what they saw.

mod batch;
pub mod codec;
pub mod continuity;
mod counters;
pub mod event;
mod framing;
pub mod pacer;
mod parity;
mod pending;
mod programs;
pub mod rap;
pub mod restamp;
mod sections;
pub mod stuffing;
pub mod timeline;

pub use batch::Batch;
pub use counters::Counters;
pub use framing::{Framer, Framing, FramingEvent, REANCHOR_AFTER, header as arrival_header};
pub use parity::{PARITY_SIZE, parity};
pub use pending::Pending;
pub use programs::{ProgramEvent, Programs};
pub use sections::{SectionAssembler, SectionLoss, SectionLost, SectionPacketizer};
