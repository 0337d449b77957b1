//! The transport packet (ISO/IEC 13818-1 §2.4.3.2).

use std::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Adaptation, Pcr, Pid};

/// Bytes of a packet.
pub const PACKET_SIZE: usize = 188;

/// The first byte of every packet.
pub const SYNC_BYTE: u8 = 0x47;

/// A 188-byte transport packet, exactly as on the wire.
///
/// Any 188 bytes are a `Packet`: what is wrong with them is told by the accessors, none of which
/// panics. Setters change their field and no other bit.
///
/// ```
/// use headend::ts::{Packet, Pid};
/// let mut bytes = vec![0u8; 2 * 188 + 5];
/// let (packets, rest) = Packet::slice_of_mut(&mut bytes);
/// packets[1] = Packet::NULL;
/// assert_eq!((packets.len(), rest.len()), (2, 5));
/// assert_eq!(packets[1].pid(), Pid::NULL);
/// ```
#[derive(Copy, Clone, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(transparent)]
pub struct Packet([u8; PACKET_SIZE]);

impl Packet {
    /// A null packet: PID 0x1FFF, payload of 0xFF, counter 0 (§2.4.3.3: its value is undefined).
    pub const NULL: Self = {
        let mut bytes = [0xFF; PACKET_SIZE];
        bytes[0] = SYNC_BYTE;
        bytes[1] = 0x1F;
        bytes[3] = 0x10;
        Self(bytes)
    };

    /// The whole packets at the start of `bytes`, and what is left over.
    pub fn slice_of(bytes: &[u8]) -> (&[Self], &[u8]) {
        let (whole, rest) = bytes.split_at(bytes.len() / PACKET_SIZE * PACKET_SIZE);
        (<[Self]>::ref_from_bytes(whole).unwrap_or_default(), rest)
    }

    /// The whole packets at the start of `bytes`, to be changed in place, and what is left over.
    pub fn slice_of_mut(bytes: &mut [u8]) -> (&mut [Self], &mut [u8]) {
        let (whole, rest) = bytes.split_at_mut(bytes.len() / PACKET_SIZE * PACKET_SIZE);
        (<[Self]>::mut_from_bytes(whole).unwrap_or_default(), rest)
    }

    /// The bytes of many packets.
    pub fn bytes_of(packets: &[Self]) -> &[u8] {
        packets.as_bytes()
    }

    /// A packet from its bytes.
    pub const fn from_bytes(bytes: [u8; PACKET_SIZE]) -> Self {
        Self(bytes)
    }

    /// A packet of PID `pid` whose payload is all 0xFF: to be filled.
    pub const fn new(pid: Pid, counter: ContinuityCounter) -> Self {
        let mut packet = Self::NULL;
        packet.set_pid(pid);
        packet.set_continuity_counter(counter);
        packet
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; PACKET_SIZE] {
        &self.0
    }

    /// The bytes, to be changed in place.
    pub const fn as_bytes_mut(&mut self) -> &mut [u8; PACKET_SIZE] {
        &mut self.0
    }

    /// True when the first byte is 0x47.
    pub const fn has_sync(&self) -> bool {
        self.0[0] == SYNC_BYTE
    }

    /// transport_error_indicator: a demodulator says that some bit of this packet is wrong.
    pub const fn transport_error(&self) -> bool {
        self.0[1] & 0x80 != 0
    }

    /// payload_unit_start_indicator: a PES packet or (after pointer_field) a section starts here.
    pub const fn payload_unit_start(&self) -> bool {
        self.0[1] & 0x40 != 0
    }

    /// Sets payload_unit_start_indicator.
    pub const fn set_payload_unit_start(&mut self, start: bool) {
        self.0[1] = self.0[1] & !0x40 | (start as u8) << 6;
    }

    /// PID.
    pub const fn pid(&self) -> Pid {
        Pid::from_field((self.0[1] as u16) << 8 | self.0[2] as u16)
    }

