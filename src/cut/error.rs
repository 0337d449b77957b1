//! Why nothing can be cut.

use std::fmt;

use crate::si::ServiceId;
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
    /// No program is the one that was asked for.
    NoService {
        /// Those that there are, with their names.
        services: Vec<(ServiceId, Option<String>)>,
    },
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
    /// There are random-access points, but no closed one.
    NoClosedPoint {
        /// The PID of the picture.
        pid: Pid,
    },
    /// Both times move to the same random-access point.
    NothingBetween {
        /// Where that is.
        at: StreamTime,
    },
    /// What was asked for lies before the first picture or behind the last.
    Elsewhere {
        /// The instant of the earliest picture.
        begins: StreamTime,
        /// Where the last one ends.
        ends: StreamTime,
    },
}

impl<E> fmt::Display for SurveyError<E> {
    /// What is wrong with the material; its own error is for its reader to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Material(_) => f.write_str("it cannot be read"),
            Self::Empty => f.write_str("there is no transport packet in it"),
            Self::NoPrograms => f.write_str("no PAT and PMT with a correct CRC_32 at its start"),
            Self::NoService { .. } => f.write_str("it has no such service"),
            Self::NothingToCutBy => {
                f.write_str("no program with picture or sound of a known kind in its PMTs")
            }
            Self::NoClock { pid } => write!(f, "no PCR on PID {pid}, which the PMT names"),
            Self::Scrambled { pid } => write!(f, "the picture on PID {pid} is scrambled"),
            Self::NoPoint { pid } => write!(f, "no random-access point on PID {pid}"),
            Self::NoClosedPoint { pid } => {
                write!(f, "no closed random-access point on PID {pid}")
            }
            Self::NothingBetween { .. } => {
                f.write_str("both times move to the same random-access point")
            }
            Self::Elsewhere { .. } => f.write_str("it holds nothing of that"),
        }
    }
}

impl<E: fmt::Debug> std::error::Error for SurveyError<E> {}
