//! Machines over packets, without clock or I/O: fed `(packets, arrival)`, asked for what they saw.

pub mod event;
