//! The store on a simulated disk and under a simulated clock.

mod lost;
mod missing;
mod settings;
mod steps;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::index::GapCause;
use super::sim::{Fault, Random, SimDisk};
use super::*;
use crate::stream::Batch;
use crate::ts::{ContinuityCounter, Packet, Pcr, Pid};
use crate::units::{Arrival, Ticks27M, WallTime};

const DIR: &str = "/ring";
const START: WallTime = WallTime::from_unix_millis(1_700_000_000_000);

/// The packet of this number: its whole payload says which it is.
fn packet(number: u32) -> Packet {
    let mut p = Packet::new(Pid::new(0x100).unwrap(), ContinuityCounter::default());
    let bytes: Vec<u8> = number.to_be_bytes().iter().map(|b| b | 0x01).collect();
    let body: Vec<u8> = bytes.iter().copied().cycle().take(180).collect();
    p.payload_mut()[4..].copy_from_slice(&body);
    p.payload_mut()[..4].copy_from_slice(&number.to_be_bytes());
    p
}

/// The number of a packet; `None` for a null packet; an error for a damaged one.
fn number(p: &Packet) -> Result<Option<u32>, ()> {
    if *p == Packet::NULL {
        return Ok(None);
    }
    let n = u32::from_be_bytes(*p.payload().first_chunk().ok_or(())?);
    if *p == packet(n) {
        Ok(Some(n))
    } else {
        Err(())
    }
}

/// A recorder with a clock of its own.
struct Bench {
    disk: SimDisk,
    monotonic: Arrival,
    wall: WallTime,
    changes: Changes,
    sent: u32,
}

impl Bench {
    fn new() -> Self {
        Self {
            disk: SimDisk::default(),
            monotonic: Arrival::from_ticks(1 << 40),
            wall: START,
            changes: Changes {
                segment: Some(Ticks27M::SECOND),
                sync: Some(Ticks27M::SECOND),
                ..Changes::default()
            },
            sent: 0,
        }
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.disk.clone())
    }

    fn open(&self) -> Result<Writer, RingError> {
        Writer::open(
            Arc::new(self.disk.clone()),
            Path::new(DIR),
            &self.changes,
            &Dating::Arrival,
            self.monotonic,
            self.wall,
        )
    }

    fn upkeep(&self, writer: &Writer) -> Upkeep {
        let storage = Arc::new(self.disk.clone());
        Upkeep::new(storage, Path::new(DIR), writer.shared(), self.monotonic)
    }

    fn pass(&mut self, span: Ticks27M) {
        self.monotonic += span;
        self.wall += span;
    }

    /// Receives `count` packets now.
    fn receive(&mut self, writer: &mut Writer, count: u32) {
        writer.turn(self.monotonic, self.wall);
        let mut batch = Batch::with_capacity(count as usize);
        for n in self.sent..self.sent + count {
            batch.push(&packet(n), self.monotonic);
        }
        self.sent += count;
        writer.append(&batch);
    }

    fn ring(&self) -> Ring {
        Ring::open(Arc::new(self.disk.clone()), Path::new(DIR)).unwrap()
    }

    fn read(&self) -> Vec<Packet> {
        read(&self.ring(), WallTime::default(), None)
    }

    fn numbers(&self) -> Vec<u32> {
        let packets = self.read();
        packets
            .iter()
            .map(|p| number(p).unwrap().unwrap())
            .collect()
    }
}

fn read(ring: &Ring, from: WallTime, to: Option<WallTime>) -> Vec<Packet> {
    let mut cursor = ring.cursor(from, to);
    let mut bytes = vec![0; 3 * BLOCK];
    let mut out = Vec::new();
    let mut last = WallTime::default();
    loop {
        let mut stamps = Vec::new();
        let (step, n) = cursor.read(&mut bytes, Some(&mut stamps)).unwrap();
        if !matches!(step, Step::Data { .. }) {
            return out;
        }
        let (packets, rest) = Packet::slice_of(&bytes[..n]);
        assert!(rest.is_empty() && !packets.is_empty() && stamps.len() == packets.len());
        out.extend_from_slice(packets);
        for at in stamps {
            if let Some(to) = to {
                assert!(at < to, "{at} is not before {to}");
            } else if ring.layout().epochs.is_empty() {
                assert!(at >= last, "{at} after {last}");
            }
            last = at;
        }
    }
}

fn ms(n: i64) -> Ticks27M {
    Ticks27M::from_millis(n)
}

#[test]
fn what_goes_in_comes_out_over_rotations_and_restarts() {
    let mut bench = Bench::new();
    let mut random = Random::new(1);
    for _ in 0..5 {
        let mut writer = bench.open().unwrap();
        for _ in 0..200 {
            bench.pass(ms(random.below(90) as i64));
            let count = random.below(30) as u32;
            bench.receive(&mut writer, count);
        }
        drop(writer);
        bench.pass(ms(random.below(3000) as i64));
    }
    assert_eq!(bench.numbers(), (0..bench.sent).collect::<Vec<_>>());
    assert!(bench.ring().segments().len() > 20);
    // All but the last end on whole blocks, and each block has its stamp.
    let ring = bench.ring();
    for (i, s) in ring.segments().iter().enumerate() {
        let ts = bench.disk.contents(&s.path(Path::new(DIR), "ts")).unwrap();
        let aux = bench.disk.contents(&s.path(Path::new(DIR), "aux")).unwrap();
        assert!(i + 1 == ring.segments().len() || ts.len().is_multiple_of(BLOCK));
        assert_eq!(aux.len() / 8, ts.len().div_ceil(BLOCK));
        let first = u64::from_be_bytes(*aux.first_chunk().unwrap());
        assert_eq!(first as i64 / 27_000_000, s.number);
    }
}

