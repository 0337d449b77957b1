//! Bit rates over windows of a second: total, stuffing, by PID, by service.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::monitor::windows::Windows;
use crate::monitor::{Moment, Series};
use crate::si::descriptor::CaDescriptor;
use crate::si::{Pmt, Service, ServiceId};
use crate::stream::Programs;
use crate::ts::{PACKET_SIZE, Pid};
use crate::units::{BitRate, Ticks27M};

/// PIDs whose rate is kept over time at most; figures have all of them.
pub const MAX_PID_SERIES: usize = 256;
/// Services whose rate is kept over time at most; figures have all of them.
pub const MAX_SERVICE_SERIES: usize = 128;
/// Bits of a packet.
const PACKET_BITS: u64 = PACKET_SIZE as u64 * 8;

/// A bit rate: packets of 188 bytes, headers included.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rate {
    /// Packets counted.
    pub packets: u64,
    /// Over the whole time; `None` before it has a length.
    pub mean_bps: Option<u64>,
    /// In the window with the fewest packets; `None` before the first whole window.
    pub min_bps: Option<u64>,
    /// In the window with the most.
    pub max_bps: Option<u64>,
    /// Over time, in bit/s; `None` where there are too many to keep.
    #[serde(skip)]
    pub series: Option<Series>,
}

/// One rate as it grows.
#[derive(Clone, Debug, Default)]
struct Tally {
    packets: u64,
    /// Fewest and most packets of a window.
    range: Option<(u32, u32)>,
    series: Option<Series>,
}

impl Tally {
    fn new(with_series: bool) -> Self {
        Self {
            series: with_series.then(|| Series::new(Windows::LENGTH)),
            ..Self::default()
        }
    }

    fn window(&mut self, at: Ticks27M, packets: u32) {
        self.packets += u64::from(packets);
        let (least, most) = self.range.unwrap_or((packets, packets));
        self.range = Some((least.min(packets), most.max(packets)));
        if let Some(series) = &mut self.series {
            series.push(at, bits(packets) as i64);
        }
    }

    /// As figures; `begun` are packets of the window that is not over.
    fn rate(&self, begun: u32, span: Ticks27M) -> Rate {
        let packets = self.packets + u64::from(begun);
        Rate {
            packets,
            mean_bps: BitRate::of(packets * PACKET_SIZE as u64, span).map(BitRate::get),
            min_bps: self.range.map(|(least, _)| bits(least)),
            max_bps: self.range.map(|(_, most)| bits(most)),
            series: self.series.clone(),
        }
    }
}

/// Bit/s of so many packets in a window of a second.
const fn bits(packets: u32) -> u64 {
    packets as u64 * PACKET_BITS
}

/// A service and the PIDs that count as its own.
#[derive(Debug)]
struct Member {
    id: ServiceId,
    pids: Vec<Pid>,
    tally: Tally,
    /// It stands in the tables as they are now.
    listed: bool,
}

/// Counts packets in windows.
#[derive(Debug)]
pub(super) struct Rates {
    counts: Box<[u32; Pid::COUNT]>,
    windows: Windows,
    /// Packets before the window that is being counted.
    position: u64,
    /// The newest moment told.
    now: Moment,
    total: Tally,
    pids: BTreeMap<Pid, Tally>,
    services: Vec<Member>,
}

impl Rates {
    pub(super) fn new() -> Self {
        Self {
            counts: vec![0; Pid::COUNT]
                .try_into()
                .unwrap_or_else(|_| Box::new([0; Pid::COUNT])),
            windows: Windows::new(),
            position: 0,
            now: Moment::default(),
            total: Tally::new(true),
            pids: BTreeMap::new(),
            services: Vec::new(),
        }
    }

    /// Takes over which PIDs belong to which service. One that is gone keeps its figures, and
    /// stands at 0 from now on.
    pub(super) fn services(&mut self, programs: &Programs) {
        for member in &mut self.services {
            member.listed = false;
            member.pids.clear();
        }
        for service in programs.services() {
            let pids = pids_of(service, programs);
            match self.services.iter_mut().find(|m| m.id == service.id) {
                Some(known) => (known.pids, known.listed) = (pids, true),
                None => {
                    let with_series = self.services.len() < MAX_SERVICE_SERIES;
                    self.make_room();
                    self.services.push(Member {
                        id: service.id,
                        pids,
                        tally: Tally::new(with_series),
                        listed: true,
                    });
                }
            }
        }
    }

