//! The matrix against what mathematics says of it, in simulated time.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::stream::chance::Random;
use crate::stream::event::{Event, Value};
use crate::stream::{Reorder, RtpHeader, Snapshot};
use crate::ts::PACKET_SIZE;
use crate::units::{Arrival, Ticks27M};

mod gauss;
mod wait;

const SSRC: u32 = 0x5EED;

/// A media datagram of one to seven packets of noise.
fn media(number: u32, random: &mut Random) -> Vec<u8> {
    let header = RtpHeader {
        sequence: number as u16,
        timestamp: 0xFFFF_0000u32.wrapping_add(number * 90),
        ssrc: SSRC,
        marker: number % 97 == 5,
    };
    let packets = if random.below(8) == 0 {
        1 + random.below(6)
    } else {
        7
    };
    let mut datagram = header.write().to_vec();
    for _ in 0..packets {
        let packet: Vec<u8> = (0..PACKET_SIZE).map(|_| random.next() as u8).collect();
        datagram.extend_from_slice(&packet);
        let start = datagram.len() - PACKET_SIZE;
        datagram[start] = 0x47;
    }
    datagram
}

/// What is sent, in order.
#[derive(Clone, Debug)]
enum Sent {
    Media(u32, Vec<u8>),
    Fec(FecDatagram),
}

/// Media from `first` on, each with the FEC that follows it.
fn send(sender: &mut FecSender, numbers: std::ops::Range<u32>, random: &mut Random) -> Vec<Sent> {
    let mut sent = Vec::new();
    for number in numbers {
        let datagram = media(number, random);
        let (head, body) = datagram.split_first_chunk().unwrap();
        sender.push(head, body);
        sent.push(Sent::Media(number, datagram));
        sent.extend(std::iter::from_fn(|| sender.pop()).map(Sent::Fec));
    }
    sent
}

fn counted(receiver: &FecReceiver) -> BTreeMap<String, u64> {
    let mut out = Snapshot::default();
    receiver.counters(&mut out);
    let number = |value: &Value| match value {
        Value::Number(n) => n.cast_unsigned(),
        Value::Text(text) => panic!("{text} is no number"),
    };
    out.iter()
        .map(|(key, value)| (key.to_owned(), number(value)))
        .collect()
}

/// Feeds what came; gives what was recovered, by number.
fn receive(receiver: &mut FecReceiver, came: &[Sent], from: Arrival) -> BTreeMap<u16, Vec<u8>> {
    let mut recovered = BTreeMap::new();
    for (place, sent) in came.iter().enumerate() {
        let now = from + Ticks27M::from_millis(place as i64);
        match sent {
            Sent::Media(_, datagram) => {
                let (header, _) = RtpHeader::read(datagram).unwrap();
                receiver.media(&header, datagram, now);
            }
            Sent::Fec(fec) => receiver.fec(fec.line, &fec.bytes, now),
        }
        while let Some(datagram) = receiver.pop() {
            let number = RtpHeader::read(&datagram).unwrap().0.sequence;
            assert_eq!(recovered.insert(number, datagram), None);
        }
    }
    recovered
}

fn names(receiver: &mut FecReceiver) -> Vec<&'static str> {
    let mut names = Vec::new();
    receiver.drain_events(&mut |e: &dyn Event| names.push(e.name()));
    names
}

