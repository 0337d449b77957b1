//! What fuzzing found, replayed on stable; and packets of real captures with bits changed.

use std::fs;
use std::path::Path;

use crate::harness::{self, Random};

#[path = "../../fuzz/bodies.rs"]
mod bodies;

#[test]
fn every_find_is_survived() {
    let finds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/fuzz");
    for (name, body) in bodies::ALL {
        let Ok(entries) = fs::read_dir(finds.join(name)) else {
            continue;
        };
        for entry in entries {
            body(&fs::read(entry.unwrap().path()).unwrap());
        }
    }
}

#[test]
fn every_body_has_its_target_and_its_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut targets: Vec<_> = fs::read_dir(root.join("fuzz/fuzz_targets"))
        .unwrap()
        .map(|e| {
            e.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    targets.sort();
    let mut bodies: Vec<_> = bodies::ALL.iter().map(|(name, _)| *name).collect();
    bodies.sort_unstable();
    assert_eq!(targets, bodies);
}

/// How many mutated packets: `HEADEND_MUTATIONS`, else what a usual run has time for.
fn mutations() -> usize {
    match std::env::var("HEADEND_MUTATIONS") {
        Ok(text) => text.parse().expect("HEADEND_MUTATIONS is a number"),
        Err(_) => 100_000,
    }
}

/// Packets to be changed: of the captures where they are, else of a written stream.
fn seeds() -> Vec<u8> {
    let captures = harness::captures();
    if captures.is_empty() {
        return fs::read(harness::ffmpeg_stream(
            "mutation-seed",
            "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine -t 2 -c:v libx264 -c:a mp2",
        ))
        .unwrap();
    }
    captures
        .iter()
        .flat_map(|path| fs::read(path).unwrap())
        .collect()
}

/// Changes a packet as transmission and bad encoders do: bits, bytes, fields, a cut.
fn mutate(packet: &mut [u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(packet.len());
        match random.below(6) {
            0 => packet[at] ^= 1 << random.below(8),
            1 => packet[at] = random.next() as u8,
            // The first bytes of header, adaptation field, section and PES header.
            2 => packet[random.below(24.min(packet.len()))] = random.next() as u8,
            3 => packet[at] = [0x00, 0xFF, 0x7F, 0x80][random.below(4)],
            4 => packet[at..].fill(0xFF),
            _ => packet.rotate_left(1 + random.below(3)),
        }
    }
}

#[test]
fn mutated_packets_are_survived() {
    let seeds = seeds();
    let mut random = Random::new(0x9E37_79B9_7F4A_7C15);
    let mut left = mutations();
    let bodies = [
        bodies::packet,
        bodies::pes,
        bodies::section,
        bodies::sections,
        bodies::framing,
        bodies::rap,
        bodies::video,
        bodies::table_checks,
        bodies::monitor,
        bodies::route,
        follow,
    ];
    while left > 0 {
        // A run of packets from somewhere, some of them changed, so that state builds up.
        let n = left.min(64);
        let start = random.below(seeds.len() / 188) * 188;
        let end = (start + n * 188).min(seeds.len());
        let mut run = seeds[start..end].to_vec();
        for packet in run.chunks_mut(188) {
            mutate(packet, &mut random);
        }
        for body in &bodies {
            body(&run);
        }
        left = left.saturating_sub(run.len().div_ceil(188).max(1));
    }
}

/// Whole recordings, of which one packet in two to one in 256 is changed.
#[test]
fn mutated_recordings_are_measured_and_cut_or_refused() {
    let mut recordings: Vec<Vec<u8>> = harness::captures()
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    recordings.push(
        fs::read(harness::ffmpeg_stream(
            "mutation-cut",
            "-f lavfi -i testsrc2=size=160x90:rate=25 -f lavfi -i sine -t 8 -c:v libx264 -g 25 \
             -c:a mp2",
        ))
        .unwrap(),
    );
    let mut random = Random::new(0x0D15_EA5E_0BAD_CAB1);
    let mut left = mutations();
    while left > 0 {
        let mut data = vec![0; 3];
        data[0] = random.next() as u8;
        data[1] = random.below(60) as u8;
        data[2] = random.below(40) as u8;
        data.extend_from_slice(&recordings[random.below(recordings.len())]);
        let one_in = 2usize << random.below(8);
        for packet in data[3..].chunks_exact_mut(188) {
            if random.below(one_in) == 0 {
                mutate(packet, &mut random);
                left = left.saturating_sub(1);
            }
        }
        bodies::cut(&data);
        bodies::monitor(&data[3..]);
    }
}

/// The services of a stream of changed packets.
fn follow(data: &[u8]) {
    let mut programs = headend::stream::Programs::new();
    let mut continuity = headend::stream::continuity::Continuity::new();
    for packet in headend::ts::Packet::slice_of(data).0 {
        continuity.push(packet);
        programs.push(packet, &mut |_| {});
    }
}
