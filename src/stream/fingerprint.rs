//! Bytes told from others by 64 bits.

/// A sum of some bytes and of a word that goes with them. Never 0.
pub(super) fn fingerprint(head: u64, bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<32>();
    // What it is filled up with is told from content by the length.
    let mut last = [0; 32];
    last[..rest.len()].copy_from_slice(rest);
    // Four sums side by side: a step of one has to wait for its step before.
    let mut sums = [mix(mix(0, bytes.len() as u64), head); 4];
    for block in blocks.iter().chain([&last]) {
        for (sum, word) in sums.iter_mut().zip(block.as_chunks::<8>().0) {
            *sum = mix(*sum, u64::from_le_bytes(*word));
        }
    }
    sums.into_iter().fold(0, mix).max(1)
}

/// A sum with one word more. The product has nothing of a word's topmost bits but in its own: the
/// shift brings them down, or the topmost one would be as good as one of the next word.
fn mix(sum: u64, word: u64) -> u64 {
    /// An odd number without pattern: the fraction of the golden ratio.
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let product = (sum.rotate_left(23) ^ word).wrapping_mul(ODD);
    product ^ product >> 32
}
