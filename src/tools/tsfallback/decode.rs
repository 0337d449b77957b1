//! `--decode`: an ffmpeg beside each input, which finds what has to be decoded for.

use std::time::{Duration, Instant};

use anyhow::anyhow;

use crate::cli::{Context, Error, Level};
use crate::io::{Decode, DecodeOptions, OwnedEvent, require_ffmpeg};
use crate::stream::Batch;
use crate::stream::event::Event;
use crate::switch::Switch;

/// How often the decoders are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long is waited before a decoder that could not be started is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// How long decoders are given to end.
const END: Duration = Duration::from_secs(2);

/// What is decoded of an input: enough to see and hear that something is there.
const WHAT: DecodeOptions = DecodeOptions {
    live: true,
    behind: true,
    sounds: 1,
    loudness: false,
};

#[derive(Default)]
struct Decoder {
    running: Option<Decode>,
    /// On its way out; the next one begins when it has gone.
    ending: Option<Decode>,
    failed: Option<Instant>,
}

/// The decoders of all inputs. None of them is ever waited for while packets come.
pub(super) struct Decoders {
    each: Vec<Decoder>,
    looked: Instant,
}

impl Decoders {
    /// For so many inputs.
    ///
    /// # Errors
    /// When there is no ffmpeg.
    pub(super) fn new(inputs: usize) -> Result<Self, Error> {
        require_ffmpeg().map_err(|e| {
            Error::usage(anyhow!(e).context("cannot decode"))
                .hint("install ffmpeg, or leave --decode out")
        })?;
        Ok(Self {
            each: (0..inputs).map(|_| Decoder::default()).collect(),
            looked: Instant::now(),
        })
    }

    /// Takes packets of an input.
    pub(super) fn push(&mut self, input: usize, batch: &Batch) {
        let decoder = self.each.get_mut(input);
        if let Some(decode) = decoder.and_then(|d| d.running.as_mut()) {
            decode.push(batch, &|| false);
        }
    }

    /// An input was closed: what comes next has nothing to do with what came.
    pub(super) fn restarted(&mut self, input: usize) {
        if let Some(decoder) = self.each.get_mut(input) {
            decoder.renew();
        }
    }

    /// Tells the switch what was found, and the log what became of the decoders.
    pub(super) fn turn(&mut self, switch: &mut Switch, context: &Context) {
        if self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        for (n, decoder) in self.each.iter_mut().enumerate() {
            decoder.turn(n, switch, context);
        }
    }

    /// Ends all of them.
    pub(super) fn end(mut self) {
        let until = Instant::now() + END;
        self.each.iter_mut().for_each(Decoder::let_go);
        let all_over = |each: &mut [Decoder]| each.iter_mut().all(Decoder::is_over);
        while !all_over(&mut self.each) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Decoder {
    /// Another one is to begin.
    fn renew(&mut self) {
        if self.ending.is_none() {
            self.ending = self.running.take();
        }
        if let Some(ending) = &mut self.ending {
            ending.let_go();
        }
    }

    fn let_go(&mut self) {
        for decode in self.running.iter_mut().chain(&mut self.ending) {
            decode.let_go();
        }
    }

    fn is_over(&mut self) -> bool {
        self.running.iter().chain(&self.ending).all(Decode::is_over)
    }

    fn turn(&mut self, input: usize, switch: &mut Switch, context: &Context) {
        let Some((monitor, alarms)) = switch.decoded(input) else {
            return;
        };
        let log = &mut |event: &dyn Event| {
            let number = input as u64 + 1;
            context.event(&OwnedEvent::from(event).with("decoder_of_input", number));
        };
        if self.ending.take_if(|decode| decode.is_over()).is_none() && self.ending.is_some() {
            return;
        }
        if self
            .running
            .as_ref()
            .is_some_and(|d| d.is_outdated(monitor))
        {
            return self.renew();
        }
        let waits = self.failed.is_some_and(|at| at.elapsed() < AGAIN);
        if self.running.is_none() && !waits {
            match Decode::start(monitor, WHAT) {
                None => {}
                Some(Ok(decode)) => (self.running, self.failed) = (Some(decode), None),
                Some(Err(e)) => {
                    self.failed = Some(Instant::now());
                    let words = format!("cannot decode input {}: {e}", input + 1);
                    context.say(Level::Error, &words);
                }
            }
        }
        if let Some(decode) = &mut self.running {
            decode.turn(monitor, alarms, &mut |_| {}, log);
        }
    }
}
