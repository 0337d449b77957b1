//! What a sender does wrong. Sections are found where they begin and end in one packet, the first
//! of it; stamps where the header of a PES packet stands whole in its first packet.

use std::ops::Range;

use headend::ts::{
    ContinuityCounter, Dts, Packet, Pcr, PesHeader, Pid, Pts, Section, TableId, crc32,
};
use headend::units::Ticks27M;

use super::{Defect, Stream, Strike, Table};

/// Does it once; gives the places that were struck. None where it is no defect of a sender, or no
/// packet is left to strike.
pub(super) fn strike(stream: &mut Stream, strike: &Strike) -> Vec<usize> {
    match strike.defect {
        Defect::ShiftPcr { ticks } => {
            let places = some(stream, strike, 1, has_clock);
            change(stream, &places, |packet, _| shift_pcr(packet, ticks));
            places
        }
        Defect::JitterPcrs { ticks, pcrs } => {
            let places = some(stream, strike, pcrs, has_clock);
            change(stream, &places, |packet, random| {
                let off = random.below(2 * ticks as usize + 1) as i64 - ticks;
                shift_pcr(packet, off);
            });
            places
        }
        Defect::OmitPcrs { pcrs } => {
            let places = some(stream, strike, pcrs, has_only_clock);
            change(stream, &places, |packet, _| omit_pcr(packet));
            places
        }
        Defect::Jump { ticks, announced } => jump(stream, strike, ticks, announced),
        Defect::OmitStamps { pes } => {
            let places = some(stream, strike, pes, has_stamps);
            change(stream, &places, |packet, _| omit_stamps(packet));
            places
        }
        Defect::ShiftPts { ticks } => {
            let places = some(stream, strike, 1, has_stamps);
            change(stream, &places, |packet, _| {
                shift_stamps(packet, ticks * 300, false)
            });
            places
        }
        Defect::OmitTable { table, sections } => {
            let inner = inner(stream, strike, |p| is_section(p, table));
            let places = stream.row(&inner, sections);
            omit(stream, &places);
            places
        }
        Defect::StretchTable {
            table,
            sections,
            keep,
        } => {
            let row = some(stream, strike, sections, |p| is_section(p, table));
            let omitted = row.iter().enumerate().filter(|(n, _)| n % keep != 0);
            let places: Vec<_> = omitted.map(|(_, place)| *place).collect();
            omit(stream, &places);
            places
        }
        Defect::RepeatTable { table, behind } => repeat(stream, strike, table, behind),
        Defect::Rename { table, to } => {
            let places = some(stream, strike, 1, |p| is_section(p, table));
            change(stream, &places, |packet, _| rename(packet, to));
            places
        }
        Defect::BreakCrc { table } => {
            let sealed = |p: &Packet| is_section(p, table) && seal(p).is_some();
            let places = some(stream, strike, 1, sealed);
            change(stream, &places, |packet, random| {
                if let Some(seal) = seal(packet) {
                    packet.as_bytes_mut()[seal.start + random.below(4)] ^= 1 << random.below(8);
                }
            });
            places
        }
        Defect::Scramble { packets } => {
            let places = some(stream, strike, packets, Packet::has_payload);
            change(stream, &places, |packet, _| {
                packet.as_bytes_mut()[3] |= 0x80
            });
            places
        }
        Defect::OmitPid { packets } => {
            let strike = of_one_pid(stream, strike);
            let inner = inner(stream, &strike, |_| true);
            let places = stream.row(&inner, packets);
            omit(stream, &places);
            places
        }
        Defect::Unreferenced { pid } => {
            let nulls = Strike {
                pid: Some(Pid::NULL),
                ..strike.clone()
            };
            let places = some(stream, &nulls, 1, |_| true);
            change(stream, &places, |packet, _| packet.set_pid(pid));
            places
        }
        Defect::Bunch { packets } => bunch(stream, strike, packets),
        Defect::Fill { packets, every } => fill(stream, strike, packets, every),
        _ => Vec::new(),
    }
}

/// The strike on the PID of a packet that it may hit.
fn of_one_pid(stream: &mut Stream, strike: &Strike) -> Strike {
    let place = some(stream, strike, 1, |_| true).first().copied();
    Strike {
        pid: place.map(|place| stream.packet(place).pid()).or(strike.pid),
        ..strike.clone()
    }
}

/// So many neighbours among the packets that `wanted` takes.
fn some(
    stream: &mut Stream,
    strike: &Strike,
    count: usize,
    wanted: impl Fn(&Packet) -> bool,
) -> Vec<usize> {
    let places = stream.places(strike, wanted);
    stream.row(&places, count)
}

/// The packets that `wanted` takes, but for the first and the last.
fn inner(stream: &Stream, strike: &Strike, wanted: impl Fn(&Packet) -> bool) -> Vec<usize> {
    let mut places = stream.places(strike, wanted);
    places.pop();
    places.drain(..1.min(places.len()));
    places
}

