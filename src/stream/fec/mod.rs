//! Forward error correction of RTP as in SMPTE ST 2022-1 (Pro-MPEG Code of Practice 3; ETSI
//! TS 102 034 annex E has its columns as base layer).
//!
//! Media datagrams are thought of as a matrix of D rows of L. The exclusive-or of the D of a column,
//! numbers L apart, makes a column datagram, which goes to the port + 2; that of the L of a row makes
//! a row datagram, on the port + 4. Whoever has all but one of such a set, and the FEC datagram, has
//! the last one too. [`FecSender`] makes them, [`FecReceiver`] uses them; neither knows a socket.
//!
//! A FEC datagram is an RTP header of its own, 16 bytes of [`FecHeader`], and the sum of what stands
//! behind the headers of the media datagrams, as long as the longest of them. The sums of their
//! fields stand in the two headers: length, payload type and time stamp in the second, padding,
//! extension, CSRC count and marker in the first (RFC 2733 §3).

mod event;
mod header;
mod receiver;
mod sender;
mod store;
mod sum;
mod wait;

pub use event::FecEvent;
pub use header::{FEC_HEADER_SIZE, FecHeader, FecLine};
pub use receiver::FecReceiver;
pub use sender::{FecDatagram, FecLayout, FecSender};

#[cfg(test)]
mod tests;
