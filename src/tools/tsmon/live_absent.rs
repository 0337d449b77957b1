//! `--live` of a tsmon that was built without it.

use anyhow::anyhow;

use crate::cli::Error;
use crate::monitor::{Alarm, Alarms, Monitor};

/// There is none.
pub(super) enum Screen {}

impl Screen {
    /// # Errors
    /// Always.
    pub(super) fn open(_input: String) -> Result<Self, Error> {
        let cause = anyhow!("this tsmon was built without --live");
        Err(Error::usage(cause).hint("cargo build --features live"))
    }

    pub(super) fn is_left(&self) -> bool {
        match *self {}
    }

    pub(super) fn alarm(&mut self, _alarm: &Alarm) {
        match *self {}
    }

    pub(super) fn turn(&mut self, _: Option<&Monitor>, _: &Alarms) -> Result<(), Error> {
        match *self {}
    }
}
