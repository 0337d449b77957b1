//! What is asked of a route.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::si::ServiceSelector;
use crate::ts::Pid;

/// What an order is known by: stays the same when the order is replaced by another.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u32);

/// Which services are meant.
///
/// ```
/// use headend::route::Selection;
/// assert_eq!("*".parse(), Ok(Selection::Every));
/// assert_eq!("0x102".parse::<Selection>().unwrap().to_string(), "258");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// `*`: each service on a route of its own.
    Every,
    /// One service; of several with that name the one with the lowest id.
    One(ServiceSelector),
}

impl FromStr for Selection {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "" => Err("a service is missing; write its id, its name or *"),
            "*" => Ok(Self::Every),
            text => Ok(Self::One(text.parse().unwrap_or_else(|e| match e {}))),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("*"),
            Self::One(selector) => selector.fmt(f),
        }
    }
}

/// What of service information goes with a service.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SiMode {
    /// Nothing.
    None,
    /// An SDT of the service alone, its EIT (present/following and schedule), TDT and TOT.
    #[default]
    Own,
    /// The packets of NIT, SDT, BAT, EIT, RST, TDT and TOT as they come.
    All,
}

/// Why PIDs cannot be mapped so.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum MapError {
    /// Two PIDs would become one.
    Twice(Pid),
    /// Not a PID of a stream or PMT: 0x0010 to 0x1FFE, and 0x0020 to 0x1FFE for what it becomes.
    Reserved(Pid),
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice(pid) => write!(f, "two PIDs would become {pid}"),
            Self::Reserved(pid) => write!(
                f,
                "{pid} is no PID to map: 0x0010 to 0x1FFE become 0x0020 to 0x1FFE"
            ),
        }
    }
}

impl std::error::Error for MapError {}

/// PIDs that are others in the output: of streams, clock, ECM and PMT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PidMap(BTreeMap<Pid, Pid>);

impl PidMap {
    /// The map of these pairs, the input's PID first.
    ///
    /// # Errors
    /// When two would become one, or a PID belongs to tables that have their place.
    pub fn new(pairs: impl IntoIterator<Item = (Pid, Pid)>) -> Result<Self, MapError> {
        let mut map = BTreeMap::new();
        for (from, to) in pairs {
            if from.get() < 0x10 || from == Pid::NULL {
                return Err(MapError::Reserved(from));
            }
            if to.get() < 0x20 || to == Pid::NULL {
                return Err(MapError::Reserved(to));
            }
            if map.values().any(|taken| *taken == to) || map.insert(from, to).is_some() {
                return Err(MapError::Twice(to));
            }
        }
        Ok(Self(map))
    }

    /// What a PID is in the output.
    pub fn get(&self, pid: Pid) -> Pid {
        self.0.get(&pid).copied().unwrap_or(pid)
    }
}

/// What is asked of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Which service, or each.
    pub selection: Selection,
    /// Its service information.
    pub si: SiMode,
    /// Its PIDs.
    pub pids: PidMap,
    /// CA_descriptors are taken out of the PMT, and ECMs are left out.
    pub drop_ca: bool,
}
