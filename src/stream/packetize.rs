//! PES packets cut into transport packets.

use crate::ts::{ContinuityCounter, Packet, Pid};

/// The packets that carry `pes`; payload_unit_start_indicator is set in the first, the last is
/// stuffed by its adaptation field. Counters run from 0.
///
/// ```
/// use headend::{stream::packetize::pes_packets, ts::Pid};
/// let packets = pes_packets(Pid::new(0x101).unwrap(), &[0xAB; 200]);
/// assert_eq!(packets.iter().map(|p| p.payload().len()).collect::<Vec<_>>(), [184, 16]);
/// assert!(packets[0].payload_unit_start() && !packets[1].payload_unit_start());
/// ```
pub fn pes_packets(pid: Pid, pes: &[u8]) -> Vec<Packet> {
    let mut packets = Vec::with_capacity(pes.len().div_ceil(184));
    let mut counter = ContinuityCounter::default();
    let mut rest = pes;
    while !rest.is_empty() {
        counter = counter.next();
        let mut packet = Packet::new(pid, counter);
        packet.set_payload_unit_start(packets.is_empty());
        let taken = packet.fill_payload(rest);
        rest = rest.get(taken..).unwrap_or_default();
        packets.push(packet);
    }
    packets
}
