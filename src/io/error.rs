//! What a person must act upon when an endpoint fails.

use std::fmt;
use std::io;
use std::time::Duration;

/// An endpoint that failed: which, what was done, and why.
#[derive(Debug)]
pub struct EndpointError {
    endpoint: String,
    fault: Fault,
}

/// What failed.
#[derive(Debug)]
pub enum Fault {
    /// A system call: what was tried, and its error.
    System(&'static str, io::Error),
    /// The input was silent for longer than its `timeout=`.
    Silent(Duration),
    /// stdin or stdout is a terminal, and packets are binary.
    Terminal,
    /// The interface is not there, or has no address of the family.
    NoInterface(String),
    /// A program that reads our packets failed.
    Program {
        /// How it ended, in the system's words.
        how: String,
        /// Packets that it has not taken.
        lost: u64,
    },
    /// The endpoint cannot be used so; why.
    Unusable(&'static str),
}

/// An input that failed.
pub type InputError = EndpointError;
/// An output that failed.
pub type OutputError = EndpointError;

impl EndpointError {
    pub(crate) fn new(endpoint: impl fmt::Display, fault: Fault) -> Self {
        Self {
            endpoint: endpoint.to_string(),
            fault,
        }
    }

    /// A failed system call.
    pub(crate) fn system(
        endpoint: impl fmt::Display,
        what: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::new(endpoint, Fault::System(what, cause))
    }

    /// What failed.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// True when the command line is wrong and no restart will help.
    pub fn is_usage(&self) -> bool {
        matches!(self.fault, Fault::Terminal | Fault::Unusable(_))
    }

    /// What to type next, where that is known.
    pub fn hint(&self) -> Option<String> {
        match &self.fault {
            Fault::Terminal => Some("name an endpoint: a file, udp://ADDR:PORT or a pipe".into()),
            Fault::Silent(_) => Some("without timeout= the input is waited for".into()),
            Fault::NoInterface(_) => Some("'ip -br address' lists the interfaces".into()),
            Fault::Program { .. } => {
                Some("its own words, if any, stand above as exec_stderr".into())
            }
            Fault::Unusable(_) => None,
            Fault::System(what, e) => match e.raw_os_error() {
                Some(libc::EADDRNOTAVAIL) => {
                    Some("no interface has that address: 'ip -br address' lists them".into())
                }
                Some(libc::EADDRINUSE) => Some("'ss -ulpn' shows who holds the port".into()),
                Some(libc::ENODEV) => {
                    Some("no route to the group: name the interface with iface=".into())
                }
                Some(libc::ENETUNREACH) => {
                    Some("no route: name the interface with iface=, or add a route".into())
                }
                // A directory is opened as an input, and fails when it is read.
                Some(libc::EISDIR) if *what == "read" => {
                    Some("'tsring read DIR' plays a ring".into())
                }
                Some(libc::EISDIR) => Some("it is a directory: name a file in it".into()),
                _ => None,
            },
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, fault } = self;
        match fault {
            Fault::System(what, _) => write!(f, "cannot {what} '{endpoint}'"),
            Fault::Silent(after) => write!(
                f,
                "'{endpoint}' was silent for {}",
                humantime::format_duration(*after)
            ),
            Fault::Terminal => write!(
                f,
                "'{endpoint}' is a terminal, and a transport stream is binary"
            ),
            Fault::NoInterface(name) => {
                write!(f, "cannot open '{endpoint}': there is no interface {name}")
            }
            Fault::Program { how, lost: 0 } => write!(f, "'{endpoint}' failed: {how}"),
            Fault::Program { how, lost } => {
                write!(
                    f,
                    "'{endpoint}' ended early: {how}; {lost} packets were lost"
                )
            }
            Fault::Unusable(why) => write!(f, "cannot use '{endpoint}': {why}"),
        }
    }
}

impl std::error::Error for EndpointError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::System(_, cause) => Some(cause),
            _ => None,
        }
    }
}
