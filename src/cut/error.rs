//! Why nothing can be cut.

use std::fmt;

use crate::ts::Pid;
use crate::units::Ticks27M;

/// Why nothing can be cut.
#[derive(Debug, PartialEq, Eq)]
pub enum SurveyError<E> {
    /// The material cannot be read.
    Material(E),
    /// There is no packet.
    Empty,
    /// No PAT and PMT at the start.
    NoPrograms,
    /// No program has picture or sound of a known kind.
    NothingToCutBy,
    /// The program has no PCR on its PCR_PID.
    NoClock {
        /// The PCR_PID.
        pid: Pid,
    },
    /// The picture is scrambled.
    Scrambled {
        /// Its PID.
        pid: Pid,
    },
    /// There is no random-access point.
    NoPoint {
        /// The PID of the picture.
        pid: Pid,
    },
    /// The out-point does not lie behind the in-point.
    NothingBetween {
        /// The in-point, after the beginning.
        from: Ticks27M,
        /// The out-point, after the beginning.
        to: Ticks27M,
    },
    /// The material ends before the in-point.
    EndsBefore {
        /// The last random-access point, after the beginning.
        last: Ticks27M,
    },
}

impl<E: fmt::Display> fmt::Display for SurveyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Material(e) => e.fmt(f),
            Self::Empty => f.write_str("there is no transport packet in it"),
            Self::NoPrograms => f.write_str("no PAT and PMT at its start"),
            Self::NothingToCutBy => {
                f.write_str("no program with picture or sound of a known kind in its PMTs")
            }
            Self::NoClock { pid } => write!(f, "no PCR on PID {pid}, which the PMT names"),
            Self::Scrambled { pid } => write!(f, "the picture on PID {pid} is scrambled"),
            Self::NoPoint { pid } => write!(f, "no random-access point on PID {pid}"),
            Self::NothingBetween { from, to } => write!(
                f,
                "nothing lies between the in-point ({from} after the beginning) and the \
                 out-point ({to})"
            ),
            Self::EndsBefore { last } => write!(
                f,
                "it ends before the in-point; its last random-access point is {last} after the \
                 beginning"
            ),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for SurveyError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Material(e) => Some(e),
            _ => None,
        }
    }
}
