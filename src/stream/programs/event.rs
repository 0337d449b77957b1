//! What following the tables observes.

use crate::si::{Programme, ServiceId, SpliceInfo, TransportStreamId};
use crate::stream::event::{Event, Severity, Subject, Value};
use crate::stream::sections::SectionLost;
use crate::ts::{Pid, SectionBuf, SectionError};

/// What changed in the tables of a stream, or is wrong with them.
#[derive(Clone, Debug, PartialEq)]
pub enum ProgramEvent {
    /// `pat_changed`: the first PAT, or one with another identity or other services.
    PatChanged {
        /// transport_stream_id.
        transport_stream: TransportStreamId,
        /// version_number.
        version: u8,
        /// How many services it names.
        services: usize,
    },
    /// `pmt_changed`: the first PMT of a service, or another one.
    PmtChanged {
        /// Whose.
        service: ServiceId,
        /// version_number.
        version: u8,
        /// How many streams it names.
        streams: usize,
    },
    /// `service_named`: an SDT gives a service its name, or another one.
    ServiceNamed {
        /// Which.
        service: ServiceId,
        /// service_name.
        name: String,
    },
    /// `present_changed`: the present event of a service changed, or what is said about it.
    PresentChanged {
        /// Whose.
        service: ServiceId,
        /// The event; `None` where the table says that there is none.
        programme: Option<Programme>,
        /// It is another event than before: the previous programme ended here.
        transition: bool,
    },
    /// `following_changed`: the event that comes next changed, or what is said about it.
    FollowingChanged {
        /// Whose.
        service: ServiceId,
        /// The event; `None` where the table says that there is none.
        programme: Option<Programme>,
    },
    /// `splice_command`: splice information, not equal to the last of its PID.
    Splice {
        /// Where it came.
        pid: Pid,
        /// The first service with that PID.
        service: Option<ServiceId>,
        /// The section, for [`SpliceInfo::new`].
        section: SectionBuf,
    },
    /// `section_damaged`: a section's CRC_32 is wrong, or its lengths are.
    Damaged {
        /// Where.
        pid: Pid,
        /// What is wrong; `None` when CRC_32 is right and the table ends too early.
        error: Option<SectionError>,
    },
    /// `section_lost`: a section did not come whole.
    SectionLost(SectionLost),
    /// `tables_too_large`: the stream announces more than is followed.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it announces.
        announced: usize,
        /// How many are followed.
        followed: usize,
    },
}

impl Event for ProgramEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::PatChanged { .. } => "pat_changed",
            Self::PmtChanged { .. } => "pmt_changed",
            Self::ServiceNamed { .. } => "service_named",
            Self::PresentChanged { .. } => "present_changed",
            Self::FollowingChanged { .. } => "following_changed",
            Self::Splice { .. } => "splice_command",
            Self::Damaged { .. } => "section_damaged",
            Self::SectionLost(lost) => lost.name(),
            Self::TooMany { .. } => "tables_too_large",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Damaged { .. } | Self::TooMany { .. } => Severity::Warning,
            Self::SectionLost(lost) => lost.severity(),
            _ => Severity::Info,
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::PatChanged { .. } | Self::TooMany { .. } => Subject::Stream,
            Self::PmtChanged { service, .. }
            | Self::ServiceNamed { service, .. }
            | Self::PresentChanged { service, .. }
            | Self::FollowingChanged { service, .. } => Subject::Service(service.0),
            Self::Splice { pid, .. } | Self::Damaged { pid, .. } => Subject::Pid(*pid),
            Self::SectionLost(lost) => lost.subject(),
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        let number = |n: usize| Value::from(n as u64);
        match self {
            Self::PatChanged {
                transport_stream,
                version,
                services,
            } => {
                field("transport_stream_id", number(transport_stream.0.into()));
                field("version", number((*version).into()));
                field("services", number(*services));
            }
            Self::PmtChanged {
                version, streams, ..
            } => {
                field("version", number((*version).into()));
                field("streams", number(*streams));
            }
            Self::ServiceNamed { name, .. } => field("service_name", name.as_str().into()),
            Self::PresentChanged { programme, .. } | Self::FollowingChanged { programme, .. } => {
                match programme {
                    Some(p) => programme_fields(p, field),
                    None => field("title", "".into()),
                }
            }
            Self::Splice { section, .. } => splice_fields(section, field),
            Self::Damaged { error, .. } => {
                let text = error.map_or("ends too early".to_owned(), |e| e.to_string());
                field("reason", text.into());
            }
            Self::SectionLost(lost) => lost.fields(field),
            Self::TooMany {
                what,
                announced,
                followed,
            } => {
                field("of", (*what).into());
                field("announced", number(*announced));
                field("followed", number(*followed));
            }
        }
    }
}

fn programme_fields(p: &Programme, field: &mut dyn FnMut(&'static str, Value)) {
    field("event_id", Value::Number(p.event.0.into()));
    field("title", p.title.as_str().into());
    if let Some(start) = p.start {
        field("start", start.to_string().into());
    }
    if let Some(duration) = p.duration {
        field("duration_ms", duration.as_millis().into());
    }
}

fn splice_fields(section: &SectionBuf, field: &mut dyn FnMut(&'static str, Value)) {
    let Ok(info) = SpliceInfo::new(section.section()) else {
        return;
    };
    let name = match info.command() {
        Some(command) => command.name(),
        None if info.is_encrypted() => "encrypted",
        None => "unreadable",
    };
    field("command", name.into());
    if let Some(time) = info.splice_time() {
        field("pts", Value::from(time.ticks()));
    }
}
