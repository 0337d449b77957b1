use super::*;
use crate::ts::{ContinuityCounter, Pid};
use proptest::prelude::*;

fn at(n: i64) -> Arrival {
    Arrival::from_ticks(n)
}

/// A packet that can be told from every other; its payload holds 0x47 here and there.
fn packet(n: usize) -> Packet {
    let mut p = Packet::NULL;
    p.set_pid(Pid::from_field(0x147));
    p.set_continuity_counter(ContinuityCounter::new(n as u8 % 16).unwrap());
    for (i, b) in p.payload_mut().iter_mut().enumerate() {
        *b = if (i * 31 + n).is_multiple_of(17) {
            0x47
        } else {
            (n * 3 + i) as u8
        };
    }
    p
}

fn framed(framing: Framing, packets: &[Packet]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (n, p) in packets.iter().enumerate() {
        if framing == Framing::Timed {
            bytes.extend_from_slice(&header(at(n as i64 * 40_000)));
        }
        bytes.extend_from_slice(p.as_bytes());
        if framing == Framing::Coded {
            bytes.extend_from_slice(&[0xFF; 16]);
        }
    }
    bytes
}

/// Every packet with its arrival, the names of the events, and the counted junk.
type Outcome = (Vec<(Arrival, Packet)>, Vec<String>, u64);

fn run(pieces: impl IntoIterator<Item = Vec<u8>>, capacity: usize, in_place: bool) -> Outcome {
    let (mut framer, mut batch) = (Framer::new(), Batch::with_capacity(capacity));
    let (mut out, mut events) = (Vec::new(), Vec::new());
    let mut take = |framer: &mut Framer, batch: &mut Batch| {
        out.extend(
            batch
                .runs()
                .flat_map(|(t, p)| p.iter().map(move |p| (t, *p))),
        );
        batch.clear();
        framer.drain_events(&mut |e| events.push(e.name().to_owned()));
    };
    for piece in pieces {
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let n = match in_place.then(|| framer.offer(&mut batch)).flatten() {
                Some(kept) => {
                    let spare = &mut batch.spare_mut()[kept..];
                    let n = rest.len().min(spare.len());
                    spare[..n].copy_from_slice(&rest[..n]);
                    framer.adopt(kept + n, at(0), &mut batch);
                    n
                }
                None => framer.push(rest, at(0), &mut batch),
            };
            rest = &rest[n..];
            take(&mut framer, &mut batch);
        }
    }
    while !framer.finish(at(0), &mut batch) {
        take(&mut framer, &mut batch);
    }
    take(&mut framer, &mut batch);
    (out, events, framer.junk_total)
}

fn packets_of(outcome: &Outcome) -> Vec<Packet> {
    outcome.0.iter().map(|(_, p)| *p).collect()
}

#[test]
fn each_framing_is_found_by_itself_however_short_the_input() {
    for framing in Framing::ALL {
        for count in 1..12 {
            let packets: Vec<_> = (0..count).map(packet).collect();
            let outcome = run([framed(framing, &packets)], 64, false);
            assert!(packets_of(&outcome) == packets, "{framing:?} {count}");
            assert_eq!(outcome.1, [""; 0], "{framing:?} {count}");
            if framing == Framing::Timed {
                let times: Vec<_> = outcome.0.iter().map(|(t, _)| t.ticks()).collect();
                let expected: Vec<_> = (0..count as i64).map(|n| n * 40_000).collect();
                assert_eq!(times, expected);
            }
        }
    }
}

#[test]
fn a_stream_joined_inside_a_packet_starts_with_the_next() {
    let packets: Vec<_> = (0..40).map(packet).collect();
    for framing in Framing::ALL {
        for skip in 1..framing.size() {
            let outcome = run([framed(framing, &packets)[skip..].to_vec()], 64, false);
            assert!(packets_of(&outcome) == packets[1..], "{framing:?} {skip}");
        }
    }
}

/// Packets whose sync bytes at `bad` are 0xB8, and no other byte that is 0x47 at a stride.
fn with_bad(bad: &[usize]) -> Vec<Packet> {
    let mut packets: Vec<_> = (0..40).map(packet).collect();
    packets
        .iter_mut()
        .for_each(|p| p.set_pid(Pid::from_field(0x100)));
    for n in bad {
        packets[*n].as_bytes_mut()[0] = 0xB8;
    }
    packets
}