/// Five datagrams, L = 1, D = 5, summed by hand; the FEC leaves behind the sixth.
///
/// ```text
/// length  3 ^ 2 ^ 4 ^ 1 ^ 2                                      = 6
/// PT      33 five times                                          = 33
/// TS      1 ^ 10 ^ 100 ^ 1000 ^ 80000000 (hexadecimal)           = 80001111
/// M       the second only                                        = 1
/// body    47 five times, 01^04^10^FF = EA, 02^20 = 22, 30
/// ```
#[test]
fn a_datagram_is_what_the_clauses_say_by_hand() {
    let mut sender = FecSender::new(FecLayout::new(1, 5, false).unwrap());
    let media = [
        (0xFFFEu16, 1u32, false, &[0x47u8, 0x01, 0x02][..]),
        (0xFFFF, 0x10, true, &[0x47, 0x04]),
        (0, 0x100, false, &[0x47, 0x10, 0x20, 0x30]),
        (1, 0x1000, false, &[0x47]),
        (2, 0x8000_0000, false, &[0x47, 0xFF]),
        (3, 0x8000_0384, false, &[0x47]),
    ];
    let mut all = Vec::new();
    for (sequence, timestamp, marker, body) in media {
        assert!(sender.pop().is_none());
        let header = RtpHeader {
            sequence,
            timestamp,
            ssrc: 7,
            marker,
        };
        sender.push(&header.write(), body);
        all.push((header, [&header.write()[..], body].concat()));
    }
    let fec = sender.pop().unwrap();
    assert_eq!(fec.line, FecLine::Column);
    let expected = [
        0x80, 0xE0, 0x00, 0x00, 0x80, 0x00, 0x03, 0x84, 0x00, 0x00, 0x00, 0x00, // RTP
        0xFF, 0xFE, 0x00, 0x06, 0xA1, 0x00, 0x00, 0x00, // SNBase, length, E and PT, mask
        0x80, 0x00, 0x11, 0x11, 0x00, 0x01, 0x05, 0x00, // TS, column, L, D
        0x47, 0xEA, 0x22, 0x30,
    ];
    assert_eq!(fec.bytes, expected);
    assert!(sender.pop().is_none());
    // Whatever one is left out, what the others leave of the sum is that one.
    for left_out in 0..5 {
        let (set, mut sum) = sum::Sum::read(&expected).unwrap();
        assert!(set.numbers().eq([0xFFFE, 0xFFFF, 0, 1, 2]));
        for (n, (_, datagram)) in all[..5].iter().enumerate() {
            let (head, body) = datagram.split_first_chunk().unwrap();
            if n != left_out {
                sum.add(head, body);
            }
        }
        let (header, datagram) = &all[left_out];
        let missing = sum.into_missing(header.sequence, 7);
        assert_eq!(missing.as_ref(), Some(datagram));
    }
}

/// The two headers of a 6 x 10 matrix that a device has sent, bytes 12 to 15 of each.
#[test]
fn columns_and_rows_are_told_by_their_headers() {
    let header = |line: [u8; 4]| {
        let bytes = [&[0xFF, 0xF0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0][..], &line].concat();
        FecHeader::read(bytes.first_chunk().unwrap())
    };
    let column = header([0x00, 0x06, 0x0A, 0x00]).unwrap();
    assert_eq!(column.line, FecLine::Column);
    assert!(
        column
            .numbers()
            .eq((0..10).map(|n| 0xFFF0u16.wrapping_add(6 * n)))
    );
    let row = header([0x40, 0x01, 0x06, 0x00]).unwrap();
    assert_eq!(row.line, FecLine::Row);
    assert!(row.numbers().eq(0xFFF0..=0xFFF5));
    for number in 0..=u16::MAX {
        let set: Vec<_> = column.numbers().collect();
        assert_eq!(column.covers(number), set.contains(&number), "{number}");
    }
    // N; type 1; index 1; SNBase ext; no set; one that spans 20 x 21
    for line in [
        [0x80, 6, 10, 0],
        [0x08, 6, 10, 0],
        [0x01, 6, 10, 0],
        [0, 6, 10, 1],
        [0, 0, 10, 0],
        [0, 6, 0, 0],
        [0, 20, 21, 0],
    ] {
        assert_eq!(header(line), None, "{line:?}");
    }
}

#[test]
fn a_column_matrix_gives_back_every_burst_of_its_width() {
    for (columns, rows) in [(1, 4), (5, 5), (20, 5), (10, 10), (5, 20)] {
        let mut random = Random(u64::from(columns) << 8 | u64::from(rows));
        let size = u32::from(columns) * u32::from(rows);
        let layout = FecLayout::new(columns, rows, false).unwrap();
        let first = 65_536 - size;
        let mut sent = send(
            &mut FecSender::new(layout),
            first..first + 12 * size,
            &mut random,
        );
        // One burst a matrix, wherever it begins.
        let mut lost = BTreeMap::new();
        for matrix in 0..10 {
            let burst =
                first + matrix * size + random.below((size - u32::from(columns)) as usize) as u32;
            sent.retain(|sent| match sent {
                Sent::Media(number, datagram)
                    if (burst..burst + u32::from(columns)).contains(number) =>
                {
                    lost.insert(*number as u16, datagram.clone());
                    false
                }
                _ => true,
            });
        }
        let mut receiver = FecReceiver::new();
        let recovered = receive(&mut receiver, &sent, Arrival::from_ticks(0));
        assert_eq!(recovered, lost, "{columns} x {rows}");
        let counted = counted(&receiver);
        assert_eq!(counted["fec_recovered_datagrams"], lost.len() as u64);
        assert_eq!(counted["fec_contradicting_datagrams"], 0);
        assert_eq!(counted["fec_needless_datagrams"], 0);
        let matrix = (counted["fec_matrix_columns"], counted["fec_matrix_rows"]);
        assert_eq!(matrix, (u64::from(columns), u64::from(rows)));
    }
}

