//! What is wrong with a stream, and what is in it: the machine behind tsmon.
//!
//! A [`Monitor`] is fed packets with their arrivals and asked; it knows no clock, socket or file.
//! Each family of checks is a machine of its own that takes what was [`Seen`], and hands over
//! [`Finding`]s; it also says which of its [`Check`]s it could not judge on this input, and why:
//! a check that was not judged has not been passed.

mod alarm;
mod census;
mod check;
mod clock;
pub mod clocks;
pub mod content;
mod core;
mod families;
mod finding;
pub mod network;
pub mod profile;
mod report;
mod series;
mod shown;
pub mod tables;
mod tally;
pub mod tstd;
mod unrolled;
mod windows;

pub use self::core::{Monitor, MonitorOptions};
pub use alarm::{Alarm, Alarms, MAX_ALARMS};
pub use census::PidCount;
pub use check::{Check, Priority};
pub use clock::TimeSource;
pub use finding::{Finding, Moment, Out, Seen, Verdict};
pub use report::{CheckReport, PidReport, Report, ServiceReport, UNSYNCED};
pub use series::{Point, Series};
pub use tally::Count;