#[test]
fn bad_sync_bytes_where_packets_are_due_are_those_of_damaged_packets() {
    for framing in Framing::ALL {
        for bad in [
            &[10][..],
            &[10, 12],
            &[10, 11],
            &[10, 11, 12],
            &[10, 11, 13],
            &[10, 11, 12, 13, 14],
        ] {
            let packets = with_bad(bad);
            let outcome = run([framed(framing, &packets)], 64, false);
            assert!(packets_of(&outcome) == packets, "{framing:?} {bad:?}");
            let mut events = vec!["sync_byte_error"; bad.len()];
            if bad.contains(&11) {
                events.splice(0..0, ["sync_lost", "sync_found"]);
            }
            assert_eq!(outcome.1, events, "{framing:?} {bad:?}");
            assert_eq!(outcome.2, 0);
        }
        // Six are too many.
        let packets = with_bad(&[10, 11, 12, 13, 14, 15]);
        let outcome = run([framed(framing, &packets)], 64, false);
        assert!(packets_of(&outcome) == [&packets[..10], &packets[16..]].concat());
        assert_eq!(outcome.1, ["sync_lost", "sync_found"], "{framing:?}");
        assert_eq!(outcome.2, 6 * framing.size() as u64);
    }
}

/// Nothing is in phase behind a byte too many: what is between is junk.
#[test]
fn a_bad_sync_byte_in_the_last_packet_alone_is_no_loss() {
    for framing in Framing::ALL {
        let bytes = framed(framing, &with_bad(&[39]));
        let outcome = run([bytes], 100, false);
        assert_eq!(packets_of(&outcome), with_bad(&[39]), "{framing:?}");
        assert_eq!(outcome.1, ["sync_byte_error"], "{framing:?}");
        // Two are one, and what comes behind them is no packet.
        let outcome = run([framed(framing, &with_bad(&[38, 39]))], 100, false);
        assert_eq!(packets_of(&outcome), with_bad(&[])[..38], "{framing:?}");
        assert_eq!(outcome.1, ["sync_lost", "tail_dropped"], "{framing:?}");
    }
}

#[test]
fn bytes_behind_which_packets_go_on_elsewhere_are_junk() {
    let packets = with_bad(&[]);
    let mut bytes = framed(Framing::Plain, &packets);
    bytes.splice(10 * 188..10 * 188, [0xFF; 377]);
    let outcome = run([bytes], 64, false);
    assert!(packets_of(&outcome) == packets);
    assert_eq!(outcome.1, ["sync_lost", "sync_found"]);
    assert_eq!(outcome.2, 377);
}

/// The second bad sync byte says it: nothing behind it is needed.
#[test]
fn a_loss_is_told_when_it_happens() {
    let packets = with_bad(&[20, 21]);
    let bytes = framed(Framing::Plain, &packets);
    let (mut framer, mut batch) = (Framer::new(), Batch::with_capacity(64));
    let (before, after) = bytes.split_at(21 * 188);
    assert_eq!(framer.push(before, at(0), &mut batch), before.len());
    let mut told = Vec::new();
    framer.drain_events(&mut |e| told.push(e.name()));
    assert_eq!((batch.len(), told.len()), (20, 0));
    framer.push(&after[..1], at(0), &mut batch);
    let mut fields = Vec::new();
    framer.drain_events(&mut |e| {
        told.push(e.name());
        e.fields(&mut |key, value| fields.push((key, value)));
    });
    assert_eq!(told, ["sync_lost"]);
    let place = [
        ("offset_bytes", Value::Number(20 * 188)),
        ("at_packet", Value::Number(20)),
    ];
    assert_eq!(fields, place);
    assert_eq!(framer.framing(), None);
}

#[test]
fn a_header_byte_that_is_a_sync_byte_misleads_nobody() {
    // copy permission 01 and a clock whose top byte stays 0x47 for 0.6 s
    let packets: Vec<_> = (0..20).map(packet).collect();
    let mut bytes = framed(Framing::Timed, &packets);
    for unit in bytes.chunks_exact_mut(192) {
        unit[0] = 0x47;
    }
    let outcome = run([bytes], 64, false);
    assert!(packets_of(&outcome) == packets);
}

