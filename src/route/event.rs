//! What routing observes.

use crate::si::ServiceId;
use crate::stream::ProgramEvent;
use crate::stream::event::{Event, Severity, Subject, Value};
use crate::ts::Pid;

/// What happened to a route, or to the tables of the input. Routes are counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub enum RouteEvent {
    /// `route_begun`: a service is on its route.
    Begun {
        /// Which route.
        route: usize,
        /// service_id.
        service: ServiceId,
        /// service_name, where the SDT has given it.
        name: Option<String>,
        /// How many PIDs of the input it takes.
        pids: usize,
    },
    /// `route_changed`: the PMT of a route says something else.
    Changed {
        /// Which route.
        route: usize,
        /// service_id.
        service: ServiceId,
        /// version_number of the PMT in the output.
        version: u8,
        /// PIDs of the input that are taken from now on.
        added: Vec<Pid>,
        /// PIDs of the input that are no longer taken.
        removed: Vec<Pid>,
    },
    /// `route_service_gone`: the input has the service no more; its output is silent until it is
    /// back.
    Gone {
        /// Which route.
        route: usize,
        /// service_id.
        service: ServiceId,
    },
    /// `route_awaited`: the service of a route is not there.
    Awaited {
        /// Which route.
        route: usize,
        /// What it is to carry.
        wanted: String,
        /// What is missing.
        why: &'static str,
    },
    /// `route_pid_clash`: a PID was not mapped, for the service has another one there.
    Clash {
        /// Which route.
        route: usize,
        /// The PID, which it stays.
        pid: Pid,
        /// What it was to become.
        wanted: Pid,
    },
    /// `route_si_dropped`: sections of its EIT come faster than they may leave.
    SiDropped {
        /// Which route.
        route: usize,
    },
    /// `too_many_routes`: a service of `*` finds no room.
    TooMany {
        /// Which service.
        service: ServiceId,
    },
    /// What following the tables of the input observed.
    Tables(ProgramEvent),
}

impl RouteEvent {
    /// The route, counted from 1; `None` where it is about the input.
    pub const fn route(&self) -> Option<usize> {
        match self {
            Self::Begun { route, .. }
            | Self::Changed { route, .. }
            | Self::Gone { route, .. }
            | Self::Awaited { route, .. }
            | Self::Clash { route, .. }
            | Self::SiDropped { route } => Some(*route),
            Self::TooMany { .. } | Self::Tables(_) => None,
        }
    }
}

fn list(pids: &[Pid]) -> String {
    let words: Vec<_> = pids.iter().map(Pid::to_string).collect();
    words.join(",")
}

impl Event for RouteEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Begun { .. } => "route_begun",
            Self::Changed { .. } => "route_changed",
            Self::Gone { .. } => "route_service_gone",
            Self::Awaited { .. } => "route_awaited",
            Self::Clash { .. } => "route_pid_clash",
            Self::SiDropped { .. } => "route_si_dropped",
            Self::TooMany { .. } => "too_many_routes",
            Self::Tables(ProgramEvent::Damaged { .. }) => "section_damaged",
            Self::Tables(ProgramEvent::SectionLost(_)) => "section_lost",
            Self::Tables(ProgramEvent::TooMany { .. }) => "tables_too_large",
            Self::Tables(event) => event.name(),
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Begun { .. } | Self::Changed { .. } => Severity::Info,
            Self::Awaited { .. } | Self::Clash { .. } | Self::SiDropped { .. } => Severity::Warning,
            Self::Gone { .. } | Self::TooMany { .. } => Severity::Error,
            Self::Tables(event) => event.severity(),
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::Begun { service, .. }
            | Self::Changed { service, .. }
            | Self::Gone { service, .. }
            | Self::TooMany { service } => Subject::Service(service.0),
            Self::Clash { pid, .. } => Subject::Pid(*pid),
            Self::Awaited { .. } | Self::SiDropped { .. } => Subject::Stream,
            Self::Tables(event) => event.subject(),
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        if let Some(route) = self.route() {
            field("route", Value::from(route as u64));
        }
        match self {
            Self::Begun { name, pids, .. } => {
                if let Some(name) = name {
                    field("service_name", name.as_str().into());
                }
                field("pids", Value::from(*pids as u64));
            }
            Self::Changed {
                version,
                added,
                removed,
                ..
            } => {
                field("version", Value::from(u64::from(*version)));
                field("added", list(added).into());
                field("removed", list(removed).into());
            }
            Self::Awaited { wanted, why, .. } => {
                field("service", wanted.as_str().into());
                field("reason", (*why).into());
            }
            Self::Clash { wanted, .. } => field("wanted", wanted.to_string().into()),
            Self::Gone { .. } | Self::SiDropped { .. } | Self::TooMany { .. } => {}
            Self::Tables(event) => event.fields(field),
        }
    }
}
