//! One output that never stops, from several inputs: the machine behind tsfallback.
//!
//! A [`Switch`] is fed the packets of each input with their arrivals, and asked what leaves by a
//! given instant. Each input is laid on a line of its own by its PCRs, followed against the
//! monotonic clock, and put together in units (PES packets and sections). The output has one line
//! too. An input on air is a *leg*: its line moved by a constant span. A splice ends one leg at the
//! end of a picture and begins another at a random-access point; each stream of the old one is
//! left, and of the new one entered, at the same instant of presentation.
//!
//! What leaves was received so long ago as the switch *holds* packets: long enough for jitter and
//! for a picture to be whole before its first packet leaves.

mod description;
mod event;
mod fault;
mod health;
mod information;
mod input;
mod layout;
mod leg;
mod machine;
mod output;
mod plan;
mod policy;
mod recovery;
mod tables;
mod twins;
mod unit;

pub use description::{Description, StreamDescription};
pub use event::SwitchEvent;
pub use fault::{Fault, Faults};
pub use health::{Health, HealthOptions};
pub use input::MOST_PACKETS;
pub use layout::{Layout, MAX_SLOTS, Slot};
pub use machine::{InputStatus, Switch, SwitchOptions};
pub use policy::{Policy, PolicyOptions, Reason, Refused};
pub use recovery::Recovery;
pub use twins::TwinStatus;
