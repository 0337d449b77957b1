//! The outside world: clocks, signals, files, sockets.

pub mod signal;
