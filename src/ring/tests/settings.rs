//! Settings that are gone, or cannot be believed.

use super::missing::{assert_reads_all, record};
use super::*;
use crate::stream::event::Event;

const SETTINGS: &str = "/ring/ring.json";

fn opened(bench: &Bench) -> (Writer, Vec<RingEvent>) {
    let mut writer = bench.open().unwrap();
    let mut events = Vec::new();
    writer.drain_events(&mut |e| events.push(e.clone()));
    (writer, events)
}

/// A ring of 10 s in segments of 2 s, and what stands in its settings.
fn ring() -> (Bench, String) {
    let mut bench = Bench::new();
    bench.changes.segment = Some(ms(2_000));
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 10);
    drop(writer);
    bench.changes.segment = None;
    let text = bench.disk.contents(Path::new(SETTINGS)).unwrap();
    (bench, String::from_utf8(text).unwrap())
}

#[test]
fn settings_that_cannot_be_believed_are_as_good_as_missing_and_kept_aside() {
    let (_, sane) = ring();
    let with = |from: &str, to: &str| {
        assert!(sane.contains(from), "{from} in {sane}");
        sane.replace(from, to)
    };
    // 2 s are 54 000 000 ticks, 24 h are 86 400 000 ms.
    let cases = [
        (String::new(), "empty"),
        (sane[..sane.len() / 2].to_owned(), "EOF"),
        ("\u{1}\u{2}garbage".to_owned(), "expected value"),
        (with("\"format\": 1", "\"format\": 0"), "format 0"),
        (
            with("\"keep_ms\": 86400000", "\"keep_ms\": 0"),
            "keep_ms cannot be 0",
        ),
        (
            with("\"keep_ms\": 86400000", "\"keep_ms\": -5"),
            "keep_ms cannot be -5",
        ),
        (with("86400000", "1000000000000000000"), "keep_ms cannot be"),
        (
            with("\"sync_ms\": 1000", "\"sync_ms\": 0"),
            "sync_ms cannot be 0",
        ),
        (
            with("\"max_bytes\": null", "\"max_bytes\": 0"),
            "max_bytes cannot be 0",
        ),
        (
            with("\"min_free\": null", "\"min_free\": 9000000000000000000"),
            "min_free cannot",
        ),
        (with("54000000", "-54000000"), "ticks long"),
        (with("54000000", "1000000000000000000"), "ticks long"),
        (with("54000000", "0"), "ticks long"),
        (
            with("\"from_ticks\": ", "\"from_ticks\": 9"),
            "from_ticks cannot be",
        ),
    ];
    for (text, words) in cases {
        let (mut bench, _) = ring();
        let path = Path::new(SETTINGS);
        bench.disk.put(path, text.as_bytes());
        // Who reads tells it, reads all, and touches nothing.
        assert_reads_all(&bench);
        let ring = bench.ring();
        let damaged = &ring.layout().damaged;
        assert_eq!(damaged.len(), 1, "{text}");
        assert_eq!(damaged[0].name, "ring.json");
        assert!(damaged[0].why.contains(words), "{}: {text}", damaged[0].why);
        assert_eq!(ring.segment_length(), Some(ms(2_000)));
        assert_eq!(ring.summary().unwrap().segments, ring.segments().len());
        assert!(findings(&bench)[0].contains(words));
        assert_eq!(bench.disk.contents(path).unwrap(), text.as_bytes());
        // A recorder keeps it aside and goes on.
        let (mut writer, events) = opened(&bench);
        let names: Vec<&str> = events.iter().map(Event::name).collect();
        let expected = ["ring_settings_damaged", "ring_settings_found"];
        assert_eq!(names, expected, "{text}");
        assert_eq!(writer.settings().length(), ms(2_000), "{text}");
        let aside = Path::new("/ring/ring.json.damaged");
        assert_eq!(bench.disk.contents(aside).unwrap(), text.as_bytes());
        record(&mut bench, &mut writer, 5);
        drop(writer);
        assert!(bench.ring().layout().epochs.is_empty());
        assert!(bench.ring().layout().foreign.is_empty());
        assert_reads_all(&bench);
        assert_eq!(findings(&bench), Vec::<String>::new());
    }
}

/// A ring whose clock was set back by each of `steps`, after 6 s each time, and all that was sent
/// in order; segments of a second.
fn stepped(steps: &[i64]) -> Bench {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 6);
    for step in steps {
        bench.wall += ms(*step);
        record(&mut bench, &mut writer, 6);
    }
    drop(writer);
    assert_reads_all(&bench);
    bench
}

