//! The cutting itself: packets of a range in, packets of the result out.
//!
//! A [`Cutter`] follows a [`Script`] for every PID near an edge: from which position on its
//! packets pass, are left out, or are replaced. Between the edges it copies. What it adds of its
//! own: null packets go, a packet left out that carried a PCR leaves a packet with the PCR alone
//! (so that the clock of the result is as dense as the source's), counters go on without a step
//! where packets were left out or put in, and only there: a loss in the source stays visible.

use std::collections::VecDeque;

use crate::ts::{ContinuityCounter, Packet, Pid};

/// What happens to the packets of a PID from a position on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// They pass.
    Pass,
    /// They pass from the first on that starts a PES packet or a section; what ends before that
    /// section in its packet is taken out.
    Gate,
    /// They are left out.
    Drop,
    /// Each is replaced by one of these, the rest of which follow before the next action.
    Replace(Vec<Packet>),
}

/// The actions on one PID, by ascending position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The PID.
    pub pid: Pid,
    /// Before the first of them, nothing passes.
    pub actions: Vec<(u64, Action)>,
}

/// What a [`Cutter`] does.
#[derive(Clone, Debug)]
pub struct Instructions {
    /// Packets to begin with: PAT, PMT, PCR.
    pub opening: Vec<Packet>,
    /// Where the random-access point stands: what passes before it follows it in the result.
    pub start: u64,
    /// Where the picture ends: PIDs without a script pass from the first start behind
    /// [`start`](Self::start) up to here; after it, they and video are left out.
    pub stop: u64,
    /// The PIDs with a script.
    pub scripts: Vec<Script>,
    /// The PIDs of which a PCR outlives its packet.
    pub clocks: Vec<Pid>,
}

#[derive(Debug)]
struct Track {
    actions: VecDeque<(u64, Action)>,
    /// Position of the first of `actions`; u64::MAX when there is none.
    due: u64,
    doing: Doing,
    clock: bool,
    /// The counter of the last packet with payload that was put out.
    last: Option<ContinuityCounter>,
    /// What is added to the source's counters.
    shift: u8,
    /// A packet with payload was left out or put in since the last that passed.
    seam: bool,
}

#[derive(Debug)]
enum Doing {
    Pass,
    Gate,
    Drop,
    Replace(std::vec::IntoIter<Packet>),
}

/// Applies [`Instructions`] to packets handed in by ascending position.
///
/// ```
/// use headend::cut::edit::{Cutter, Instructions};
/// use headend::ts::Packet;
/// let instructions = Instructions {
///     opening: vec![], start: 0, stop: u64::MAX, scripts: vec![], clocks: vec![],
/// };
/// let mut out = Vec::new();
/// Cutter::new(instructions).push(0, 188, &[Packet::NULL; 3], &mut out);
/// assert!(out.is_empty(), "null packets go");
/// ```
#[derive(Debug)]
pub struct Cutter {
    /// Number of the track of each PID, 0 where there is none yet.
    slots: Box<[u16]>,
    tracks: Vec<Track>,
    opening: Vec<Packet>,
    start: u64,
    stop: u64,
    /// What passed before `start`; `None` behind it.
    held: Option<Vec<Packet>>,
    /// Packets that did not fit there.
    not_held: u64,
}

/// The slot of null packets.
const NULLS: u16 = u16::MAX;

impl Cutter {
    /// A cutter at the beginning of its range.
    pub fn new(instructions: Instructions) -> Self {
        let mut cutter = Self {
            slots: vec![0; Pid::COUNT].into(),
            tracks: Vec::new(),
            opening: instructions.opening,
            start: instructions.start,
            stop: instructions.stop,
            held: Some(Vec::new()),
            not_held: 0,
        };
        cutter.slots[Pid::NULL.index()] = NULLS;
        for script in instructions.scripts {
            cutter.add(script.pid, script.actions.into());
        }
        for pid in instructions.clocks {
            let track = cutter.track_of(pid);
            if let Some(track) = cutter.tracks.get_mut(track) {
                track.clock = true;
            }
        }
        cutter
    }

