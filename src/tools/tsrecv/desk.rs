//! What the thread that reports and the one that routes tell each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Args;
use super::routes::{Wanted, wanted};
use crate::cli::{Context, Error};
use crate::stream::event::{Event, Severity, Value};
use crate::stream::{Counters, Snapshot};

/// What happens to the routes as a whole.
#[derive(Clone, Debug)]
pub(super) enum RoutesEvent {
    /// `routes_reloaded`.
    Reloaded {
        kept: u64,
        changed: u64,
        added: u64,
        removed: u64,
    },
    /// `routes_refused`: the routes stay what they were.
    Refused { reason: String },
}

impl Event for RoutesEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Reloaded { .. } => "routes_reloaded",
            Self::Refused { .. } => "routes_refused",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Reloaded { .. } => Severity::Info,
            Self::Refused { .. } => Severity::Error,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Reloaded {
                kept,
                changed,
                added,
                removed,
            } => {
                field("kept", Value::from(*kept));
                field("changed", Value::from(*changed));
                field("added", Value::from(*added));
                field("removed", Value::from(*removed));
            }
            Self::Refused { reason } => field("reason", reason.as_str().into()),
        }
    }
}

/// What is known of a route, for statistics.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    /// Counted from 1, and never given to another.
    pub(super) number: usize,
    pub(super) output: String,
    pub(super) service: Option<u16>,
    pub(super) name: String,
    /// The service is there.
    pub(super) on: bool,
    /// The output is open.
    pub(super) open: bool,
    pub(super) counted: Snapshot,
}

#[derive(Debug, Default)]
struct Papers {
    new: Option<Vec<Wanted>>,
    figures: Vec<Figures>,
    /// Services that never came, once the input has ended.
    unserved: Vec<String>,
}

/// The desk between the two; its clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Desk(Arc<Mutex<Papers>>);

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Papers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The routes that are wanted from now on, once.
    pub(super) fn take_new(&self) -> Option<Vec<Wanted>> {
        self.lock().new.take()
    }

    pub(super) fn post_figures(&self, figures: Vec<Figures>) {
        self.lock().figures = figures;
    }

    pub(super) fn post_unserved(&self, unserved: Vec<String>) {
        self.lock().unserved = unserved;
    }

    pub(super) fn figures(&self) -> Vec<Figures> {
        self.lock().figures.clone()
    }

    /// Services that never came.
    pub(super) fn unserved(&self) -> Vec<String> {
        self.lock().unserved.clone()
    }

    /// Reads the file of the routes anew, if there is one; a faulty one changes nothing.
    pub(super) fn reload(&self, args: &Args, context: &Context) {
        if args.routes.is_none() {
            return;
        }
        match wanted(args) {
            Ok(new) => self.lock().new = Some(new),
            Err(e) => {
                let reason = words(&e);
                context.event(&RoutesEvent::Refused { reason });
            }
        }
    }

    /// What was counted of each route, its number before each key.
    pub(super) fn counters(&self, out: &mut dyn Counters) {
        for route in self.figures() {
            let key = |key: &str| format!("route_{}_{key}", route.number);
            out.put(&key("output"), route.output.as_str().into());
            if let Some(service) = route.service {
                out.set(&key("service_id"), service.into());
                out.put(&key("service_name"), route.name.as_str().into());
            }
            out.set(&key("service_present"), route.on.into());
            out.set(&key("output_open"), route.open.into());
            for (name, value) in route.counted.iter() {
                out.put(&key(name), value.clone());
            }
        }
    }
}

fn words(e: &Error) -> String {
    let hints = e.hints().iter().map(|hint| format!("; {hint}"));
    hints.fold(e.to_string(), |words, hint| words + &hint)
}