#[test]
fn an_epoch_whose_settings_are_gone_or_damaged_keeps_its_place_in_the_order() {
    // Into what is there; before all that is there; twice, and then forward over all.
    let cases: [&[i64]; 4] = [
        &[-3_500],
        &[-60_000],
        &[-20_009, -60_003, 200_000],
        &[-9_300, -4_200],
    ];
    for steps in cases {
        let back = steps.iter().filter(|step| **step < 0).count();
        for number in 1..=back {
            let name = format!("epoch-{number}/epoch.json");
            let path = Path::new(DIR).join(&name);
            for text in [None, Some(""), Some("garbage"), Some("{\"at_ticks\": 5")] {
                let bench = stepped(steps);
                let epochs = bench.ring().layout().epochs.clone();
                match text {
                    Some(text) => bench.disk.put(&path, text.as_bytes()),
                    None => Storage::remove(&bench.disk, &path).unwrap(),
                }
                // Who reads tells it, reads all in order, and touches nothing.
                assert_reads_all(&bench);
                let damaged = bench.ring().layout().damaged.clone();
                assert_eq!(damaged.len(), 1, "{steps:?} {text:?}");
                assert_eq!(damaged[0].name, name);
                assert_eq!(findings(&bench), [format!("{name}: {}", damaged[0].why)]);
                assert_eq!(
                    bench.disk.contents(&path),
                    text.map(|t| t.as_bytes().to_vec())
                );
                // It is written anew, by a recorder and by a repair.
                let disk = bench.storage();
                let events = match number {
                    1 => opened(&bench).1,
                    _ => {
                        check(&disk, Path::new(DIR), true, &mut |_| {}).unwrap();
                        Vec::new()
                    }
                };
                if number == 1 {
                    assert_eq!(events[0].name(), "ring_settings_damaged");
                }
                let aside = Path::new(DIR).join(format!("{name}.damaged"));
                assert_eq!(bench.disk.contents(&aside).is_some(), text.is_some());
                assert_reads_all(&bench);
                assert_eq!(findings(&bench), Vec::<String>::new());
                let layout = bench.ring().layout().clone();
                assert!(layout.damaged.is_empty() && layout.foreign.is_empty());
                for (was, is) in epochs.iter().zip(&layout.epochs) {
                    let off = is.at - was.at;
                    assert!(off < Ticks27M::SECOND && -off < Ticks27M::SECOND, "{off}");
                    assert_eq!(is.lengths.last().unwrap().ticks, 27_000_000);
                }
            }
        }
    }
}

#[test]
fn a_step_back_over_a_restart_is_told_though_no_step_was_recorded() {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 6);
    drop(writer);
    bench.wall += ms(-30_000);
    let mut writer = bench.open().unwrap();
    record(&mut bench, &mut writer, 6);
    drop(writer);
    Storage::remove(&bench.disk, Path::new("/ring/epoch-1/epoch.json")).unwrap();
    assert_reads_all(&bench);
}

#[test]
fn a_ring_that_lost_its_settings_goes_on_with_the_length_its_files_show() {
    // Each length, in milliseconds, for 20 segments of it.
    for length in [1_000, 1_250, 7_000, 90_000, 300_000, 3_600_000, 86_400_000] {
        for indexed in [true, false] {
            let mut bench = Bench::new();
            bench.changes.segment = Some(ms(length));
            let mut writer = bench.open().unwrap();
            for _ in 0..200 {
                bench.pass(ms(length / 10));
                bench.receive(&mut writer, 14);
            }
            drop(writer);
            let dir = Path::new(DIR);
            let names = bench.ring().segments().to_vec();
            let first = bench.ring().first().unwrap();
            Storage::remove(&bench.disk, Path::new(SETTINGS)).unwrap();
            for name in names.iter().filter(|_| !indexed) {
                Storage::remove(&bench.disk, &name.path(dir, "idx")).unwrap();
            }
            // Damaged stamps of one are no reason to doubt the others.
            bench.disk.put(&names[7].path(dir, "aux"), &[0x11; 160]);
            bench.changes.segment = None;
            bench.pass(ms(length));
            let (mut writer, events) = opened(&bench);
            let found = events.iter().find_map(|e| match e {
                RingEvent::SettingsFound { segment, keep, .. } => Some((*segment, *keep)),
                _ => None,
            });
            let (segment, keep) = found.unwrap();
            assert_eq!(segment, ms(length), "indexed: {indexed}");
            // What is there is kept.
            assert!(bench.wall - first <= keep);
            for _ in 0..30 {
                bench.pass(ms(length / 10));
                bench.receive(&mut writer, 14);
            }
            drop(writer);
            assert!(bench.ring().layout().epochs.is_empty());
            let kept = Settings::load(&bench.disk, dir).unwrap().unwrap();
            assert_eq!(kept.lengths.len(), 1, "{kept:?}");
            assert_reads_all(&bench);
            // --segment changes it from now on.
            bench.changes.segment = Some(ms(2_000));
            Storage::remove(&bench.disk, Path::new(SETTINGS)).unwrap();
            let (mut writer, _) = opened(&bench);
            record(&mut bench, &mut writer, 5);
            assert_eq!(writer.settings().length(), ms(2_000));
            drop(writer);
            assert!(bench.ring().layout().epochs.is_empty());
            assert_reads_all(&bench);
        }
    }
}

