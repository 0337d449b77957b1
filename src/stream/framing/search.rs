//! Where in unknown bytes packets start, and what stands around them.

use super::Framing;
use crate::ts::{PACKET_SIZE, SYNC_BYTE};

/// Sync bytes in a row that lock.
const TO_LOCK: usize = 5;
/// Bytes that decide whether a packet starts at the first of them, or rather at another of the
/// places among its five strides: ten of the longest, and a header.
const WINDOW: usize = 2 * TO_LOCK * 204 + 4;
/// Bytes that decide it where the input itself begins with five packets, each with a likely header:
/// six of the longest strides. A datagram holds so many, and a slow stream's first ones do not wait
/// for the next.
const WINDOW_AT_START: usize = (TO_LOCK + 1) * 204;
/// By how much more must speak for a place that would make junk of what is before it.
const CLEARLY: usize = 3;

/// Where the next packet starts.
pub(super) enum Search {
    /// A packet's sync byte stands at that index.
    Found(Framing, usize),
    /// No packet starts before that index.
    NeedsMore(usize),
}

/// Looks for the first packet from `from` on. `offset` is where `bytes` start in the input.
pub(super) fn search(bytes: &[u8], from: usize, end: bool, offset: u64) -> Search {
    let mut at = from;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        at += match rest.iter().position(|b| *b == SYNC_BYTE) {
            Some(steps) => steps,
            None => return Search::NeedsMore(bytes.len()),
        };
        if !end && bytes.len() - at < WINDOW && !starts_input(bytes, at, offset) {
            return Search::NeedsMore(at);
        }
        if let Some(framing) = framing_at(bytes, at, offset) {
            let (framing, at) = rival(bytes, at, framing, offset).unwrap_or((framing, at));
            return Search::Found(framing, at);
        }
        at += 1;
    }
}

/// True where the input begins with packets for all that can be seen.
fn starts_input(bytes: &[u8], at: usize, offset: u64) -> bool {
    bytes.len() - at >= WINDOW_AT_START
        && framing_at(bytes, at, offset).is_some_and(|framing| {
            offset + at as u64 == framing.offset() as u64 && likely(bytes, at, framing) == TO_LOCK
        })
}

/// Where packets start rather than at `at`, if anywhere.
///
/// A byte that is 0x47 in packet after packet (of a PID 0x0147, of an arrival header) looks like a
/// sync byte. Of the places up to the next packet the one with the most likely headers is taken.
/// Noise can stand in for the first of such bytes: a place within the other strides is taken too
/// when all its five sync bytes are there and far more speaks for it.
fn rival(bytes: &[u8], at: usize, framing: Framing, offset: u64) -> Option<(Framing, usize)> {
    let size = framing.size();
    let first = evidence(bytes, at, framing);
    let (mut best, mut found) = (first, None);
    for place in at + 1..at + TO_LOCK * size {
        let near = place < at + size;
        if !near && found.is_some() || (place - at).is_multiple_of(size) {
            continue;
        }
        let Some(other) = framing_at(bytes, place, offset) else {
            continue;
        };
        let more = evidence(bytes, place, other);
        if near && more > best || !near && more >= first + CLEARLY && locks(bytes, place, other) {
            (best, found) = (more, Some((other, place)));
        }
    }
    found
}

/// True when five sync bytes are there.
fn locks(bytes: &[u8], at: usize, framing: Framing) -> bool {
    let five = sync_bytes(bytes, at, framing).take(TO_LOCK);
    five.filter(|b| *b == SYNC_BYTE).count() == TO_LOCK
}

/// The framing of which the byte at `at` can be the first of five sync bytes. Where the input
/// ends before the fifth, two whole packets that reach to the end are enough, or one that is all
/// there is.
fn framing_at(bytes: &[u8], at: usize, offset: u64) -> Option<Framing> {
    if bytes.get(at) != Some(&SYNC_BYTE) {
        return None;
    }
    Framing::ALL.into_iter().find(|framing| {
        if locks(bytes, at, *framing) {
            return true;
        }
        let good = sync_bytes(bytes, at, *framing)
            .take_while(|b| *b == SYNC_BYTE)
            .count();
        let there = sync_bytes(bytes, at, *framing).count();
        let whole = (bytes.len() - at + framing.size() - PACKET_SIZE) / framing.size();
        let alone = offset + at as u64 == framing.offset() as u64;
        good == there && (whole >= 2 || whole == 1 && alone)
    })
}

fn sync_bytes(bytes: &[u8], at: usize, framing: Framing) -> impl Iterator<Item = u8> {
    bytes
        .get(at..)
        .unwrap_or_default()
        .iter()
        .step_by(framing.size())
        .copied()
}

/// The header of the `n`th packet from `at` on.
fn header(bytes: &[u8], at: usize, framing: Framing, n: usize) -> Option<&[u8; 4]> {
    bytes.get(at + n * framing.size()..)?.first_chunk()
}

/// How many of five headers are such as a packet may have: no transport_error_indicator, no
/// reserved adaptation_field_control or transport_scrambling_control.
fn likely(bytes: &[u8], at: usize, framing: Framing) -> usize {
    (0..TO_LOCK)
        .filter_map(|n| header(bytes, at, framing, n))
        .filter(|h| h[1] & 0x80 == 0 && h[3] & 0x30 != 0 && h[3] & 0xC0 != 0x40)
        .count()
}

/// How much speaks for packets at `at`: each likely header, and each packet that continues the one
/// before.
fn evidence(bytes: &[u8], at: usize, framing: Framing) -> usize {
    let header = |n| header(bytes, at, framing, n);
    let continued = (1..TO_LOCK)
        .filter_map(|n| header(n - 1).zip(header(n)))
        .filter(|(a, b)| {
            let steps = b[3].wrapping_sub(a[3]) & 0x0F;
            (a[1] ^ b[1]) & 0x1F == 0 && a[2] == b[2] && steps == b[3] >> 4 & 1
        })
        .count();
    likely(bytes, at, framing) + continued
}
