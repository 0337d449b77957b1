//! What happens to each PID, at both edges.

use std::collections::BTreeMap;

use crate::cut::edit::{Action, Script};
use crate::ts::Pid;

/// Scripts of both edges, being joined.
pub(super) struct Scripts {
    pub(super) start: u64,
    pub(super) actions: BTreeMap<Pid, Vec<(u64, Action)>>,
    /// The first position of any.
    pub(super) first: u64,
}

impl Scripts {
    pub(super) fn new(start: u64) -> Self {
        Self {
            start,
            actions: BTreeMap::new(),
            first: start,
        }
    }

    pub(super) fn enter(&mut self, scripts: Vec<Script>) {
        for script in scripts {
            let first = script.actions.first().map(|(at, _)| *at);
            self.first = self.first.min(first.unwrap_or(self.start));
            self.actions.insert(script.pid, script.actions);
        }
    }

    pub(super) fn leave(&mut self, scripts: Vec<Script>) {
        for script in scripts {
            let actions = self
                .actions
                .entry(script.pid)
                .or_insert_with(|| vec![(self.start, Action::Gate)]);
            for (at, action) in script.actions {
                // In a cut of less than a PES packet both edges fall into the same one: it is
                // replaced once.
                let last = actions.last().map_or(0, |(at, _)| *at);
                if at <= last && matches!(action, Action::Replace(_)) {
                    continue;
                }
                actions.push((at.max(last), action));
            }
        }
    }

    pub(super) fn finish(self, stop: u64) -> Vec<Script> {
        let drops = |actions: &[(u64, Action)]| {
            actions
                .last()
                .is_some_and(|(_, action)| *action == Action::Drop)
        };
        self.actions
            .into_iter()
            .map(|(pid, mut actions)| {
                if !drops(&actions) {
                    let last = actions.last().map_or(0, |(at, _)| *at);
                    actions.push((stop.max(last), Action::Drop));
                }
                Script { pid, actions }
            })
            .collect()
    }
}
