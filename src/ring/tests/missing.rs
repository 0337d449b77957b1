//! Segments that are gone from the middle of a ring.

use super::*;
use crate::ring::index::GapCause;

/// Records `seconds` of 50 turns of 14 packets each, in segments of a second.
pub(super) fn record(bench: &mut Bench, writer: &mut Writer, seconds: i64) {
    for _ in 0..seconds * 50 {
        bench.pass(ms(20));
        bench.receive(writer, 14);
    }
}

/// All that was sent is read, in order.
#[track_caller]
pub(super) fn assert_reads_all(bench: &Bench) {
    let read = bench.numbers();
    let wrong = (0..bench.sent).zip(&read).find(|(n, read)| n != *read);
    let (count, sent) = (read.len(), bench.sent);
    assert!(
        wrong.is_none() && count == sent as usize,
        "{wrong:?}: {count} of {sent}"
    );
}

fn remove(bench: &Bench, name: &SegmentName) {
    for extension in ["ts", "aux", "idx"] {
        Storage::remove(&bench.disk, &name.path(Path::new(DIR), extension)).unwrap();
    }
}

fn gaps(bench: &Bench) -> Vec<(WallTime, WallTime, GapCause, u64)> {
    let gaps = bench.ring().summary().unwrap().gaps;
    let told = gaps.iter().map(|g| (g.from, g.to, g.cause, g.packets));
    told.collect()
}

/// START is the beginning of a second, and a packet comes each 20 ms after it.
fn at(millis: i64) -> WallTime {
    START + ms(millis)
}

#[test]
fn a_segment_that_is_gone_from_the_middle_is_a_gap_and_a_finding() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 8);
    let names = bench.ring().segments().to_vec();
    assert_eq!(gaps(&bench), []);
    // The oldest went as it does when it expires: no gap.
    remove(&bench, &names[0]);
    assert_eq!(gaps(&bench), []);
    remove(&bench, &names[3]);
    remove(&bench, &names[4]);
    // From the last block before 3 s to the first from 5 s on. Two seconds of 50 times 14 packets.
    let missing = (at(2_980), at(5_000), GapCause::Missing, 1_400);
    assert_eq!(gaps(&bench), [missing]);
    let told = findings(&bench);
    assert_eq!(told.len(), 1, "{told:?}");
    let (a, b) = (names[2].display(), names[5].display());
    let words = format!("no segment between {a} and {b}");
    assert!(told[0].contains(&words), "{told:?}");
    // The recorder goes on, and another one after it.
    record(&mut bench, &mut writer, 2);
    assert_eq!(gaps(&bench), [missing]);
    drop(writer);
    drop(bench.open().unwrap());
    assert_eq!(gaps(&bench), [missing]);
    assert_eq!(bench.ring().gaps(at(5_000), at(7_000)).unwrap(), []);
    // Once what was before it expired too, it is the head.
    remove(&bench, &names[1]);
    remove(&bench, &names[2]);
    assert_eq!(gaps(&bench), []);
    assert_eq!(findings(&bench), Vec::<String>::new());
}

#[test]
fn silence_and_steps_of_the_clock_are_not_told_twice() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 2);
    bench.pass(ms(5_000));
    record(&mut bench, &mut writer, 3);
    bench.wall += ms(60_000);
    record(&mut bench, &mut writer, 2);
    drop(writer);
    bench.pass(ms(9_000));
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 3);
    drop(writer);
    let told = gaps(&bench);
    let causes: Vec<GapCause> = told.iter().map(|g| g.2).collect();
    let expected = [GapCause::Silence, GapCause::Silence, GapCause::NotRunning];
    assert_eq!(causes, expected);
    assert_eq!(findings(&bench), Vec::<String>::new());
    // What follows the first silence is gone: the silence is told as it was, and what is missing
    // begins where it ended, at 7.02 s.
    let names = bench.ring().segments().to_vec();
    remove(&bench, &names[3]);
    let now = gaps(&bench);
    assert_eq!(now.len(), 4, "{now:?}");
    assert_eq!(now[0], told[0]);
    assert_eq!(now[1].0, told[0].1);
    assert_eq!(now[1].2, GapCause::Missing);
    assert_eq!(now[2..], told[1..]);
}

#[test]
fn a_stream_slower_than_its_segments_misses_none() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    // A packet each 0.9 s: a block takes 6.3 s, and segments of a second are passed over.
    for _ in 0..300 {
        bench.pass(ms(900));
        bench.receive(&mut writer, 1);
    }
    drop(writer);
    assert!(bench.ring().segments().len() > 30);
    assert_eq!(gaps(&bench), []);
}

#[test]
fn a_ring_without_indexes_tells_what_is_missing_by_its_names() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 8);
    drop(writer);
    let dir = Path::new(DIR);
    let names = bench.ring().segments().to_vec();
    for name in &names {
        Storage::remove(&bench.disk, &name.path(dir, "idx")).unwrap();
    }
    for settings in [true, false] {
        if !settings {
            Storage::remove(&bench.disk, &dir.join("ring.json")).unwrap();
        }
        assert_eq!(gaps(&bench), []);
        let path = |e: &str| names[4].path(dir, e);
        let kept = ["ts", "aux"].map(|e| bench.disk.contents(&path(e)).unwrap());
        Storage::remove(&bench.disk, &path("ts")).unwrap();
        Storage::remove(&bench.disk, &path("aux")).unwrap();
        let missing = (at(3_980), at(5_000), GapCause::Other, 0);
        assert_eq!(gaps(&bench), [missing]);
        bench.disk.put(&path("ts"), &kept[0]);
        bench.disk.put(&path("aux"), &kept[1]);
    }
}