#[test]
fn several_lengths_are_found_again() {
    let mut bench = Bench::new();
    for length in [1_000, 3_000, 2_000, 7_000] {
        bench.changes.segment = Some(ms(length));
        let mut writer = bench.open().unwrap();
        record(&mut bench, &mut writer, 25);
    }
    let dir = Path::new(DIR);
    let before = Settings::load(&bench.disk, dir).unwrap().unwrap().lengths;
    for name in bench.ring().segments().to_vec() {
        Storage::remove(&bench.disk, &name.path(dir, "idx")).unwrap();
    }
    Storage::remove(&bench.disk, Path::new(SETTINGS)).unwrap();
    bench.changes.segment = None;
    drop(bench.open().unwrap());
    let after = Settings::load(&bench.disk, dir).unwrap().unwrap().lengths;
    let ticks = |lengths: &[LengthSince]| lengths.iter().map(|l| l.ticks).collect::<Vec<_>>();
    assert_eq!(ticks(&after), ticks(&before));
    assert_reads_all(&bench);
}

#[test]
fn a_length_that_the_files_contradict_is_not_believed() {
    // 2 s are 54 000 000 ticks.
    for (wrong, indexed) in [("108000000", true), ("27000000", true), ("81000000", false)] {
        let (mut bench, sane) = ring();
        let dir = Path::new(DIR);
        let names = bench.ring().segments().to_vec();
        for name in names.iter().filter(|_| !indexed) {
            Storage::remove(&bench.disk, &name.path(dir, "idx")).unwrap();
        }
        let stamps = |bench: &Bench| -> Vec<Vec<u8>> {
            let aux = names
                .iter()
                .map(|name| bench.disk.contents(&name.path(dir, "aux")));
            aux.flatten().collect()
        };
        let before = stamps(&bench);
        let ends = (bench.ring().first(), bench.ring().last());
        let text = sane.replace("54000000", wrong);
        bench.disk.put(Path::new(SETTINGS), text.as_bytes());
        let ring = bench.ring();
        assert_eq!(ring.layout().damaged.len(), 1, "{wrong}");
        assert!(
            ring.layout().damaged[0].why.contains("2.000 s"),
            "{:?}",
            ring.layout().damaged
        );
        assert_eq!((ring.first(), ring.last()), ends);
        assert_eq!(ring.segment_length(), Some(ms(2_000)));
        assert_reads_all(&bench);
        assert!(findings(&bench)[0].starts_with("ring.json: segment"));
        let (mut writer, events) = opened(&bench);
        let events: Vec<&str> = events.iter().map(Event::name).collect();
        assert_eq!(events, ["ring_settings_damaged", "ring_settings_found"]);
        assert_eq!(writer.settings().length(), ms(2_000));
        record(&mut bench, &mut writer, 5);
        drop(writer);
        let after = stamps(&bench);
        for (before, after) in before.iter().zip(&after) {
            assert!(after.starts_with(before), "{wrong}");
        }
        assert!(bench.ring().layout().epochs.is_empty());
        assert_reads_all(&bench);
    }
}

#[test]
fn stamps_that_agree_are_not_rewritten_for_a_name() {
    let (bench, _) = ring();
    let dir = Path::new(DIR);
    let name = bench.ring().segments()[2];
    let other = SegmentName {
        number: name.number + 500,
        ..name
    };
    for extension in ["ts", "aux", "idx"] {
        let path = name.path(dir, extension);
        Storage::rename(&bench.disk, &path, &other.path(dir, extension)).unwrap();
    }
    let aux = bench.disk.contents(&other.path(dir, "aux")).unwrap();
    check(&bench.storage(), dir, true, &mut |_| {}).unwrap();
    assert_eq!(bench.disk.contents(&other.path(dir, "aux")).unwrap(), aux);
    drop(bench.open());
    assert_eq!(bench.disk.contents(&other.path(dir, "aux")).unwrap(), aux);
}

