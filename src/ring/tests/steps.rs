//! What a ring tells after its clock was set back.

use super::*;
use crate::ring::index::{Record, What};
use crate::ts::Pcr;

/// A PCR at `ms`, which a decoder may start at where `starts`; nothing else in the packet.
fn clock(ms: i64, starts: bool) -> Packet {
    let pid = Pid::new(0x100).unwrap();
    let zero = Pcr::from_ticks(1 << 30).unwrap();
    let at = zero + Ticks27M::from_millis(ms);
    let packet = Packet::pcr_only(pid, ContinuityCounter::default(), at);
    let mut bytes = *packet.as_bytes();
    // random_access_indicator: the second bit of the adaptation field's flags (§2.4.3.4).
    bytes[5] |= u8::from(starts) << 6;
    Packet::slice_of(&bytes).0[0]
}

/// A packet with a payload, whose counter never follows the one before.
fn broken(turn: u8) -> Packet {
    let counter = ContinuityCounter::new(turn % 2 * 8).unwrap();
    Packet::new(Pid::new(0x101).unwrap(), counter)
}

/// Records 20 s in turns of 100 ms, seven packets each; after 10 s the wall clock is set by `step`.
fn recorded(step: Ticks27M) -> Bench {
    let mut bench = Bench::new();
    let mut writer = bench.open().unwrap();
    for turn in 0..200u8 {
        bench.pass(ms(100));
        if turn == 100 {
            bench.wall += step;
        }
        writer.turn(bench.monotonic, bench.wall);
        let mut batch = Batch::with_capacity(7);
        batch.push(
            &clock(i64::from(turn) * 100, turn % 10 == 0),
            bench.monotonic,
        );
        batch.push(&broken(turn), bench.monotonic);
        for _ in 0..5 {
            batch.push(&Packet::NULL, bench.monotonic);
        }
        writer.append(&batch);
    }
    drop(writer);
    bench
}

fn all(bench: &Bench) -> Vec<Record> {
    let ring = bench.ring();
    let own = ring
        .segments()
        .iter()
        .flat_map(|s| ring.index(s).unwrap().own);
    own.collect()
}

#[test]
fn clocks_and_breaks_are_recorded_each_second_after_a_step_back() {
    for step in [Ticks27M::SECOND * -3600, Ticks27M::SECOND * 3600] {
        let bench = recorded(step);
        let records = all(&bench);
        let count = |of: &dyn Fn(&What) -> bool| records.iter().filter(|r| of(&r.what)).count();
        // One a second, and one more where the clock was set.
        let clocks = count(&|what| matches!(what, What::Pcr { .. }));
        assert!((20..=21).contains(&clocks), "{step}: {clocks} clocks");
        let jumps = |what: &What| {
            matches!(
                what,
                What::Pcr {
                    discontinuity: true,
                    ..
                }
            )
        };
        assert_eq!(count(&jumps), 0, "{step}");
        let breaks = count(&|what| matches!(what, What::Discontinuity { .. }));
        assert!((20..=21).contains(&breaks), "{step}: {breaks} breaks");
    }
}

#[test]
fn segments_on_both_sides_of_a_step_back_are_summed_up_though_they_share_numbers() {
    let bench = recorded(Ticks27M::SECOND * -5);
    let ring = bench.ring();
    let numbers: std::collections::HashSet<i64> =
        ring.segments().iter().map(|s| s.number).collect();
    assert!(
        ring.segments().len() >= numbers.len() + 4,
        "no number is used twice"
    );
    let summary = ring.summary().unwrap();
    assert_eq!(summary.bytes, 200 * 7 * 188);
    // One in ten turns.
    assert_eq!(summary.random_access, 20);
}

#[test]
fn who_plays_a_ring_is_told_a_step_forward_where_the_stamps_jump_and_nowhere_else() {
    let hour = Ticks27M::SECOND * 3600;
    let bench = recorded(hour);
    let ring = bench.ring();
    let (mut steps, mut cursor) = (ForwardSteps::new(&ring), ring.cursor(START, None));
    let (mut bytes, mut told, mut last) = (vec![0; BLOCK], Vec::new(), START);
    loop {
        let mut stamps = Vec::new();
        let (step, _) = cursor.read(&mut bytes, Some(&mut stamps)).unwrap();
        if !matches!(step, Step::Data { .. }) {
            break;
        }
        steps.enter(cursor.segment().unwrap());
        let at = stamps[0];
        if at - last >= SILENCE {
            told.push((at - last, steps.between(last, at)));
        } else {
            assert_eq!(steps.between(last, at), Ticks27M::ZERO, "before {at}");
        }
        last = at;
    }
    // A tenth of a second passed between the two turns.
    assert_eq!(told, [(hour + ms(100), hour)]);
}

#[test]
fn a_ring_whose_clock_was_set_back_is_as_long_as_it_was_recorded() {
    let hour = Ticks27M::SECOND * 3600;
    // Two hundred turns of 100 ms: 199 from the first stamp to the last, and one less where the
    // clock was set back between two of them.
    for (step, expected) in [(Ticks27M::ZERO, 19_900), (-hour, 19_800)] {
        let length = recorded(step).ring().length();
        assert_eq!(length, ms(expected), "{step}");
    }
}