#[test]
fn ranges_that_touch_join_wherever_they_touch() {
    let mut bench = Bench::new();
    let mut random = Random::new(2);
    let mut writer = bench.open().unwrap();
    let mut instants = vec![];
    for _ in 0..300 {
        bench.pass(ms(random.below(40) as i64));
        let count = random.below(12) as u32;
        bench.receive(&mut writer, count);
        instants.push(bench.wall);
        if random.below(60) == 0 {
            bench.pass(ms(1500));
        }
        if random.below(60) == 0 {
            drop(writer);
            bench.pass(ms(700));
            writer = bench.open().unwrap();
        }
    }
    drop(writer);
    let ring = bench.ring();
    let end = bench.wall + Ticks27M::SECOND;
    let boundary = WallTime::from_ticks((START.ticks() / 27_000_000 + 3) * 27_000_000);
    for by in [-1, 0, 1] {
        instants.push(boundary + ms(by));
        instants.push(boundary + Ticks27M::new(by));
    }
    for at in instants {
        let mut joined = read(&ring, WallTime::default(), Some(at));
        joined.extend(read(&ring, at, Some(end)));
        let numbers: Vec<u32> = joined.iter().map(|p| number(p).unwrap().unwrap()).collect();
        assert_eq!(
            numbers,
            (0..bench.sent).collect::<Vec<_>>(),
            "split at {at}"
        );
    }
}

#[test]
fn a_kill_at_any_call_loses_at_most_what_waits_for_its_block() {
    for seed in 0..1_000 {
        let mut random = Random::new(seed);
        let mut bench = Bench::new();
        let mut writer = bench.open().unwrap();
        let from = bench.disk.calls() + random.below(120);
        let kind = io::ErrorKind::Other;
        bench.disk.set_fault(Some(Fault {
            from,
            calls: u64::MAX,
            kind,
        }));
        let mut floor = 0;
        for _ in 0..60 {
            bench.pass(ms(random.below(200) as i64));
            let count = random.below(20) as u32;
            bench.receive(&mut writer, count);
            if bench.disk.calls() >= from {
                break;
            }
            floor = bench.sent;
        }
        // Nothing that the dead process still does reaches the disk.
        drop(writer);
        bench.disk.kill();
        let kept = bench.sent;
        let mut writer = bench.open().unwrap();
        bench.pass(ms(300));
        bench.receive(&mut writer, 10);
        drop(writer);
        let numbers = bench.numbers();
        let old: Vec<u32> = numbers.iter().copied().filter(|n| *n < kept).collect();
        let whole: Vec<u32> = (0..old.len() as u32).collect();
        assert_eq!(old, whole, "seed {seed}");
        // Up to six packets wait for half a second for their block to be full.
        assert!(
            old.len() as u32 + 6 >= floor,
            "seed {seed}: {} of {floor}",
            old.len()
        );
        assert_eq!(numbers[old.len()..], (kept..kept + 10).collect::<Vec<_>>());
    }
}

#[test]
fn a_power_loss_leaves_what_was_synced_and_nothing_false() {
    for seed in 0..10_000 {
        power_loss(seed);
    }
}

fn power_loss(seed: u64) {
    let mut random = Random::new(seed);
    let mut bench = Bench::new();
    let mut floor = 0;
    let mut writer = bench.open().unwrap();
    let mut upkeep = bench.upkeep(&writer);
    // It looks for indexes to be made once.
    upkeep.turn(bench.monotonic, &mut |e| panic!("{e:?}"));
    for _ in 0..1 + random.below(25) {
        bench.pass(ms(random.below(250) as i64));
        let count = random.below(20) as u32;
        bench.receive(&mut writer, count);
        let before = bench.disk.calls();
        let in_files = bench.sent.saturating_sub(6);
        upkeep.turn(bench.monotonic, &mut |e| panic!("{e:?}"));
        if bench.disk.calls() > before + 2 {
            floor = in_files;
        }
    }
    bench.disk.lose_power(&mut random);
    std::mem::forget(writer);
    let kept = bench.sent;
    bench.pass(ms(random.below(1500) as i64));
    let mut writer = bench.open().unwrap();
    let mut nulled = 0;
    writer.drain_events(&mut |e| {
        if let RingEvent::Repaired { nulled_packets, .. } = e {
            nulled += nulled_packets;
        }
    });
    bench.receive(&mut writer, 10);
    bench.pass(ms(600));
    writer.turn(bench.monotonic, bench.wall);
    drop(writer);
    let (mut nulls, mut damaged) = (0, 0);
    let mut numbers = Vec::new();
    for p in bench.read() {
        match number(&p) {
            Ok(Some(n)) => numbers.push(n),
            Ok(None) => nulls += 1,
            Err(()) => damaged += 1,
        }
    }
    assert!(
        numbers.is_sorted_by(|a, b| a < b),
        "seed {seed}: {numbers:?}"
    );
    let synced = numbers.iter().filter(|n| **n < floor).count() as u32;
    assert_eq!(synced, floor, "seed {seed}: {numbers:?}");
    assert_eq!(nulls, nulled, "seed {seed}");
    // The last sector of a file may hold too little of a packet to tell that it is gone.
    assert!(damaged <= 2, "seed {seed}: {damaged} damaged");
    let new: Vec<u32> = numbers.iter().copied().filter(|n| *n >= kept).collect();
    assert_eq!(new, (kept..kept + 10).collect::<Vec<_>>(), "seed {seed}");
}

