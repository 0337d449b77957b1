//! What every open input and output can do.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{InputError, OutputError};
use crate::stream::event::Event;
use crate::stream::{Batch, Counters, Framing};
use crate::units::Ticks27M;

/// What a turn of reception brought.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Packets were appended.
    Packets,
    /// Nothing came in time.
    Idle,
    /// There will be no more.
    End,
}

/// An open input.
pub trait Source: Send {
    /// Appends what is there to `batch`, waiting at most `patience` for the first packet. A
    /// signal may end the wait early. The batch should have room for 64 packets or more; with
    /// none this returns at once.
    ///
    /// # Errors
    /// When the input can give no more packets and is not at its end, `timeout=` included.
    fn receive(&mut self, batch: &mut Batch, patience: Duration) -> Result<Received, InputError>;

    /// What stands around each packet; `None` while none was found.
    fn framing(&self) -> Option<Framing>;

    /// True when packets that are not taken in time are lost: they come at their own pace, and
    /// their arrivals mean something.
    fn is_live(&self) -> bool;

    /// Bytes that came so far, packets or not.
    fn bytes(&self) -> u64;

    /// Bytes from the beginning to the end, where there is one: of a regular file.
    fn length(&self) -> Option<u64> {
        None
    }

    /// Hands over what was observed since the last call.
    fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event));

    /// What was counted since the input was opened.
    fn counters(&self, out: &mut dyn Counters);
}

/// An open output.
pub trait Sink: Send {
    /// Writes the packets, in order; waits where the reader is slow.
    ///
    /// # Errors
    /// When the output takes no more; a reader that went away is `ErrorKind::BrokenPipe`.
    fn send(&mut self, batch: &Batch) -> Result<(), OutputError>;

    /// What stands around each packet from now on. Datagrams carry packets alone whatever is said
    /// here.
    fn set_framing(&mut self, framing: Framing);

    /// True while packets are kept back that fill no datagram: [`Sink::flush`] sends them.
    fn keeps_back(&self) -> bool {
        false
    }

    /// Writes what was kept back. To be called at the end, and when nothing has come for 5 ms.
    ///
    /// # Errors
    /// As for [`Sink::send`].
    fn flush(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    /// Completes the output, at the end of a stream that was given as a whole: writes what was
    /// kept back, and waits for a program to end.
    ///
    /// # Errors
    /// As for [`Sink::send`]; [`Fault::Program`](super::Fault) when a program has not taken all
    /// of it, or says by its status that it failed.
    fn finish(&mut self) -> Result<(), OutputError> {
        self.flush()
    }

    /// Hands over what was observed since the last call.
    fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event));

    /// What was counted since the output was opened.
    fn counters(&self, out: &mut dyn Counters);
}

/// How an input is to be opened; what its endpoint says in OPTS has precedence.
#[derive(Clone, Debug)]
pub struct InputOptions {
    /// How long a live packet may wait for others to come, so that a process wakes up less often.
    /// A filter keeps it below 5 ms; a recorder can afford more.
    pub linger: Duration,
    /// How long an RTP packet is waited for that others have overtaken.
    pub reorder: Duration,
    /// Drops datagrams without RTP that are, byte for byte, one of the last; see `stream::Repeats`.
    /// RTP ones are always dropped by their sequence numbers.
    pub dedup: bool,
    /// Packets of 192 bytes keep the arrival headers that they have in a regular file, which lie
    /// up to 40 s after now, so that a copy of it is the same each time.
    pub keep_headers: bool,
}

impl Default for InputOptions {
    fn default() -> Self {
        Self {
            linger: Self::FILTER_LINGER,
            reorder: Self::REORDER,
            dedup: false,
            keep_headers: false,
        }
    }
}

impl InputOptions {
    /// How long a packet may wait in a filter: a live write waits 5 ms at most, and a process that
    /// was asleep needs its share of them.
    pub const FILTER_LINGER: Duration = Duration::from_millis(3);
    /// How long a packet may wait in a recorder, which writes to a disk.
    pub const RECORDER_LINGER: Duration = Duration::from_millis(50);
    /// How long RTP packets that were overtaken are waited for.
    pub const REORDER: Duration = Duration::from_millis(50);
}

/// When packets leave.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Departure {
    /// As soon as they can.
    #[default]
    AtOnce,
    /// So long after their arrival, each datagram at its time: what came evenly leaves evenly.
    /// Files and pipes, which have no need of it, take packets at once.
    ByArrival {
        /// Added to the arrival; what is late by then leaves at once.
        delay: Ticks27M,
    },
}

/// How an output is to be opened.
#[derive(Clone, Debug, Default)]
pub struct OutputOptions {
    /// When packets leave.
    pub departure: Departure,
    /// What stands around each packet written.
    pub framing: Framing,
    /// Ends the wait for somebody to open a FIFO, and for the time of a packet to come. The
    /// reader of a pipe is given 2 s more, all in all; what it has not taken by then is dropped,
    /// counted and said.
    pub stop: Arc<AtomicBool>,
    /// Packets whose time comes so soon after `stop` are waited for; later ones do not leave.
    pub grace: Ticks27M,
    /// What a program would still do after `stop` is of no use: it is killed at once.
    pub disposable: bool,
}

impl OutputOptions {
    /// Packets for an output that takes them at once leave together when they are due within this.
    pub const TOGETHER: Ticks27M = Ticks27M::from_millis(4);
}
