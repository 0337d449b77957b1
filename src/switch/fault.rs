//! The faults for which an input is left.

use std::fmt;
use std::str::FromStr;

use crate::units::ParseUnitError;

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// Why an input is not good enough to be on air.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $($(#[$doc])* $variant,)*
        }

        impl Fault {
            /// Every fault.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

faults! {
    /// No packets came for the time set.
    Loss = "loss";
    /// Synchronisation was lost.
    Sync = "sync";
    /// No PAT, or no PMT, for 0.5 s.
    Psi = "psi";
    /// Too many breaks of continuity counters in a second.
    Cc = "cc";
    /// PCRs were over 100 ms apart, or jumped, three times in a second.
    Pcr = "pcr";
    /// No packet comes of a picture that the PMT names.
    Video = "video";
    /// No packet comes of a sound that the PMT names.
    Audio = "audio";
    /// Picture or sound is scrambled.
    Scrambled = "scrambled";
    /// The bit rate is outside of its window.
    Bitrate = "bitrate";
    /// The picture is black: found by a decoder.
    Black = "black";
    /// The picture stands still: found by a decoder.
    Freeze = "freeze";
    /// The sound is silent: found by a decoder.
    Silence = "silence";
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|fault| fault.name() == text);
        known.copied().ok_or_else(|| {
            ParseUnitError::new(
                text,
                "a fault; write loss, sync, psi, cc, pcr, video, audio, scrambled, bitrate, black, \
                 freeze or silence",
            )
        })
    }
}

/// Some of the faults.
///
/// ```
/// use headend::switch::{Fault, Faults};
/// let faults: Faults = [Fault::Cc, Fault::Loss].into_iter().collect();
/// assert_eq!(faults.to_string(), "loss, cc");
/// assert!(faults.has(Fault::Cc) && !faults.has(Fault::Psi));
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(u16);

impl Faults {
    /// None.
    pub const NONE: Self = Self(0);

    /// Those that a decoder finds beside the monitor.
    pub const DECODED: Self =
        Self(1 << Fault::Black as u16 | 1 << Fault::Freeze as u16 | 1 << Fault::Silence as u16);

    /// True when there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when it is among them.
    pub const fn has(self, fault: Fault) -> bool {
        self.0 & 1 << fault as u16 != 0
    }

    /// Adds a fault, or takes it away.
    pub const fn set(&mut self, fault: Fault, is: bool) {
        if is {
            self.0 |= 1 << fault as u16;
        } else {
            self.0 &= !(1 << fault as u16);
        }
    }

    /// Those that are in both.
    #[must_use]
    pub const fn among(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Those that are not among the others.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Those that are in any.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL
            .iter()
            .copied()
            .filter(move |fault| self.has(*fault))
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        let mut all = Self::NONE;
        for fault in faults {
            all.set(fault, true);
        }
        all
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.iter().enumerate() {
            if n > 0 {
                f.write_str(", ")?;
            }
            f.write_str(fault.name())?;
        }
        Ok(())
    }
}
