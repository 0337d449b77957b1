//! What the sums can tell at all, by Gaussian elimination over GF(2): nothing less is recovered, and
//! nothing more.

use super::*;

/// Which of the unknown numbers follow from the sets, each of which has one known sum.
fn told(unknown: &BTreeSet<u16>, sets: &[Vec<u16>]) -> BTreeSet<u16> {
    let column: BTreeMap<u16, usize> = unknown.iter().copied().zip(0..).collect();
    let words = unknown.len().div_ceil(64);
    // A row a set, a bit an unknown.
    let mut rows: Vec<Vec<u64>> = Vec::new();
    for set in sets {
        let mut row = vec![0u64; words];
        for bit in set.iter().filter_map(|number| column.get(number)) {
            row[bit / 64] ^= 1 << (bit % 64);
        }
        rows.push(row);
    }
    let has = |row: &[u64], bit: usize| row[bit / 64] >> (bit % 64) & 1 == 1;
    let mut done = 0;
    for bit in 0..unknown.len() {
        let Some(pivot) = (done..rows.len()).find(|r| has(&rows[*r], bit)) else {
            continue;
        };
        rows.swap(done, pivot);
        let by = rows[done].clone();
        for (n, row) in rows.iter_mut().enumerate() {
            if n != done && has(row, bit) {
                row.iter_mut().zip(&by).for_each(|(a, b)| *a ^= b);
            }
        }
        done += 1;
    }
    let alone = |bit: usize| {
        rows.iter()
            .any(|row| has(row, bit) && row.iter().map(|w| w.count_ones()).sum::<u32>() == 1)
    };
    column
        .into_iter()
        .filter(|(_, bit)| alone(*bit))
        .map(|(number, _)| number)
        .collect()
}

/// The numbers of a FEC datagram's set, read here once more: bytes 12, 13 of RTP's payload are
/// SNBase, 25 and 26 offset and NA.
fn set_of(bytes: &[u8]) -> Vec<u16> {
    let base = u16::from_be_bytes([bytes[12], bytes[13]]);
    let step = u16::from(bytes[25]);
    (0..u16::from(bytes[26]))
        .map(|n| base.wrapping_add(n * step))
        .collect()
}

#[test]
fn elimination_knows_a_forest_from_a_circle() {
    let unknown: BTreeSet<u16> = [1, 2, 5, 6, 9].into();
    let circle = [vec![1, 2], vec![5, 6], vec![1, 5], vec![2, 6], vec![9, 3]];
    assert_eq!(told(&unknown, &circle), [9].into());
    let chain = [vec![1, 2], vec![2, 6], vec![6, 5], vec![5]];
    assert_eq!(told(&unknown, &chain), [1, 2, 5, 6].into());
}

/// One run: a matrix, losses of media and of FEC, some of it out of order.
fn run(seed: u64) -> (usize, usize) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let layout = loop {
        let (columns, rows) = (1 + random.below(20), 4 + random.below(17));
        let both = random.below(2) == 0;
        if let Some(layout) = FecLayout::new(columns as u8, rows as u8, both) {
            break layout;
        }
    };
    let size = usize::from(layout.columns()) * usize::from(layout.rows());
    let first = 65_536 - random.below(3 * size) as u32;
    let numbers = first..first + 8 * size as u32;
    let sent = send(&mut FecSender::new(layout), numbers, &mut random);
    // Losses of 0.1 to 10 %, one by one or in bursts of L at most; jitter of as many places.
    let permille = [1, 3, 10, 30, 100][random.below(5)];
    let bursts = random.below(2) == 0;
    let fec_permille = [0, permille, 200][random.below(3)];
    let jitter = [1, 3, 20][random.below(3)];
    let mut burst = 0;
    let mut lost = BTreeMap::new();
    let mut came = Vec::new();
    for (place, sent) in sent.into_iter().enumerate() {
        let gone = match &sent {
            Sent::Media(number, datagram) => {
                let gone = match bursts {
                    true if burst > 0 => true,
                    true => {
                        let length = 1 + random.below(usize::from(layout.columns()));
                        let starts = random.below(1000 * (length + 1)) < 2 * permille;
                        burst = if starts { length } else { 0 };
                        starts
                    }
                    false => random.below(1000) < permille,
                };
                burst -= usize::from(burst > 0);
                if gone {
                    lost.insert(*number as u16, datagram.clone());
                }
                gone
            }
            Sent::Fec(_) => random.below(1000) < fec_permille,
        };
        if !gone {
            came.push((place + random.below(jitter), sent));
        }
    }
    came.sort_by_key(|(place, _)| *place);
    let came: Vec<_> = came.into_iter().map(|(_, sent)| sent).collect();
    // What never came, because the first or the last was lost, is in no set but as unknown.
    let there: BTreeSet<u16> = came
        .iter()
        .filter_map(|s| match s {
            Sent::Media(number, _) => Some(*number as u16),
            Sent::Fec(_) => None,
        })
        .collect();
    let sets: Vec<_> = came
        .iter()
        .filter_map(|s| match s {
            Sent::Fec(fec) => Some(set_of(&fec.bytes)),
            Sent::Media(..) => None,
        })
        .collect();
    let unknown: BTreeSet<u16> = lost.keys().copied().collect();
    let expected = told(&unknown, &sets);
    let mut receiver = FecReceiver::new();
    let recovered = receive(&mut receiver, &came, Arrival::from_ticks(0));
    let mut needless = 0;
    for (number, datagram) in &recovered {
        match lost.get(number) {
            Some(original) => assert_eq!(datagram, original, "{number} of {seed}"),
            // It was late, and not lost.
            None => needless += 1,
        }
    }
    let ours: BTreeSet<u16> = recovered
        .into_keys()
        .filter(|number| !there.contains(number))
        .collect();
    assert_eq!(ours, expected, "{layout:?}, run {seed}");
    let counted = counted(&receiver);
    assert_eq!(counted["fec_contradicting_datagrams"], 0, "run {seed}");
    assert_eq!(counted["fec_needless_datagrams"], needless, "run {seed}");
    (ours.len(), lost.len())
}

#[test]
fn exactly_what_the_sums_tell_is_recovered() {
    let (mut recovered, mut lost) = (0, 0);
    for seed in 1..=150 {
        let (a, b) = run(seed);
        (recovered, lost) = (recovered + a, lost + b);
    }
    // Both kinds were there, in numbers.
    assert!(
        recovered > 500 && lost - recovered > 100,
        "{recovered} of {lost}"
    );
}