#[test]
fn a_call_that_fails_costs_what_it_carried_and_nothing_else() {
    fault_at_every_call(None);
}

#[test]
fn a_call_that_fails_near_a_step_back_of_the_clock_costs_no_more() {
    fault_at_every_call(Some(Ticks27M::SECOND * -3));
}

fn fault_at_every_call(step: Option<Ticks27M>) {
    let run = |fault: Option<Fault>| {
        let mut bench = Bench::new();
        bench.disk.set_fault(fault);
        let Ok(mut writer) = bench.open() else {
            return (bench.disk.calls(), None);
        };
        let mut upkeep = bench.upkeep(&writer);
        for turn in 0..80 {
            bench.pass(ms(97));
            if let (40, Some(by)) = (turn, step) {
                bench.wall += by;
            }
            bench.receive(&mut writer, 5 + turn % 9);
            upkeep.turn(bench.monotonic, &mut |_| ());
        }
        bench.pass(ms(2000));
        bench.receive(&mut writer, 7);
        let written = writer.written();
        drop(writer);
        (bench.disk.calls(), Some((bench, written)))
    };
    let (calls, whole) = run(None);
    let (bench, _) = whole.unwrap();
    assert_eq!(bench.numbers(), (0..bench.sent).collect::<Vec<_>>());
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
        for from in 0..calls {
            for length in [1, 4, 30] {
                let (calls, done) = run(Some(Fault {
                    from,
                    calls: length,
                    kind,
                }));
                let Some((bench, written)) = done else {
                    continue;
                };
                bench.disk.set_fault(None);
                if written.packets == 0 {
                    assert_eq!(written.lost, u64::from(bench.sent), "{kind} at {from}");
                    continue;
                }
                // While the fault lasts to the end, what a failed write left cannot be cut off,
                // and neither the last packets nor the index can be written.
                if calls <= from + length + 40 {
                    continue;
                }
                let numbers = bench.numbers();
                assert!(numbers.is_sorted_by(|a, b| a < b), "{kind} at {from}");
                assert_eq!(
                    written.packets + written.lost,
                    u64::from(bench.sent),
                    "{kind} at {from} for {length}: {written:?}"
                );
                // What a failed write left in a segment that was given up, and could not be cut
                // off, counts as lost and is read all the same: a part of one batch.
                let saved = (numbers.len() as u64).checked_sub(written.packets);
                assert!(saved.is_some_and(|n| n < 13), "{kind} at {from}: {saved:?}");
                if written.lost > 0 {
                    let gaps = bench.ring().summary().unwrap().gaps;
                    let lost: u64 = gaps.iter().map(|g| g.packets).sum();
                    assert_eq!(
                        lost, written.lost,
                        "{kind} at {from} for {length}: {gaps:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_full_disk_and_a_read_only_one_are_gaps() {
    for full in [true, false] {
        let mut bench = Bench::new();
        let mut writer = bench.open().unwrap();
        bench.receive(&mut writer, 70);
        if full {
            bench.disk.set_capacity(Some(30_000));
        } else {
            bench.disk.set_read_only(true);
        }
        for _ in 0..100 {
            bench.pass(ms(50));
            bench.receive(&mut writer, 14);
        }
        let lost = writer.written().lost;
        assert!(lost > 1000);
        bench.disk.set_capacity(None);
        bench.disk.set_read_only(false);
        for _ in 0..40 {
            bench.pass(ms(50));
            bench.receive(&mut writer, 14);
        }
        let mut names = Vec::new();
        writer.drain_events(&mut |e| names.push(crate::stream::event::Event::name(e)));
        assert_eq!(names, ["ring_write_failed", "ring_write_resumed"]);
        let written = writer.written();
        drop(writer);
        assert_eq!(
            bench.numbers().len() as u64 + written.lost,
            u64::from(bench.sent)
        );
        let gaps = bench.ring().summary().unwrap().gaps;
        let cause = if full {
            index::GapCause::DiskFull
        } else {
            index::GapCause::DiskError
        };
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert_eq!((gaps[0].cause, gaps[0].packets), (cause, written.lost));
        assert!(gaps[0].to - gaps[0].from >= ms(4000));
    }
}

#[test]
fn a_full_disk_under_a_slow_input_is_told_once() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    bench.receive(&mut writer, 70);
    bench.disk.set_capacity(Some(1));
    // Three packets in two seconds: no block is ever full.
    for _ in 0..60 {
        bench.pass(ms(700));
        bench.receive(&mut writer, 1);
    }
    assert!(writer.written().lost > 50);
    let before = bench.ring().segments().len();
    assert!(before <= 3, "{before} segments");
    bench.disk.set_capacity(None);
    for _ in 0..10 {
        bench.pass(ms(700));
        bench.receive(&mut writer, 1);
    }
    let mut names = Vec::new();
    writer.drain_events(&mut |e| names.push(crate::stream::event::Event::name(e)));
    names.retain(|name| name.starts_with("ring_write"));
    assert_eq!(names, ["ring_write_failed", "ring_write_resumed"]);
    let written = writer.written();
    drop(writer);
    let numbers = bench.numbers().len() as u64;
    assert_eq!(
        (numbers, numbers + written.lost),
        (written.packets, u64::from(bench.sent))
    );
    let gaps = bench.ring().summary().unwrap().gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].packets, written.lost);
}

#[test]
fn a_failure_that_lasts_to_the_end_leaves_its_gap_where_the_index_can_be_written() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    bench.receive(&mut writer, 70);
    bench.disk.set_capacity(Some(1));
    for _ in 0..5 {
        bench.pass(ms(100));
        bench.receive(&mut writer, 70);
    }
    let written = writer.written();
    assert_eq!(written.lost, 350);
    // Room comes too late for packets.
    bench.disk.set_capacity(None);
    drop(writer);
    let gaps = bench.ring().summary().unwrap().gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].packets, 350);
}

