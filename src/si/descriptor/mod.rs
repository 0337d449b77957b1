//! Descriptors: tag, length, payload (ISO/IEC 13818-1 §2.6, EN 300 468 §6).
//!
//! One descriptor a file, each a small struct that borrows its payload, read and written by
//! [`DescriptorSyntax`]. Those whose mere presence tells a codec are a [`DescriptorTag`] only.

mod ca;
mod extended_event;
mod language;
mod lines;
mod registration;
mod service;
mod short_event;
mod subtitling;
mod teletext;

use std::fmt;

pub use ca::CaDescriptor;
pub use extended_event::ExtendedEventDescriptor;
pub use language::{AudioType, LanguageDescriptor};
pub use registration::RegistrationDescriptor;
pub use service::{ServiceDescriptor, ServiceType};
pub use short_event::ShortEventDescriptor;
pub use subtitling::{Subtitle, SubtitlingDescriptor};
pub use teletext::{TeletextDescriptor, TeletextPage};

use crate::ts::{Pid, Put, Take};

/// descriptor_tag, an open list (ISO/IEC 13818-1 table 2-45, EN 300 468 table 12).
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct DescriptorTag(pub u8);

impl DescriptorTag {
    /// video_stream_descriptor, of MPEG-1 and MPEG-2 video.
    pub const VIDEO_STREAM: Self = Self(0x02);
    /// AVC_video_descriptor.
    pub const AVC_VIDEO: Self = Self(0x28);
    /// HEVC_video_descriptor.
    pub const HEVC_VIDEO: Self = Self(0x38);
    /// VBI_teletext_descriptor.
    pub const VBI_TELETEXT: Self = Self(0x46);
    /// AC-3_descriptor: its stream is AC-3.
    pub const AC3: Self = Self(0x6A);
    /// enhanced_AC-3_descriptor: its stream is E-AC-3.
    pub const EAC3: Self = Self(0x7A);
    /// DTS_descriptor: its stream is DTS.
    pub const DTS: Self = Self(0x7B);
    /// AAC_descriptor: its stream is AAC.
    pub const AAC: Self = Self(0x7C);
    /// extension_descriptor: the first byte of its payload is a tag of its own.
    pub const EXTENSION: Self = Self(0x7F);
}

impl fmt::Debug for DescriptorTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DescriptorTag({:#04x})", self.0)
    }
}

/// Any descriptor.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Descriptor<'a> {
    /// descriptor_tag.
    pub tag: DescriptorTag,
    /// What follows descriptor_length, at most 255 bytes.
    pub payload: &'a [u8],
}

/// A kind of descriptor that can be read and written.
pub trait DescriptorSyntax<'a>: Sized {
    /// Its descriptor_tag.
    const TAG: DescriptorTag;

    /// Reads the payload; `None` when it is cut off.
    fn read(payload: &'a [u8]) -> Option<Self>;

    /// Writes the payload, reserved bits ones.
    fn write_payload(&self, put: &mut Put<'_>);

    /// Writes tag, length and payload; over 255 bytes of payload are an overflow of `put`.
    fn write(&self, put: &mut Put<'_>) {
        put.u8(Self::TAG.0);
        put.counted8_with(|put| self.write_payload(put));
    }
}

/// A loop of descriptors.
///
/// ```
/// use headend::si::{Language, descriptor::{Descriptors, LanguageDescriptor}};
/// let descriptors = Descriptors::new(&[0x52, 1, 7, 0x0A, 4, b'f', b'r', b'a', 0]);
/// let language: LanguageDescriptor = descriptors.get().unwrap();
/// assert_eq!(language.languages().next().map(|l| l.0), Some(Language(*b"fra")));
/// assert_eq!(descriptors.iter().count(), 2);
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Descriptors<'a>(&'a [u8]);

impl<'a> Descriptors<'a> {
    /// No descriptor.
    pub const NONE: Self = Self(&[]);