    fn add(&mut self, pid: Pid, actions: VecDeque<(u64, Action)>) {
        self.tracks.push(Track {
            due: actions.front().map_or(u64::MAX, |(at, _)| *at),
            actions,
            doing: Doing::Drop,
            clock: false,
            last: None,
            shift: 0,
            seam: false,
        });
        // At most 8191 of them.
        self.slots[pid.index()] = self.tracks.len() as u16;
    }

    fn track_of(&mut self, pid: Pid) -> usize {
        if self.slots[pid.index()] == 0 {
            let passing = [(self.start, Action::Gate), (self.stop, Action::Drop)];
            self.add(pid, passing.into());
        }
        usize::from(self.slots[pid.index()]) - 1
    }

    /// Takes `packets`, the first of which stands at `position`, each `stride` behind the one
    /// before, and appends what comes of them to `out`.
    pub fn push(&mut self, position: u64, stride: u64, packets: &[Packet], out: &mut Vec<Packet>) {
        let mut at = position;
        for packet in packets {
            let slot = self.slots[packet.pid().index()];
            if slot != NULLS {
                self.take(at, packet, slot, out);
            }
            at += stride;
        }
    }

    #[inline]
    fn take(&mut self, at: u64, packet: &Packet, slot: u16, out: &mut Vec<Packet>) {
        // The middle of a range: nothing is due, nothing was left out.
        if let Some(track) = self.tracks.get_mut(usize::from(slot).wrapping_sub(1))
            && at < track.due
            && self.held.is_none()
            && matches!(track.doing, Doing::Pass)
            && track.shift == 0
            && !track.seam
        {
            if packet.has_payload() {
                track.last = Some(packet.continuity_counter());
            }
            out.push(*packet);
            return;
        }
        self.take_with_care(at, packet, out);
    }

    fn take_with_care(&mut self, at: u64, packet: &Packet, out: &mut Vec<Packet>) {
        let number = self.track_of(packet.pid());
        let before = at < self.start;
        if let (false, Some(_)) = (before, &self.held) {
            let opening = std::mem::take(&mut self.opening);
            for packet in opening {
                self.open_with(packet, out);
            }
            if let Some(track) = self.tracks.get_mut(number) {
                track.take(at, packet, true, out);
            }
            out.extend(self.held.take().unwrap_or_default());
            return;
        }
        let Some(track) = self.tracks.get_mut(number) else {
            return;
        };
        match &mut self.held {
            Some(held) if held.len() < MOST_HELD => track.take(at, packet, false, held),
            Some(_) => self.not_held += 1,
            None => track.take(at, packet, true, out),
        }
    }

    /// A packet of the opening; what is held of its PID comes after it.
    fn open_with(&mut self, mut packet: Packet, out: &mut Vec<Packet>) {
        let number = self.track_of(packet.pid());
        let mut held = self.held.iter().flatten();
        match held.find(|held| held.pid() == packet.pid()) {
            Some(first) => {
                let before = (0..15).fold(first.continuity_counter(), |c, _| c.next());
                packet.set_continuity_counter(before);
                out.push(packet);
            }
            None => {
                if let Some(track) = self.tracks.get_mut(number) {
                    track.put(packet, out);
                }
            }
        }
    }

    /// Packets that were left out because more of them precede the random-access point than are
    /// held.
    pub fn not_held(&self) -> u64 {
        self.not_held
    }

    /// Appends what is still to be put in, after the last packet.
    pub fn finish(&mut self, out: &mut Vec<Packet>) {
        for track in &mut self.tracks {
            track.flush(out);
        }
    }
}

/// The most packets of sound and data that are held until the random-access point comes: 12 MB.
const MOST_HELD: usize = 65_536;

