//! Machines over packets, without clock or I/O: fed `(packets, arrival)`, asked for what they saw.

mod batch;
mod counters;
pub mod event;

pub use batch::Batch;
pub use counters::Counters;
