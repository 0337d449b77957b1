//! An input that is silent: said, and after `timeout=` an error.

use std::time::Duration;

use super::{EndpointError, error::Fault};
use crate::stream::Pending;
use crate::stream::event::{Event, Severity, Value};
use crate::units::{Arrival, Ticks27M};

/// A silence that is worth a line.
const WORTH_SAYING: Ticks27M = Ticks27M::new(3 * 27_000_000);

/// What a live input is waited for and comes back from.
#[derive(Clone, Debug)]
pub enum SilenceEvent {
    /// Nothing has come for some seconds: the input is waited for.
    Waiting {
        /// Which input.
        endpoint: String,
    },
    /// Something comes again, or at last.
    Back {
        /// Which input.
        endpoint: String,
        /// How long it was silent.
        silence: Ticks27M,
    },
}

impl Event for SilenceEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "input_waiting",
            Self::Back { .. } => "input_back",
        }
    }

    fn severity(&self) -> Severity {
        Severity::Warning
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Waiting { endpoint } => field("endpoint", Value::from(endpoint.as_str())),
            Self::Back { endpoint, silence } => {
                field("endpoint", Value::from(endpoint.as_str()));
                field("silence_ms", Value::from(silence.as_millis()));
            }
        }
    }
}

/// Watches when something came last: bytes in which no packet is found are no silence.
#[derive(Debug)]
pub(super) struct Silence {
    endpoint: String,
    timeout: Option<Duration>,
    since: Arrival,
    said: bool,
    events: Pending<SilenceEvent>,
}

impl Silence {
    pub(super) fn new(endpoint: String, timeout: Option<Duration>, now: Arrival) -> Self {
        Self {
            endpoint,
            timeout,
            since: now,
            said: false,
            events: Pending::new(),
        }
    }

    /// Something came.
    pub(super) fn over(&mut self, now: Arrival) {
        if std::mem::take(&mut self.said) {
            self.events.push(SilenceEvent::Back {
                endpoint: self.endpoint.clone(),
                silence: now - self.since,
            });
        }
        self.since = now;
    }

    /// Nothing came.
    pub(super) fn goes_on(&mut self, now: Arrival) -> Result<(), EndpointError> {
        let silence = now - self.since;
        if let Some(timeout) = self.timeout
            && silence >= Ticks27M::from(timeout)
        {
            return Err(EndpointError::new(&self.endpoint, Fault::Silent(timeout)));
        }
        if silence >= WORTH_SAYING && !self.said {
            self.said = true;
            self.events.push(SilenceEvent::Waiting {
                endpoint: self.endpoint.clone(),
            });
        }
        Ok(())
    }

    /// How long may be waited before [`Silence::goes_on`] must be asked.
    pub(super) fn patience(&self, patience: Duration, now: Arrival) -> Duration {
        match self.timeout {
            Some(timeout) => {
                let left = self.since + Ticks27M::from(timeout) - now;
                patience.min(left.to_duration() + Duration::from_millis(1))
            }
            None => patience,
        }
    }

    pub(super) fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(sink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_said_once_and_ends_in_an_error_only_where_asked() {
        let at = |ms: i64| Arrival::from_ticks(ms * 27_000);
        let mut silence = Silence::new("udp://239.0.0.1:5".into(), None, at(0));
        for ms in (0..60_000).step_by(100) {
            silence.goes_on(at(ms)).unwrap();
        }
        silence.over(at(60_000));
        let mut seen = Vec::new();
        silence.drain_events(&mut |e| {
            e.fields(&mut |k, v| seen.push(format!("{} {k}={v:?}", e.name())));
        });
        assert_eq!(seen.len(), 3, "{seen:?}");
        assert_eq!(seen[2], "input_back silence_ms=Number(60000)");

        let timeout = Some(Duration::from_millis(500));
        let mut silence = Silence::new("udp://239.0.0.1:5".into(), timeout, at(0));
        assert_eq!(
            silence.patience(Duration::from_secs(1), at(300)),
            Duration::from_millis(201)
        );
        silence.goes_on(at(499)).unwrap();
        silence.over(at(499));
        silence.goes_on(at(998)).unwrap();
        let e = silence.goes_on(at(999)).unwrap_err();
        assert_eq!(e.to_string(), "'udp://239.0.0.1:5' was silent for 500ms");
    }
}