fn change(
    stream: &mut Stream,
    places: &[usize],
    mut change: impl FnMut(&mut Packet, &mut crate::harness::Random),
) {
    for place in places {
        change(&mut stream.slots[*place].packets[0], &mut stream.random);
    }
}

fn has_clock(packet: &Packet) -> bool {
    packet.pcr().is_some()
}

/// It has a PCR, and nothing else behind the flags of its adaptation field.
fn has_only_clock(packet: &Packet) -> bool {
    has_clock(packet) && packet.as_bytes()[5] & 0x1F == 0x10
}

fn further(pcr: Pcr, ticks: i64) -> Pcr {
    pcr + Ticks27M::new(ticks)
}

fn shift_pcr(packet: &mut Packet, ticks: i64) {
    if let Some(pcr) = packet.pcr() {
        packet.set_pcr(further(pcr, ticks));
    }
}

/// The six bytes of the PCR become stuffing.
fn omit_pcr(packet: &mut Packet) {
    let bytes = packet.as_bytes_mut();
    bytes[5] &= !0x10;
    bytes[6..12].fill(0xFF);
}

/// A PES packet begins in it, and its header says when it is presented.
fn has_stamps(packet: &Packet) -> bool {
    let starts = packet.payload_unit_start();
    starts && PesHeader::new(packet.payload()).is_some_and(|pes| pes.pts().is_some())
}

/// The bytes of the stamps become stuffing.
fn omit_stamps(packet: &mut Packet) {
    let pes = packet.payload_mut();
    let stamps = if pes[7] & 0x40 != 0 { 10 } else { 5 };
    pes[7] &= 0x3F;
    pes[9..9 + stamps].fill(0xFF);
}

fn shift_stamps(packet: &mut Packet, ticks: i64, decoding: bool) {
    let Some(header) = PesHeader::new(packet.payload()) else {
        return;
    };
    let (pts, dts) = (header.pts(), header.dts());
    let pes = packet.payload_mut();
    if let Some(pts) = pts {
        PesHeader::set_pts(pes, Pts::wrapping(further(pts.to_pcr(), ticks).base()));
    }
    if let Some(dts) = dts.filter(|_| decoding) {
        let shifted = further(dts.to_pts().to_pcr(), ticks).base();
        PesHeader::set_dts(pes, Dts::wrapping(shifted));
    }
}

/// Strikes a PCR only, for what comes behind it is as it should be by the new clock.
fn jump(stream: &mut Stream, strike: &Strike, ticks: i64, announced: bool) -> Vec<usize> {
    let places = some(stream, strike, 1, has_clock);
    let Some(first) = places.first().copied() else {
        return places;
    };
    for place in first..stream.len() {
        let packet = stream.packet_mut(place);
        if strike.hits(packet) {
            shift_pcr(packet, ticks);
        }
        if has_stamps(packet) {
            shift_stamps(packet, ticks, true);
        }
    }
    if announced {
        stream.packet_mut(first).as_bytes_mut()[5] |= 0x80;
    }
    places
}

/// Where the section stands that begins and ends in a packet.
fn section(packet: &Packet) -> Option<Range<usize>> {
    if !packet.payload_unit_start() || !packet.has_payload() {
        return None;
    }
    let start = packet.payload_offset() + 1 + usize::from(*packet.payload().first()?);
    let bytes = packet.as_bytes().get(start..)?;
    let end = start + Section::size_of(bytes)?;
    (end <= packet.as_bytes().len()).then_some(start..end)
}

fn is_section(packet: &Packet, table: Table) -> bool {
    let Some(range) = section(packet) else {
        return false;
    };
    let Ok(section) = Section::unchecked_crc(&packet.as_bytes()[range]) else {
        return false;
    };
    let number = section.syntax().map(|s| s.number);
    section.table_id() == TableId(table.id)
        && table.section.is_none_or(|wanted| number == Some(wanted))
}

/// Where CRC_32 of the section stands; `None` where it has none.
fn seal(packet: &Packet) -> Option<Range<usize>> {
    let range = section(packet)?;
    let bytes = &packet.as_bytes()[range.clone()];
    // A TOT has one though its section_syntax_indicator is not set.
    (bytes[1] & 0x80 != 0 || bytes[0] == 0x73).then_some(range.end - 4..range.end)
}

fn rename(packet: &mut Packet, to: TableId) {
    let (Some(range), sealed) = (section(packet), seal(packet)) else {
        return;
    };
    packet.as_bytes_mut()[range.start] = to.0;
    if let Some(seal) = sealed {
        let crc = crc32(&packet.as_bytes()[range.start..seal.start]);
        packet.as_bytes_mut()[seal].copy_from_slice(&crc.to_be_bytes());
    }
}

