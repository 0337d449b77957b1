use super::*;
use crate::si::descriptor::Descriptors;
use crate::si::{PatEntry, PatFields, PmtFields, PmtStream, StreamType, TransportStreamId};
use crate::stream::SectionPacketizer;
use crate::ts::{ContinuityCounter, Pcr};

const PMT: Pid = Pid::from_field(0x100);
const VIDEO: Pid = Pid::from_field(0x101);

/// A stream in simulated time: a PCR each 40 ms, the tables each 200 ms while they are sent. A live
/// one comes packet by packet, a file as a whole.
struct Sender {
    monitor: Monitor,
    file: Option<Vec<Packet>>,
    tables: [SectionPacketizer; 2],
    now_ms: i64,
    found: Vec<(Check, i64)>,
}

impl Sender {
    fn new(time: TimeSource) -> Self {
        let options = MonitorOptions {
            time,
            ..MonitorOptions::default()
        };
        Self {
            monitor: Monitor::new(options),
            file: (time == TimeSource::Pcr).then(Vec::new),
            tables: [
                SectionPacketizer::new(Pid::PAT),
                SectionPacketizer::new(PMT),
            ],
            now_ms: 0,
            found: Vec::new(),
        }
    }

    fn push(&mut self, packets: &[Packet]) {
        let mut batch = Batch::with_capacity(packets.len());
        batch.extend(packets, Arrival::from_ticks(self.now_ms * 27_000));
        let found = &mut self.found;
        self.monitor.push(&batch, &mut |f| {
            found.push((f.check, f.at.time.as_millis()));
        });
    }

    fn send(&mut self, ms: i64, with_tables: bool) {
        let entry = PatEntry {
            program: ServiceId(1),
            pid: PMT,
        };
        let video = PmtStream {
            stream_type: StreamType::MPEG2_VIDEO,
            pid: VIDEO,
            descriptors: Descriptors::NONE,
        };
        let pat = PatFields::new(TransportStreamId(1), 0, &[entry]).to_section();
        let pmt = PmtFields::new(ServiceId(1), 0, VIDEO, Descriptors::NONE, &[video]).to_section();
        let sections = [pat.unwrap(), pmt.unwrap()];
        let end = self.now_ms + ms;
        while self.now_ms < end {
            let pcr = Pcr::from_ticks(self.now_ms as u64 * 27_000).unwrap();
            let clock = Packet::pcr_only(VIDEO, ContinuityCounter::default(), pcr);
            let mut packets = vec![clock];
            if with_tables && self.now_ms % 200 == 0 {
                for (table, section) in self.tables.iter_mut().zip(&sections) {
                    table.push([section], |p| packets.push(*p));
                }
            }
            match &mut self.file {
                Some(file) => file.extend(packets),
                None => self.push(&packets),
            }
            self.now_ms += 40;
        }
    }

    /// Nothing that is a packet comes.
    fn wait(&mut self, ms: i64) {
        let end = self.now_ms + ms;
        while self.now_ms < end {
            self.now_ms += 40;
            let found = &mut self.found;
            let now = Arrival::from_ticks(self.now_ms * 27_000);
            self.monitor.idle(now, &mut |f| {
                found.push((f.check, f.at.time.as_millis()));
            });
        }
    }

    fn lose_sync(&mut self) {
        let held = self.file.as_ref().map_or(0, Vec::len) as u64;
        self.monitor.sync_lost(self.monitor.packets() + held);
    }

    fn checks(&self) -> Vec<Check> {
        let mut checks: Vec<_> = self.found.iter().map(|(check, _)| *check).collect();
        checks.dedup();
        checks
    }
}

#[test]
fn while_synchronisation_is_lost_nothing_else_is_judged() {
    let mut live = Sender::new(TimeSource::Arrival);
    live.send(2000, true);
    assert_eq!(live.found, []);
    live.lose_sync();
    live.wait(3000);
    assert_eq!(live.checks(), [Check::SyncByteError, Check::TsSyncLoss]);
    let loss = live.found.len();
    // The tables stay away behind it: their half second begins where synchronisation is back.
    live.send(480, false);
    assert_eq!(live.found.len(), loss, "{:?}", live.found);
    live.send(400, false);
    for check in [Check::PatError2, Check::PmtError2] {
        let first = live.found.iter().find(|(c, _)| *c == check).unwrap();
        // A look each 100 ms.
        assert!((5500..=5640).contains(&first.1), "{:?}", live.found);
    }
    let report = live.monitor.report();
    let reason = |check| {
        report
            .checks
            .iter()
            .find(|c| c.check == check)
            .unwrap()
            .reason
    };
    assert_eq!(
        reason(Check::PcrRepetitionError),
        Some(crate::monitor::UNSYNCED)
    );
    assert_eq!(reason(Check::SyncByteError), None);
    // The same silence without a loss is found by all of them.
    let mut live = Sender::new(TimeSource::Arrival);
    live.send(2000, true);
    live.wait(3000);
    for check in [
        Check::PatError2,
        Check::PmtError2,
        Check::PcrRepetitionError,
    ] {
        assert!(live.checks().contains(&check), "{:?}", live.found);
    }
}

#[test]
fn an_interval_of_clocks_over_a_loss_of_synchronisation_is_none() {
    // 800 ms from PCR to PCR of a file.
    for lost in [true, false] {
        let mut file = Sender::new(TimeSource::Pcr);
        file.send(2000, true);
        if lost {
            file.lose_sync();
        }
        file.now_ms += 800;
        file.send(2000, true);
        let packets = file.file.take().unwrap();
        file.push(&packets);
        let expected = match lost {
            true => [Check::SyncByteError, Check::TsSyncLoss],
            false => [
                Check::PcrDiscontinuityIndicatorError,
                Check::PcrRepetitionError,
            ],
        };
        assert_eq!(file.checks(), expected, "{:?}", file.found);
    }
}