/// One pass over rows and columns does not see the end of this (x: lost); each needs the one before.
///
/// ```text
/// x x . .
/// . x x .
/// . . x x
/// . . . x
/// ```
#[test]
fn rows_and_columns_help_one_another_to_the_end() {
    let lost = [0, 1, 5, 6, 10, 11, 15];
    let mut random = Random(7);
    let mut sender = FecSender::new(FecLayout::new(4, 4, true).unwrap());
    let mut sent = send(&mut sender, 0..48, &mut random);
    sent.retain(|s| !matches!(s, Sent::Media(n, _) if lost.contains(n)));
    let recovered = receive(&mut FecReceiver::new(), &sent, Arrival::from_ticks(0));
    assert!(recovered.keys().copied().eq(lost.map(|n| n as u16)));
    // And a rectangle is more than they can tell.
    let lost = [17, 18, 25, 26];
    let mut sent = send(
        &mut FecSender::new(FecLayout::new(4, 4, true).unwrap()),
        0..64,
        &mut random,
    );
    sent.retain(|s| !matches!(s, Sent::Media(n, _) if lost.contains(n)));
    assert!(receive(&mut FecReceiver::new(), &sent, Arrival::from_ticks(0)).is_empty());
}

#[test]
fn another_matrix_is_followed_and_said() {
    let mut random = Random(3);
    let mut sent = Vec::new();
    let mut next = 65_000;
    for (columns, rows, both) in [(10, 10, false), (4, 6, true), (20, 5, false)] {
        let mut sender = FecSender::new(FecLayout::new(columns, rows, both).unwrap());
        let size = u32::from(columns) * u32::from(rows);
        sent.extend(send(&mut sender, next..next + 5 * size, &mut random));
        next += 5 * size;
    }
    // One of every matrix but the last of each kind, whose columns are not sent to the end.
    let mut lost = Vec::new();
    sent.retain(|s| {
        let Sent::Media(n, _) = s else { return true };
        let n = *n - 65_000;
        let (of, size) = match n {
            0..500 => (n, 100),
            500..620 => (n - 500, 24),
            _ => (n - 620, 100),
        };
        let gone = of % size == 13 && of / size < 4;
        if gone {
            lost.push((n + 65_000) as u16);
        }
        !gone
    });
    let mut receiver = FecReceiver::new();
    // Nothing is said in the first second.
    receive(&mut receiver, &sent[..1], Arrival::from_ticks(-27_000_000));
    let recovered = receive(&mut receiver, &sent[1..], Arrival::from_ticks(0));
    lost.sort_unstable();
    assert_eq!(recovered.into_keys().collect::<Vec<_>>(), lost);
    let mut said = Vec::new();
    receiver.drain_events(&mut |e: &dyn Event| {
        e.fields(&mut |key, value| {
            if key == "matrix" {
                said.push(format!("{value:?}"));
            }
        });
    });
    let expected = ["10x10", "10x10+rows", "4x6+rows", "20x5+rows"].map(|m| format!("Text({m:?})"));
    assert_eq!(said, expected);
}