    /// The loop in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes, those of a broken tail included.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Each descriptor in order; ends early where a length lies.
    pub const fn iter(&self) -> DescriptorIter<'a> {
        DescriptorIter(Take::new(self.0))
    }

    /// Every readable descriptor of the kind `D`.
    pub fn all<D: DescriptorSyntax<'a>>(&self) -> impl Iterator<Item = D> + use<'a, D> {
        self.iter()
            .filter(|d| d.tag == D::TAG)
            .filter_map(|d| D::read(d.payload))
    }

    /// The first readable descriptor of the kind `D`.
    pub fn get<D: DescriptorSyntax<'a>>(&self) -> Option<D> {
        self.all().next()
    }

    /// The bytes of the loop without the descriptors of conditional access, and without a broken
    /// tail.
    pub fn without_access(&self) -> Vec<u8> {
        self.with_access(|_| None)
    }

    /// The bytes of the loop with the PIDs of conditional access messages that `pid` gives for
    /// those that stand there; a CA_descriptor for whose PID it gives none is left out, and so is
    /// a broken tail.
    pub fn with_access(&self, pid: impl Fn(Pid) -> Option<Pid>) -> Vec<u8> {
        let mut kept = Vec::with_capacity(self.0.len());
        for d in self.iter() {
            let mut payload = d.payload.to_vec();
            if d.tag == CaDescriptor::TAG {
                let Some(new) = CaDescriptor::read(d.payload).and_then(|ca| pid(ca.pid)) else {
                    continue;
                };
                CaDescriptor::set_pid(&mut payload, new);
            }
            kept.extend([d.tag.0, payload.len() as u8]); // as it was read: 255 at most
            kept.extend(payload);
        }
        kept
    }

    /// True when there is a descriptor with that tag.
    pub fn has(&self, tag: DescriptorTag) -> bool {
        self.iter().any(|d| d.tag == tag)
    }

    /// True when there is an extension_descriptor with that descriptor_tag_extension.
    pub fn has_extension(&self, extension: u8) -> bool {
        self.iter()
            .any(|d| d.tag == DescriptorTag::EXTENSION && d.payload.first() == Some(&extension))
    }
}

/// Iterates over a loop of descriptors.
#[derive(Copy, Clone, Debug)]
pub struct DescriptorIter<'a>(Take<'a>);

impl<'a> DescriptorIter<'a> {
    /// What was not read: after the end of the iteration, bytes only if a length lied.
    pub const fn rest(&self) -> &'a [u8] {
        self.0.rest()
    }
}

impl<'a> Iterator for DescriptorIter<'a> {
    type Item = Descriptor<'a>;

    fn next(&mut self) -> Option<Descriptor<'a>> {
        let mut take = self.0;
        let tag = DescriptorTag(take.u8()?);
        let payload = take.counted8()?;
        self.0 = take;
        Some(Descriptor { tag, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `descriptor` into a buffer of 0xA5 and expects exactly `bytes`; then expects that
    /// no shorter payload reads as the same value.
    #[track_caller]
    pub(super) fn reads_and_writes<'a, D>(descriptor: D, bytes: &'a [u8])
    where
        D: DescriptorSyntax<'a> + PartialEq + fmt::Debug,
    {
        let mut room = [0xA5; 258];
        let mut put = Put::new(&mut room);
        descriptor.write(&mut put);
        assert_eq!(put.written(), Some(bytes));
        assert_eq!(Descriptors::new(bytes).get(), Some(descriptor));
        assert_eq!(room[bytes.len()..], [0xA5; 258][bytes.len()..]);
    }

    #[test]
    fn a_loop_cut_anywhere_yields_its_whole_descriptors() {
        let bytes = [0x52, 1, 7, 0x0A, 0, 0x05, 3, 1, 2, 3];
        for cut in 0..=bytes.len() {
            let mut iter = Descriptors::new(&bytes[..cut]).iter();
            let whole = [3, 5, 10].iter().filter(|end| **end <= cut).count();
            assert_eq!(iter.by_ref().count(), whole, "cut at {cut}");
            assert_eq!(iter.rest().is_empty(), [0, 3, 5, 10].contains(&cut));
        }
    }

    #[test]
    fn a_tag_is_found_behind_others() {
        let all = Descriptors::new(&[0x52, 1, 0x6A, 0x7F, 2, 0x15, 0, 0x6A, 0]);
        assert!(all.has(DescriptorTag::AC3) && !all.has(DescriptorTag::EAC3));
        assert!(all.has_extension(0x15) && !all.has_extension(0x6A));
    }
}
