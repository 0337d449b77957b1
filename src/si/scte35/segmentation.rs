//! segmentation_descriptor (SCTE 35 §10.3.3).

use crate::si::descriptor::{DescriptorSyntax, DescriptorTag};
use crate::ts::{Put, Take};
use crate::units::Ticks27M;

/// The identifier that splice descriptors of the standard itself begin with.
const CUEI: [u8; 4] = *b"CUEI";

/// What begins or ends at the time of a time_signal: a programme, a chapter, an advertisement.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Segmentation<'a> {
    /// segmentation_event_id; start and end of one segment have the same.
    pub event: u32,
    /// segmentation_event_cancel_indicator: an earlier message about this event is void, and
    /// nothing below means anything.
    pub cancel: bool,
    /// segmentation_event_id_compliance_indicator as in the stream.
    pub event_id_compliance: bool,
    /// The components it is about, six bytes each; `None` for the whole program.
    pub components: Option<&'a [u8]>,
    /// segmentation_duration, whole ticks of 90 kHz, below 2^40 of them.
    pub duration: Option<Ticks27M>,
    /// Five bits, web_delivery_allowed first; `None` when delivery is not restricted.
    pub delivery: Option<u8>,
    /// segmentation_upid_type.
    pub upid_type: u8,
    /// segmentation_upid: which programme or advertisement it is.
    pub upid: &'a [u8],
    /// segmentation_type_id: what begins or ends.
    pub kind: u8,
    /// segment_num.
    pub number: u8,
    /// segments_expected.
    pub expected: u8,
    /// sub_segment_num and sub_segments_expected, where an encoder sends them.
    pub sub_segment: Option<(u8, u8)>,
}

impl Segmentation<'_> {
    /// The name of segmentation_type_id in table 23; `None` for those not listed here.
    pub const fn kind_name(&self) -> Option<&'static str> {
        Some(match self.kind {
            0x00 => "Not Indicated",
            0x01 => "Content Identification",
            0x02 => "Private",
            0x10 => "Program Start",
            0x11 => "Program End",
            0x12 => "Program Early Termination",
            0x13 => "Program Breakaway",
            0x14 => "Program Resumption",
            0x15 => "Program Runover Planned",
            0x16 => "Program Runover Unplanned",
            0x17 => "Program Overlap Start",
            0x18 => "Program Blackout Override",
            0x19 => "Program Join",
            0x1A => "Program Immediate Resumption",
            0x20 => "Chapter Start",
            0x21 => "Chapter End",
            0x22 => "Break Start",
            0x23 => "Break End",
            0x24 => "Opening Credit Start",
            0x25 => "Opening Credit End",
            0x26 => "Closing Credit Start",
            0x27 => "Closing Credit End",
            0x30 => "Provider Advertisement Start",
            0x31 => "Provider Advertisement End",
            0x32 => "Distributor Advertisement Start",
            0x33 => "Distributor Advertisement End",
            0x34 => "Provider Placement Opportunity Start",
            0x35 => "Provider Placement Opportunity End",
            0x36 => "Distributor Placement Opportunity Start",
            0x37 => "Distributor Placement Opportunity End",
            0x38 => "Provider Overlay Placement Opportunity Start",
            0x39 => "Provider Overlay Placement Opportunity End",
            0x3A => "Distributor Overlay Placement Opportunity Start",
            0x3B => "Distributor Overlay Placement Opportunity End",
            0x3C => "Provider Promo Start",
            0x3D => "Provider Promo End",
            0x3E => "Distributor Promo Start",
            0x3F => "Distributor Promo End",
            0x40 => "Unscheduled Event Start",
            0x41 => "Unscheduled Event End",
            0x42 => "Alternate Content Opportunity Start",
            0x43 => "Alternate Content Opportunity End",
            0x44 => "Provider Ad Block Start",
            0x45 => "Provider Ad Block End",
            0x46 => "Distributor Ad Block Start",
            0x47 => "Distributor Ad Block End",
            0x50 => "Network Start",
            0x51 => "Network End",
            _ => return None,
        })
    }

    /// True when sub_segment fields stand behind this kind in current streams (§10.3.3.1).
    const fn has_sub_segment(kind: u8) -> bool {
        matches!(kind, 0x30 | 0x32 | 0x34 | 0x36 | 0x38 | 0x3A | 0x44 | 0x46)
    }
}

impl<'a> DescriptorSyntax<'a> for Segmentation<'a> {
    const TAG: DescriptorTag = DescriptorTag(0x02);

    fn read(payload: &'a [u8]) -> Option<Self> {
        let mut take = Take::new(payload);
        if take.array()? != CUEI {
            return None;
        }
        let event = take.u32()?;
        let flags = take.u8()?;
        let mut s = Self {
            event,
            cancel: flags & 0x80 != 0,
            event_id_compliance: flags & 0x40 != 0,
            components: None,
            duration: None,
            delivery: None,
            upid_type: 0,
            upid: &[],
            kind: 0,
            number: 0,
            expected: 0,
            sub_segment: None,
        };
        if s.cancel {
            return Some(s);
        }
        let flags = take.u8()?;
        if flags & 0x80 == 0 {
            let count = take.u8()?;
            s.components = Some(take.bytes(usize::from(count) * 6)?);
        }
        if flags & 0x40 != 0 {
            s.duration = Some(Ticks27M::new(take.u40()? as i64 * 300));
        }
        if flags & 0x20 == 0 {
            s.delivery = Some(flags & 0x1F);
        }
        s.upid_type = take.u8()?;
        s.upid = take.counted8()?;
        s.kind = take.u8()?;
        s.number = take.u8()?;
        s.expected = take.u8()?;
        // Older equipment leaves the pair out, some of it is followed by bytes of its own.
        if Self::has_sub_segment(s.kind) {
            s.sub_segment = take.array().map(|[n, of]| (n, of));
        }
        Some(s)
    }

    fn write_payload(&self, put: &mut Put<'_>) {
        put.bytes(&CUEI);
        put.u32(self.event);
        put.u8((self.cancel as u8) << 7 | (self.event_id_compliance as u8) << 6 | 0x3F);
        if self.cancel {
            return;
        }
        put.u8((self.components.is_none() as u8) << 7
            | (self.duration.is_some() as u8) << 6
            | (self.delivery.is_none() as u8) << 5
            | self.delivery.unwrap_or(0x1F) & 0x1F);
        if let Some(components) = self.components {
            put.u8((components.len() / 6) as u8);
            put.bytes(components);
        }
        if let Some(duration) = self.duration {
            put.u40((duration.get() / 300) as u64);
        }
        put.u8(self.upid_type);
        put.counted8(self.upid);
        put.bytes(&[self.kind, self.number, self.expected]);
        if let Some((number, expected)) = self.sub_segment {
            put.bytes(&[number, expected]);
        }
    }
}
