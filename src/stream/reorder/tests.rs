use super::*;
use proptest::prelude::*;

fn at(ms: i64) -> Arrival {
    Arrival::from_ticks(ms * 27_000)
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
    assert_eq!(out, [30_000, 30_002, 100, 101, 102]);
    assert_eq!((r.restarts, r.lost), (1, 0));
    // the same source, far back
    out = play(&mut r, 7, &[(5, 20_000), (6, 20_001)]);
    assert_eq!((out, r.restarts), (vec![20_000, 20_001], 2));
}

#[test]
fn a_stray_datagram_moves_nothing() {
    let mut r = Reorder::new(Ticks27M::from_millis(50));
    let sent = [(-50, 1), (1, 20_000), (2, 2), (3, 30_000), (4, 3)];
    assert_eq!(play(&mut r, 9, &sent), [1, 2, 3]);
    assert_eq!((r.restarts, r.lost), (0, 0));
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
