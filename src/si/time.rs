//! Times and durations of SI (EN 300 468 §5.2.4, annex C).

use crate::units::{Ticks27M, WallTime};

/// Days from 1858-11-17, where Modified Julian Dates count from, to 1970-01-01.
const MJD_OF_UNIX_EPOCH: i64 = 40_587;

/// Two decimal digits in one byte; `None` when a nibble is over 9.
const fn from_bcd(byte: u8) -> Option<i64> {
    let (tens, ones) = (byte >> 4, byte & 0x0F);
    if tens > 9 || ones > 9 {
        return None;
    }
    Some((tens * 10 + ones) as i64)
}

/// `value`, 0 to 99, as two decimal digits.
const fn to_bcd(value: i64) -> u8 {
    (value / 10 * 16 + value % 10) as u8
}

/// A UTC instant as SI writes it: Modified Julian Date in 16 bits, then hhmmss in BCD.
///
/// The date reaches from 1858 to 2038-04-22.
///
/// ```
/// use headend::{si::DvbTime, units::WallTime};
/// // The example of EN 300 468 §5.2.4: 93/10/13 12:45:00.
/// let time = DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]);
/// assert_eq!(time.get(), Some(WallTime::from_unix_millis(750_516_300_000)));
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct DvbTime(pub [u8; 5]);

impl DvbTime {
    /// All ones: a start that is not defined (an event of an NVOD reference service).
    pub const UNDEFINED: Self = Self([0xFF; 5]);

    /// The instant; `None` when it is undefined or no time of a day.
    pub const fn get(self) -> Option<WallTime> {
        let [a, b, h, m, s] = self.0;
        let days = ((a as i64) << 8 | b as i64) - MJD_OF_UNIX_EPOCH;
        match seconds(h, m, s) {
            Some(time) if time < 86_400 => {
                Some(WallTime::from_unix_millis((days * 86_400 + time) * 1000))
            }
            _ => None,
        }
    }

    /// The instant, rounded down to the second; `None` outside 1858 to 2038-04-22.
    pub fn new(time: WallTime) -> Option<Self> {
        let seconds = time.unix_millis().div_euclid(1000);
        let days = seconds.div_euclid(86_400).checked_add(MJD_OF_UNIX_EPOCH)?;
        let [a, b] = u16::try_from(days).ok()?.to_be_bytes();
        let [h, m, s] = digits(seconds.rem_euclid(86_400));
        Some(Self([a, b, h, m, s]))
    }
}

/// A duration as SI writes it: hhmmss in BCD.
///
/// ```
/// use headend::{si::DvbDuration, units::Ticks27M};
/// // The example of EN 300 468 §5.2.4: 01:45:30.
/// assert_eq!(DvbDuration([0x01, 0x45, 0x30]).get(), Some(Ticks27M::from_millis(6_330_000)));
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct DvbDuration(pub [u8; 3]);

impl DvbDuration {
    /// The duration; `None` when a digit is none, minutes or seconds are over 59.
    pub const fn get(self) -> Option<Ticks27M> {
        let [h, m, s] = self.0;
        match seconds(h, m, s) {
            Some(s) => Some(Ticks27M::from_millis(s * 1000)),
            None => None,
        }
    }

    /// The duration, rounded down to the second; `None` when negative or over 99:59:59.
    pub fn new(duration: Ticks27M) -> Option<Self> {
        let seconds = duration.as_millis() / 1000;
        (!duration.is_negative() && seconds < 360_000).then(|| Self(digits(seconds)))
    }
}

const fn seconds(h: u8, m: u8, s: u8) -> Option<i64> {
    match (from_bcd(h), from_bcd(m), from_bcd(s)) {
        (Some(h), Some(m), Some(s)) if m < 60 && s < 60 => Some(h * 3600 + m * 60 + s),
        _ => None,
    }
}

const fn digits(seconds: i64) -> [u8; 3] {
    [
        to_bcd(seconds / 3600),
        to_bcd(seconds / 60 % 60),
        to_bcd(seconds % 60),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_what_they_write() {
        // 2038-04-22T23:59:59Z, the last second of MJD 65535; and a day before 1970.
        for s in [2_155_593_599, -86_399, 0, 1_700_000_000] {
            let time = WallTime::from_unix_millis(s * 1000);
            assert_eq!(DvbTime::new(time).and_then(DvbTime::get), Some(time), "{s}");
        }
        assert_eq!(
            DvbTime::new(WallTime::from_unix_millis(2_155_593_600_000)),
            None
        );
        assert_eq!(
            DvbTime::new(WallTime::from_unix_millis(750_516_300_999)),
            Some(DvbTime([0xC0, 0x79, 0x12, 0x45, 0x00]))
        );
    }

    #[test]
    fn what_is_no_time_is_none() {
        assert_eq!(DvbTime::UNDEFINED.get(), None);
        for hms in [
            [0x24, 0, 0],
            [0x0A, 0, 0],
            [0, 0x60, 0],
            [0, 0, 0x60],
            [0, 0x1F, 0],
        ] {
            let [h, m, s] = hms;
            assert_eq!(DvbTime([0xC0, 0x79, h, m, s]).get(), None, "{hms:x?}");
        }
        assert_eq!(
            DvbDuration([0x24, 0x00, 0x00]).get(),
            Some(Ticks27M::SECOND * 86_400)
        );
        assert_eq!(DvbDuration([0x00, 0x00, 0x6A]).get(), None);
    }

    #[test]
    fn durations_read_what_they_write() {
        for s in [0, 59, 3599, 6330, 359_999] {
            let duration = Ticks27M::SECOND * s;
            assert_eq!(
                DvbDuration::new(duration).and_then(DvbDuration::get),
                Some(duration)
            );
        }
        assert_eq!(DvbDuration::new(Ticks27M::SECOND * 360_000), None);
        assert_eq!(DvbDuration::new(Ticks27M::new(-1)), None);
    }
}