    /// Forgets a service that is gone where there are twice as many as a stream may have.
    fn make_room(&mut self) {
        const MAX_SERVICES: usize = 1024;
        if self.services.len() >= MAX_SERVICES {
            let gone = self.services.iter().position(|m| !m.listed).unwrap_or(0);
            self.services.remove(gone);
        }
    }

    #[inline]
    pub(super) fn push(&mut self, pid: Pid, at: Moment) {
        if at.time >= self.windows.end() {
            self.tick(at);
        }
        self.counts[pid.index()] += 1;
    }

    /// Closes the windows that are over at `at`.
    pub(super) fn tick(&mut self, at: Moment) {
        self.now = at;
        let mut packets = at.position.saturating_sub(self.position);
        let mut windows = self.windows;
        let another = windows.advance(at.time, |start| {
            // Those behind the first are empty.
            let packets = std::mem::take(&mut packets);
            self.close(start, u32::try_from(packets).unwrap_or(u32::MAX));
        });
        self.windows = windows;
        if another {
            self.position = at.position;
        }
    }

    /// The clock jumped, or bytes of the stream are missing: the window is void, its packets
    /// count for the mean only.
    pub(super) fn reset(&mut self, at: Moment) {
        if !self.windows.is_open() {
            return;
        }
        self.now = at;
        self.total.packets += at.position.saturating_sub(self.position);
        for (n, count) in self.counts.iter_mut().enumerate().filter(|(_, c)| **c > 0) {
            let begun = u64::from(std::mem::take(count));
            let pid = Pid::from_field(n as u16);
            entry(&mut self.pids, pid).packets += begun;
            for member in self.services.iter_mut().filter(|m| m.pids.contains(&pid)) {
                member.tally.packets += begun;
            }
        }
        self.windows.begin(at.time);
        self.position = at.position;
    }

    /// One window's counts become values.
    fn close(&mut self, start: Ticks27M, packets: u32) {
        self.total.window(start, packets);
        for member in &mut self.services {
            let counts = member.pids.iter().map(|pid| self.counts[pid.index()]);
            member.tally.window(start, counts.sum());
        }
        for (n, count) in self.counts.iter().enumerate() {
            if *count > 0 {
                entry(&mut self.pids, Pid::from_field(n as u16));
            }
        }
        for (pid, tally) in &mut self.pids {
            tally.window(start, std::mem::take(&mut self.counts[pid.index()]));
        }
    }

    /// The rate of everything, damaged packets included.
    pub(super) fn total(&self) -> Rate {
        let begun = if self.windows.is_open() {
            self.now.position - self.position
        } else {
            0
        };
        let begun = u32::try_from(begun).unwrap_or(u32::MAX);
        self.total.rate(begun, self.now.time)
    }

    /// The rate of each PID that came, by PID.
    pub(super) fn pids(&self) -> BTreeMap<Pid, Rate> {
        let unknown = Tally::default();
        let came = |n: usize| {
            let pid = Pid::from_field(n as u16);
            let tally = self.pids.get(&pid);
            let begun = self.counts.get(n).copied().unwrap_or(0);
            (tally.is_some() || begun > 0)
                .then(|| (pid, tally.unwrap_or(&unknown).rate(begun, self.now.time)))
        };
        (0..Pid::COUNT).filter_map(came).collect()
    }

    /// The rate of each service that was listed, in the order they came.
    pub(super) fn by_service(&self) -> Vec<(ServiceId, Rate)> {
        let begun = |m: &Member| m.pids.iter().map(|p| self.counts[p.index()]).sum();
        let rate = |m: &Member| (m.id, m.tally.rate(begun(m), self.now.time));
        self.services.iter().map(rate).collect()
    }
}

fn entry(pids: &mut BTreeMap<Pid, Tally>, pid: Pid) -> &mut Tally {
    let with_series = pids.len() < MAX_PID_SERIES;
    pids.entry(pid).or_insert_with(|| Tally::new(with_series))
}

