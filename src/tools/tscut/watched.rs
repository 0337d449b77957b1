//! Material whose reading a signal ends.

use std::ops::Range;

use super::delivery::interrupted;
use crate::cli::{Context, Error};
use crate::cut::material::{Material, Run};
use crate::ts::Pts;
use crate::units::StreamTime;

/// Passes everything on to another material; a request to stop is an error of reading. Looking
/// for the edges may mean reading a file through.
pub(super) struct Watched<'a, M: Material> {
    material: &'a mut M,
    context: &'a Context,
    error: fn(M::Error) -> Error,
}

impl<'a, M: Material> Watched<'a, M> {
    pub(super) fn new(
        material: &'a mut M,
        context: &'a Context,
        error: fn(M::Error) -> Error,
    ) -> Self {
        Self {
            material,
            context,
            error,
        }
    }
}

impl<M: Material> Material for Watched<'_, M> {
    type Error = Error;

    fn extent(&self) -> Range<u64> {
        self.material.extent()
    }

    fn seek(&mut self, position: u64) -> Result<(), Error> {
        self.material.seek(position).map_err(self.error)
    }

    fn next_run(&mut self) -> Result<Option<Run<'_>>, Error> {
        match interrupted(self.context) {
            Some(stop) => Err(stop),
            None => self.material.next_run().map_err(self.error),
        }
    }

    fn arrival_at(&mut self, position: u64) -> Result<Option<StreamTime>, Error> {
        self.material.arrival_at(position).map_err(self.error)
    }

    fn position_before(&mut self, time: StreamTime) -> Result<Option<u64>, Error> {
        self.material.position_before(time).map_err(self.error)
    }

    fn presentation_at(&mut self, position: u64, pts: Pts) -> Result<Option<StreamTime>, Error> {
        let noted = self.material.presentation_at(position, pts);
        noted.map_err(self.error)
    }
}
