use super::*;
use crate::stream::event::Value;
use proptest::prelude::*;

fn at(ms: i64) -> Arrival {
    Arrival::from_ticks(ms * 27_000)
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn header(ssrc: u32, number: i64) -> RtpHeader {
    RtpHeader {
        sequence: number as u16,
        timestamp: 0,
        ssrc,
        marker: false,
    }
}

/// Feeds (time, number) and returns the numbers that came out, in order.
fn play(reorder: &mut Reorder, ssrc: u32, sent: &[(i64, i64)]) -> Vec<i64> {
    let mut out = Vec::new();
    for (time, number) in sent {
        drain(reorder, at(*time), &mut out);
        let payload = number.to_be_bytes();
        if reorder.push(&header(ssrc, *number), &payload, at(*time)) == Pushed::Next {
            out.push(*number);
        }
        drain(reorder, at(*time), &mut out);
    }
    out
}

fn drain(reorder: &mut Reorder, now: Arrival, out: &mut Vec<i64>) {
    while let Some((_, payload)) = reorder.pop(now) {
        out.push(i64::from_be_bytes((*payload).try_into().unwrap()));
    }
}

#[test]
fn what_is_overtaken_within_the_window_is_put_back() {
    let mut r = Reorder::new(Ticks27M::from_millis(50));
    let sent = [(-50, 1), (1, 3), (2, 4), (3, 2), (4, 5)];
    assert_eq!(play(&mut r, 9, &sent), [1, 2, 3, 4, 5]);
    assert_eq!((r.lost, r.reordered, r.late), (0, 1, 0));
}

#[test]
fn the_first_datagram_waits_for_those_it_has_overtaken() {
    let mut r = Reorder::new(Ticks27M::from_millis(50));
    // over the wrap of 16 bits
    let sent = [
        (0, 65_536),
        (1, 65_535),
        (2, 65_537),
        (3, 65_534),
        (49, 65_538),
    ];
    assert_eq!(play(&mut r, 9, &sent), Vec::<i64>::new());
    assert_eq!(r.due_in(at(49)), Some(Ticks27M::from_millis(1)));
    let sent = [(50, 65_539), (51, 65_533), (52, 65_540)];
    let expected: Vec<i64> = (65_534..=65_540).collect();
    assert_eq!(play(&mut r, 9, &sent), expected);
    // what came later still is lost, and that is said
    assert_eq!((r.lost, r.late, r.reordered), (1, 1, 2));
    let mut said = Vec::new();
    r.drain_events(&mut |e| e.fields(&mut |k, v| said.push((k, v))));
    let expected = [("lost_datagrams", 1u64), ("first_sequence", 65_533)];
    assert_eq!(said, expected.map(|(k, v)| (k, Value::from(v))));
}

#[test]
fn a_repeat_from_before_the_first_is_lost_once() {
    let mut r = Reorder::new(Ticks27M::from_millis(50));
    let sent = [(-50, 10), (1, 11), (2, 8), (3, 8), (4, 8), (5, 12), (6, 8)];
    assert_eq!(play(&mut r, 9, &sent), [10, 11, 12]);
    assert_eq!((r.lost, r.late, r.duplicates), (1, 1, 3));
}

#[test]
fn what_comes_after_the_window_is_lost_and_late() {
    let mut r = Reorder::new(Ticks27M::from_millis(50));
    let sent = [
        (-50, 1),
        (10, 3),
        (59, 4),
        (60, 5),
        (61, 2),
        (62, 6),
        (63, 6),
    ];
    assert_eq!(play(&mut r, 9, &sent), [1, 3, 4, 5, 6]);
    assert_eq!((r.lost, r.late, r.duplicates), (1, 1, 1));
}

#[test]
fn a_sender_that_starts_anew_is_followed_from_its_first_datagram_on() {
    let mut r = Reorder::new(Ticks27M::from_millis(50));
    let mut out = play(&mut r, 9, &[(-50, 30_000), (1, 30_002)]);
    out.extend(play(&mut r, 7, &[(2, 100), (3, 101), (4, 102)]));
    // the first may have overtaken others, as at the very start
    drain(&mut r, at(51), &mut out);
    assert_eq!(out, [30_000, 30_002]);
    drain(&mut r, at(52), &mut out);
    assert_eq!(out, [30_000, 30_002, 100, 101, 102]);
    // 30 001 has not come, and nobody waits for it any more
    assert_eq!((r.restarts, r.lost), (1, 1));
    // the same source, far back
    out = play(&mut r, 7, &[(55, 20_000), (56, 20_001)]);
    drain(&mut r, at(105), &mut out);
    assert_eq!((out, r.restarts), (vec![20_000, 20_001], 2));
    assert_eq!((r.lost, r.strayed), (1, 0));
}

/// RFC 3550 appendix A.1: MAX_DROPOUT 3000 ahead, and as far back as is reordered.
#[test]
fn what_is_near_the_datagram_that_is_due_is_of_its_sequence() {
    let mut reorder = Reorder::new(Ticks27M::from_millis(50));
    assert!(!reorder.is_near(&header(1, 5)), "nothing came");
    play(&mut reorder, 1, &[(0, 65_530), (0, 65_531)]);
    drain(&mut reorder, at(60), &mut Vec::new());
    for (ssrc, number, near) in [
        (1, 65_532, true),
        (1, 65_540, true),
        (1, 65_532 + 3000, true),
        (1, 65_532 + 3001, false),
        (1, 65_532 - 1000, true),
        (1, 65_532 - 1001, false),
        (2, 65_532, false),
    ] {
        assert_eq!(reorder.is_near(&header(ssrc, number)), near, "{number}");
    }
}

#[test]
fn a_stray_datagram_moves_nothing() {
    let mut r = Reorder::new(Ticks27M::from_millis(50));
    let sent = [(-50, 1), (1, 20_000), (2, 2), (3, 30_000), (4, 3)];
    assert_eq!(play(&mut r, 9, &sent), [1, 2, 3]);
    r.finish();
    assert_eq!((r.restarts, r.lost, r.strayed), (0, 0, 2));
    let mut said = Vec::new();
    r.drain_events(&mut |e| said.push(e.name()));
    assert_eq!(said, ["rtp_strayed"]);
}

/// What a sender that was started again makes of its timestamps.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Stamps {
    /// They are the wall clock's.
    GoOn,
    /// They begin anywhere, as RFC 3550 §5.1 wants it.
    Anywhere(u32),
    /// They are all the same: such senders exist.
    None,
    /// Each number has its own, as of a player that begins at a fixed number and time.
    OfNumber,
}