/// Null packets stand where the packets were; the counters behind them are right.
fn omit(stream: &mut Stream, places: &[usize]) {
    for place in places.iter().rev() {
        let omitted = std::mem::replace(stream.packet_mut(*place), Packet::NULL);
        if omitted.has_payload() {
            count(stream, omitted.pid(), *place + 1, 15);
        }
    }
}

/// Adds to the counters of a PID from a place on.
fn count(stream: &mut Stream, pid: Pid, from: usize, steps: u8) {
    for place in from..stream.len() {
        let packet = stream.packet_mut(place);
        if packet.pid() == pid {
            let counter = packet.continuity_counter().get() + steps;
            packet.set_continuity_counter(ContinuityCounter::wrapping(counter));
        }
    }
}

/// Is a null packet that nothing has struck.
fn is_free(stream: &Stream, place: usize) -> bool {
    let slot = &stream.slots[place];
    !slot.struck && slot.packets[0].pid() == Pid::NULL
}

fn repeat(stream: &mut Stream, strike: &Strike, table: Table, behind: usize) -> Vec<usize> {
    let places = some(stream, strike, 1, |p| is_section(p, table));
    let Some(original) = places.first().copied() else {
        return places;
    };
    let Some(place) = (original + behind..stream.len()).find(|n| is_free(stream, *n)) else {
        return Vec::new();
    };
    let mut again = *stream.packet(original);
    let pid = again.pid();
    let between = original + 1..place;
    let passed = between.filter(|n| {
        let packet = stream.packet(*n);
        packet.pid() == pid && packet.has_payload()
    });
    let steps = passed.count() as u8 + 1;
    let counter = again.continuity_counter().get() + steps % 16;
    again.set_continuity_counter(ContinuityCounter::wrapping(counter));
    *stream.packet_mut(place) = again;
    count(stream, pid, place + 1, 1);
    vec![original, place]
}

/// The first of the packets stays; the others take the places of the null packets behind it.
fn bunch(stream: &mut Stream, strike: &Strike, packets: usize) -> Vec<usize> {
    let strike = of_one_pid(stream, strike);
    let all = stream.places(&strike, Packet::has_payload);
    // None between them that has been struck: they would overtake it.
    let in_order = |first: usize| {
        let between = all[first]..=all[first + packets - 1];
        let is_struck = |n: usize| stream.slots[n].struck && strike.hits(stream.packet(n));
        !between.into_iter().any(is_struck)
    };
    let rows: Vec<_> = (0..all.len().saturating_sub(packets - 1))
        .filter(|n| (1..packets).all(|k| is_free(stream, all[*n] + k)) && in_order(*n))
        .collect();
    let Some(first) = stream.row(&rows, 1).first().copied() else {
        return Vec::new();
    };
    let mut struck = vec![all[first]];
    for k in 1..packets {
        let (from, to) = (all[first + k], all[first] + k);
        let packet = std::mem::replace(stream.packet_mut(from), Packet::NULL);
        *stream.packet_mut(to) = packet;
        struck.extend([from, to]);
    }
    // What has no payload has the counter of what is before it now.
    let pid = stream.packet(all[first]).pid();
    let mut counter = stream.packet(all[first]).continuity_counter();
    for place in all[first]..=all[first + packets - 1] {
        let packet = stream.packet_mut(place);
        match packet.has_payload() {
            _ if packet.pid() != pid => {}
            true => counter = packet.continuity_counter(),
            false => packet.set_continuity_counter(counter),
        }
    }
    struck
}

/// Packets of nothing but stuffing: an adaptation field without a flag.
fn fill(stream: &mut Stream, strike: &Strike, packets: usize, every: usize) -> Vec<usize> {
    let length = packets * every + 3;
    let all = stream.places(strike, Packet::has_payload);
    let near: Vec<_> = all
        .into_iter()
        .filter(|n| n + length < stream.len())
        .collect();
    let Some(start) = stream.row(&near, 1).first().copied() else {
        return Vec::new();
    };
    let pid = stream.packet(start).pid();
    let mut counter = stream.packet(start).continuity_counter();
    let (mut struck, mut sent, mut due) = (Vec::new(), 1, start + 1);
    for place in start + 1..start + length {
        let packet = *stream.packet(place);
        if packet.pid() == pid && packet.has_payload() {
            counter = packet.continuity_counter();
        } else if place >= due && is_free(stream, place) {
            let mut filler = Packet::new(pid, counter);
            filler.fill_payload(&[]);
            *stream.packet_mut(place) = filler;
            struck.push(place);
        } else {
            continue;
        }
        sent += 1;
        // Two in a row, then in step: a packet that comes by itself is one of them.
        due = start + (sent - 1) * every;
    }
    struck
}
