//! A plain file of packets, read from any place.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::InputError;
use super::error::Fault;
use crate::cut::material::{Material, Run};
use crate::stream::Framing;
use crate::ts::{Packet, SYNC_BYTE};
use crate::units::StreamTime;

/// Bytes read at once on the way through, and the first time after a jump: who jumps often wants
/// little of each place.
const READ_BYTES: usize = 1 << 18;
const FIRST_BYTES: usize = 1 << 16;
/// Sync bytes in a row that tell packets from junk (as in `stream`'s framer).
const TO_LOCK: usize = 5;
/// Bytes that tell packets from junk at any place up to the next packet.
const ENOUGH: usize = (TO_LOCK + 1) * 204;

/// A regular file whose packets are 188, 192 or 204 bytes apart; a position is the offset of a
/// packet's sync byte. Junk is passed over and counted.
#[derive(Debug)]
pub struct Recording {
    name: String,
    file: File,
    size: u64,
    framing: Framing,
    /// Where the next packet is expected.
    at: u64,
    /// What was read last, from `held_from` on.
    held: Vec<u8>,
    held_from: u64,
    /// The remainder of the last found packet's position by the packet size.
    step: u64,
    /// How much is read next.
    ahead: usize,
    /// Packets are known to begin at `at`.
    sure: bool,
    /// `at` was sought: what stands there may be the middle of a packet.
    sought: bool,
    /// Packets taken out of a framing that has more than packets.
    bare: Vec<Packet>,
    junk: u64,
}

impl Recording {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no regular file.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(InputError::system(&name, "open"))?;
        let data = file.metadata().map_err(InputError::system(&name, "read"))?;
        if !data.is_file() {
            return Err(InputError::new(
                &name,
                Fault::Unusable("it is no regular file"),
            ));
        }
        let mut recording = Self {
            name,
            file,
            size: data.len(),
            framing: Framing::Plain,
            at: 0,
            held: Vec::new(),
            held_from: 0,
            step: 0,
            ahead: FIRST_BYTES,
            sure: false,
            sought: false,
            bare: Vec::new(),
            junk: 0,
        };
        recording.find()?;
        recording.junk = 0;
        Ok(recording)
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes passed over between packets so far; what is read twice counts twice.
    pub fn junk(&self) -> u64 {
        self.junk
    }

    /// What is held from `at` on.
    fn view(&self) -> &[u8] {
        let from = self.at.checked_sub(self.held_from);
        let from = from.and_then(|n| usize::try_from(n).ok());
        from.and_then(|from| self.held.get(from..))
            .unwrap_or_default()
    }