/// A datagram on its way: when it comes, its number and timestamp, and which of all it is.
type Way = (i64, u16, u32, i64);

/// A second of a sender, a pause, and two seconds of the same with the sequence moved by `by`; each
/// datagram is 1 ms long. `second` says how much later another copy of each comes.
fn restarted(random: &mut Random, by: i64, stamps: Stamps, second: Option<i64>) -> Vec<Way> {
    let mut ways = Vec::new();
    let start = random.below(65_536) as i64;
    let pause = 60 + random.below(2000) as i64;
    for n in 0..3000i64 {
        let anew = n >= 1000;
        let number = start + n + if anew { by } else { 0 };
        let time = n + if anew { pause } else { 0 };
        let stamp = match stamps {
            Stamps::GoOn => (time * 90) as u32,
            Stamps::Anywhere(from) if anew => from.wrapping_add((n * 90) as u32),
            Stamps::Anywhere(_) => (n * 90) as u32,
            Stamps::None => 0,
            Stamps::OfNumber => (number * 90) as u32,
        };
        // A sender's first datagrams have none before them to overtake.
        let steady = n < 2 || (1000..1002).contains(&n);
        let delay = match random.below(100) {
            0..10 if !steady => random.below(45) as i64,
            _ => 0,
        };
        let way = |late: i64| (time + delay + late, number as u16, stamp, n);
        ways.push(way(0));
        if random.below(100) < 3 {
            ways.push(way(random.below(45) as i64));
        }
        ways.extend(second.map(|late| way(late + random.below(5) as i64)));
    }
    ways.sort_by_key(|way| way.0);
    ways
}

/// Which datagrams came out, in order.
fn received(r: &mut Reorder, ways: &[Way]) -> Vec<i64> {
    let mut out = Vec::new();
    for (time, sequence, timestamp, which) in ways {
        let now = at(*time);
        drain(r, now, &mut out);
        let header = RtpHeader {
            timestamp: *timestamp,
            ..header(9, i64::from(*sequence))
        };
        if r.push(&header, &which.to_be_bytes(), now) == Pushed::Next {
            out.push(*which);
        }
        drain(r, now, &mut out);
    }
    r.finish();
    drain(r, at(0), &mut out);
    out
}

