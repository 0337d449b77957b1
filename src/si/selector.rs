//! Which service is meant.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use super::{Service, ServiceId};

/// A service as operators name it: by its id (`258`, `0x102`) or by its service_name.
///
/// ```
/// use headend::si::{Service, ServiceId, ServiceSelector};
/// use headend::ts::Pid;
/// let mut service = Service::new(ServiceId(258), Pid::new(0x100).unwrap());
/// service.name = Some("One HD".to_owned());
/// for text in ["258", "0x102", "One HD", "one hd"] {
///     assert!(text.parse::<ServiceSelector>().unwrap().selects(&service), "{text}");
/// }
/// assert!(!"One".parse::<ServiceSelector>().unwrap().selects(&service));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceSelector {
    /// service_id.
    Id(ServiceId),
    /// service_name, whatever its case.
    Name(String),
}

impl ServiceSelector {
    /// True when this service is meant.
    pub fn selects(&self, service: &Service) -> bool {
        match self {
            Self::Id(id) => service.id == *id,
            Self::Name(wanted) => {
                let name = service.name.as_deref().unwrap_or_default();
                !name.is_empty() && name.to_lowercase() == wanted.to_lowercase()
            }
        }
    }
}

impl FromStr for ServiceSelector {
    type Err = Infallible;

    /// A text that is no number of 16 bits is a name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        Ok(match text.parse() {
            Ok(id) => Self::Id(id),
            Err(_) => Self::Name(text.to_owned()),
        })
    }
}

impl fmt::Display for ServiceSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{}", id.0),
            Self::Name(name) => write!(f, "'{name}'"),
        }
    }
}
