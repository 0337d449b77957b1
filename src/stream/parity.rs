//! The Reed-Solomon code behind 204-byte packets (EN 300 421 §4.4.2, EN 300 429 §7.2).
//!
//! RS(204, 188, t = 8), shortened from RS(255, 239): field generator polynomial
//! p(x) = x^8 + x^4 + x^3 + x^2 + 1, code generator g(x) = (x + l^0)(x + l^1)...(x + l^15) with
//! l = 02.

use crate::ts::PACKET_SIZE;

/// Bytes of the code.
pub const PARITY_SIZE: usize = 16;

/// Doubles in the field.
const fn double(a: u8) -> u8 {
    (a << 1) ^ if a & 0x80 != 0 { 0x1D } else { 0 }
}

const fn product(a: u8, b: u8) -> u8 {
    let (mut a, mut b, mut sum) = (a, b, 0);
    while b != 0 {
        if b & 1 != 0 {
            sum ^= a;
        }
        a = double(a);
        b >>= 1;
    }
    sum
}

/// g(x) without its leading one, highest power first.
const GENERATOR: [u8; PARITY_SIZE] = {
    let mut g = [0u8; PARITY_SIZE + 1];
    g[0] = 1;
    let mut root = 1;
    let mut degree = 0;
    while degree < PARITY_SIZE {
        // times (x + root); coefficients lowest power first
        let mut i = degree + 1;
        while i > 0 {
            g[i] = g[i - 1] ^ product(g[i], root);
            i -= 1;
        }
        g[0] = product(g[0], root);
        root = double(root);
        degree += 1;
    }
    let mut out = [0; PARITY_SIZE];
    let mut i = 0;
    while i < PARITY_SIZE {
        out[i] = g[PARITY_SIZE - 1 - i];
        i += 1;
    }
    out
};

/// For each byte that leaves the register, what it adds to it.
const FEEDBACK: [[u8; PARITY_SIZE]; 256] = {
    let mut table = [[0; PARITY_SIZE]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut i = 0;
        while i < PARITY_SIZE {
            table[byte][i] = product(byte as u8, GENERATOR[i]);
            i += 1;
        }
        byte += 1;
    }
    table
};

/// The 16 bytes behind the packet `bytes`.
pub fn parity(bytes: &[u8; PACKET_SIZE]) -> [u8; PARITY_SIZE] {
    let mut register = [0u8; PARITY_SIZE];
    for byte in bytes {
        let feedback = &FEEDBACK[usize::from(register[0] ^ byte)];
        register.rotate_left(1);
        register[PARITY_SIZE - 1] = 0;
        for (r, f) in register.iter_mut().zip(feedback) {
            *r ^= f;
        }
    }
    register
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A code word has every root of g(x): evaluated at l^0 .. l^15 it is zero.
    #[test]
    fn a_packet_and_its_parity_are_a_code_word() {
        let mut bytes = [0u8; PACKET_SIZE];
        for (i, b) in bytes.iter_mut().enumerate() {
            *b = (i * 73 + 11) as u8;
        }
        let word = [&bytes[..], &parity(&bytes)].concat();
        let mut root = 1;
        for power in 0..16 {
            let value = word.iter().fold(0, |v, b| product(v, root) ^ b);
            assert_eq!(value, 0, "at l^{power}");
            root = double(root);
        }
        assert_eq!(parity(&[0; PACKET_SIZE]), [0; 16]);
    }

    /// The generator polynomial of the shortened code as textbooks print it for 0x11D and roots
    /// from l^0 on (the coefficients also found in QR code tables for 16 check bytes).
    #[test]
    fn the_generator_is_the_well_known_one() {
        assert_eq!(
            GENERATOR,
            [
                59, 13, 104, 189, 68, 209, 30, 8, 163, 65, 41, 229, 98, 50, 36, 59
            ]
        );
    }
}
