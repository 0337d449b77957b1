//! What the reception has counted: where a monitor that knows no socket learns of lost datagrams.

use crate::stream::Counters;
use crate::stream::event::Value;

/// Counters of a source, since it was opened. What a source does not count stays `None`.
///
/// It is filled by handing it to the source as its [`Counters`]; names it does not know are
/// passed over.
///
/// ```
/// use headend::monitor::network::ReceptionCounts;
/// use headend::stream::Counters;
/// let mut counts = ReceptionCounts::default();
/// counts.set("kernel_drops_datagrams", 3);
/// counts.set("in_bytes", 1316);
/// assert_eq!((counts.kernel_drops, counts.rtp_lost), (Some(3), None));
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceptionCounts {
    /// Datagrams that came.
    pub datagrams: Option<u64>,
    /// Packets that came in them.
    pub packets: Option<u64>,
    /// Datagrams that the kernel lost for want of room in the receive buffer.
    pub kernel_drops: Option<u64>,
    /// RTP datagrams that did not come, or not in time, by sequence number.
    pub rtp_lost: Option<u64>,
    /// RTP datagrams that came out of order, and in time.
    pub rtp_reordered: Option<u64>,
    /// RTP datagrams that came again.
    pub rtp_duplicates: Option<u64>,
    /// RTP datagrams that came when they had been given up: they are among the lost.
    pub rtp_late: Option<u64>,
}

impl Counters for ReceptionCounts {
    fn put(&mut self, key: &str, value: Value) {
        let place = match key {
            "in_datagrams" => &mut self.datagrams,
            "in_packets" => &mut self.packets,
            "kernel_drops_datagrams" => &mut self.kernel_drops,
            "rtp_lost_datagrams" => &mut self.rtp_lost,
            "rtp_reordered_datagrams" => &mut self.rtp_reordered,
            "rtp_duplicate_datagrams" => &mut self.rtp_duplicates,
            "rtp_late_datagrams" => &mut self.rtp_late,
            _ => return,
        };
        if let Value::Number(n) = value {
            *place = u64::try_from(n).ok();
        }
    }
}

impl ReceptionCounts {
    /// Media packets that RTP tells to be lost or out of order: so many for each datagram as they
    /// hold on average, seven before any is known. `None` where there is no RTP.
    pub(super) fn media_packets(&self) -> Option<u64> {
        const USUAL: u64 = 7;
        let datagrams = self.rtp_lost? + self.rtp_reordered.unwrap_or(0);
        let each = match (self.packets, self.datagrams) {
            (Some(packets), Some(came)) if came > 0 => ((packets + came / 2) / came).max(1),
            _ => USUAL,
        };
        Some(datagrams * each)
    }
}