#[test]
fn stamps_of_another_segment_are_not_believed_and_put_right_at_once() {
    let dir = Path::new(DIR);
    let hour = |aux: Vec<u8>| -> Vec<u8> {
        let stamps = aux.as_chunks::<8>().0.iter();
        let moved = stamps.map(|at| u64::from_be_bytes(*at) + 3_600 * 27_000_000);
        moved.flat_map(u64::to_be_bytes).collect()
    };
    // Whose stamps stand beside the fourth segment: an earlier or a later one's, whole or in part,
    // with and without the index, and those of another ring, which the index alone denies.
    let cases: [(usize, usize, bool, bool); 7] = [
        (1, 100, true, false),
        (0, 60, true, false),
        (4, 100, true, false),
        (1, 100, false, false),
        (4, 70, false, false),
        (3, 100, true, true),
        (3, 50, true, true),
    ];
    for (case, (from, percent, indexed, strange)) in cases.into_iter().enumerate() {
        let (bench, _) = ring();
        let names = bench.ring().segments().to_vec();
        let aux = |at: usize| bench.disk.contents(&names[at].path(dir, "aux")).unwrap();
        let own = aux(3);
        let mut other = aux(from);
        if strange {
            other = hour(other);
        }
        other.truncate(other.len() / 8 * percent / 100 * 8);
        bench.disk.put(&names[3].path(dir, "aux"), &other);
        if !indexed {
            Storage::remove(&bench.disk, &names[3].path(dir, "idx")).unwrap();
        }
        let worst = |told: &[WallTime]| {
            let own = own.as_chunks::<8>().0.iter();
            let own = own.map(|at| WallTime::from_ticks(i64::from_be_bytes(*at)));
            let off = own.zip(told).map(|(own, told)| (own - *told).abs());
            assert_eq!(off.len(), told.len(), "case {case}");
            off.max().unwrap()
        };
        let told = |bench: &Bench| {
            let stamps = bench.ring().stamps(&names[3]);
            let told = (0..stamps.count().unwrap()).map(|at| stamps.get(at).unwrap());
            told.collect::<Vec<_>>()
        };
        assert!(worst(&told(&bench)) < ms(60), "case {case}");
        let found = findings(&bench);
        let all = format!("{} stamps missing or wrong", own.len() / 8);
        assert!(found[0].ends_with(&all), "case {case}: {found:?}");
        check(&bench.storage(), dir, true, &mut |_| {}).unwrap();
        assert_eq!(findings(&bench), [""; 0], "case {case}");
        assert!(worst(&told(&bench)) < ms(60), "case {case}");
        assert_reads_all(&bench);
    }
}

#[test]
fn a_stamp_that_cannot_be_moves_no_segment_of_a_ring_without_settings() {
    let dir = Path::new(DIR);
    let year: i64 = 365 * 86_400 * 27_000_000;
    // By how much the first stamps of a segment are wrong, which, and of what the index is gone.
    for (by, stamps) in [
        (166 * year, 1),
        (166 * year, 3),
        (year, 40),
        (-year, 1),
        (-year, 2),
        (-3_600 * 27_000_000, 1),
    ] {
        for (at, indexed) in [(0, true), (2, true), (2, false), (4, true), (4, false)] {
            // What begins the ring is contradicted by nothing but the stamps behind it.
            if at == 0 && by.abs() < 86_400 * 27_000_000 {
                continue;
            }
            let case = format!("{stamps} stamps of {at} moved by {by}, index {indexed}");
            let (bench, _) = ring();
            let sound = bench.ring();
            let names = sound.segments().to_vec();
            let ends = (sound.first().unwrap(), sound.last().unwrap());
            let path = names[at].path(dir, "aux");
            let mut aux = bench.disk.contents(&path).unwrap();
            for field in aux.as_chunks_mut::<8>().0.iter_mut().take(stamps) {
                *field = (i64::from_be_bytes(*field) + by).to_be_bytes();
            }
            bench.disk.put(&path, &aux);
            Storage::remove(&bench.disk, Path::new(SETTINGS)).unwrap();
            for name in names.iter().filter(|_| !indexed) {
                Storage::remove(&bench.disk, &name.path(dir, "idx")).unwrap();
            }
            assert_reads_all(&bench);
            let ring = bench.ring();
            let numbers =
                |names: &[SegmentName]| names.iter().map(|n| n.number).collect::<Vec<_>>();
            assert_eq!(numbers(ring.segments()), numbers(&names), "{case}");
            let off = |told: Option<WallTime>, own: WallTime| (told.unwrap() - own).abs();
            assert!(
                off(ring.first(), ends.0) < ms(1_000),
                "{case}: {:?}",
                ring.first()
            );
            assert!(
                off(ring.last(), ends.1) < ms(1_000),
                "{case}: {:?}",
                ring.last()
            );
            assert!(ring.summary().unwrap().gaps.is_empty(), "{case}");
            check(&bench.storage(), dir, true, &mut |_| {}).unwrap();
            assert_eq!(findings(&bench), [""; 0], "{case}");
            assert_reads_all(&bench);
        }
    }
}