/// Noise in which one to four sync bytes stand a stride apart, so that any byte of the packets
/// behind it that is 0x47 makes up for the rest of five: the worst that noise can do.
#[test]
fn sync_bytes_in_noise_mislead_nobody() {
    let packets: Vec<_> = (0..20).map(packet).collect();
    let mut tried = 0;
    for (framing, stride) in Framing::ALL.into_iter().zip([188, 192, 204]) {
        for (planted, fill) in (1..=4).flat_map(|n| [0x00, 0x10, 0xFF].map(|fill| (n, fill))) {
            for behind in 0..stride {
                let mut bytes = vec![fill; 1000];
                for n in 1..=planted {
                    bytes[1000 + behind - n * stride] = SYNC_BYTE;
                }
                bytes.extend(framed(framing, &packets));
                let found = packets_of(&run([bytes], 100, false));
                assert!(
                    found.ends_with(&packets[1..]),
                    "{framing:?}: {planted} in {fill:#x}, {behind} behind: {} found",
                    found.len()
                );
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 12 * (188 + 192 + 204));
}

/// A packet that is cut short after four good ones, and a stream that goes on behind it.
#[test]
fn packets_before_a_break_are_not_given_up_for_those_behind_it() {
    let mut packets: Vec<_> = (0..30).map(packet).collect();
    packets
        .iter_mut()
        .for_each(|p| p.set_pid(Pid::from_field(0x100)));
    for cut in 20..188 {
        let mut bytes = framed(Framing::Plain, &packets[..4]);
        bytes.extend(&packets[4].as_bytes()[..cut]);
        bytes.extend(framed(Framing::Plain, &packets[5..]));
        let found = packets_of(&run([bytes], 100, false));
        assert!(found.starts_with(&packets[..4]), "{cut}");
        // A byte of a payload may stand where the next sync bytes were due.
        assert!(found.ends_with(&packets[10..]), "{cut}");
    }
}

#[test]
fn noise_is_no_packet_and_the_end_of_a_packet_neither() {
    let noise: Vec<u8> = (0..100_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let outcome = run([noise], 64, false);
    assert_eq!(
        (outcome.0.len(), outcome.1),
        (0, vec!["tail_dropped".to_owned()])
    );
    let mut bytes = framed(Framing::Plain, &[packet(1), packet(2)]);
    bytes.truncate(300);
    let outcome = run([bytes], 64, false);
    assert_eq!((outcome.0.len(), outcome.2), (1, 112));
}

#[test]
fn a_flood_of_damage_is_counted_and_costs_no_memory() {
    let mut framer = Framer::new();
    let mut batch = Batch::with_capacity(8);
    let run_of_five = [&[0u8; 400][..], &framed(Framing::Plain, &[packet(1); 5])].concat();
    for _ in 0..10_000 {
        let mut rest = &run_of_five[..];
        while !rest.is_empty() {
            rest = &rest[framer.push(rest, at(0), &mut batch)..];
            batch.clear();
        }
        assert!(framer.carry.len() <= CHUNK + 8);
    }
    let mut events = 0;
    framer.drain_events(&mut |_| events += 1);
    assert_eq!(events, Pending::<FramingEvent>::CAPACITY);
    assert!((9_990..10_000).contains(&framer.losses));
}

/// Pieces of streams: packets of a framing, or junk.
fn stretch() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (0usize..3, 1usize..30, any::<u8>()).prop_map(|(framing, count, seed)| {
            let packets: Vec<_> = (0..count).map(|n| packet(n + usize::from(seed))).collect();
            framed(Framing::ALL[framing], &packets)
        }),
        1 => proptest::collection::vec(prop_oneof![any::<u8>(), Just(SYNC_BYTE)], 0..600),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn how_the_bytes_are_cut_makes_no_difference(
        stretches in proptest::collection::vec(stretch(), 1..6),
        sizes in proptest::collection::vec(1usize..700, 1..20),
        capacity in 2usize..40,
        in_place in any::<bool>(),
    ) {
        let bytes = stretches.concat();
        let whole = run([bytes.clone()], 1000, false);
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, after) = rest.split_at(rest.len().min(*size));
            pieces.push(piece.to_vec());
            rest = after;
        }
        let cut = run(pieces, capacity, in_place);
        prop_assert!(whole.0 == cut.0);
        prop_assert_eq!(&whole.1, &cut.1);
        prop_assert_eq!(whole.2, cut.2);
    }

    /// Of noise without sync bytes nothing can be taken for a packet; what sync bytes in it do is
    /// tried one by one in `sync_bytes_in_noise_mislead_nobody`.
    #[test]
    fn packets_are_found_after_any_noise(
        noise in proptest::collection::vec(0u8..255, 0..2000),
        framing in 0usize..3,
    ) {
        let mut noise = noise;
        noise.iter_mut().filter(|b| **b == SYNC_BYTE).for_each(|b| *b = 0xFF);
        let packets: Vec<_> = (0..20).map(packet).collect();
        let bytes = [noise, framed(Framing::ALL[framing], &packets)].concat();
        let found = packets_of(&run([bytes], 100, false));
        prop_assert!(found == packets, "{} found", found.len());
    }
}
