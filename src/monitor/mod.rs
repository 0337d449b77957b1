//! What is wrong with a stream, and what is in it: the machine behind tsmon.
//!
//! A monitor is fed packets with their arrivals and asked; it knows no clock, socket or file. Each
//! family of checks is a machine of its own that takes what was [`Seen`], and hands over
//! [`Finding`]s; it also says which of its [`Check`]s it could not judge on this input, and why:
//! a check that was not judged has not been passed.

mod check;
pub mod content;
mod finding;
mod series;

pub use check::{Check, Priority};
pub use finding::{Finding, Moment, Out, Seen, Verdict};
pub use series::{Point, Series};
