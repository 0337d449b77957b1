//! Where packets are cut out of: a file, a ring.

use crate::ts::{Packet, Pts};
use crate::units::StreamTime;

/// Packets one behind the other.
#[derive(Copy, Clone, Debug)]
pub struct Run<'a> {
    /// The position of the first.
    pub position: u64,
    /// How far each stands from the one before, in the same measure.
    pub stride: u64,
    /// The packets.
    pub packets: &'a [Packet],
}

/// Packets that can be read from any place.
///
/// A *position* is a number that grows from packet to packet, in a file its byte offset: it names
/// a place and measures distance. Reading is sequential from where [`seek`](Self::seek) went.
pub trait Material {
    /// Why it cannot be read.
    type Error;

    /// The positions that there are: from that of the first packet to behind the last. A ring
    /// that is being written grows.
    fn extent(&self) -> std::ops::Range<u64>;

    /// Goes to the packet at `position`, or the first behind it.
    ///
    /// # Errors
    /// When the place cannot be read.
    fn seek(&mut self, position: u64) -> Result<(), Self::Error>;

    /// The next packets; `None` at the end. Junk between packets is passed over; a run without
    /// packets stands for a long stretch of it.
    ///
    /// # Errors
    /// When reading fails.
    fn next_run(&mut self) -> Result<Option<Run<'_>>, Self::Error>;

    /// The instant at which the packet at `position` arrived, in material that keeps arrivals: the
    /// line on which its times are then given. `None` in a plain file, whose line is its PCRs'.
    ///
    /// # Errors
    /// When reading fails.
    fn arrival_at(&mut self, position: u64) -> Result<Option<StreamTime>, Self::Error>;

    /// The last position at which everything had arrived before `time`; `None` where
    /// [`arrival_at`](Self::arrival_at) is.
    ///
    /// # Errors
    /// When reading fails.
    fn position_before(&mut self, time: StreamTime) -> Result<Option<u64>, Self::Error>;

    /// The instant at which `pts` is presented, where the material noted it for the random-access
    /// point at `position`; otherwise it is computed from arrivals and PCRs.
    ///
    /// # Errors
    /// When reading fails.
    fn presentation_at(
        &mut self,
        _position: u64,
        _pts: Pts,
    ) -> Result<Option<StreamTime>, Self::Error> {
        Ok(None)
    }
}