#[test]
fn an_epoch_that_is_gone_as_a_whole_is_a_gap() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 6);
    bench.wall += ms(-3_500);
    record(&mut bench, &mut writer, 4);
    drop(writer);
    assert_eq!(gaps(&bench), []);
    let epoch = bench
        .ring()
        .segments()
        .iter()
        .filter(|s| s.epoch == 1)
        .copied()
        .collect::<Vec<_>>();
    assert!(epoch.len() > 2);
    epoch.iter().for_each(|name| remove(&bench, name));
    Storage::remove(&bench.disk, &Path::new(DIR).join("epoch-1/epoch.json")).unwrap();
    Storage::remove_dir(&bench.disk, &Path::new(DIR).join("epoch-1")).unwrap();
    let told = gaps(&bench);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].2, GapCause::Missing);
    let all = u64::from(bench.sent);
    assert_eq!(told[0].3, all - bench.read().len() as u64);
}

/// Cuts the packets of a segment to so many bytes.
fn shorten(bench: &Bench, name: &SegmentName, bytes: usize) {
    let path = name.path(Path::new(DIR), "ts");
    let kept = bench.disk.contents(&path).unwrap();
    bench.disk.put(&path, &kept[..bytes]);
}

#[test]
fn a_segment_that_is_shorter_than_it_was_is_a_gap_whatever_happens_next() {
    // Which of eight segments, bytes left in it, when packets are missing from, and how many of
    // 700 (the first has 14 less). Two blocks of 1316 bytes come each 20 ms: 20 blocks in 200 ms.
    let cases = [
        (3, 0, 3_000, 700),
        (3, 20 * 1316, 3_180, 560),
        (3, 20 * 1316 + 188 + 100, 3_200, 559),
        (6, 99 * 1316, 6_980, 7),
        (7, 20 * 1316, 7_180, 560),
        (7, 0, 7_000, 700),
    ];
    for (which, bytes, from, packets) in cases {
        let case = format!("{which} {bytes}");
        let mut bench = Bench::new();
        let mut writer = bench.open().unwrap();
        record(&mut bench, &mut writer, 8);
        // The last packets came at 8.00 s and began a segment: they go.
        drop(writer);
        remove(&bench, bench.ring().segments().last().unwrap());
        let names = bench.ring().segments().to_vec();
        assert_eq!(names.len(), 8);
        shorten(&bench, &names[which], bytes);
        let told = gaps(&bench);
        let end = at(which as i64 * 1_000 + 1_000);
        // To its last packet, or to its end.
        let to = told[0].1;
        assert!(to == end || to == end + ms(-20), "{case}: {to}");
        let expected = (at(from), to, GapCause::Missing, packets);
        assert_eq!(told, [expected], "{case}");
        let there = bench.read().len();
        assert_eq!(there as u64 + packets, u64::from(bench.sent) - 14, "{case}");
        let counted = bench.ring().summary().unwrap().bytes / 188;
        assert_eq!(counted, there as u64, "{case}");
        let told = findings(&bench);
        let words = format!("{} is shorter than it was", names[which].display());
        assert!(told.iter().any(|t| t.contains(&words)), "{case}: {told:?}");
        // A repair does not bring them back.
        for _ in 0..2 {
            check(&bench.storage(), Path::new(DIR), true, &mut |_| {}).unwrap();
            assert_eq!(gaps(&bench), [expected], "{case}");
        }
        // Nor does a recorder, right after this or half a minute later.
        bench.pass(ms(30_000));
        let mut writer = bench.open().unwrap();
        record(&mut bench, &mut writer, 3);
        drop(writer);
        let told = gaps(&bench);
        let missing: Vec<_> = told.iter().filter(|g| g.2 == GapCause::Missing).collect();
        assert_eq!(missing.len(), 1, "{case}: {told:?}");
        assert_eq!((missing[0].1, missing[0].3), (to, packets), "{case}");
    }
}

#[test]
fn a_recorder_files_what_the_end_lacks_before_it_puts_it_right() {
    for bytes in [0, 20 * 1316 + 100] {
        let mut bench = Bench::new();
        let mut writer = bench.open().unwrap();
        record(&mut bench, &mut writer, 8);
        drop(writer);
        remove(&bench, bench.ring().segments().last().unwrap());
        let names = bench.ring().segments().to_vec();
        shorten(&bench, &names[7], bytes);
        bench.pass(ms(30_000));
        let mut writer = bench.open().unwrap();
        record(&mut bench, &mut writer, 3);
        drop(writer);
        let told = gaps(&bench);
        assert_eq!(told.len(), 2, "{told:?}");
        let packets = if bytes == 0 { 700 } else { 560 };
        assert_eq!(told[0].1, at(8_000));
        assert_eq!((told[0].2, told[0].3), (GapCause::Missing, packets));
        assert_eq!((told[1].0, told[1].2), (at(8_000), GapCause::NotRunning));
    }
}

#[test]
fn an_end_that_is_being_written_or_was_killed_lacks_nothing() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 3);
    bench.pass(ms(7));
    bench.receive(&mut writer, 3);
    assert_eq!(gaps(&bench), []);
    let shorter = |f: &String| f.contains("shorter");
    assert!(!findings(&bench).iter().any(shorter));
    bench.disk.kill();
    std::mem::forget(writer);
    assert_eq!(gaps(&bench), []);
    assert!(!findings(&bench).iter().any(shorter));
    drop(bench.open().unwrap());
    assert_eq!(gaps(&bench), []);
}