/// A recording by its own clock ends while the disk is full, and another is filed behind it: what
/// was lost stands between them, though no clock tells of it.
#[test]
fn a_failure_that_lasts_to_the_end_leaves_its_gap_where_nothing_can_be_written() {
    let mut bench = Bench::new();
    let mut seconds = 0;
    let open = |bench: &Bench| {
        let (dating, now) = (Dating::Stream(None), (bench.monotonic, bench.wall));
        let dir = Path::new(DIR);
        Writer::open(bench.storage(), dir, &bench.changes, &dating, now.0, now.1).unwrap()
    };
    // A second of 71 packets, the first of which says so.
    let mut receive = |bench: &mut Bench, writer: &mut Writer| {
        seconds += 1;
        let pcr = Pcr::from_ticks(seconds * 27_000_000).unwrap();
        let counter = ContinuityCounter::default();
        let clock = Packet::pcr_only(Pid::new(0x101).unwrap(), counter, pcr);
        bench.pass(Ticks27M::SECOND);
        let mut batch = Batch::with_capacity(1);
        batch.push(&clock, bench.monotonic);
        writer.append(&batch);
        bench.receive(writer, 70);
    };
    let mut writer = open(&bench);
    receive(&mut bench, &mut writer);
    receive(&mut bench, &mut writer);
    drop(writer);
    for (case, killed) in [false, true].into_iter().enumerate() {
        let told = |bench: &Bench| {
            let gaps = bench.ring().summary().unwrap().gaps;
            assert_eq!(gaps.len(), case + 1, "{gaps:?}");
            assert_eq!(gaps[case].cause, GapCause::DiskFull);
            (gaps[case].from, gaps[case].packets)
        };
        let mut writer = open(&bench);
        bench.disk.set_capacity(Some(1));
        for _ in 0..5 {
            receive(&mut bench, &mut writer);
        }
        if killed {
            bench.disk.kill();
            std::mem::forget(writer);
        } else {
            drop(writer);
        }
        bench.disk.set_capacity(None);
        let gap = told(&bench);
        // Who is killed takes along what waits for its PCR, and what came since the last attempt.
        let lost = if killed {
            3 * 71..=5 * 71
        } else {
            5 * 71..=5 * 71
        };
        assert!(lost.contains(&gap.1), "{gap:?}");
        for _ in 0..2 {
            let mut writer = open(&bench);
            receive(&mut bench, &mut writer);
            drop(writer);
            assert_eq!(told(&bench), gap);
        }
    }
}

#[test]
fn steps_of_the_wall_clock_lose_and_reorder_nothing() {
    let hour = Ticks27M::SECOND * 3600;
    for step in [hour, -hour, hour * 24, hour * -24] {
        let mut bench = Bench::new();
        let mut writer = bench.open().unwrap();
        let mut upkeep = bench.upkeep(&writer);
        let mut steps = BTreeMap::new();
        for turn in 0..200 {
            bench.pass(ms(51));
            match turn {
                100 => bench.wall += step,
                // A second step back, to before the first one was set back to.
                150 if step.is_negative() => bench.wall += -(Ticks27M::SECOND * 4),
                _ => {}
            }
            steps.insert(bench.sent, bench.wall);
            bench.receive(&mut writer, 11);
            upkeep.turn(bench.monotonic, &mut |_| ());
            upkeep.expire(&mut |_| ());
        }
        drop(writer);
        assert_eq!(
            bench.numbers(),
            (0..bench.sent).collect::<Vec<_>>(),
            "step {step}"
        );
        let ring = bench.ring();
        assert_eq!(ring.layout().epochs.is_empty(), !step.is_negative());
        // Later times are right.
        assert!((ring.last().unwrap() - bench.wall).abs() < ms(100));
        let late = bench.wall - ms(1000);
        let tail = read(&ring, late, Some(bench.wall + ms(1000)));
        let first = number(&tail[0]).unwrap().unwrap();
        let (_, at) = steps.range(..=first).next_back().unwrap();
        assert!(
            (*at - late).abs() < ms(200),
            "step {step}: {first} came at {at}, not {late}"
        );
        let told = ring.summary().unwrap().steps;
        assert_eq!(told.first().map(|t| t.1), Some(step), "{told:?}");
    }
}