#[test]
fn a_sender_that_starts_anew_is_followed() {
    let mut random = Random(11);
    let layout = FecLayout::new(5, 5, false).unwrap();
    let mut old = send(&mut FecSender::new(layout), 1000..1060, &mut random);
    // Numbers that the old one had used a moment before, another source.
    let mut new = send(&mut FecSender::new(layout), 1010..1160, &mut random);
    for sent in &mut new {
        if let Sent::Media(_, datagram) = sent {
            datagram[8..12].copy_from_slice(&[1, 2, 3, 4]);
        }
    }
    let lost = |n: &u32| [1012, 1013, 1070].contains(n);
    new.retain(|s| !matches!(s, Sent::Media(n, _) if lost(n)));
    let mut receiver = FecReceiver::new();
    old.retain(|s| !matches!(s, Sent::Media(1003, _)));
    let recovered = receive(&mut receiver, &old, Arrival::from_ticks(0));
    assert!(recovered.into_keys().eq([1003]));
    // The second of them tells; the first is kept.
    let later = Arrival::from_ticks(27_000_000);
    let (first, rest) = new.split_at(2);
    assert!(receive(&mut receiver, first, later).is_empty());
    let Sent::Media(_, second) = &first[1] else {
        panic!("no media");
    };
    receiver.restart(&RtpHeader::read(second).unwrap().0);
    let recovered = receive(&mut receiver, rest, later);
    assert_eq!(counted(&receiver)["fec_contradicting_datagrams"], 0);
    assert!(
        recovered
            .values()
            .all(|datagram| datagram[8..12] == [1, 2, 3, 4])
    );
    assert!(recovered.into_keys().eq([1012, 1013, 1070]));
}

#[test]
fn fec_of_another_stream_is_counted_and_changes_nothing() {
    let mut random = Random(13);
    let layout = FecLayout::new(5, 5, true).unwrap();
    let ours = send(&mut FecSender::new(layout), 200..500, &mut random);
    let others = send(&mut FecSender::new(layout), 200..500, &mut random);
    let lost = |n: &u32| n % 40 == 3;
    // The media of one, the FEC of the other.
    let came: Vec<_> = ours
        .iter()
        .zip(&others)
        .map(|(ours, other)| match ours {
            Sent::Media(..) => ours.clone(),
            Sent::Fec(_) => other.clone(),
        })
        .filter(|s| !matches!(s, Sent::Media(n, _) if lost(n)))
        .collect();
    let mut receiver = FecReceiver::new();
    assert!(receive(&mut receiver, &came, Arrival::from_ticks(0)).is_empty());
    assert!(counted(&receiver)["fec_contradicting_datagrams"] > 50);
    assert!(names(&mut receiver).contains(&"fec_contradicted"));
    // Once it is right again it is of use again.
    let mut more = send(&mut FecSender::new(layout), 500..600, &mut random);
    more.retain(|s| !matches!(s, Sent::Media(560, _)));
    let recovered = receive(&mut receiver, &more, Arrival::from_ticks(27_000_000));
    assert!(recovered.into_keys().eq([560]));
}

#[test]
fn what_is_no_fec_is_counted() {
    let mut receiver = FecReceiver::new();
    for bytes in [&b""[..], &[0x80; 27], &[0x47; 188], &[0; 9001]] {
        receiver.fec(FecLine::Column, bytes, Arrival::from_ticks(0));
    }
    assert_eq!(counted(&receiver)["fec_foreign_datagrams"], 4);
    assert_eq!(counted(&receiver)["fec_column_datagrams"], 0);
}

/// A datagram that comes late, after it was recovered, is known; it is told from others.
#[test]
fn what_was_recovered_and_comes_after_all_is_needless_or_contradicts() {
    let mut random = Random(17);
    let layout = FecLayout::new(5, 5, false).unwrap();
    let all = send(&mut FecSender::new(layout), 0..60, &mut random);
    let late = all.iter().find(|s| matches!(s, Sent::Media(7, _))).unwrap();
    let mut came = all.clone();
    came.retain(|s| !matches!(s, Sent::Media(7, _)));
    came.push(late.clone());
    let mut receiver = FecReceiver::new();
    assert_eq!(
        receive(&mut receiver, &came, Arrival::from_ticks(0)).len(),
        1
    );
    let needless = |r: &FecReceiver| counted(r)["fec_needless_datagrams"];
    assert_eq!(
        (
            needless(&receiver),
            counted(&receiver)["fec_contradicting_datagrams"]
        ),
        (1, 0)
    );
    let Some(Sent::Media(_, other)) = came.last_mut() else {
        panic!("no media");
    };
    other[300] ^= 1;
    let mut receiver = FecReceiver::new();
    receive(&mut receiver, &came, Arrival::from_ticks(0));
    assert_eq!(
        (
            needless(&receiver),
            counted(&receiver)["fec_contradicting_datagrams"]
        ),
        (0, 1)
    );
}
