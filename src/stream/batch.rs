//! Packets that travel together, with when they came.

use crate::ts::{PACKET_SIZE, Packet};
use crate::units::Arrival;

/// Contiguous packets and their arrivals: what crosses threads and layers.
///
/// A batch holds *runs*: packets that came at one instant, in one datagram or one read. Its
/// memory is taken once; [`Batch::clear`] keeps it for the next turn. Receivers write in place
/// with [`Batch::spare_mut`] and [`Batch::commit`].
///
/// ```
/// use headend::{stream::Batch, ts::Packet, units::Arrival};
/// let mut batch = Batch::with_capacity(8);
/// batch.extend(&[Packet::NULL; 7], Arrival::from_ticks(27));
/// assert_eq!((batch.len(), batch.room()), (7, 1));
/// assert_eq!(batch.runs().next().map(|(at, packets)| (at.ticks(), packets.len())), Some((27, 7)));
/// ```
#[derive(Debug)]
pub struct Batch {
    bytes: Box<[u8]>,
    len: usize,
    runs: Vec<Run>,
}

#[derive(Copy, Clone, Debug)]
struct Run {
    first: usize,
    arrival: Arrival,
}

impl Batch {
    /// An empty batch for at most `packets` packets.
    pub fn with_capacity(packets: usize) -> Self {
        Self {
            bytes: vec![0; packets * PACKET_SIZE].into(),
            len: 0,
            runs: Vec::new(),
        }
    }

    /// Forgets the packets and keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
        self.runs.clear();
    }

    /// Packets in the batch.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Packets that it holds at most.
    pub fn capacity(&self) -> usize {
        self.bytes.len() / PACKET_SIZE
    }

    /// Packets that still fit.
    pub fn room(&self) -> usize {
        self.capacity() - self.len
    }

    /// The packets.
    pub fn packets(&self) -> &[Packet] {
        Packet::slice_of(self.as_bytes()).0
    }

    /// The packets, to be changed in place.
    pub fn packets_mut(&mut self) -> &mut [Packet] {
        Packet::slice_of_mut(&mut self.bytes[..self.len * PACKET_SIZE]).0
    }

    /// The bytes of the packets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len * PACKET_SIZE]
    }

    /// Appends a packet; false when there is no room.
    pub fn push(&mut self, packet: &Packet, arrival: Arrival) -> bool {
        self.extend(std::slice::from_ref(packet), arrival) == 1
    }

    /// Appends packets that came at `arrival`; returns how many fitted.
    pub fn extend(&mut self, packets: &[Packet], arrival: Arrival) -> usize {
        let taken = packets.len().min(self.room());
        let bytes = Packet::bytes_of(&packets[..taken]);
        self.spare_mut()[..bytes.len()].copy_from_slice(bytes);
        self.commit(taken, arrival);
        taken
    }

    /// The memory behind the packets, to be filled before [`Batch::commit`].
    pub fn spare_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.len * PACKET_SIZE..]
    }

    /// Makes the first `packets` packets of the spare memory, as far as there are so many, part
    /// of the batch.
    pub fn commit(&mut self, packets: usize, arrival: Arrival) {
        let packets = packets.min(self.room());
        if packets == 0 {
            return;
        }
        if self.runs.last().is_none_or(|run| run.arrival != arrival) {
            self.runs.push(Run {
                first: self.len,
                arrival,
            });
        }
        self.len += packets;
    }

    /// Keeps the first `packets` packets and forgets the rest.
    pub fn truncate(&mut self, packets: usize) {
        if packets < self.len {
            self.len = packets;
            self.runs.retain(|run| run.first < packets);
        }
    }

    /// The packets in runs of one arrival, in order.
    pub fn runs(&self) -> impl Iterator<Item = (Arrival, &[Packet])> {
        let packets = self.packets();
        let ends = self
            .runs
            .iter()
            .skip(1)
            .map(|run| run.first)
            .chain([self.len]);
        self.runs
            .iter()
            .zip(ends)
            .map(move |(run, end)| (run.arrival, &packets[run.first..end]))
    }

    /// When the first packet came.
    pub fn first_arrival(&self) -> Option<Arrival> {
        self.runs.first().map(|run| run.arrival)
    }

    /// When the last packet came.
    pub fn last_arrival(&self) -> Option<Arrival> {
        self.runs.last().map(|run| run.arrival)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ts::Pid;

    fn numbered(n: u16) -> Packet {
        let mut p = Packet::NULL;
        p.set_pid(Pid::from_field(n));
        p
    }

    #[test]
    fn a_full_batch_takes_no_more_and_says_so() {
        let mut batch = Batch::with_capacity(3);
        assert_eq!(batch.extend(&[Packet::NULL; 2], Arrival::from_ticks(1)), 2);
        assert_eq!(batch.extend(&[Packet::NULL; 2], Arrival::from_ticks(2)), 1);
        assert!(!batch.push(&Packet::NULL, Arrival::from_ticks(3)));
        assert_eq!((batch.len(), batch.runs().count()), (3, 2));
        batch.commit(9, Arrival::from_ticks(4));
        assert_eq!((batch.len(), batch.room()), (3, 0));
    }

    #[test]
    fn runs_give_back_what_came_when() {
        let mut batch = Batch::with_capacity(10);
        for (n, at) in [(0, 5), (1, 5), (2, 7), (3, 9)] {
            batch.push(&numbered(n), Arrival::from_ticks(at));
        }
        let seen: Vec<_> = batch
            .runs()
            .map(|(at, p)| {
                (
                    at.ticks(),
                    p.iter().map(|p| p.pid().get()).collect::<Vec<_>>(),
                )
            })
            .collect();
        assert_eq!(seen, [(5, vec![0, 1]), (7, vec![2]), (9, vec![3])]);
        batch.truncate(2);
        assert_eq!(batch.last_arrival(), Some(Arrival::from_ticks(5)));
        batch.truncate(0);
        assert_eq!((batch.runs().count(), batch.first_arrival()), (0, None));
    }
}
