//! Two ways of one stream in simulated time: what comes out is the list that went in.

use super::*;
use crate::stream::event::{Event as _, Value};
use crate::ts::{ContinuityCounter, Pcr, Pid};

/// Numbers by a seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// 7.5 Mb/s: a packet each 0.2 ms.
const STEP: Ticks27M = Ticks27M::new(5_400);

const fn ms(ms: i64) -> Ticks27M {
    Ticks27M::from_millis(ms)
}

const VIDEO: Pid = Pid::from_field(0x100);
const AUDIO: Pid = Pid::from_field(0x101);
const CLOCK: Pid = Pid::from_field(0x102);
const UNCOUNTED: Pid = Pid::from_field(0x1000);

/// A multiplex: picture, sound, a clock of its own, a PAT that counts (so that the same bytes come
/// again after 16 of them), a PMT whose sender does not count, packets that follow themselves, and
/// null packets, many in a row at times.
fn multiplex(seed: u64, packets: usize) -> Vec<Packet> {
    repeating(seed, packets, true)
}

/// The same, with packets that follow themselves or without.
fn repeating(seed: u64, packets: usize, repeats: bool) -> Vec<Packet> {
    let mut random = Random::new(seed);
    let mut counters = [ContinuityCounter::default(); Pid::COUNT];
    let mut all: Vec<Packet> = Vec::new();
    let mut nulls = 0;
    while all.len() < packets {
        let n = all.len() as u64;
        if nulls > 0 {
            nulls -= 1;
            all.push(Packet::NULL);
            continue;
        }
        let pid = match n % 97 {
            0 => Pid::PAT,
            1 => UNCOUNTED,
            2 => CLOCK,
            _ if random.below(12) == 0 => AUDIO,
            _ if random.below(40) == 0 => {
                nulls = match random.below(20) {
                    0 => 40,
                    _ => random.below(5),
                };
                Pid::NULL
            }
            _ => VIDEO,
        };
        if pid == CLOCK {
            let pcr = Pcr::from_ticks(n * 5_400).unwrap();
            all.push(Packet::pcr_only(CLOCK, ContinuityCounter::default(), pcr));
            continue;
        }
        if pid == Pid::NULL {
            all.push(Packet::NULL);
            continue;
        }
        let counter = &mut counters[pid.index()];
        if pid != UNCOUNTED {
            *counter = counter.next();
        }
        let mut packet = Packet::new(pid, *counter);
        if matches!(pid, VIDEO | AUDIO) {
            let (seed, n) = (seed.to_be_bytes(), n.to_be_bytes());
            packet.as_bytes_mut()[172..180].copy_from_slice(&seed);
            packet.as_bytes_mut()[180..].copy_from_slice(&n);
        }
        all.push(packet);
        if random.below(200) == 0 && repeats {
            all.push(packet);
        }
    }
    all
}

/// A way from the encoder to here.
#[derive(Clone)]
struct Way {
    /// Later than it was sent, and by up to so much more.
    delay: Ticks27M,
    jitter: Ticks27M,
    /// Thousandths of datagrams that are lost, come twice, are overtaken.
    loss: u64,
    twice: u64,
    overtaken: u64,
    /// Packets of the first datagram: those that follow have seven.
    first: usize,
    /// Packets of a datagram.
    size: usize,
}

impl Way {
    const fn of(delay: Ticks27M) -> Self {
        Self {
            delay,
            jitter: Ticks27M::ZERO,
            loss: 0,
            twice: 0,
            overtaken: 0,
            first: 7,
            size: 7,
        }
    }

    const fn losing(self, thousandths: u64) -> Self {
        Self {
            loss: thousandths,
            ..self
        }
    }
}

/// Packets before which nothing is lost: the legs are to find one another.
const SOUND: usize = 7_000;

