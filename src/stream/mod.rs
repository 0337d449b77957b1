//! Machines over packets, without clock or I/O: fed `(packets, arrival)`, asked for what they saw.

pub mod access_unit;
pub mod audio_format;
mod batch;
#[cfg(test)]
mod chance;
pub mod codec;
pub mod continuity;
mod counters;
mod distribution;
pub mod event;
pub mod fec;
mod framing;
pub mod pacer;
pub mod packetize;
mod parity;
mod peak_rate;
mod pending;
mod pes_payload;
pub mod playout;
mod programs;
pub mod rap;
mod reorder;
mod repeats;
pub mod restamp;
mod rtp;
mod rtp_clock;
mod sections;
pub mod split_sound;
pub mod stuffing;
pub mod timeline;
pub mod torn;
pub mod video;

pub use batch::Batch;
pub use counters::{Counters, Snapshot};
pub use distribution::Distribution;
pub use framing::{Framer, Framing, FramingEvent, REANCHOR_AFTER, header as arrival_header};
pub use parity::{PARITY_SIZE, parity};
pub use peak_rate::PeakRate;
pub use pending::Pending;
pub use pes_payload::{PesPart, PesPayload, PesStart};
pub use programs::{ProgramEvent, Programs};
pub use reorder::{Pushed, Reorder, ReorderEvent};
pub use repeats::Repeats;
pub use rtp::{RTP_HEADER_SIZE, RtpHeader};
pub use rtp_clock::RtpClock;
pub use sections::{SectionAssembler, SectionLoss, SectionLost, SectionPacketizer};