#[test]
fn a_clock_set_back_while_nothing_records_is_noticed_at_the_start() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    for _ in 0..100 {
        bench.pass(ms(51));
        bench.receive(&mut writer, 11);
    }
    drop(writer);
    bench.wall += -(Ticks27M::SECOND * 3);
    let mut writer = bench.open().unwrap();
    for _ in 0..100 {
        bench.pass(ms(51));
        bench.receive(&mut writer, 11);
    }
    drop(writer);
    assert_eq!(bench.numbers(), (0..bench.sent).collect::<Vec<_>>());
    assert_eq!(bench.ring().layout().epochs.len(), 1);
}

#[test]
fn the_oldest_go_by_age_by_bytes_and_for_room() {
    let fill = |changes: Changes| {
        let mut bench = Bench::new();
        bench.changes = Changes {
            segment: Some(Ticks27M::SECOND),
            ..changes
        };
        let mut writer = bench.open().unwrap();
        let mut upkeep = bench.upkeep(&writer);
        for _ in 0..400 {
            bench.pass(ms(50));
            bench.receive(&mut writer, 7);
            upkeep.expire(&mut |_| ());
        }
        drop(writer);
        bench
    };
    // 20 s of 140 packets a second.
    let bench = fill(Changes {
        keep: Some(Ticks27M::SECOND * 5),
        ..Changes::default()
    });
    let kept = bench.ring().last().unwrap() - bench.ring().first().unwrap();
    assert!(kept >= ms(4950) && kept < ms(6100), "{kept}");
    let bytes = 5 * 140 * 188;
    let max = Some(crate::units::ByteCount::new(bytes));
    let bench = fill(Changes {
        max_bytes: max,
        ..Changes::default()
    });
    let total: u64 = bench.ring().summary().unwrap().bytes;
    assert!(total <= bytes && total > bytes / 2, "{total} of {bytes}");
    // The digest forgets with the ring, and its sum is right.
    let read = bench.read().len() as u64 * 188;
    assert_eq!(total, read);
}

#[test]
fn room_that_comes_back_late_does_not_empty_the_ring() {
    let mut bench = Bench::new();
    bench.changes.min_free = Some(crate::units::ByteCount::new(50_000));
    let mut writer = bench.open().unwrap();
    let mut upkeep = bench.upkeep(&writer);
    for _ in 0..200 {
        bench.pass(ms(50));
        bench.receive(&mut writer, 7);
    }
    let before = bench.ring().segments().len();
    let used = bench.ring().summary().unwrap().bytes;
    bench.disk.free_late();
    // A segment is 26 kB of packets: two give what is missing, side files and all.
    bench.disk.set_capacity(Some(used + 10_000));
    upkeep.expire(&mut |_| ());
    assert_eq!(bench.ring().segments().len(), before - 2);
    // What cannot be removed is not gone.
    bench.disk.set_read_only(true);
    let mut told = 0;
    upkeep.expire(&mut |_| told += 1);
    assert!(told > 0);
    assert_eq!(bench.ring().segments().len(), before - 2);
}

#[test]
fn who_only_looks_at_a_ring_keeps_no_recorder_out() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    for _ in 0..100 {
        bench.pass(ms(51));
        bench.receive(&mut writer, 14);
    }
    let segments = bench.ring().segments().len();
    let dir = Path::new(DIR);
    let look = || check(&bench.storage(), dir, false, &mut |f| panic!("{f}")).unwrap();
    // The segment that is being written is left out.
    assert_eq!(look(), segments - 1);
    drop(writer);
    assert_eq!(look(), segments);
    // A recorder that starts while the first segment is looked at is let in.
    let first = bench.ring().segments()[0].path(dir, "idx");
    Storage::remove(&bench.disk, &first).unwrap();
    let mut started = None;
    let looked_at = check(&bench.storage(), dir, false, &mut |_| {
        started = Some(bench.open().unwrap());
    });
    assert_eq!(looked_at.unwrap(), segments - 1);
    assert!(started.is_some());
}