/// Datagrams as they come: when, and which packets.
fn carry(way: &Way, packets: usize, random: &mut Random) -> Vec<(Arrival, std::ops::Range<usize>)> {
    let mut all = Vec::new();
    let (mut start, mut end) = (0, way.first.min(packets));
    let mut last = Arrival::from_ticks(i64::MIN);
    // No two side by side are overtaken.
    let mut since = 0;
    while start < packets {
        let sent = Arrival::default() + STEP * end as i64;
        let late = random.below(way.jitter.get() as u64 + 1) as i64;
        let mut came = (sent + way.delay + Ticks27M::new(late)).max(last);
        let sound = start < SOUND;
        let lost = !sound && random.below(1000) < way.loss;
        let twice = !sound && random.below(1000) < way.twice;
        since += 1;
        if !sound && since > 10 && random.below(1000) < way.overtaken {
            (came, since) = (came + ms(3), 0);
        } else {
            last = came;
        }
        if !lost {
            all.push((came, start..end));
            if twice {
                all.push((came + ms(random.below(4) as i64), start..end));
            }
        }
        (start, end) = (end, (end + way.size).min(packets));
    }
    all.sort_by_key(|(came, _)| *came);
    all
}

struct Outcome {
    merge: Merge,
    out: Vec<Packet>,
    /// For each packet that went in, whether it came by one way at least.
    had: Vec<bool>,
    /// For each leg, the packets that came by another alone.
    lacks: Vec<usize>,
    events: Vec<String>,
}

fn told(merge: &mut Merge, events: &mut Vec<String>) {
    merge.drain(&mut |event| {
        let mut line = event.name().to_owned();
        event.fields(&mut |key, value| {
            let value = match value {
                Value::Number(n) => n.to_string(),
                Value::Text(text) => text,
            };
            line.push_str(&format!(" {key}={value}"));
        });
        events.push(line);
    });
}

fn run(skew: Ticks27M, sent: &[Packet], ways: &[Way], seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let mut had = vec![false; sent.len()];
    let mut had_by = vec![had.clone(); ways.len()];
    let mut all = Vec::new();
    for (leg, way) in ways.iter().enumerate() {
        for (came, range) in carry(way, sent.len(), &mut random) {
            had[range.clone()].fill(true);
            had_by[leg][range.clone()].fill(true);
            all.push((came, leg, range));
        }
    }
    all.sort_by_key(|(came, _, _)| *came);
    let arrivals = all
        .into_iter()
        .map(|(came, leg, range)| (came, leg, sent[range].to_vec()));
    let (merge, out, events) = feed(Merge::new(ways.len(), skew), arrivals);
    let lacks = had_by.iter().map(|mine| {
        let both = mine.iter().zip(&had);
        both.filter(|(mine, any)| **any && !**mine).count()
    });
    Outcome {
        lacks: lacks.collect(),
        merge,
        out,
        had,
        events,
    }
}

/// Feeds a machine, asked each 2 ms, until nothing is left.
fn feed(
    mut merge: Merge,
    arrivals: impl Iterator<Item = (Arrival, usize, Vec<Packet>)>,
) -> (Merge, Vec<Packet>, Vec<String>) {
    let (mut out, mut events, mut now) = (Vec::new(), Vec::new(), Arrival::default());
    let mut last = now;
    for (came, leg, packets) in arrivals {
        while now + ms(2) <= came {
            now += ms(2);
            merge.pop(now, &mut |packet, at| {
                assert!(at <= now && at >= last, "neither ahead of time nor back");
                last = at;
                out.push(*packet);
            });
            told(&mut merge, &mut events);
        }
        merge.push(leg, &packets, came);
    }
    merge.finish(now, &mut |packet, _| out.push(*packet));
    told(&mut merge, &mut events);
    (merge, out, events)
}

/// What came out is what went in and came by one way at least.
#[track_caller]
fn is_whole(outcome: &Outcome, sent: &[Packet], what: &str) {
    let expected = sent
        .iter()
        .zip(&outcome.had)
        .filter(|(_, had)| **had)
        .map(|(packet, _)| *packet);
    let (nulls, mut expected): (Vec<_>, Vec<_>) = expected.partition(|p| p.pid() == Pid::NULL);
    let (out_nulls, mut out): (Vec<_>, Vec<_>) = outcome
        .out
        .iter()
        .copied()
        .partition(|p| p.pid() == Pid::NULL);
    assert!(
        out.windows(3).all(|w| w[0] != w[1] || w[1] != w[2]),
        "{what}"
    );
    // A packet that its sender repeats is there once at least.
    expected.dedup();
    out.dedup();
    let differs = out.iter().zip(&expected).position(|(a, b)| a != b);
    let show = |all: &[Packet]| -> Vec<String> {
        let at = differs.unwrap_or(out.len().min(expected.len()));
        let near = all.iter().skip(at.saturating_sub(8)).take(16);
        near.map(|p| {
            let n = u64::from_be_bytes(p.as_bytes()[180..].try_into().unwrap());
            format!("{}:{}:{n}", p.pid(), p.continuity_counter().get())
        })
        .collect()
    };
    assert!(
        differs.is_none() && out.len() == expected.len(),
        "{what}: {differs:?}, {} of {}\n{:?}\n{:?}\n{:?}\n{:?} {:?}",
        out.len(),
        expected.len(),
        show(&out),
        show(&expected),
        outcome.events,
        outcome.merge.counts(0),
        outcome.merge.counts(1),
    );
    // Null packets that fill datagrams, lost side by side, are not told apart.
    assert!(
        out_nulls.len().abs_diff(nulls.len()) * 100 <= nulls.len() * 6,
        "{what}: {} null packets of {}",
        out_nulls.len(),
        nulls.len()
    );
}

