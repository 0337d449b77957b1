//! A cut out of any bytes: of a file, and of material that keeps arrivals.

use std::convert::Infallible;
use std::ops::Range;

use headend::cut::edit::Cutter;
use headend::cut::material::{Material, Run};
use headend::cut::retime::Retimer;
use headend::cut::survey::{Snap, Survey};
use headend::ts::{Packet, Pid, SYNC_BYTE};
use headend::units::{StreamTime, Ticks27M};

/// Packets in memory; a position is an index times 188.
struct Memory {
    packets: Vec<Packet>,
    at: usize,
    /// Each packet arrived 1 ms after the one before.
    dated: bool,
}

/// The place of a packet.
fn place(position: u64) -> usize {
    usize::try_from(position.div_ceil(188)).unwrap_or(usize::MAX)
}

impl Material for Memory {
    type Error = Infallible;

    fn extent(&self) -> Range<u64> {
        0..self.packets.len() as u64 * 188
    }

    fn seek(&mut self, position: u64) -> Result<(), Infallible> {
        self.at = place(position).min(self.packets.len());
        Ok(())
    }

    fn next_run(&mut self) -> Result<Option<Run<'_>>, Infallible> {
        let at = self.at;
        let packets = &self.packets[at..(at + 777).min(self.packets.len())];
        self.at += packets.len();
        Ok((!packets.is_empty()).then_some(Run {
            position: at as u64 * 188,
            stride: 188,
            packets,
        }))
    }

    fn arrival_at(&mut self, position: u64) -> Result<Option<StreamTime>, Infallible> {
        let ms = i64::try_from(position / 188).unwrap_or(i64::MAX);
        let at = StreamTime::default() + Ticks27M::from_millis(ms);
        Ok(self.dated.then_some(at))
    }

    fn position_before(&mut self, time: StreamTime) -> Result<Option<u64>, Infallible> {
        let ms = (time - StreamTime::default()).as_millis().max(0);
        let position = u64::try_from(ms).unwrap_or(0).saturating_mul(188);
        Ok(self.dated.then_some(position.min(self.extent().end)))
    }
}

/// Cuts what the first three bytes say out of the packets behind them: whatever they are, the
/// result consists of packets, begins with the PAT and holds no null packet.
pub fn cut(data: &[u8]) {
    let Some(([how, from, length], bytes)) = data.split_first_chunk() else {
        return;
    };
    let packets: Vec<Packet> = super::packets(bytes).collect();
    let dated = how & 8 != 0;
    let mut material = Memory {
        packets,
        at: 0,
        dated,
    };
    let Ok(survey) = Survey::of(&mut material, None, None) else {
        return;
    };
    let time = |tenths: u8| survey.origin() + Ticks27M::from_millis(i64::from(tenths) * 100 - 1000);
    let from_time = (*from > 0).then(|| time(*from));
    let to_time =
        (*length > 0).then(|| time(*from) + Ticks27M::from_millis(i64::from(*length) * 100));
    let snap = match how % 5 {
        0 => Snap::Outward,
        1 => Snap::Before,
        2 => Snap::After,
        3 => Snap::Nearest,
        _ => Snap::Closed,
    };
    let Ok(plan) = survey.plan(&mut material, from_time, to_time, snap) else {
        return;
    };
    let mut cutter = Cutter::new(plan.instructions.clone());
    let mut retimer = Retimer::new(plan.contents.clone(), how & 16 != 0);
    let (mut all, mut out) = (Vec::new(), Vec::new());
    let _ = material.seek(plan.read.start);
    while let Ok(Some(run)) = material.next_run() {
        let left = plan.read.end.saturating_sub(run.position).div_ceil(188);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let packets = run.packets.get(..left).unwrap_or(run.packets);
        if packets.is_empty() {
            break;
        }
        cutter.push(run.position, run.stride, packets, &mut out);
        retimer.push(&mut out, &mut |_| {});
        all.append(&mut out);
        if how & 32 != 0 {
            retimer.interrupt();
        }
    }
    cutter.finish(&mut out);
    retimer.push(&mut out, &mut |_| {});
    retimer.finish(&mut out, &mut |_| {});
    all.append(&mut out);
    assert!(all.iter().all(|p| p.pid() != Pid::NULL));
    // What is fed here may be without sync bytes; what is made of it is not asked for more.
    let synced = bytes.chunks(188).all(|p| p[0] == SYNC_BYTE);
    assert!(!synced || all.iter().all(|p| p.as_bytes()[0] == SYNC_BYTE));
    if let Some(first) = all.first() {
        assert_eq!(first.pid(), Pid::PAT, "a result begins with the PAT");
    }
}
