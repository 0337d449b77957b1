//! Packet identifiers (ISO/IEC 13818-1 §2.4.3.3, table 2-3) and sets of them.

use std::fmt;
use std::str::FromStr;

use crate::units::ParseUnitError;

/// A 13-bit packet identifier.
///
/// Prints as `0x0100`; reads decimal or `0x` hexadecimal.
///
/// ```
/// use headend::ts::Pid;
/// assert_eq!("0x1FFF".parse::<Pid>(), Ok(Pid::NULL));
/// assert_eq!("256".parse::<Pid>().unwrap().to_string(), "0x0100");
/// assert!(Pid::new(0x2000).is_none());
/// ```
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(u16);

impl Pid {
    /// Number of different PIDs: 2^13.
    pub const COUNT: usize = 8192;
    /// Program association table.
    pub const PAT: Self = Self(0x0000);
    /// Conditional access table.
    pub const CAT: Self = Self(0x0001);
    /// Network information (EN 300 468 table 1).
    pub const NIT: Self = Self(0x0010);
    /// Service description and bouquet association (EN 300 468 table 1).
    pub const SDT: Self = Self(0x0011);
    /// Event information (EN 300 468 table 1).
    pub const EIT: Self = Self(0x0012);
    /// Running status (EN 300 468 table 1).
    pub const RST: Self = Self(0x0013);
    /// Time and date, time offset (EN 300 468 table 1).
    pub const TDT: Self = Self(0x0014);
    /// Null packets.
    pub const NULL: Self = Self(0x1FFF);

    /// The PID of that value; `None` above 0x1FFF.
    pub const fn new(value: u16) -> Option<Self> {
        if value < 0x2000 {
            Some(Self(value))
        } else {
            None
        }
    }

    /// The PID in the low 13 bits of a field whose upper three bits belong to others.
    pub const fn from_field(field: u16) -> Self {
        Self(field & 0x1FFF)
    }

    /// The value, 0 to 8191.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The value as an index into a table of [`Pid::COUNT`] entries.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pid({:#06x})", self.0)
    }
}

impl FromStr for Pid {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) if !hex.starts_with('+') => u16::from_str_radix(hex, 16).ok(),
            None if !text.starts_with('+') => text.parse().ok(),
            _ => None,
        };
        value
            .and_then(Self::new)
            .ok_or_else(|| ParseUnitError::new(text, "a PID; write 0 to 8191 or 0x0 to 0x1FFF"))
    }
}

/// A set of PIDs: 8192 bits, one kibibyte.
///
/// ```
/// use headend::ts::{Pid, PidSet};
/// let mut set = PidSet::new();
/// set.insert(Pid::NULL);
/// assert!(set.contains(Pid::NULL) && !set.contains(Pid::PAT));
/// assert_eq!(set.iter().collect::<Vec<_>>(), [Pid::NULL]);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PidSet(Box<[u64; 128]>);

impl PidSet {
    /// The empty set.
    pub fn new() -> Self {
        Self(Box::new([0; 128]))
    }

    /// The set of every PID.
    pub fn all() -> Self {
        Self(Box::new([u64::MAX; 128]))
    }

    /// True when `pid` is in the set.
    pub fn contains(&self, pid: Pid) -> bool {
        self.0[pid.index() / 64] & (1 << (pid.index() % 64)) != 0
    }

    /// Adds `pid`; true when it was not there.
    pub fn insert(&mut self, pid: Pid) -> bool {
        let word = &mut self.0[pid.index() / 64];
        let bit = 1 << (pid.index() % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes `pid` out; true when it was there.
    pub fn remove(&mut self, pid: Pid) -> bool {
        let word = &mut self.0[pid.index() / 64];
        let bit = 1 << (pid.index() % 64);
        let there = *word & bit != 0;
        *word &= !bit;
        there
    }

    /// True when no PID is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The PIDs in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Pid> + '_ {
        self.0.iter().zip(0u16..).flat_map(|(word, place)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as u16;
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(Pid(place * 64 + bit))
            })
        })
    }
}

impl Default for PidSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<Pid> for PidSet {
    fn from_iter<I: IntoIterator<Item = Pid>>(pids: I) -> Self {
        let mut set = Self::new();
        for pid in pids {
            set.insert(pid);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids_are_thirteen_bits() {
        assert_eq!(Pid::from_field(0xE100), Pid(0x100));
        for text in ["8192", "0x2000", "-1", "+1", "0x+1", "", "0x", "256 "] {
            assert!(text.parse::<Pid>().is_err(), "{text} was read as a PID");
        }
    }

    #[test]
    fn a_set_holds_each_pid_by_itself() {
        for value in (0..8192).step_by(63) {
            let pid = Pid(value);
            let mut set: PidSet = [pid].into_iter().collect();
            assert_eq!(set.iter().collect::<Vec<_>>(), [pid]);
            assert!(!set.insert(pid) && set.remove(pid) && !set.remove(pid) && set.is_empty());
        }
        assert_eq!(PidSet::all().iter().count(), Pid::COUNT);
    }
}
