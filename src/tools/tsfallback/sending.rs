//! The output: on a thread of its own, so that one that stands still does not stop the switch.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::cli::{Context, Error};
use crate::io::queue::Limits;
use crate::io::{Departure, Endpoint, OutputEvent, OutputOptions, Sending, open_output};
use crate::stream::Framing;
use crate::units::Ticks27M;

/// How long after its instant a datagram leaves: the switch is asked once in a few milliseconds.
const DELAY: Ticks27M = Ticks27M::from_millis(8);
/// How long the output is given to take what is left.
const DRAIN: Duration = Duration::from_secs(2);

/// Opens the output.
///
/// # Errors
/// When it cannot be opened.
pub(super) fn start(
    output: &Endpoint,
    framing: Framing,
    stop: Arc<AtomicBool>,
) -> Result<Sending, Error> {
    let departure = match output {
        Endpoint::Socket(_) => Departure::ByArrival { delay: DELAY },
        _ => Departure::AtOnce,
    };
    let options = OutputOptions {
        departure,
        framing,
        stop,
        grace: DELAY,
        disposable: false,
    };
    let sink = open_output(output, &options)?;
    Ok(Sending::start(sink, Limits::default())?)
}

/// Waits until all is written, for a while.
///
/// # Errors
/// Why the output failed.
pub(super) fn finish(sending: &mut Sending, context: &mut Context) -> Result<(), Error> {
    sending.close();
    let until = Instant::now() + DRAIN;
    while !sending.is_over() {
        std::thread::sleep(Duration::from_millis(2));
        context.turn(|_| {});
        if Instant::now() > until {
            let packets = sending.waiting();
            context.event(&OutputEvent::GivenUp { packets });
            return Ok(());
        }
    }
    Ok(sending.join()?)
}
