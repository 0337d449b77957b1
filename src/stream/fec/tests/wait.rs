//! How FEC goes together with the reorder window: what is recovered is there in time.

use super::*;
use crate::stream::Pushed;

/// What a run through receiver and window gave.
struct Played {
    /// Number and departure of each.
    out: Vec<(u16, Arrival)>,
    receiver: FecReceiver,
    reorder: Reorder,
}

/// Media of 2 ms each from number 65 500 on with the FEC behind it, some of it lost.
fn play(layout: FecLayout, numbers: u32, lost: impl Fn(u32) -> bool, with_fec: bool) -> Played {
    let margin = Ticks27M::from_millis(20);
    let mut random = Random(23);
    let mut sender = FecSender::new(layout);
    let mut played = Played {
        out: Vec::new(),
        receiver: FecReceiver::new(),
        reorder: Reorder::steady(margin),
    };
    let Played {
        out,
        receiver,
        reorder,
    } = &mut played;
    for number in 65_500..65_500 + numbers + 2000 {
        let now = at(number);
        reorder.set_window(receiver.wait(now) + margin);
        while let Some((left, payload)) = reorder.pop(now) {
            let number = u16::from_be_bytes([payload[1], payload[2]]);
            out.push((number, left));
        }
        receiver.turn(now);
        if number >= 65_500 + numbers {
            continue;
        }
        for sent in send(&mut sender, number..number + 1, &mut random) {
            match sent {
                Sent::Media(number, mut datagram) if !lost(number) => {
                    let (header, payload) = RtpHeader::read(&datagram).unwrap();
                    receiver.media(&header, &datagram, now);
                    datagram[payload.start + 1..][..2]
                        .copy_from_slice(&(number as u16).to_be_bytes());
                    let pushed = reorder.push(&header, &datagram[payload], now);
                    assert_eq!(pushed, Pushed::Kept);
                }
                Sent::Fec(fec) if with_fec => receiver.fec(fec.line, &fec.bytes, now),
                _ => {}
            }
        }
        while let Some(mut datagram) = receiver.pop() {
            let (header, payload) = RtpHeader::read(&datagram).unwrap();
            datagram[payload.start + 1..][..2].copy_from_slice(&header.sequence.to_be_bytes());
            reorder.push(&header, &datagram[payload], now);
        }
    }
    played
}

fn at(number: u32) -> Arrival {
    Arrival::from_ticks(0) + Ticks27M::from_millis(2 * (i64::from(number) - 65_500))
}

/// A matrix of 25 takes 50 ms, two of them 100 ms; 20 ms more are waited for what is overtaken.
#[test]
fn what_is_recovered_leaves_in_its_place_and_all_leave_evenly() {
    for both in [false, true] {
        let layout = FecLayout::new(5, 5, both).unwrap();
        // A burst of five out of every other matrix, from the first on.
        let burst = |n: u32| (n - 65_500) % 50 > 2 && (n - 65_500) % 50 <= 7;
        let played = play(layout, 1000, burst, true);
        let numbers = played.out.iter().map(|(n, _)| *n);
        assert!(
            numbers.eq((65_500..66_500).map(|n: u32| n as u16)),
            "{both}"
        );
        for (place, (_, left)) in played.out.iter().enumerate() {
            let number = 65_500 + place as u32;
            let late = *left - at(number) - Ticks27M::from_millis(120);
            // A lost one leaves with the one that is there behind it.
            let most = if burst(number) { 10 } else { 0 };
            assert!((0..=most).contains(&late.as_millis()), "{number}: {late}");
        }
        assert_eq!(played.reorder.lost(), 0);
        assert_eq!(counted(&played.receiver)["fec_recovered_datagrams"], 100);
        assert_eq!(counted(&played.receiver)["fec_wait_ms"], 100);
    }
}

#[test]
fn what_can_not_be_recovered_is_lost_and_counted_and_nobody_waits_longer_for_it() {
    let layout = FecLayout::new(5, 5, false).unwrap();
    // Six in a row: two of one column.
    let burst = |n: u32| (65_600..65_606).contains(&n);
    let mut played = play(layout, 1000, burst, true);
    assert_eq!(played.out.len(), 998);
    assert_eq!(played.reorder.lost(), 2);
    for (number, left) in &played.out {
        let number = 65_500 + u32::from(number.wrapping_sub(65_500));
        let late = *left - at(number) - Ticks27M::from_millis(120);
        assert!((0..=12).contains(&late.as_millis()), "{number}: {late}");
    }
    let mut names = names(&mut played.receiver);
    names.dedup();
    assert_eq!(names, ["fec_found", "fec_recovered"]);
}

#[test]
fn where_no_fec_comes_nothing_is_waited_for_and_that_is_said() {
    let layout = FecLayout::new(5, 5, false).unwrap();
    let mut played = play(layout, 2000, |n| n == 66_500, false);
    assert_eq!(played.out.len(), 1999);
    assert_eq!(names(&mut played.receiver), ["fec_missing"]);
    let (_, last) = played.out.last().unwrap();
    assert_eq!((*last - at(67_499)).as_millis(), 20);
    assert_eq!(played.receiver.wait(*last), Ticks27M::ZERO);
}

/// Columns that come later than a matrix behind their own, again and again: a device that keeps
/// them back. One outage is nothing of the kind.
#[test]
fn fec_that_comes_late_for_seconds_is_waited_for_and_after_an_outage_it_is_not() {
    let mut random = Random(29);
    let mut sender = FecSender::new(FecLayout::new(5, 5, false).unwrap());
    let mut receiver = FecReceiver::new();
    let mut now = Arrival::from_ticks(0);
    let mut number = 0;
    let mut kept = std::collections::VecDeque::new();
    let mut turn = |receiver: &mut FecReceiver, now: Arrival, keep: usize| {
        for sent in send(&mut sender, number..number + 1, &mut random) {
            match sent {
                Sent::Media(_, datagram) => {
                    let (header, _) = RtpHeader::read(&datagram).unwrap();
                    receiver.media(&header, &datagram, now);
                }
                Sent::Fec(fec) => kept.push_back(fec),
            }
        }
        number += 1;
        while kept.len() > keep {
            let fec = kept.pop_front().unwrap();
            receiver.fec(fec.line, &fec.bytes, now);
        }
    };
    let millis = Ticks27M::from_millis;
    for _ in 0..500 {
        turn(&mut receiver, now, 0);
        now += millis(2);
    }
    assert_eq!(receiver.wait(now), millis(100));
    now += millis(3000);
    for _ in 0..5000 {
        turn(&mut receiver, now, 0);
        now += millis(2);
    }
    assert_eq!(receiver.wait(now), millis(100));
    // Ten columns, two matrices, behind.
    for _ in 0..3000 {
        turn(&mut receiver, now, 10);
        now += millis(2);
    }
    // The last column's first datagram comes 21 before the end of its matrix, its FEC 21 after it,
    // and 50 later: 91 x 2 ms, and a tenth more.
    assert_eq!(receiver.wait(now), Ticks27M::new(91 * 2 * 27_000 * 11 / 10));
}