#[test]
fn what_either_leg_has_within_the_skew_leaves_once_and_in_order() {
    for (skew, limits) in [
        (ms(10), [0, 4, 10]),
        (ms(50), [0, 30, 50]),
        (ms(150), [0, 80, 150]),
        (ms(450), [0, 200, 450]),
    ] {
        for later in limits {
            for (loss, swapped) in [(1, false), (10, true), (100, false), (100, true)] {
                let seed = later as u64 * 7 + loss;
                let sent = multiplex(seed, 20_000);
                let mut ways = [
                    Way::of(ms(5)).losing(loss),
                    Way::of(ms(5 + later)).losing(loss),
                ];
                if swapped {
                    ways.reverse();
                }
                let outcome = run(skew, &sent, &ways, seed);
                let what = format!("{skew} {later} ms {loss} {swapped}");
                is_whole(&outcome, &sent, &what);
                for leg in 0..2 {
                    let counts = outcome.merge.counts(leg);
                    let lost = outcome.lacks[leg] as u64;
                    // Each null packet and repeat that is there once more is one that a leg had not.
                    let all = outcome.had.iter().filter(|had| **had).count();
                    let slack = lost.max(350) / 50 + outcome.out.len().abs_diff(all) as u64;
                    let near = counts.lost.abs_diff(lost) <= slack;
                    assert!(near, "{what}: {counts:?}, {lost} lost, {slack}");
                    assert_eq!((counts.different, counts.late), (0, 0), "{what}");
                }
            }
        }
    }
}

/// Counters come again after sixteen packets: in many places a lost datagram would fit. Three ways
/// at a loss of up to a tenth, with gaps of each beside those of the others.
#[test]
fn a_gap_elsewhere_with_the_same_counters_is_not_filled() {
    for seed in 0..4 {
        for (loss, skew, later) in [(50, 450, 450), (100, 10, 0), (100, 50, 30), (100, 150, 150)] {
            let sent = multiplex(seed, 20_000);
            let mut ways = vec![
                Way::of(ms(5)).losing(loss),
                Way::of(ms(5 + later)).losing(loss),
                Way::of(ms(5 + later / 2)).losing(loss),
            ];
            for legs in [3, 2] {
                ways.truncate(legs);
                if seed % 2 == 1 {
                    ways.reverse();
                }
                let outcome = run(ms(skew), &sent, &ways, seed);
                let what = format!("seed {seed}, {loss} {skew} {later}, {legs} legs");
                is_whole(&outcome, &sent, &what);
            }
        }
    }
}

#[test]
fn jitter_repeats_and_overtaking_change_nothing() {
    for seed in 0..6 {
        // What a sender repeats and the network too is not told apart.
        let sent = repeating(seed, 30_000, false);
        // What is overtaken and comes twice is not told apart either.
        let (twice, overtaken) = [(20, 0), (0, 20)][seed as usize % 2];
        let way = |delay, loss, overtaken| Way {
            jitter: ms(6),
            twice,
            overtaken,
            ..Way::of(delay).losing(loss)
        };
        let ways = [
            way(ms(5), twice, 0),
            way(ms(5 + 3 * seed as i64), 0, overtaken),
        ];
        let mut outcome = run(ms(50), &sent, &ways, seed);
        is_whole(&outcome, &sent, &format!("seed {seed}"));
        let repeated: u64 = (0..2).map(|leg| outcome.merge.counts(leg).repeated).sum();
        assert_eq!(repeated > 500, twice > 0, "{repeated}");
        // And the leading one overtakes.
        outcome = run(ms(50), &sent, &[ways[1].clone(), ways[0].clone()], seed);
        is_whole(&outcome, &sent, &format!("seed {seed}, the other way"));
    }
}

