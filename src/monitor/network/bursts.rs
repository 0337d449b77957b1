//! Packets that come all at once.

use crate::units::{Arrival, BitRate, Ticks27M};

/// The fewest packets of a burst: four datagrams of seven.
pub(super) const BURST_PACKETS: u64 = 28;

/// Finds bursts: packets that come in at more than twice the media rate, each arrival before half
/// the time is over that the one before takes.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    /// When it began, when its newest packets came, and how many they and all of it are.
    open: Option<(Arrival, Arrival, u64, u64)>,
    pub(super) count: u64,
    /// The most packets of one, and how long it took.
    pub(super) longest: Option<(u64, Ticks27M)>,
}

impl Bursts {
    /// So many packets came at once.
    pub(super) fn arrived(&mut self, packets: u64, arrival: Arrival, rate: BitRate) {
        let bytes = |packets: u64| packets.saturating_mul(crate::ts::PACKET_SIZE as u64);
        if let Some((_, newest, before, all)) = &mut self.open
            && (arrival - *newest) * 2 < rate.span_of(bytes(*before))
        {
            (*newest, *before) = (arrival, packets);
            *all += packets;
            return;
        }
        self.close();
        self.open = Some((arrival, arrival, packets, packets));
    }

    /// No more comes to what has begun.
    pub(super) fn close(&mut self) {
        let Some((first, newest, _, all)) = self.open.take() else {
            return;
        };
        if all < BURST_PACKETS {
            return;
        }
        self.count += 1;
        if self.longest.is_none_or(|(most, _)| all > most) {
            self.longest = Some((all, newest - first));
        }
    }
}
