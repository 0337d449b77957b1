//! A file that is played again and again, as one endless input.

use std::path::PathBuf;
use std::time::Duration;

use crate::io::queue::BATCH_PACKETS;
use crate::io::{Endpoint, InputError, InputOptions, Received, Source, open_input};
use crate::stream::event::Event;
use crate::stream::restamp::Seam;
use crate::stream::torn::Tail;
use crate::stream::{Batch, Counters, Framing};

/// A file without an end.
pub(super) struct Looped {
    path: PathBuf,
    options: InputOptions,
    source: Box<dyn Source>,
    read: Batch,
    tail: Tail,
    seam: Seam,
    /// The file was read to its end in this round.
    ended: bool,
}

impl Looped {
    /// Plays the file again and again; it ends only where there are no packets in it.
    pub(super) fn open(path: PathBuf, options: InputOptions) -> Result<Self, InputError> {
        Ok(Self {
            source: open_input(&Endpoint::File(path.clone()), &options)?,
            path,
            options,
            read: Batch::with_capacity(BATCH_PACKETS),
            tail: Tail::new(BATCH_PACKETS),
            seam: Seam::new(),
            ended: false,
        })
    }

    /// Appends what the seam lets through; false when the batch is full.
    fn fill(&mut self, batch: &mut Batch) -> bool {
        while batch.room() > 0 {
            let Some(mut next) = self.tail.pop() else {
                return true;
            };
            if self.seam.push_of_tail(&mut next.packet, next.torn) {
                batch.push(&next.packet, next.arrival);
            }
        }
        false
    }
}

impl Source for Looped {
    fn receive(&mut self, batch: &mut Batch, patience: Duration) -> Result<Received, InputError> {
        let before = batch.len();
        while self.fill(batch) {
            if batch.len() > before {
                return Ok(Received::Packets);
            }
            if self.ended {
                if !self.seam.again() {
                    return Ok(Received::End);
                }
                let endpoint = Endpoint::File(self.path.clone());
                self.source = open_input(&endpoint, &self.options)?;
                (self.tail, self.ended) = (Tail::new(BATCH_PACKETS), false);
                return Ok(Received::Idle);
            }
            self.read.clear();
            let received = self.source.receive(&mut self.read, patience)?;
            for (at, packets) in self.read.runs() {
                packets.iter().for_each(|p| self.tail.push(p, at));
            }
            if received == Received::End {
                self.tail.finish();
                self.ended = true;
            }
        }
        Ok(Received::Packets)
    }

    fn framing(&self) -> Option<Framing> {
        self.source.framing()
    }

    fn is_live(&self) -> bool {
        false
    }

    fn bytes(&self) -> u64 {
        self.source.bytes()
    }

    fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.source.drain_events(sink);
        self.tail.drain_events(sink);
        self.seam.drain_events(sink);
    }

    fn counters(&self, out: &mut dyn Counters) {
        self.source.counters(out);
    }
}