    /// Makes the view reach far enough to tell packets from junk, or to the end.
    fn fill(&mut self) -> Result<(), InputError> {
        let ends = self.held_from + self.held.len() as u64 >= self.size;
        if self.view().len() > ENOUGH || ends && !self.view().is_empty() {
            return Ok(());
        }
        let left = usize::try_from(self.size.saturating_sub(self.at)).unwrap_or(usize::MAX);
        self.held.resize(self.ahead.min(left), 0);
        self.ahead = (self.ahead * 4).min(READ_BYTES);
        let mut filled = 0;
        while let Some(rest) = self.held.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let place = self.at + filled as u64;
            match self.file.read_at(rest, place) {
                Ok(0) => self.size = place, // it was shortened meanwhile
                Ok(n) => filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(InputError::system(&self.name, "read")(e)),
            }
            if place >= self.size {
                break;
            }
        }
        self.held.truncate(filled);
        self.held_from = self.at;
        Ok(())
    }

    /// Goes from `at` to where packets begin, in whatever framing; to the end when they do not.
    /// Gives up behind a long stretch without packets, not `sure` then: who asked may have to stop.
    fn find(&mut self) -> Result<(), InputError> {
        let begin = self.at;
        while self.at - begin < READ_BYTES as u64 {
            self.fill()?;
            let last = self.held_from + self.held.len() as u64 >= self.size;
            let view = self.view();
            // The framing in force first: a short rest of a file fits several.
            let order = [self.framing].into_iter().chain(Framing::ALL);
            // After a jump, places in step with the packets before it come first: nothing in a
            // payload passes for one there.
            let size = self.framing.size() as u64;
            let in_step = (self.step + size - self.at % size) % size;
            let in_step = usize::try_from(in_step).unwrap_or(0);
            let in_step = self.sought.then_some(in_step);
            let mut places = in_step.into_iter().chain(0..view.len());
            let found = places.find_map(|at| {
                let bytes = view.get(at..).filter(|b| b.first() == Some(&SYNC_BYTE))?;
                let framing = order.clone().find(|f| locks(bytes, *f, last))?;
                Some((at, framing))
            });
            if let Some((at, framing)) = found {
                self.framing = framing;
                self.skip(at);
                self.step = self.at % framing.size() as u64;
                self.sure = true;
                self.sought = false;
                return Ok(());
            }
            if last {
                self.skip(view.len());
                return Ok(());
            }
            // What a run of sync bytes may reach into is looked at again.
            let done = view.len().saturating_sub(TO_LOCK * 204).max(1);
            self.skip(done);
        }
        Ok(())
    }

    fn skip(&mut self, bytes: usize) {
        self.at += bytes as u64;
        if !self.sought {
            self.junk += bytes as u64;
        }
    }

    /// How many packets stand at the start of the view, as the framing has it. One bad sync byte
    /// before a good one is a damaged packet.
    fn good(&self) -> usize {
        let view = self.view();
        let size = self.framing.size();
        let packets = view.len().saturating_add(size - 188) / size;
        let is_good = |n: usize| view.get(n * size) == Some(&SYNC_BYTE);
        (0..packets)
            .find(|n| !(is_good(*n) || *n > 0 && is_good(n + 1)))
            .unwrap_or(packets)
    }
}

/// True when packets of this framing begin at the sync byte that starts `bytes`: five in a row,
/// or, `last` being set, as many as there are.
fn locks(bytes: &[u8], framing: Framing, last: bool) -> bool {
    let places = (0..TO_LOCK).map(|n| n * framing.size());
    let mut seen = 0;
    for place in places {
        match bytes.get(place) {
            Some(&SYNC_BYTE) => seen += 1,
            Some(_) => return false,
            None => break,
        }
    }
    seen == TO_LOCK || last && bytes.len() >= 188
}

impl Material for Recording {
    type Error = InputError;

    fn extent(&self) -> Range<u64> {
        0..self.size
    }

    fn seek(&mut self, position: u64) -> Result<(), InputError> {
        if position != self.at {
            self.at = position;
            self.ahead = FIRST_BYTES;
            self.sure = false;
            self.sought = true;
        }
        Ok(())
    }

    fn next_run(&mut self) -> Result<Option<Run<'_>>, InputError> {
        let mut good = 0;
        while good == 0 {
            if self.at >= self.size {
                return Ok(None);
            }
            self.fill()?;
            if !self.sure {
                self.find()?;
                if !self.sure && self.at < self.size {
                    return Ok(Some(Run {
                        position: self.at,
                        stride: self.framing.size() as u64,
                        packets: &[],
                    }));
                }
                self.fill()?;
            }
            good = self.good();
            self.sure = good > 0;
            if good == 0 && self.view().len() < 188 {
                self.at = self.size; // the rest is no packet
            }
        }
        let size = self.framing.size();
        let (position, stride) = (self.at, size as u64);
        let from = usize::try_from(self.at - self.held_from).unwrap_or(usize::MAX);
        self.at += (good * size) as u64;
        let view = self.held.get(from..).unwrap_or_default();
        let packets = if self.framing == Framing::Plain {
            Packet::slice_of(view).0.get(..good).unwrap_or_default()
        } else {
            let units = view.chunks(size).take(good);
            self.bare.clear();
            self.bare.extend(
                units
                    .filter_map(|u| u.first_chunk())
                    .map(|b| Packet::from_bytes(*b)),
            );
            &self.bare
        };
        Ok(Some(Run {
            position,
            stride,
            packets,
        }))
    }

    fn arrival_at(&mut self, _position: u64) -> Result<Option<StreamTime>, InputError> {
        Ok(None)
    }

    fn position_before(&mut self, _time: StreamTime) -> Result<Option<u64>, InputError> {
        Ok(None)
    }
}
