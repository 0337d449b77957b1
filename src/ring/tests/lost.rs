//! Rings that are taken away while they are recorded.

use super::missing::{assert_reads_all, record};
use super::*;
use crate::ring::index::GapCause;
use crate::stream::event::Event;

fn events(writer: &mut Writer) -> Vec<&'static str> {
    let mut names = Vec::new();
    writer.drain_events(&mut |e| names.push(e.name()));
    names
}

/// What is read and what the gaps say was lost are all there was, and all in order.
fn assert_all_told(bench: &Bench, sent_before: u32) {
    let read = bench.numbers();
    assert!(read.is_sorted_by(|a, b| a < b));
    let gaps = bench.ring().summary().unwrap().gaps;
    let lost: u64 = gaps.iter().map(|gap| gap.packets).sum();
    assert_eq!(
        read.len() as u64 + lost,
        u64::from(bench.sent - sent_before),
        "{gaps:?}"
    );
}

#[test]
fn a_ring_that_is_removed_is_said_made_again_and_costs_a_gap() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 3);
    // 300 ms into a segment: 15 turns of 14 packets stand in it.
    let (segment_began, before) = (bench.wall, bench.sent);
    for _ in 0..15 {
        bench.pass(ms(20));
        bench.receive(&mut writer, 14);
    }
    assert_eq!(events(&mut writer), Vec::<&str>::new());
    let removed = bench.wall;
    bench.disk.take_away(Path::new(DIR));
    let mut said = Vec::new();
    while !said.contains(&"ring_write_failed") {
        bench.pass(ms(20));
        bench.receive(&mut writer, 14);
        said.extend(events(&mut writer));
        assert!(bench.wall - removed <= ms(1_040), "not said");
    }
    record(&mut bench, &mut writer, 2);
    said.extend(events(&mut writer));
    assert!(said.contains(&"ring_write_resumed"), "{said:?}");
    assert!(matches!(bench.open(), Err(RingError::Locked { .. })));
    let gaps = bench.ring().summary().unwrap().gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].cause, GapCause::Missing);
    // Segments are of a second: what came at 3 s began the one that was removed.
    assert_eq!(gaps[0].from, segment_began);
    assert_eq!(writer.written().lost, gaps[0].packets);
    drop(writer);
    assert_all_told(&bench, before - 14);
    assert_eq!(findings(&bench), Vec::<String>::new());
}

#[test]
fn a_ring_whose_file_system_comes_back_has_lost_what_came_meanwhile() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 3);
    let taken = bench.disk.take_away(Path::new(DIR));
    // Nothing can be made while it is gone.
    bench.disk.set_read_only(true);
    record(&mut bench, &mut writer, 5);
    let said = events(&mut writer);
    assert_eq!(
        said.iter()
            .filter(|name| **name == "ring_write_failed")
            .count(),
        1,
        "{said:?}"
    );
    assert!(writer.written().lost > 3_000);
    bench.disk.set_read_only(false);
    bench.disk.bring_back(Path::new(DIR), taken);
    record(&mut bench, &mut writer, 3);
    assert!(events(&mut writer).contains(&"ring_write_resumed"));
    let written = writer.written();
    drop(writer);
    let gaps = bench.ring().summary().unwrap().gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(
        (gaps[0].cause, gaps[0].packets),
        (GapCause::Missing, written.lost)
    );
    assert_all_told(&bench, 0);
    assert_eq!(findings(&bench), Vec::<String>::new());
}

/// The segment holds what another recorder wrote, which is not this one's to count.
#[test]
fn a_recorder_that_loses_a_segment_it_took_up_counts_its_own_packets() {
    for ring_goes in [true, false] {
        let mut bench = Bench::new();
        bench.changes.segment = Some(ms(10_000));
        let mut writer = bench.open().unwrap();
        record(&mut bench, &mut writer, 3);
        drop(writer);
        let before = bench.sent;
        let mut writer = bench.open().unwrap();
        record(&mut bench, &mut writer, 1);
        let name = *bench.ring().segments().last().unwrap();
        assert_eq!(bench.ring().segments().len(), 1);
        let taken = ring_goes.then(|| bench.disk.take_away(Path::new(DIR)));
        if let Some(taken) = taken {
            bench.disk.set_read_only(true);
            record(&mut bench, &mut writer, 2);
            // Of this run nothing is left while it is gone.
            let written = writer.written();
            assert_eq!((written.packets, written.lost), (0, 3 * 50 * 14));
            bench.disk.set_read_only(false);
            bench.disk.bring_back(Path::new(DIR), taken);
        } else {
            Storage::remove(&bench.disk, &name.path(Path::new(DIR), "ts")).unwrap();
        }
        record(&mut bench, &mut writer, 3);
        assert!(events(&mut writer).contains(&"ring_write_resumed"));
        writer.close();
        let written = writer.written();
        let sent = u64::from(bench.sent - before);
        assert_eq!(written.packets + written.lost, sent, "{written:?}");
        assert_all_told(&bench, 0);
    }
}

#[test]
fn who_takes_the_place_of_a_removed_ring_keeps_it() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 3);
    bench.disk.take_away(Path::new(DIR));
    let other = bench.open().unwrap();
    record(&mut bench, &mut writer, 3);
    assert!(events(&mut writer).contains(&"ring_write_failed"));
    let lost = writer.written().lost;
    drop(other);
    record(&mut bench, &mut writer, 3);
    assert!(events(&mut writer).contains(&"ring_write_resumed"));
    // A second of retrying at most.
    assert!(writer.written().lost - lost <= 51 * 14);
}

#[test]
fn a_file_that_is_removed_while_it_is_written_is_begun_anew() {
    for extension in ["ts", "aux", "idx"] {
        let mut bench = Bench::new();
        bench.changes.segment = Some(ms(10_000));
        let mut writer = bench.open().unwrap();
        record(&mut bench, &mut writer, 3);
        let name = *bench.ring().segments().last().unwrap();
        Storage::remove(&bench.disk, &name.path(Path::new(DIR), extension)).unwrap();
        record(&mut bench, &mut writer, 20);
        let said = events(&mut writer);
        let mut upkeep = bench.upkeep(&writer);
        for _ in 0..20 {
            bench.pass(ms(100));
            upkeep.turn(bench.monotonic, &mut |_| ());
        }
        drop(writer);
        if extension == "ts" {
            let pair = ["ring_write_failed", "ring_write_resumed"];
            assert!(pair.iter().all(|name| said.contains(name)), "{said:?}");
            assert_all_told(&bench, 0);
        } else {
            assert_eq!(said, Vec::<&str>::new(), "{extension}");
            assert_reads_all(&bench);
        }
        assert_eq!(findings(&bench), Vec::<String>::new(), "{extension}");
    }
}

#[test]
fn settings_that_are_removed_while_it_is_recorded_are_written_again() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 2);
    let path = Path::new("/ring/ring.json");
    let before = bench.disk.contents(path).unwrap();
    Storage::remove(&bench.disk, path).unwrap();
    record(&mut bench, &mut writer, 2);
    assert_eq!(bench.disk.contents(path).unwrap(), before);
}