#[test]
fn a_sender_that_starts_anew_near_its_old_numbers_loses_nothing() {
    for seed in 1..=40u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for by in [-1, -10, -100, -1000, 5000] {
            let anywhere = Stamps::Anywhere(random.next() as u32);
            for stamps in [Stamps::GoOn, anywhere, Stamps::None, Stamps::OfNumber] {
                for second in [None, Some(400)] {
                    let case = format!("seed {seed}, {by}, {stamps:?}, {second:?}");
                    let ways = restarted(&mut random, by, stamps, second);
                    let mut r = Reorder::new(Ticks27M::from_millis(50));
                    let out = received(&mut r, &ways);
                    // Each datagram that came is out, once and in order, or counted.
                    assert!(out.windows(2).all(|w| w[0] < w[1]), "{case}");
                    let dropped = r.duplicates + r.late + r.strayed;
                    assert_eq!(ways.len(), out.len() + dropped as usize, "{case}");
                    // By one back, without times that tell: it looks like a stray, and is said.
                    let untold = matches!(stamps, Stamps::None | Stamps::OfNumber);
                    let untold = u64::from(by == -1 && untold);
                    // Its second copy does too, where the first is given up by then.
                    let most = untold * if second.is_some() { 2 } else { 1 };
                    assert!(
                        (untold..=most).contains(&r.strayed),
                        "{case}: {}",
                        r.strayed
                    );
                    assert_eq!(out.len() as u64, 3000 - untold, "{case}");
                    assert_eq!((r.restarts, r.lost), (1 - untold, 0), "{case}");
                }
            }
        }
    }
}

/// RFC 3550 appendix A.1: a sender that plays the same again, with the same numbers and times, is
/// no repeat of what came seconds ago.
#[test]
fn what_is_played_again_is_no_repeat() {
    for (datagrams, pause, rounds) in [(1429, 12_000, 2), (1429, 600, 10), (20_000, 0, 3)] {
        let mut r = Reorder::new(Ticks27M::from_millis(50));
        let mut out = Vec::new();
        for round in 0..rounds {
            let from = round * (datagrams * 3 / 2 + pause);
            for n in 0..datagrams {
                let now = at(from + n * 3 / 2);
                drain(&mut r, now, &mut out);
                let header = RtpHeader {
                    timestamp: (n * 135) as u32,
                    ..header(7, n)
                };
                if r.push(&header, &n.to_be_bytes(), now) == Pushed::Next {
                    out.push(n);
                }
            }
        }
        r.finish();
        drain(&mut r, at(0), &mut out);
        let once: Vec<i64> = (0..datagrams).collect();
        assert!(out == once.repeat(rounds as usize), "{datagrams}, {pause}");
        assert_eq!(r.restarts, rounds as u64 - 1);
        assert_eq!((r.lost, r.duplicates, r.late, r.strayed), (0, 0, 0, 0));
    }
}

/// What is repeated sooner is dropped; where nothing else comes, that is said.
#[test]
fn a_run_of_repeats_is_said() {
    for (repeats, said) in [(63, vec![]), (64, vec!["rtp_repeated"])] {
        let mut r = Reorder::new(Ticks27M::from_millis(50));
        let mut sent: Vec<(i64, i64)> = (0..100).map(|n| (n, n)).collect();
        sent.extend((0..repeats).map(|n| (1000 + n, n)));
        sent.push((2000, 100));
        assert_eq!(play(&mut r, 9, &sent), (0..=100).collect::<Vec<_>>());
        assert_eq!((r.duplicates, r.lost), (repeats as u64, 0));
        let mut names = Vec::new();
        r.drain_events(&mut |e| names.push(e.name()));
        assert_eq!(names, said, "{repeats}");
    }
}

