//! Why nothing can be cut.

use std::fmt;

use crate::ts::Pid;
use crate::units::StreamTime;

/// Why nothing can be cut.
#[derive(Debug, PartialEq, Eq)]
pub enum SurveyError<E> {
    /// The material cannot be read.
    Material(E),
    /// There is no packet.
    Empty,
    /// No PAT and PMT that is whole and of a correct CRC_32 at the start.
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
        /// The in-point.
        from: StreamTime,
        /// The out-point.
        to: StreamTime,
    },
    /// The material ends before the in-point.
    EndsBefore {
        /// The last random-access point.
        last: StreamTime,
    },
}

impl<E> fmt::Display for SurveyError<E> {
    /// What is wrong with the material; its own error is for its reader to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Material(_) => f.write_str("it cannot be read"),
            Self::Empty => f.write_str("there is no transport packet in it"),
            Self::NoPrograms => f.write_str("no PAT and PMT with a correct CRC_32 at its start"),
            Self::NothingToCutBy => {
                f.write_str("no program with picture or sound of a known kind in its PMTs")
            }
            Self::NoClock { pid } => write!(f, "no PCR on PID {pid}, which the PMT names"),
            Self::Scrambled { pid } => write!(f, "the picture on PID {pid} is scrambled"),
            Self::NoPoint { pid } => write!(f, "no random-access point on PID {pid}"),
            Self::NothingBetween { .. } => {
                f.write_str("nothing lies between the in-point and the out-point")
            }
            Self::EndsBefore { .. } => f.write_str("it ends before the in-point"),
        }
    }
}

impl<E: fmt::Debug> std::error::Error for SurveyError<E> {}
