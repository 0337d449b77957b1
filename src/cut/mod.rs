//! Cutting: a range of a recording as a transport stream of its own, nothing re-encoded.
//!
//! [`survey`] reads the start of a [`material`] and some seconds around each edge, and makes a
//! plan: which random-access points the range begins and ends at, and for every PID from which
//! packet to which it belongs to the same stretch of presentation. [`edit`] carries the plan out
//! packet by packet; between the edges it copies. No machine here reads a file itself.
//!
//! What is kept, precisely: of the picture, the PES packets from the in-point's random-access
//! point to before the out-point's, without the pictures that follow an open in-point and are
//! presented before it. Of every other stream with time stamps, what is presented from the
//! in-point's instant to before the out-point's, wherever it stands in the stream; sound to the
//! access unit, its PES packets split where an edge falls into them. Of sections and of streams
//! without stamps, what begins between the positions of the two points.

pub mod contents;
pub mod edit;
pub mod error;
pub mod event;
pub mod find;
pub mod line;
pub mod material;
pub mod presented;
pub mod retime;
pub mod survey;
#[cfg(test)]
mod tests;
pub mod window;