/// Datagrams of null packets alone are all alike. A sender that starts anew with the numbers and
/// times that it had, and nulls where there were nulls, loses none of them.
#[test]
fn null_packets_of_a_new_sequence_are_no_repeats() {
    let null = [&[0x47, 0x1F, 0xFF, 0x10][..], &[0xFF; 184]]
        .concat()
        .repeat(7);
    for (seed, back) in (1..=20u64).flat_map(|seed| [60, 700].map(|back| (seed, back))) {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut r = Reorder::new(Ticks27M::from_millis(50));
        let (mut out, mut expected) = (Vec::new(), Vec::new());
        let pop = |r: &mut Reorder, now, out: &mut Vec<Box<[u8]>>| {
            while let Some((_, payload)) = r.pop(now) {
                out.push(payload);
            }
        };
        for n in 0..1400i64 {
            let (number, now) = (if n < 700 { n } else { n - back }, at(n + 100 * (n / 700)));
            let payload = match random.below(5) {
                // Two others are what tells that a sequence begins.
                0 if !(700..702).contains(&n) => null.clone(),
                _ => n.to_be_bytes().to_vec(),
            };
            let header = RtpHeader {
                timestamp: (number * 42) as u32,
                ..header(7, number)
            };
            pop(&mut r, now, &mut out);
            if r.push(&header, &payload, now) == Pushed::Next {
                out.push(payload.clone().into());
            }
            expected.push(payload);
        }
        r.finish();
        pop(&mut r, at(0), &mut out);
        let same =
            out.len() == expected.len() && out.iter().zip(&expected).all(|(o, e)| **o == **e);
        assert!(same, "seed {seed}, {back} back: {} of 1400", out.len());
        assert_eq!(
            (r.lost, r.late, r.restarts),
            (0, 0, 1),
            "seed {seed}, {back} back"
        );
    }
}

#[test]
fn a_second_copy_that_lags_is_no_new_sender() {
    for lag in [60, 400, 999] {
        let mut random = Random(7);
        let ways = restarted(&mut random, 0, Stamps::GoOn, Some(lag));
        let mut r = Reorder::new(Ticks27M::from_millis(50));
        // of the first copy, every tenth is lost
        let mut first = std::collections::BTreeSet::new();
        let ways: Vec<_> = ways
            .into_iter()
            .filter(|w| !(w.3 > 10 && w.3 % 10 == 7 && first.insert(w.3)))
            .collect();
        let out = received(&mut r, &ways);
        assert!(out.windows(2).all(|w| w[0] < w[1]));
        assert_eq!((r.restarts, r.strayed), (0, 0), "{lag}");
        assert_eq!(r.lost as usize, 3000 - out.len(), "{lag}");
        let all = out.len() as u64 + r.duplicates + r.late;
        assert_eq!(all, ways.len() as u64, "{lag}");
    }
}

#[test]
fn no_flood_of_datagrams_holds_more_than_its_bound() {
    let mut r = Reorder::new(Ticks27M::SECOND * 3600);
    r.push(&header(1, 0), &[0; 1316], at(0));
    for number in 2..3000 {
        // 65 535 bytes each, none of which is the one that is waited for
        let _ = r.push(&header(1, number), &[0; 65_535], at(0));
        while r.pop(at(0)).is_some() {}
        assert!(r.held_bytes <= MAX_HELD_BYTES);
    }
    assert_eq!(r.lost, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A day of a low rate in simulated time would be the same: every wrap of 16 bits, seeded
    /// loss, delay and repeats. What comes out is in order, once each, and sent = out + lost.
    #[test]
    fn loss_delay_and_repeats_end_in_order(
        start in 0i64..65_536,
        fate in proptest::collection::vec((0u8..100, 0i64..45), 500..3000),
    ) {
        let mut sent = Vec::new();
        for (n, (chance, delay)) in fate.iter().enumerate() {
            let (number, time) = (start + n as i64, n as i64);
            match chance {
                0..3 => {}
                3..6 => sent.extend([(time + delay, number), (time + delay / 2, number)]),
                6..20 => sent.push((time + delay, number)),
                _ => sent.push((time, number)),
            }
        }
        sent.sort_by_key(|(time, _)| *time);
        let mut r = Reorder::new(Ticks27M::from_millis(50));
        let mut out = play(&mut r, 1, &sent);
        r.finish();
        drain(&mut r, at(0), &mut out);
        prop_assert!(out.windows(2).all(|w| w[0] < w[1]));
        let mut distinct: Vec<_> = sent.iter().map(|(_, n)| *n).collect();
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(&out, &distinct);
        let (first, last) = (out[0], out[out.len() - 1]);
        prop_assert_eq!(r.lost, (last - first + 1) as u64 - out.len() as u64);
    }
}
