//! The recorder's files.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use headend::ring::index::{Header, Index};
use headend::ring::{Disk, Ring, Step};
use headend::ts::crc32;
use headend::units::{Ticks27M, WallTime};

/// A side file of the ring, its header and each record with a right CRC_32.
fn sealed_index(data: &[u8]) -> Vec<u8> {
    let header = Header {
        number: 1,
        length: Ticks27M::SECOND * 300,
        carried: data.first().copied().unwrap_or(0).into(),
    };
    let mut bytes = header.encode().to_vec();
    for record in data.chunks_exact(40) {
        let mut record = record.to_vec();
        record[4..8].fill(0);
        let crc = crc32(&record);
        record[4..8].copy_from_slice(&crc.to_be_bytes());
        bytes.extend(record);
    }
    bytes
}

/// Reads a side file of the ring, and each record again as it is written.
pub fn ring_index(data: &[u8]) {
    black_box(Index::decode(data).is_some());
    let bytes = sealed_index(data);
    let index = Index::decode(&bytes).expect("the header is one of ours");
    assert_eq!(index.valid, bytes.len() as u64);
    black_box(index.reach());
    for record in index.carried.iter().chain(&index.own) {
        let mut again = Header {
            carried: 0,
            ..index.header
        }
        .encode()
        .to_vec();
        record.encode(&mut again);
        let again = Index::decode(&again).expect("the header is one of ours");
        // A long text is cut at a byte, which may be the middle of a letter.
        let short = record.slots() <= 3;
        assert!(again.own.first() == Some(record) || !short, "{record:?}");
    }
}

/// Reads a ring whose files are pieces of `data`, as a crash or another program may leave them.
pub fn ring(data: &[u8]) {
    let Some((cuts, data)) = data.split_first_chunk::<3>() else {
        return;
    };
    // A name of its own for each thread that replays.
    let thread = format!("{:?}", std::thread::current().id());
    let name = format!("headend-fuzz-{}-{thread}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    let mut rest = data;
    let mut pieces = cuts.map(|cut| {
        let (piece, left) = rest.split_at(usize::from(cut).min(rest.len()));
        rest = left;
        piece.to_vec()
    });
    pieces[1] = sealed_index(&pieces[1]);
    let _ = std::fs::create_dir_all(&dir);
    for (file, bytes) in [
        ("1.aux", &pieces[0]),
        ("1.idx", &pieces[1]),
        ("ring.json", &pieces[2]),
        ("1.ts", &rest.to_vec()),
    ] {
        if !bytes.is_empty() && std::fs::write(dir.join(file), bytes).is_err() {
            return; // the disk, not the library
        }
    }
    read_ring(&dir);
    let _ = std::fs::remove_dir_all(&dir);
}

/// Asks a ring for everything.
fn read_ring(dir: &Path) {
    let Ok(ring) = Ring::open(Arc::new(Disk), dir) else {
        return;
    };
    let _ = black_box(ring.summary());
    let mut cursor = ring.cursor(WallTime::default(), Some(WallTime::from_ticks(i64::MAX)));
    let mut bytes = [0; 188 * 7];
    // No step may be the same for ever.
    for _ in 0..1000 {
        match cursor.read(&mut bytes, Some(&mut Vec::new())) {
            Ok((Step::End, _)) | Err(_) => return,
            Ok(_) => {}
        }
    }
    panic!("the ring has no end");
}
