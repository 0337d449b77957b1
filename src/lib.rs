//! `headend`: the library below the tools.
//!
//! Layers, lowest first; a module uses only what stands before it:
//!
//! - [`units`]: numbers that carry their unit
//! - [`ts`]: ISO/IEC 13818-1 syntax, read and written in place
//! - [`si`]: what sections say, tables and descriptors read and written
//! - [`stream`]: machines over packets, without clock or I/O
//! - [`ring`]: the circular recorder's store; of the machines, it alone touches files
//! - [`route`]: services of a multiplex, each as a stream of its own
//! - [`cut`]: a range of a recording as a stream of its own
//! - [`monitor`]: what is wrong with a stream, and what is in it
//! - [`switch`]: one output that never stops, from several inputs
//! - [`io`]: the outside world: endpoints, clocks, signals
//! - [`cli`]: what all command lines share
//! - [`tools`]: one file a tool
//!
//! ARCHITECTURE.md says why.

pub mod units;

pub mod ts;

pub mod si;

pub mod stream;

pub mod ring;

pub mod route;

pub mod cut;

pub mod monitor;

pub mod switch;

pub mod io;

pub mod cli;

pub mod tools;