impl Track {
    /// Does with `packet` what is due; its PCR outlives it when `clocked`.
    fn take(&mut self, at: u64, packet: &Packet, clocked: bool, out: &mut Vec<Packet>) {
        while at >= self.due {
            self.flush(out);
            if let Some((_, action)) = self.actions.pop_front() {
                self.doing = match action {
                    Action::Pass => Doing::Pass,
                    Action::Gate => Doing::Gate,
                    Action::Drop => Doing::Drop,
                    Action::Replace(packets) => Doing::Replace(packets.into_iter()),
                };
            }
            self.due = self.actions.front().map_or(u64::MAX, |(at, _)| *at);
        }
        match &mut self.doing {
            Doing::Pass => self.pass(packet, out),
            Doing::Gate if packet.payload_unit_start() => {
                self.doing = Doing::Pass;
                self.pass(&without_tail(packet), out);
            }
            Doing::Replace(packets) if packet.has_payload() => {
                let new = packets.next();
                self.leave_out(packet, clocked, out);
                if let Some(new) = new {
                    self.put(new, out);
                }
            }
            Doing::Gate | Doing::Drop | Doing::Replace(_) => {
                self.leave_out(packet, clocked, out);
            }
        }
    }

    /// Puts out what is left of a replacement.
    fn flush(&mut self, out: &mut Vec<Packet>) {
        if let Doing::Replace(packets) = std::mem::replace(&mut self.doing, Doing::Drop) {
            for packet in packets {
                self.put(packet, out);
            }
        }
    }

    /// A packet of the source.
    fn pass(&mut self, packet: &Packet, out: &mut Vec<Packet>) {
        let mut packet = *packet;
        let counter = packet.continuity_counter();
        if packet.has_payload() {
            if let (true, Some(last)) = (self.seam, self.last) {
                self.shift = last.next().steps_since(counter);
            }
            self.seam = false;
        }
        let shifted = match self.last {
            // Without payload the counter stays where it is (§2.4.3.3).
            Some(last) if self.seam => last,
            _ => (0..self.shift).fold(counter, |c, _| c.next()),
        };
        packet.set_continuity_counter(shifted);
        if packet.has_payload() {
            self.last = Some(shifted);
        }
        out.push(packet);
    }

    /// A packet of our own.
    fn put(&mut self, mut packet: Packet, out: &mut Vec<Packet>) {
        if let (true, Some(last)) = (packet.has_payload(), self.last) {
            packet.set_continuity_counter(last.next());
        }
        self.seam = true;
        self.last = Some(packet.continuity_counter());
        out.push(packet);
    }

    /// A packet that goes, save for its PCR.
    fn leave_out(&mut self, packet: &Packet, clocked: bool, out: &mut Vec<Packet>) {
        self.seam |= packet.has_payload() && self.last.is_some();
        if let (true, true, Some(pcr)) = (self.clock, clocked, packet.pcr()) {
            let last = self.last.unwrap_or(packet.continuity_counter());
            let mut alone = Packet::pcr_only(packet.pid(), last, pcr);
            // discontinuity_indicator belongs to the PCR.
            alone.as_bytes_mut()[5] |= packet.as_bytes()[5] & 0x80;
            self.last = Some(last);
            self.seam = true;
            out.push(alone);
        }
    }
}

/// A packet in which a section starts, without the end of the section before: pointer_field 0,
/// the room taken by adaptation-field stuffing. A start of a PES packet stays as it is.
fn without_tail(packet: &Packet) -> Packet {
    let mut trimmed = *packet;
    let payload = packet.payload();
    if let Some((pointer @ 1.., rest)) = payload.split_first()
        && let Some(section) = rest.get(usize::from(*pointer)..)
        && !payload.starts_with(&[0, 0, 1])
    {
        trimmed.fill_payload(&[&[0], section].concat());
    }
    trimmed
}

/// A packet in which a section ends and another starts, with the end alone: no start is
/// indicated, the rest is stuffing. `None` when no section ends in it.
pub fn tail_only(packet: &Packet) -> Option<Packet> {
    let (pointer @ 1.., rest) = packet.payload().split_first()? else {
        return None;
    };
    let tail = rest.get(..usize::from(*pointer))?;
    let mut kept = tail.to_vec();
    kept.resize(packet.payload().len(), 0xFF);
    let mut packet = *packet;
    packet.payload_mut().copy_from_slice(&kept);
    packet.set_payload_unit_start(false);
    Some(packet)
}
