//! What the command line asks for, resolved: endpoints, the way packets are played, the PIDs that
//! pass.

use std::path::PathBuf;

use anyhow::anyhow;

use super::Args;
use crate::cli::Error;
use crate::io::{Departure, Endpoint, InputOptions};
use crate::stream::Framing;
use crate::stream::playout::PlayoutOptions;
use crate::ts::{Pid, PidSet};
use crate::units::Ticks27M;

/// How long after a request to stop live packets are waited for: a live playout holds them back for
/// 200 ms, and a relay for less. Those of a file are there another time.
const GRACE: Ticks27M = Ticks27M::from_millis(300);
/// How long after its arrival a datagram leaves: what gathered on the way in leaves evenly.
const RELAY_DELAY: Ticks27M = Ticks27M::from_millis(5);

/// What the loop sees.
pub(super) struct Plan {
    pub(super) input: Endpoint,
    pub(super) input_options: InputOptions,
    pub(super) output: Endpoint,
    pub(super) again: Option<PathBuf>,
    pub(super) wanted: Option<PidSet>,
    pub(super) playing: Option<PlayoutOptions>,
    /// Packets wait for their departures: a socket sees to that itself, a pipe needs help.
    pub(super) paced: bool,
    /// The packets of a file get the arrival times that its PCRs give them.
    pub(super) dates: bool,
    pub(super) framing: Option<Framing>,
    pub(super) departure: Departure,
    /// The file must have a clock of its own.
    pub(super) by_clock: Option<PathBuf>,
    /// Packets of the input that were not played are there another time.
    pub(super) lasting: bool,
    /// For how long packets are waited for once the end was asked for.
    pub(super) grace: Ticks27M,
}

impl Plan {
    pub(super) fn new(args: &Args) -> Result<Self, Error> {
        let (input, output) = endpoints(args)?;
        let file = match &input {
            Endpoint::File(path) if path.is_file() => Some(path.clone()),
            _ => None,
        };
        if args.again && file.is_none() {
            let words = format!("--loop plays a file again and again, and '{input}' is none");
            return Err(Error::usage(anyhow!(words)).hint("tsrecv --loop FILE OUTPUT"));
        }
        if matches!(input, Endpoint::Socket(_)) && args.speed.is_some() {
            let words = format!("--speed plays a file, and '{input}' comes at its own speed");
            return Err(Error::usage(anyhow!(words)).hint("--pace lets it leave by its own clock"));
        }
        let to_socket = matches!(output, Endpoint::Socket(_));
        let paced = args.pace || args.speed.is_some() || file.is_some() && to_socket;
        let playing = (paced || args.cbr.is_some()).then(|| PlayoutOptions {
            speed_permille: args.speed.unwrap_or(1000),
            rate: args.cbr,
            live: file.is_none(),
        });
        let delay = match playing {
            Some(_) => Ticks27M::ZERO,
            None => RELAY_DELAY,
        };
        let evenly = to_socket && (paced || file.is_none());
        Ok(Self {
            input_options: InputOptions {
                reorder: args.reorder,
                dedup: args.dedup,
                keep_headers: true,
                ..InputOptions::default()
            },
            wanted: wanted(args),
            playing,
            paced,
            dates: args.timed && playing.is_none() && file.is_some(),
            framing: match (args.timed, args.plain) {
                (true, _) => Some(Framing::Timed),
                (_, true) => Some(Framing::Plain),
                _ => None,
            },
            departure: if evenly {
                Departure::ByArrival { delay }
            } else {
                Departure::AtOnce
            },
            lasting: file.is_some(),
            grace: match file {
                Some(_) => Ticks27M::ZERO,
                None => GRACE,
            },
            by_clock: file
                .clone()
                .filter(|_| args.cbr.is_none() && (args.again || to_socket)),
            again: file.filter(|_| args.again),
            input,
            output,
        })
    }
}

/// Input and output, each named by its option or by its place.
fn endpoints(args: &Args) -> Result<(Endpoint, Endpoint), Error> {
    let twice = |what: &str, option: &Endpoint, place: &Endpoint| {
        let words =
            format!("{what} is named twice: '{option}' by an option, '{place}' by its place");
        Error::usage(anyhow!(words))
    };
    match (&args.input, &args.input_operand, &args.output) {
        (Some(input), Some(place), None) => {
            let hint = format!("'-o {place}' makes it the OUTPUT");
            return Err(twice("INPUT", input, place).hint(hint));
        }
        (Some(input), Some(place), Some(_)) => {
            return Err(twice("INPUT", input, place).hint("leave one of them out"));
        }
        _ => {}
    }
    if let (Some(output), Some(place)) = (&args.output, &args.output_operand) {
        return Err(twice("OUTPUT", output, place).hint("leave one of them out"));
    }
    let pick = |a: &Option<Endpoint>, b: &Option<Endpoint>| {
        a.clone()
            .or_else(|| b.clone())
            .unwrap_or(Endpoint::Standard)
    };
    let input = pick(&args.input, &args.input_operand);
    Ok((input, pick(&args.output, &args.output_operand)))
}

/// The PIDs that pass; `None` when all do.
fn wanted(args: &Args) -> Option<PidSet> {
    if args.pid.is_empty() && args.drop_pid.is_empty() && !args.drop_null {
        return None;
    }
    let mut wanted = match args.pid.is_empty() {
        true => PidSet::all(),
        false => args.pid.iter().copied().collect(),
    };
    let null = args.drop_null.then_some(Pid::NULL);
    for pid in args.drop_pid.iter().copied().chain(null) {
        wanted.remove(pid);
    }
    Some(wanted)
}
