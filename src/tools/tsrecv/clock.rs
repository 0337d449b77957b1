//! Whether a file can be played at its own pace.

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;

use crate::cli::Error;
use crate::io::queue::BATCH_PACKETS;
use crate::io::{Endpoint, InputOptions, Received, open_input};
use crate::stream::Batch;
use crate::stream::pacer::Pacer;
use crate::ts::PidSet;

/// Refuses a file in whose first packets, [`Pacer::HELD_PACKETS`] of them, there are not two PCRs:
/// all of it would leave at once.
///
/// # Errors
/// That, and where the file cannot be read.
pub(super) fn need_clock(path: &Path, options: &InputOptions) -> Result<(), Error> {
    let mut source = open_input(&Endpoint::File(path.to_owned()), options)?;
    let mut batch = Batch::with_capacity(BATCH_PACKETS);
    let (mut clocks, mut looked_at) = (PidSet::default(), 0);
    while looked_at < Pacer::HELD_PACKETS {
        batch.clear();
        let received = source.receive(&mut batch, Duration::ZERO)?;
        for packet in batch.packets().iter().filter(|p| p.pcr().is_some()) {
            if !clocks.insert(packet.pid()) {
                return Ok(());
            }
        }
        looked_at += batch.len();
        if received == Received::End {
            break;
        }
    }
    // What is no stream at all is said by the reception.
    if looked_at == 0 {
        return Ok(());
    }
    let name = path.display();
    let words = format!("'{name}' has no clock: no two PCRs in its first {looked_at} packets");
    Err(Error::failure(anyhow!(words)).hint("--cbr RATE plays it at that rate"))
}
