//! What was on: EIT present and following, each change of it.

use serde::Serialize;

use super::log::Log;
use crate::monitor::Moment;
use crate::si::{Programme, ServiceId};
use crate::stream::ProgramEvent;

/// Present or following of a service became another event, or was described in another way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuideEntry {
    /// When.
    pub at_ms: i64,
    /// Packets before it.
    pub at_packet: u64,
    /// Whose.
    pub service: ServiceId,
    /// `present` or `following`.
    pub place: &'static str,
    /// event_id; `None` where the table says that there is no event.
    pub event_id: Option<u16>,
    /// Its name.
    pub title: String,
    /// UTC, RFC 3339; `None` where the table leaves it open.
    pub start: Option<String>,
    /// How long it lasts.
    pub duration_ms: Option<i64>,
}

/// Logs what `event` says of present and following, if it does.
pub(super) fn log(event: &ProgramEvent, at: Moment, log: &mut Log<GuideEntry>) {
    let (place, service, programme) = match event {
        ProgramEvent::PresentChanged {
            service, programme, ..
        } => ("present", *service, programme),
        ProgramEvent::FollowingChanged { service, programme } => ("following", *service, programme),
        _ => return,
    };
    let of = |what: fn(&Programme) -> Option<String>| programme.as_ref().and_then(what);
    log.push(GuideEntry {
        at_ms: at.time.as_millis(),
        at_packet: at.position,
        service,
        place,
        event_id: programme.as_ref().map(|p| p.event.0),
        title: of(|p| Some(p.title.clone())).unwrap_or_default(),
        start: of(|p| p.start.map(|s| s.to_string())),
        duration_ms: programme
            .as_ref()
            .and_then(|p| p.duration)
            .map(|d| d.as_millis()),
    });
}