#[test]
fn a_reader_that_is_overtaken_is_told_and_keeps_what_it_holds() {
    let mut bench = Bench::new();
    bench.changes.keep = Some(Ticks27M::SECOND * 3);
    let mut writer = bench.open().unwrap();
    let mut upkeep = bench.upkeep(&writer);
    let mut turn = |bench: &mut Bench, n| {
        for _ in 0..n {
            bench.pass(ms(50));
            bench.receive(&mut writer, 7);
            upkeep.expire(&mut |_| ());
        }
    };
    turn(&mut bench, 40);
    let mut cursor = bench.ring().cursor(WallTime::default(), None);
    let mut bytes = vec![0; BLOCK];
    let mut seen = Vec::new();
    let mut read = |cursor: &mut Cursor, seen: &mut Vec<u32>| {
        let (step, n) = cursor.read(&mut bytes, None).unwrap();
        let packets = Packet::slice_of(&bytes[..n]).0;
        seen.extend(packets.iter().map(|p| number(p).unwrap().unwrap()));
        step
    };
    read(&mut cursor, &mut seen);
    turn(&mut bench, 200);
    while !matches!(read(&mut cursor, &mut seen), Step::Wait) {}
    let mut told = Vec::new();
    cursor.drain_events(&mut |e| told.push(crate::stream::event::Event::name(e)));
    assert_eq!(told, ["ring_segment_expiring", "ring_reader_lapped"]);
    // The segment it stood in was read to its end (a second: at least 120 packets), then the
    // oldest that is left.
    let jump = seen.windows(2).position(|w| w[1] != w[0] + 1).unwrap();
    assert!(jump > 10, "{jump}");
    assert_eq!(*seen.last().unwrap(), bench.sent - 1);
    // And then it follows.
    turn(&mut bench, 3);
    while !matches!(read(&mut cursor, &mut seen), Step::Wait) {}
    assert_eq!(*seen.last().unwrap(), bench.sent - 1);
}

#[test]
fn another_segment_length_loses_nothing() {
    let mut bench = Bench::new();
    for length in [1, 3, 2, 7] {
        bench.changes.segment = Some(Ticks27M::SECOND * length);
        let mut writer = bench.open().unwrap();
        for _ in 0..200 {
            bench.pass(ms(51));
            bench.receive(&mut writer, 11);
        }
    }
    assert_eq!(bench.numbers(), (0..bench.sent).collect::<Vec<_>>());
    let kept = Settings::load(&bench.disk, Path::new(DIR))
        .unwrap()
        .unwrap();
    assert_eq!(kept.lengths.len(), 4);
    // Without being told, the last length is kept.
    bench.changes.segment = None;
    let writer = bench.open().unwrap();
    assert_eq!(writer.settings().length(), Ticks27M::SECOND * 7);
}

#[test]
fn a_second_writer_is_refused() {
    let bench = Bench::new();
    let first = bench.open().unwrap();
    assert!(matches!(bench.open(), Err(RingError::Locked { .. })));
    drop(first);
    bench.open().unwrap();
}

#[test]
fn damaged_sides_and_strangers_are_survived() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    for _ in 0..100 {
        bench.pass(ms(51));
        bench.receive(&mut writer, 14);
    }
    drop(writer);
    let last = *bench.ring().segments().last().unwrap();
    let path = |e: &str| last.path(Path::new(DIR), e);
    let (ts, aux) = (
        bench.disk.contents(&path("ts")).unwrap(),
        bench.disk.contents(&path("aux")).unwrap(),
    );
    type Damage = (&'static str, Option<Vec<u8>>);
    let cases: Vec<Damage> = vec![
        ("aux", None),
        ("aux", Some(vec![])),
        ("aux", Some(aux[..aux.len() - 13].to_vec())),
        ("aux", Some([&aux[..], &[7; 21]].concat())),
        ("aux", Some(vec![0; aux.len()])),
        ("ts", Some([&ts[..], &[0x47; 100]].concat())),
        ("ts", Some([&ts[..], &[0; 5000]].concat())),
        ("idx", None),
        ("idx", Some(vec![1; 333])),
    ];
    let before = bench.numbers();
    for (i, (extension, bytes)) in cases.into_iter().enumerate() {
        let kept = bench.disk.contents(&path(extension)).unwrap();
        match &bytes {
            Some(bytes) => bench.disk.put(&path(extension), bytes),
            None => Storage::remove(&bench.disk, &path(extension)).unwrap(),
        }
        bench.disk.put(&Path::new(DIR).join("README"), b"mine");
        let mut writer = bench.open().unwrap();
        let mut names = Vec::new();
        writer.drain_events(&mut |e| names.push(crate::stream::event::Event::name(e)));
        assert!(names.contains(&"ring_foreign_file"), "{names:?}");
        assert_eq!(
            names.contains(&"ring_repaired"),
            extension != "idx",
            "case {i}: {names:?}"
        );
        drop(writer);
        assert_eq!(bench.numbers(), before, "case {i}");
        if extension != "aux" {
            bench.disk.put(&path(extension), &kept);
        } else {
            bench.disk.put(&path("aux"), &aux);
        }
    }
    // An empty segment at the end is a start that was killed.
    let empty = SegmentName {
        number: last.number + 1,
        ..last
    };
    bench.disk.put(&empty.path(Path::new(DIR), "ts"), b"");
    drop(bench.open().unwrap());
    assert_eq!(bench.numbers(), before);
    assert_eq!(bench.ring().segments().last().unwrap().number, last.number);
}

/// 5 s of a ring in segments of a second, and the aux file of the third.
fn ring_of_five() -> (Bench, std::path::PathBuf, Vec<u8>) {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    for _ in 0..250 {
        bench.pass(ms(20));
        bench.receive(&mut writer, 14);
    }
    drop(writer);
    let name = bench.ring().segments()[2];
    let aux = name.path(Path::new(DIR), "aux");
    let stamps = bench.disk.contents(&aux).unwrap();
    (bench, aux, stamps)
}