/// The PIDs that count as a service's own: PMT, clock, streams, and the ECMs of either loop.
pub fn pids_of(service: &Service, programs: &Programs) -> Vec<Pid> {
    let mut pids = vec![service.pmt_pid];
    pids.extend(service.pcr_pid);
    pids.extend(service.streams.iter().map(|s| s.pid));
    let section = programs.pmt_section(service.id);
    if let Some(pmt) = section.and_then(|s| Pmt::new(s.section())) {
        let loops = std::iter::once(pmt.descriptors()).chain(pmt.streams().map(|s| s.descriptors));
        pids.extend(loops.flat_map(|d| d.all::<CaDescriptor<'_>>().map(|ca| ca.pid)));
    }
    pids.retain(|pid| *pid != Pid::NULL);
    pids.sort_unstable();
    pids.dedup();
    pids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(n: u16) -> Pid {
        Pid::from_field(n)
    }

    /// `rate(second)` packets in each second, evenly.
    fn run(
        rates: &mut Rates,
        from: i64,
        seconds: i64,
        position: &mut u64,
        rate: impl Fn(i64) -> i64,
    ) {
        for second in from..from + seconds {
            let n = rate(second);
            for k in 0..n {
                let time = Ticks27M::SECOND * second + Ticks27M::new(27_000_000 * k / n);
                let at = Moment {
                    position: *position,
                    time,
                };
                rates.push(pid(0x100), at);
                *position += 1;
            }
        }
    }

    #[test]
    fn a_window_is_a_second_and_empty_ones_count() {
        let (mut rates, mut position) = (Rates::new(), 0);
        // 100 and 200 packets in turn, then 3 s of nothing, then one packet.
        run(&mut rates, 0, 10, &mut position, |s| 100 + s % 2 * 100);
        run(&mut rates, 13, 1, &mut position, |_| 1);
        let time = Ticks27M::SECOND * 13;
        rates.tick(Moment { position, time });
        let total = rates.total();
        assert_eq!(total.packets, 1501);
        assert_eq!((total.min_bps, total.max_bps), (Some(0), Some(200 * 1504)));
        // 1501 packets of 1504 bits in 13 s: 173654.15 bit/s.
        assert_eq!(total.mean_bps, Some(173_654));
        let series = total.series.unwrap();
        let values: Vec<_> = series.points().map(|(_, p)| p.max / 1504).collect();
        assert_eq!(
            values,
            [100, 200, 100, 200, 100, 200, 100, 200, 100, 200, 0, 0, 0]
        );
        assert_eq!(rates.pids()[&pid(0x100)].packets, 1501);
    }

    #[test]
    fn a_leap_or_a_reset_is_a_hole_and_no_rate_of_zero() {
        let (mut rates, mut position) = (Rates::new(), 0);
        run(&mut rates, 0, 3, &mut position, |_| 50);
        run(&mut rates, 5000, 3, &mut position, |_| 50);
        let time = Ticks27M::SECOND * 5003 - Ticks27M::MILLISECOND;
        rates.reset(Moment { position, time });
        run(&mut rates, 5003, 2, &mut position, |_| 50);
        rates.tick(Moment {
            position,
            time: Ticks27M::SECOND * 5005,
        });
        let total = rates.total();
        assert_eq!(
            (total.min_bps, total.max_bps),
            (Some(50 * 1504), Some(50 * 1504))
        );
        assert_eq!(
            (total.packets, rates.pids()[&pid(0x100)].packets),
            (400, 400)
        );
    }

    #[test]
    fn memory_is_bounded_whatever_pids_come() {
        let mut rates = Rates::new();
        for position in 0..4 * Pid::COUNT as u64 {
            let time = Ticks27M::MILLISECOND * position as i64;
            rates.push(pid(position as u16), Moment { position, time });
        }
        let pids = rates.pids();
        assert_eq!(pids.len(), Pid::COUNT);
        assert!(pids.values().all(|r| r.packets == 4));
        let kept = pids.values().filter(|r| r.series.is_some()).count();
        assert_eq!(kept, MAX_PID_SERIES);
    }
}