    /// Sets PID.
    pub const fn set_pid(&mut self, pid: Pid) {
        self.0[1] = self.0[1] & 0xE0 | (pid.get() >> 8) as u8;
        self.0[2] = pid.get() as u8;
    }

    /// transport_scrambling_control.
    pub const fn scrambling(&self) -> Scrambling {
        match self.0[3] >> 6 {
            0 => Scrambling::Clear,
            1 => Scrambling::Reserved,
            2 => Scrambling::EvenKey,
            _ => Scrambling::OddKey,
        }
    }

    /// adaptation_field_control says that an adaptation field is there.
    pub const fn has_adaptation(&self) -> bool {
        self.0[3] & 0x20 != 0
    }

    /// adaptation_field_control says that a payload is there.
    pub const fn has_payload(&self) -> bool {
        self.0[3] & 0x10 != 0
    }

    /// Sets the two bits of adaptation_field_control. The bytes they speak of are the caller's.
    pub const fn set_adaptation_field_control(&mut self, adaptation: bool, payload: bool) {
        self.0[3] = self.0[3] & 0xCF | (adaptation as u8) << 5 | (payload as u8) << 4;
    }

    /// continuity_counter.
    pub const fn continuity_counter(&self) -> ContinuityCounter {
        ContinuityCounter(self.0[3] & 0x0F)
    }

    /// Sets continuity_counter.
    pub const fn set_continuity_counter(&mut self, counter: ContinuityCounter) {
        self.0[3] = self.0[3] & 0xF0 | counter.0;
    }

    /// The adaptation field; `None` when there is none, or when its length does not fit.
    pub fn adaptation(&self) -> Option<Adaptation<'_>> {
        if self.has_adaptation() {
            Adaptation::new(&self.0[4..])
        } else {
            None
        }
    }

    /// Where the payload starts; 188 when there is none or the adaptation field overruns.
    pub const fn payload_offset(&self) -> usize {
        match self.0[3] & 0x30 {
            0x10 => 4,
            0x30 if (self.0[4] as usize) < PACKET_SIZE - 5 => 5 + self.0[4] as usize,
            _ => PACKET_SIZE,
        }
    }

    /// The payload; empty when there is none or the adaptation field overruns the packet.
    pub fn payload(&self) -> &[u8] {
        &self.0[self.payload_offset()..]
    }

    /// The payload, to be changed in place.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let offset = self.payload_offset();
        &mut self.0[offset..]
    }

    /// The PCR, if this packet carries one.
    pub fn pcr(&self) -> Option<Pcr> {
        // The hot path asks every packet: one look at three bytes answers for most.
        if self.0[3] & 0x20 == 0 || self.0[4] < 7 || self.0[5] & 0x10 == 0 {
            return None;
        }
        self.adaptation()?.pcr()
    }

    /// Replaces the value of a PCR that is there; false when there is none.
    pub fn set_pcr(&mut self, pcr: Pcr) -> bool {
        if self.pcr().is_none() {
            return false;
        }
        match self.0[6..].first_chunk_mut() {
            Some(field) => {
                pcr.write(field);
                true
            }
            None => false,
        }
    }

    /// Replaces the value of an OPCR that stands behind a PCR; false when there is none.
    pub fn set_opcr(&mut self, opcr: Pcr) -> bool {
        let there = self.pcr().is_some() && self.adaptation().is_some_and(|a| a.opcr().is_some());
        match self.0[12..].first_chunk_mut() {
            Some(field) if there => {
                opcr.write(field);
                true
            }
            _ => false,
        }
    }

    /// discontinuity_indicator; false without an adaptation field (§2.4.3.5).
    pub fn discontinuity(&self) -> bool {
        self.adaptation().is_some_and(|a| a.discontinuity())
    }

    /// random_access_indicator; false without an adaptation field (§2.4.3.5).
    pub fn random_access(&self) -> bool {
        self.adaptation().is_some_and(|a| a.random_access())
    }

    /// Makes the payload `bytes`, with an adaptation field of stuffing before it where it is
    /// short (§2.4.3.5); an adaptation field that was there is kept and lengthened. Returns how
    /// many bytes went in: as many as fit.
    pub fn fill_payload(&mut self, bytes: &[u8]) -> usize {
        let kept = match self.adaptation() {
            Some(field) => 1 + field.length(),
            None => 0,
        };
        let room = PACKET_SIZE - 4 - kept;
        let taken = bytes.len().min(room);
        let stuffing = room - taken;
        if stuffing > 0 {
            self.0[4 + kept..4 + kept + stuffing].fill(0xFF);
            self.0[4] = (kept + stuffing - 1) as u8;
            if kept <= 1 && kept + stuffing > 1 {
                self.0[5] = 0; // the flags byte: none set
            }
        }
        self.0[PACKET_SIZE - taken..].copy_from_slice(&bytes[..taken]);
        self.set_adaptation_field_control(kept + stuffing > 0, taken > 0);
        taken
    }

    /// A packet that carries a PCR and nothing else; its counter is that of the last packet of
    /// the PID with payload (§2.4.3.3: the counter does not step without payload).
    pub fn pcr_only(pid: Pid, last: ContinuityCounter, pcr: Pcr) -> Self {
        let mut packet = Self::new(pid, last);
        packet.set_adaptation_field_control(true, false);
        packet.0[4] = (PACKET_SIZE - 5) as u8;
        packet.0[5] = 0x10;
        packet.0[10] = 0x7E; // the reserved bits of the PCR are ones
        packet.set_pcr(pcr);
        packet
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("pid", &self.pid())
            .field("counter", &self.continuity_counter().get())
            .field("start", &self.payload_unit_start())
            .field("pcr", &self.pcr())
            .field("payload", &self.payload().len())
            .finish_non_exhaustive()
    }
}