#[test]
fn datagrams_may_be_cut_elsewhere() {
    for seed in 0..6 {
        let sent = multiplex(seed, 30_000);
        for (first, size) in [(3, 7), (5, 5), (1, 1)] {
            let other = Way {
                first,
                size,
                ..Way::of(ms(20)).losing(20)
            };
            let outcome = run(ms(50), &sent, &[Way::of(ms(5)).losing(20), other], seed);
            is_whole(&outcome, &sent, &format!("seed {seed}, {first} {size}"));
        }
    }
}

#[test]
fn three_legs_are_better_than_two() {
    let sent = multiplex(3, 30_000);
    let ways = [0, 12, 31].map(|later| Way::of(ms(5 + later)).losing(20));
    let outcome = run(ms(50), &sent, &ways, 3);
    is_whole(&outcome, &sent, "three legs");
    let missing = outcome.had.iter().filter(|had| !**had).count();
    assert!(missing < 30, "{missing}");
}

/// Datagrams of a leg between two instants, moved by a delay.
fn part(
    sent: &[Packet],
    leg: usize,
    way: &Way,
    from: Ticks27M,
    to: Ticks27M,
) -> Vec<(Arrival, usize, Vec<Packet>)> {
    let mut random = Random::new(leg as u64 + 1);
    let within = |at: Ticks27M| at >= from && at < to;
    carry(way, sent.len(), &mut random)
        .into_iter()
        .filter(|(_, range)| within(STEP * range.start as i64))
        .map(|(came, range)| (came, leg, sent[range].to_vec()))
        .collect()
}

fn in_order(
    parts: impl IntoIterator<Item = Vec<(Arrival, usize, Vec<Packet>)>>,
) -> std::vec::IntoIter<(Arrival, usize, Vec<Packet>)> {
    let mut all: Vec<_> = parts.into_iter().flatten().collect();
    all.sort_by_key(|(came, _, _)| *came);
    all.into_iter()
}

fn but_nulls(packets: &[Packet]) -> Vec<Packet> {
    let all = packets.iter().filter(|p| p.pid() != Pid::NULL);
    all.copied().collect()
}

#[test]
fn a_leg_dies_and_comes_back_later_or_sooner_and_nothing_is_missed() {
    let sent = multiplex(9, 40_000);
    let end = ms(100_000);
    for dying in 0..2 {
        for (before, after) in [(0, 30), (30, 0), (45, 0), (0, 49), (10, 12)] {
            let other = part(&sent, 1 - dying, &Way::of(ms(20)), ms(0), end);
            let parts = [
                part(&sent, dying, &Way::of(ms(before)), ms(0), ms(2_500)),
                part(&sent, dying, &Way::of(ms(after)), ms(5_000), end),
                other,
            ];
            let (merge, out, events) = feed(Merge::new(2, ms(50)), in_order(parts));
            let what = format!("{dying} {before} {after}: {events:?}");
            assert!(but_nulls(&out) == but_nulls(&sent), "{what}");
            assert!(merge.is_joined(1), "{what}");
            let lost = merge.counts(dying).lost;
            // A second of silence counts, what follows does not: the leg is not there.
            assert!((4_000..=6_000).contains(&lost), "{what}: {lost}");
        }
    }
}

/// Over the switch from one to the other the output does not pause, be the one that is left 45 ms
/// ahead.
#[test]
fn the_output_keeps_its_pace_when_the_leg_that_leads_dies() {
    let sent = multiplex(11, 30_000);
    let parts = [
        part(&sent, 0, &Way::of(ms(5)), ms(0), ms(3_000)),
        part(&sent, 1, &Way::of(ms(50)), ms(0), ms(100_000)),
    ];
    let mut merge = Merge::new(2, ms(50));
    let (mut now, mut times) = (Arrival::default(), Vec::new());
    for (came, leg, packets) in in_order(parts) {
        while now + ms(1) <= came {
            now += ms(1);
            merge.pop(now, &mut |_, at| times.push(at));
        }
        merge.push(leg, &packets, came);
    }
    let pauses = times.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(times.len() > 29_000 && pauses < Some(ms(6)), "{pauses:?}");
}

