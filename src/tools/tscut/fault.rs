//! Why a ring cannot be cut from.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::ring::RingError;

/// Why a ring cannot be cut from.
#[derive(Debug)]
pub(super) enum RingFault {
    /// It cannot be opened.
    Ring(RingError),
    /// A segment was let go before it was reached.
    Gone(String),
    /// A segment cannot be read; its path.
    Read(PathBuf, io::Error),
    /// No segment of the ring is of that epoch; those that there are, ascending.
    NoEpoch(u32, Vec<u32>),
}

impl fmt::Display for RingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring(e) => e.fmt(f),
            Self::Gone(name) => write!(f, "the ring let {name} go before it was read"),
            Self::Read(path, _) => write!(f, "cannot read '{}'", path.display()),
            Self::NoEpoch(epoch, _) => write!(f, "the ring has nothing of epoch {epoch}"),
        }
    }
}

impl std::error::Error for RingFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(_, e) => Some(e),
            Self::Ring(e) => e.source(),
            Self::Gone(_) | Self::NoEpoch(..) => None,
        }
    }
}
