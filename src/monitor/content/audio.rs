//! What a PID of sound is like, looked at once a second.

use serde::Serialize;

use crate::monitor::Seen;
use crate::stream::audio_format::{AudioFormat, AudioLook};
use crate::stream::codec::Codec;
use crate::ts::{PesHeader, Scrambling};
use crate::units::Ticks27M;

/// From one look to the next.
const INTERVAL: Ticks27M = Ticks27M::SECOND;
/// Bytes of a PES packet that are looked at: the longest frame (ADTS, 8191) and a header behind.
const LOOK_BYTES: usize = 8448;

/// What the frames of a PID say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audio {
    /// ffmpeg's name of the coding, layer included.
    pub codec: &'static str,
    /// Samples a second.
    pub sample_rate_hz: u32,
    /// Channels, LFE included; `None` where the header leaves them open.
    pub channels: Option<u8>,
    /// `stereo`, `5.1`, ...
    pub layout: Option<String>,
    /// Of the frames alone, without PES and transport packets; the mean of all looks.
    pub bit_rate_bps: Option<u64>,
    /// How often codec, sampling rate or layout became another.
    pub changes_total: u64,
}

/// Looks at one PID.
#[derive(Debug)]
pub(super) struct AudioWatch {
    codec: Codec,
    /// The PES packet that is being looked at.
    bytes: Vec<u8>,
    looking: bool,
    /// Not before this instant.
    next: Option<Ticks27M>,
    format: Option<AudioFormat>,
    /// Of the format above.
    total_bytes: u64,
    total_samples: u64,
    changes: u64,
}

impl AudioWatch {
    pub(super) fn new(codec: Codec) -> Self {
        Self {
            codec,
            bytes: Vec::new(),
            looking: false,
            next: None,
            format: None,
            total_bytes: 0,
            total_samples: 0,
            changes: 0,
        }
    }

    pub(super) const fn codec(&self) -> Codec {
        self.codec
    }

    #[inline]
    pub(super) fn push(&mut self, seen: &Seen<'_>) {
        let starts = seen.packet.payload_unit_start();
        if self.looking || starts && self.next.is_none_or(|next| seen.at.time >= next) {
            self.look(seen, starts);
        }
    }

    #[cold]
    fn look(&mut self, seen: &Seen<'_>, starts: bool) {
        if seen.repeated {
            return;
        }
        if starts && self.looking && !seen.broken {
            self.end();
            self.next = Some(seen.at.time + INTERVAL);
            return;
        }
        self.looking = starts || !seen.broken;
        if starts {
            self.bytes.clear();
        }
        if !self.looking || seen.packet.scrambling() != Scrambling::Clear {
            self.looking = false;
            return;
        }
        let room = LOOK_BYTES - self.bytes.len();
        self.bytes
            .extend(seen.packet.payload().iter().take(room).copied());
        if self.bytes.len() == LOOK_BYTES {
            self.end();
            self.next = Some(seen.at.time + INTERVAL);
        }
    }

    /// The PES packet is over, or enough of it is there.
    fn end(&mut self) {
        self.looking = false;
        let payload = PesHeader::new(&self.bytes).and_then(|h| self.bytes.get(h.header_len()..));
        let Some(look) = payload.and_then(|bytes| AudioLook::at(self.codec, bytes)) else {
            return;
        };
        if self.format.as_ref() != Some(&look.format) {
            self.changes += u64::from(self.format.is_some());
            (self.total_bytes, self.total_samples) = (0, 0);
            self.format = Some(look.format);
        }
        self.total_bytes += look.bytes;
        self.total_samples += look.samples;
    }

    pub(super) fn reset(&mut self) {
        self.looking = false;
    }

    /// What is known; the end of the input also ends a PES packet.
    pub(super) fn measures(&self) -> Option<Audio> {
        let last = self.looking.then(|| {
            let payload = PesHeader::new(&self.bytes)?;
            AudioLook::at(self.codec, self.bytes.get(payload.header_len()..)?)
        });
        let format = self.format.clone();
        let format = format.or_else(|| last.clone().flatten().map(|look| look.format))?;
        let look = AudioLook {
            bytes: self.total_bytes,
            samples: self.total_samples,
            format,
        };
        let rate = look.bit_rate().or_else(|| last.flatten()?.bit_rate());
        let format = look.format;
        Some(Audio {
            codec: format.coding,
            sample_rate_hz: format.rate,
            channels: format.channels,
            layout: format.layout,
            bit_rate_bps: rate,
            changes_total: self.changes,
        })
    }
}
