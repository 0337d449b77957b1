//! `--template`: the transport stream whose layout the output has.

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;

use crate::cli::Error;
use crate::io::{Endpoint, InputOptions, Received, is_regular, open_input};
use crate::stream::{Batch, Programs};
use crate::switch::Description;

/// How much of it is looked at: PAT and PMT come several times a second.
const LOOKED_AT: u64 = 64 << 20;
const TURN: Duration = Duration::from_secs(1);

/// The layout of the first service of a file.
///
/// # Errors
/// When it is no file, cannot be read, or has no PAT and PMT.
pub(super) fn read(path: &Path) -> Result<Description, Error> {
    let name = path.display();
    let hint = "--template takes a transport stream file: a recording of the channel will do";
    let endpoint = Endpoint::File(path.to_owned());
    if !is_regular(&endpoint) {
        return Err(Error::usage(anyhow!("the template '{name}' is no file")).hint(hint));
    }
    let mut source = open_input(&endpoint, &InputOptions::default())?;
    let mut programs = Programs::new();
    let mut batch = Batch::with_capacity(1024);
    while source.bytes() < LOOKED_AT {
        batch.clear();
        let received = source.receive(&mut batch, TURN)?;
        for packet in batch.packets() {
            if packet.has_sync() && !packet.transport_error() {
                programs.push(packet, &mut |_| {});
            }
        }
        if programs.is_complete()
            && let Some(description) = Description::of(&programs)
        {
            return Ok(description);
        }
        if received == Received::End {
            break;
        }
    }
    // A PMT that its PAT names may be missing; the first one that is there will do.
    Description::of(&programs).ok_or_else(|| {
        let error =
            anyhow!("the template '{name}' has no service: no PAT and PMT were found in it");
        Error::usage(error).hint(hint)
    })
}