#[test]
fn a_leg_with_something_else_never_joins_and_changes_nothing() {
    let sent = multiplex(1, 30_000);
    // Another programme with the same tables and null packets, and noise that says it is a stream.
    let mut random = Random::new(5);
    let noise: Vec<Packet> = (0..30_000)
        .map(|_| {
            let mut packet = Packet::NULL;
            let bytes = packet.as_bytes_mut();
            bytes[1..].iter_mut().for_each(|b| *b = random.next() as u8);
            packet
        })
        .collect();
    for other in [multiplex(2, 30_000), noise] {
        let parts = [
            part(&sent, 0, &Way::of(ms(5)).losing(20), ms(0), ms(100_000)),
            part(&other, 1, &Way::of(ms(9)), ms(0), ms(100_000)),
        ];
        let alone = in_order([parts[0].clone()]).flat_map(|(_, _, packets)| packets);
        let alone: Vec<_> = alone.collect();
        let (merge, out, events) = feed(Merge::new(2, ms(50)), in_order(parts));
        assert_eq!(events, [""; 0]);
        assert!(out == alone && !merge.is_joined(1));
    }
}

/// After three seconds one leg goes on with another programme, on the same PIDs: it is found out,
/// and not one packet of it leaves where the other leg comes within the skew.
#[test]
fn a_leg_that_goes_over_to_something_else_is_left_and_not_one_packet_of_it_leaves() {
    let (sent, other) = (multiplex(1, 30_000), multiplex(2, 30_000));
    let end = ms(100_000);
    for later in [-30, -3, 0, 3, 30] {
        for loss in [0, 20] {
            let way = |delay: i64| Way::of(ms(40 + delay)).losing(loss);
            let parts = [
                part(&sent, 0, &way(0), ms(0), end),
                part(&sent, 1, &way(later), ms(0), ms(3_000)),
                part(&other, 1, &way(later), ms(3_000), end),
            ];
            let (merge, out, events) = feed(Merge::new(2, ms(50)), in_order(parts.clone()));
            let what = format!("{later} ms, {loss}: {events:?} {:?}", merge.counts(1));
            let joined = ["leg_joined leg=1", "leg_parted leg=1 reason=differs"];
            assert_eq!(events, joined, "{what}");
            let ours: std::collections::HashSet<_> = sent.iter().map(|p| *p.as_bytes()).collect();
            let foreign = out.iter().enumerate();
            let foreign = foreign.filter(|(_, p)| !ours.contains(p.as_bytes()));
            let places: Vec<_> = foreign.map(|(n, _)| n).collect();
            assert!(places.is_empty(), "{what}: {places:?}");
            assert!(merge.counts(1).different > 0, "{what}");
            // From then on it is the main leg as it came.
            let alone: Vec<_> = in_order([parts[0].clone()])
                .flat_map(|(_, _, packets)| packets)
                .collect();
            let tail = |all: &[Packet]| all[all.len() - 10_000..].to_vec();
            assert!(tail(&out) == tail(&alone), "{what}");
        }
    }
}

#[test]
fn a_leg_beyond_the_skew_is_said_and_its_packets_are_counted() {
    let sent = multiplex(1, 30_000);
    let ways = [Way::of(ms(5)).losing(20), Way::of(ms(5 + 90))];
    let outcome = run(ms(50), &sent, &ways, 1);
    assert!(
        outcome
            .events
            .iter()
            .any(|e| e.starts_with("leg_too_late leg=1 late_ms=")),
        "{:?}",
        outcome.events
    );
    let counts = outcome.merge.counts(1);
    assert!(counts.late > 20_000, "{counts:?}");
}

#[test]
fn memory_is_bounded_and_what_is_over_leaves_early() {
    let sent = multiplex(1, 100_000);
    let mut merge = Merge::new(2, ms(450));
    let mut out = Vec::new();
    for (n, packets) in sent.chunks(7).enumerate() {
        // 5 Gb/s.
        let at = Arrival::from_ticks(n as i64 * 54);
        merge.push(0, packets, at);
        merge.pop(at, &mut |packet, _| out.push(*packet));
        assert!(merge.held() <= MOST_PACKETS + 7);
    }
    let mut events = Vec::new();
    told(&mut merge, &mut events);
    assert!(events.iter().any(|e| e.starts_with("merge_overflow")));
    merge.finish(Arrival::from_ticks(0), &mut |packet, _| out.push(*packet));
    assert!(out == sent && merge.overflow() > 30_000);
}