#[test]
fn packets_are_read_whatever_became_of_their_stamps() {
    let (bench, aux, stamps) = ring_of_five();
    let mut random = Random::new(3);
    let noise: Vec<u8> = stamps.iter().map(|_| random.below(256) as u8).collect();
    let mut one_leaps = stamps.clone();
    one_leaps[160..168].copy_from_slice(&stamps[320..328]);
    let mut hole = stamps.clone();
    hole[200..400].fill(0);
    let half = stamps.len() as u64 / 16;
    let all = stamps.len() as u64 / 8;
    // What stands in the file, and how many stamps are not theirs.
    let cases = [
        (None, all),
        (Some(Vec::new()), all),
        (Some(stamps[..stamps.len() / 2].to_vec()), all - half),
        (Some(noise), all),
        (Some(vec![0xFF; stamps.len()]), all),
        (Some(vec![0; stamps.len() + 80]), all),
        (Some(one_leaps), 1),
        (Some(hole), 25),
    ];
    for (case, (bytes, wrong)) in cases.into_iter().enumerate() {
        match &bytes {
            Some(bytes) => bench.disk.put(&aux, bytes),
            None => Storage::remove(&bench.disk, &aux).unwrap(),
        }
        let all: Vec<u32> = (0..bench.sent).collect();
        assert_eq!(bench.numbers(), all, "case {case}");
        // The same in two parts, wherever they meet; and it is said.
        for at in (-100..5_400).step_by(150) {
            let at = START + ms(at);
            let end = Some(START + ms(9_000));
            let mut parts = read(&bench.ring(), WallTime::default(), Some(at));
            parts.extend(read(&bench.ring(), at, end));
            let numbers: Vec<u32> = parts.iter().map(|p| number(p).unwrap().unwrap()).collect();
            assert_eq!(numbers, all, "case {case}: cut at {at}");
        }
        let mut cursor = bench.ring().cursor(WallTime::default(), None);
        let mut told = 0;
        while let Step::Data { len, .. } = cursor.step(1 << 20).unwrap() {
            cursor.advance(len);
            cursor.drain_events(&mut |e| match e {
                RingEvent::StampsDamaged { name, stamps }
                    if aux.ends_with(name.replace("ts", "aux")) =>
                {
                    told += stamps;
                }
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(told, wrong, "case {case}");
        // The times are those of the neighbours: off by less than the segment, most by little.
        let name = bench.ring().segments()[2];
        let told = bench.ring().stamps(&name);
        let worst = stamps
            .as_chunks::<8>()
            .0
            .iter()
            .zip(0..)
            .map(|(field, block)| {
                let true_at = WallTime::from_ticks(i64::from_be_bytes(*field));
                (told.get(block).unwrap() - true_at).abs()
            });
        let worst = worst.max().unwrap();
        assert!(worst < ms(60), "case {case}: {worst}");
    }
}

#[test]
fn a_ring_of_multicats_own_keeps_its_length_whichever_stamps_are_lost() {
    // Segments without stamps, among five that have neither index nor settings.
    let cases: [&[usize]; 6] = [&[4], &[3, 4], &[0], &[0, 1], &[2], &[0, 4]];
    for lost in cases {
        let (bench, ..) = ring_of_five();
        let dir = Path::new(DIR);
        let names = bench.ring().segments().to_vec();
        let aux = |at: usize| names[at].path(dir, "aux");
        let stamps: Vec<Vec<u8>> = (0..5)
            .map(|at| bench.disk.contents(&aux(at)).unwrap())
            .collect();
        Storage::remove(&bench.disk, &dir.join("ring.json")).unwrap();
        for name in &names {
            Storage::remove(&bench.disk, &name.path(dir, "idx")).unwrap();
        }
        for &at in lost {
            Storage::remove(&bench.disk, &aux(at)).unwrap();
        }
        assert_eq!(
            bench.numbers(),
            (0..bench.sent).collect::<Vec<_>>(),
            "{lost:?}"
        );
        let ring = bench.ring();
        for &at in lost {
            let told = ring.stamps(&ring.segments()[at]);
            let fields = stamps[at].as_chunks::<8>().0;
            let worst = fields.iter().zip(0..).map(|(field, block)| {
                let true_at = WallTime::from_ticks(i64::from_be_bytes(*field));
                (told.get(block).unwrap() - true_at).abs()
            });
            let worst = worst.max().unwrap();
            assert!(worst < ms(60), "{lost:?}: {worst} in {at}");
        }
        // Repaired, it says the same.
        check(&bench.storage(), dir, true, &mut |_| {}).unwrap();
        let (first, last) = (bench.ring().first().unwrap(), bench.ring().last().unwrap());
        let length = last - first;
        assert!((length - ms(4_980)).abs() < ms(120), "{lost:?}: {length}");
    }
}

#[test]
fn a_slow_stream_is_not_silent_and_one_that_ended_is() {
    let mut bench = Bench::new();
    bench.changes.segment = Some(Ticks27M::SECOND * 10);
    let mut writer = bench.open().unwrap();
    // A packet each 0.9 s, 1.7 kb/s: a block each 6.3 s, for ten minutes.
    let mut last = WallTime::default();
    for turn in 0..6_000 {
        bench.pass(ms(100));
        let came = turn % 9 == 0;
        bench.receive(&mut writer, u32::from(came));
        last = if came { bench.wall } else { last };
        if turn > 9 {
            let gap = bench.ring().lasting_gap(bench.wall);
            assert_eq!(gap, None, "after {turn} turns");
        }
    }
    let told = (1..100).find_map(|_| {
        bench.pass(ms(100));
        writer.turn(bench.monotonic, bench.wall);
        bench.ring().lasting_gap(bench.wall)
    });
    let gap = told.unwrap();
    assert_eq!((gap.from, gap.cause), (last, index::GapCause::Silence));
    // Two seconds, and two more until the index is written at the latest.
    let span = gap.to - gap.from;
    assert!((ms(2_000)..=ms(4_000)).contains(&span), "{span}");
}

#[test]
fn a_file_that_only_has_the_name_of_a_segment_is_left_alone() {
    let (mut bench, aux, _) = ring_of_five();
    let dir = Path::new(DIR);
    let noise: Vec<u8> = (0..40_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let clip: Vec<u8> = (0..100).flat_map(|n| *packet(n).as_bytes()).collect();
    let next = bench.ring().segments()[4].number + 40;
    // What no recorder has made here, whatever is in it, and what is no stream.
    bench.disk.put(&dir.join("1.ts"), &noise);
    bench.disk.put(&dir.join("2.ts"), &clip);
    bench.disk.put(&dir.join("3.ts"), b"");
    bench.disk.put(&dir.join(format!("{next}.ts")), &noise);
    // And one of ours that lost its stamps is one of ours.
    Storage::remove(&bench.disk, &aux).unwrap();
    let mut foreign = bench.ring().layout().foreign.clone();
    foreign.sort();
    assert_eq!(
        foreign,
        [
            "1.ts".into(),
            format!("{next}.ts"),
            "2.ts".into(),
            "3.ts".into()
        ]
    );
    assert_eq!(bench.numbers(), (0..bench.sent).collect::<Vec<_>>());
    let mut writer = bench.open().unwrap();
    let mut told = 0;
    writer.drain_events(&mut |e| told += usize::from(matches!(e, RingEvent::Foreign { .. })));
    assert_eq!(told, 4);
    let mut upkeep = bench.upkeep(&writer);
    bench.changes.max_bytes = None;
    bench.pass(Ticks27M::SECOND * 200_000);
    bench.receive(&mut writer, 14);
    upkeep.expire(&mut |e| panic!("{e:?}"));
    assert_eq!(bench.ring().segments().len(), 1);
    assert_eq!(bench.disk.contents(&dir.join("1.ts")).unwrap(), noise);
    assert_eq!(bench.disk.contents(&dir.join("2.ts")).unwrap(), clip);
}

/// A ring whose disk was full over the end of several segments, and is not any more.
fn ring_with_unwritten_indexes() -> (Bench, Writer) {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    let mut fill = |bench: &mut Bench, turns| {
        for _ in 0..turns {
            bench.pass(ms(20));
            bench.receive(&mut writer, 14);
        }
    };
    fill(&mut bench, 80);
    // Room for packets of some segments, none of their indexes.
    bench.disk.forbid(".idx");
    fill(&mut bench, 150);
    bench.disk.set_capacity(Some(1));
    fill(&mut bench, 80);
    bench.disk.set_capacity(None);
    fill(&mut bench, 120);
    bench.disk.forbid("");
    (bench, writer)
}

fn findings(bench: &Bench) -> Vec<String> {
    let mut found = Vec::new();
    let dir = Path::new(DIR);
    check(&bench.storage(), dir, false, &mut |f| {
        found.push(f.to_string())
    })
    .unwrap();
    found
}

#[test]
fn an_index_that_could_not_be_written_is_made_by_the_recorder_that_runs() {
    let (mut bench, mut writer) = ring_with_unwritten_indexes();
    assert!(findings(&bench).len() >= 3, "{:?}", findings(&bench));
    let mut upkeep = bench.upkeep(&writer);
    let mut told = 0;
    for _ in 0..400 {
        bench.pass(ms(50));
        bench.receive(&mut writer, 14);
        upkeep.turn(bench.monotonic, &mut |e| {
            told += u32::from(matches!(e, RingEvent::Reindexed { .. }))
        });
    }
    assert!(told >= 3, "{told}");
    assert_eq!(findings(&bench), Vec::<String>::new());
    let written = writer.written();
    drop(writer);
    let gaps = bench.ring().summary().unwrap().gaps;
    assert_eq!(gaps.iter().map(|g| g.packets).sum::<u64>(), written.lost);
}

#[test]
fn an_index_that_could_not_be_written_is_made_after_the_next_start() {
    let (mut bench, writer) = ring_with_unwritten_indexes();
    let lost = writer.written().lost;
    drop(writer);
    assert!(findings(&bench).len() >= 3);
    let writer = bench.open().unwrap();
    let mut upkeep = bench.upkeep(&writer);
    for _ in 0..10 {
        bench.pass(ms(250));
        upkeep.turn(bench.monotonic, &mut |_| ());
    }
    drop(writer);
    assert_eq!(findings(&bench), Vec::<String>::new());
    let gaps = bench.ring().summary().unwrap().gaps;
    assert_eq!(gaps.iter().map(|g| g.packets).sum::<u64>(), lost);
}