/// transport_scrambling_control (table 2-4; key parity by ETSI TS 100 289).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scrambling {
    /// 00: not scrambled.
    Clear,
    /// 01: reserved.
    Reserved,
    /// 10: scrambled with the even key.
    EvenKey,
    /// 11: scrambled with the odd key.
    OddKey,
}

/// A continuity counter: four bits that step with every packet of a PID that has a payload.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContinuityCounter(u8);

impl ContinuityCounter {
    /// The counter of that value; `None` above 15.
    pub const fn new(value: u8) -> Option<Self> {
        if value < 16 { Some(Self(value)) } else { None }
    }

    /// The counter in the low four bits of a sum.
    pub const fn wrapping(sum: u8) -> Self {
        Self(sum & 0x0F)
    }

    /// The value, 0 to 15.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The counter after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self((self.0 + 1) & 0x0F)
    }

    /// How many steps lead from `earlier` to this one, 0 to 15.
    pub const fn steps_since(self, earlier: Self) -> u8 {
        self.0.wrapping_sub(earlier.0) & 0x0F
    }
}

impl Default for ContinuityCounter {
    /// 15: the first packet after it is 0.
    fn default() -> Self {
        Self(15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TEI 0, PUSI 1, priority 0, PID 0x0123, scrambling 10, AFC 11, counter 9; adaptation field
    /// of 7 bytes with random access and a PCR of base 1, extension 2; then payload.
    fn vector() -> Packet {
        let mut bytes = [0xEE; PACKET_SIZE];
        bytes[..12].copy_from_slice(&[
            0x47, 0x41, 0x23, 0xB9, 7, 0x50, 0x00, 0x00, 0x00, 0x00, 0xFE, 0x02,
        ]);
        Packet::from_bytes(bytes)
    }

    #[test]
    fn each_field_reads_from_its_bits() {
        let p = vector();
        assert!(p.has_sync() && p.payload_unit_start() && p.has_adaptation() && p.has_payload());
        assert!(!p.transport_error() && !p.discontinuity() && p.random_access());
        assert_eq!(p.pid().get(), 0x123);
        assert_eq!(p.scrambling(), Scrambling::EvenKey);
        assert_eq!(p.continuity_counter().get(), 9);
        assert_eq!(p.pcr().map(Pcr::ticks), Some(302));
        assert_eq!(p.payload(), &[0xEE; 176]);
    }

    #[test]
    fn setting_one_field_leaves_every_other_bit() {
        /// One setter, and the bytes of the header and the adaptation field that it makes others.
        type Case = (fn(&mut Packet), &'static [(usize, u8)]);
        let cases: [Case; 7] = [
            (
                |p| p.set_pid(Pid::from_field(0x1FFF)),
                &[(1, 0x5F), (2, 0xFF)],
            ),
            (|p| p.set_pid(Pid::PAT), &[(1, 0x40), (2, 0x00)]),
            (
                |p| p.set_continuity_counter(ContinuityCounter(6)),
                &[(3, 0xB6)],
            ),
            (|p| p.set_payload_unit_start(false), &[(1, 0x01)]),
            (
                |p| p.set_adaptation_field_control(false, false),
                &[(3, 0x89)],
            ),
            (
                |p| p.set_adaptation_field_control(false, true),
                &[(3, 0x99)],
            ),
            (
                // 12 345 = 41 x 300 + 45: base 41 is 20 and a half in its upper 32 bits, the
                // half stands before the 6 reserved bits.
                |p| assert!(p.set_pcr(Pcr::from_ticks(12_345).unwrap())),
                &[(9, 20), (10, 0xFE), (11, 45)],
            ),
        ];
        for (at, (set, changed)) in cases.into_iter().enumerate() {
            let mut p = vector();
            set(&mut p);
            let mut expected = *vector().as_bytes();
            for (byte, value) in changed {
                expected[*byte] = *value;
            }
            assert_eq!(*p.as_bytes(), expected, "case {at}");
        }
    }

    #[test]
    fn a_length_that_lies_yields_no_payload_and_no_panic() {
        for length in 0..=255u8 {
            for afc in 0..4u8 {
                let mut bytes = [0xFF; PACKET_SIZE];
                bytes[3] = afc << 4;
                bytes[4] = length;
                let p = Packet::from_bytes(bytes);
                let expected = match (afc, length) {
                    (1, _) => 184,
                    (3, 0..=182) => 183 - usize::from(length),
                    _ => 0,
                };
                assert_eq!(p.payload().len(), expected, "afc {afc}, length {length}");
                let _ = (p.pcr(), p.discontinuity(), format!("{p:?}"));
            }
        }
    }

    #[test]
    fn a_short_payload_is_stuffed_by_an_adaptation_field() {
        for n in 0..=184 {
            let mut p = Packet::new(Pid::PAT, ContinuityCounter(3));
            assert_eq!(p.fill_payload(&vec![0x5A; n]), n);
            assert_eq!(p.payload(), vec![0x5A; n], "{n} bytes");
            assert_eq!(p.has_adaptation(), n < 184);
            if n < 183 {
                assert!(p.as_bytes()[6..188 - n].iter().all(|b| *b == 0xFF));
                assert_eq!(p.as_bytes()[5], 0);
            }
        }
        let mut p = vector();
        assert_eq!(p.fill_payload(&[1, 2, 3]), 3);
        assert_eq!((p.pcr(), p.payload()), (vector().pcr(), &[1, 2, 3][..]));
    }

    #[test]
    fn a_pcr_packet_has_no_payload() {
        let pcr = Pcr::from_ticks(2_576_980_377_599).unwrap();
        let p = Packet::pcr_only(Pid::from_field(0x100), ContinuityCounter(7), pcr);
        assert_eq!(
            (p.pcr(), p.payload().len(), p.continuity_counter().get()),
            (Some(pcr), 0, 7)
        );
        assert!(p.as_bytes()[12..].iter().all(|b| *b == 0xFF));
    }
}
