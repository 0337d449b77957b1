use super::*;
use crate::si::descriptor::Descriptors;
use crate::si::{
    BreakDuration, PatEntry, PatFields, PmtFields, PmtStream, SpliceCommand, SpliceFields,
    SpliceInsert, SpliceTarget, StreamType, TransportStreamId,
};
use crate::stream::SectionPacketizer;
use crate::ts::{ContinuityCounter, Packet, Pcr, Pts, SectionBuf};
use crate::units::{Arrival, Ticks27M};

const VIDEO: u16 = 0x101;
const SOUND: u16 = 0x102;
const CUES: u16 = 0x103;

fn pid(n: u16) -> Pid {
    Pid::from_field(n)
}

/// A monitor's loop in small: packets of one service, at times that the test says.
struct Bench {
    content: Content,
    programs: Programs,
    position: u64,
    time: Ticks27M,
    cues: SectionPacketizer,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            content: Content::new(),
            programs: Programs::new(),
            position: 0,
            time: Ticks27M::ZERO,
            cues: SectionPacketizer::new(pid(CUES)),
        };
        let entry = PatEntry {
            program: ServiceId(7),
            pid: pid(0x100),
        };
        let pat = PatFields::new(TransportStreamId(1), 0, &[entry])
            .to_section()
            .unwrap();
        bench.section(0, &pat);
        let stream = |t: StreamType, n| PmtStream {
            stream_type: t,
            pid: pid(n),
            descriptors: Descriptors::NONE,
        };
        let streams = [
            stream(StreamType::AVC, VIDEO),
            stream(StreamType::MPEG1_AUDIO, SOUND),
            stream(StreamType::SCTE35, CUES),
        ];
        let pmt = PmtFields::new(ServiceId(7), 0, pid(VIDEO), Descriptors::NONE, &streams);
        bench.section(0x100, &pmt.to_section().unwrap());
        bench
    }

    fn section(&mut self, on: u16, section: &SectionBuf) {
        let mut packets = Vec::new();
        SectionPacketizer::new(pid(on)).push([section], |p| packets.push(*p));
        packets.iter().for_each(|p| self.push(p, false));
    }

    fn push(&mut self, packet: &Packet, broken: bool) {
        let at = Moment {
            position: self.position,
            time: self.time,
        };
        let mut changed = false;
        self.programs.push(packet, &mut |event| {
            changed = true;
            self.content.event(&event, at);
        });
        if changed {
            self.content.services(&self.programs, at);
        }
        self.content.push(&Seen {
            packet,
            pid: packet.pid(),
            at,
            arrival: Arrival::from_ticks(self.time.get()),
            broken,
            repeated: false,
        });
        self.position += 1;
    }

    /// A PCR of the service.
    fn pcr(&mut self, ticks: u64) {
        let counter = ContinuityCounter::default();
        self.push(
            &Packet::pcr_only(pid(VIDEO), counter, Pcr::from_ticks(ticks).unwrap()),
            false,
        );
    }

    fn cue(&mut self, command: SpliceCommand<'_>, adjustment: u64) {
        let fields = SpliceFields {
            adjustment,
            cw_index: 0xFF,
            tier: 0xFFF,
            command,
            descriptors: Descriptors::NONE,
        };
        let mut packets = Vec::new();
        self.cues
            .push([&fields.to_section().unwrap()], |p| packets.push(*p));
        packets.iter().for_each(|p| self.push(p, false));
    }

    /// A PES packet in one transport packet.
    fn pes(&mut self, on: u16, dts: u64, unit: &[u8], broken: bool) {
        let mut pes = vec![0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5];
        let mut field = [0x21, 0, 1, 0, 1];
        Pts::wrapping(dts).write(&mut field);
        pes.extend(field);
        pes.extend(unit);
        let mut packet = Packet::new(pid(on), ContinuityCounter::default());
        packet.set_payload_unit_start(true);
        packet.fill_payload(&pes);
        self.push(&packet, broken);
    }

    fn measures(&mut self) -> Measures {
        let at = Moment {
            position: self.position,
            time: self.time,
        };
        self.content.tick(at);
        self.content.measures()
    }
}

const IDR: [u8; 6] = [0, 0, 1, 0x65, 0x88, 0x84];
const P_SLICE: [u8; 6] = [0, 0, 1, 0x41, 0x9A, 0x00];

#[test]
fn groups_are_measured_from_point_to_point_across_the_wrap() {
    let mut bench = Bench::new();
    let mut dts = (1u64 << 33) - 20 * 3600;
    // Groups of 12, 25 and 12 pictures of 40 ms, then an open one.
    for pictures in [12, 25, 12, 3] {
        for n in 0..pictures {
            let unit = if n == 0 { &IDR } else { &P_SLICE };
            bench.pes(VIDEO, dts, unit, false);
            dts += 3600;
            bench.time += Ticks27M::from_millis(40);
        }
    }
    let measures = bench.measures();
    let video = measures.pids.iter().find(|p| p.pid == VIDEO).unwrap();
    let gops = video.gops.clone().unwrap();
    assert_eq!((gops.random_access_total, gops.whole_total), (4, 3));
    // 49 / 3 = 16.333; 1960 ms / 3 = 653.333.
    let range = |min, mean, max| Range {
        min: Some(min),
        mean: Some(mean),
        max: Some(max),
    };
    assert_eq!(gops.pictures, range(12, 16.333, 25));
    assert_eq!(gops.duration_ms, range(480, 653.333, 1000));
    assert_eq!(gops.open_ms, Some(120));
}

#[test]
fn a_group_with_a_gap_is_not_measured() {
    let mut bench = Bench::new();
    for n in 0..30u64 {
        let unit = if n % 10 == 0 { &IDR } else { &P_SLICE };
        bench.pes(VIDEO, n * 3600, unit, n == 15);
    }
    let measures = bench.measures();
    let video = measures.pids.iter().find(|p| p.pid == VIDEO).unwrap();
    let gops = video.gops.clone().unwrap();
    assert_eq!((gops.random_access_total, gops.whole_total), (3, 1));
    assert_eq!(gops.pictures.max, Some(10));
}

#[test]
fn sound_is_what_its_frames_say_and_a_change_is_counted() {
    let mut bench = Bench::new();
    // Layer II: 192 kbit/s joint stereo for two seconds, then mono at 64 kbit/s.
    for n in 0..200u64 {
        let header = if n < 100 {
            [0xFF, 0xFD, 0xA4, 0x40]
        } else {
            [0xFF, 0xFD, 0x44, 0xC0]
        };
        bench.pes(SOUND, n * 2160, &header, false);
        bench.time += Ticks27M::from_millis(24);
    }
    let measures = bench.measures();
    let sound = measures.pids.iter().find(|p| p.pid == SOUND).unwrap();
    let audio = sound.audio.clone().unwrap();
    assert_eq!(
        (audio.codec, audio.sample_rate_hz, audio.channels),
        ("mp2", 48_000, Some(1))
    );
    assert_eq!(
        (audio.layout.as_deref(), audio.bit_rate_bps),
        (Some("mono"), Some(64_000))
    );
    assert_eq!(audio.changes_total, 1);
}

#[test]
fn splices_have_their_pre_roll_and_repeats_are_counted() {
    let mut bench = Bench::new();
    bench.pcr(27_000_000 * 10);
    bench.time += Ticks27M::from_millis(40);
    bench.pcr(27_000_000 * 10 + 27_000 * 40);
    bench.time += Ticks27M::from_millis(10);
    let insert = SpliceInsert {
        cancel: false,
        out_of_network: true,
        // 15 s less the adjustment of 1 s.
        target: SpliceTarget::Program(Pts::from_ticks(90_000 * 14)),
        duration: Some(BreakDuration {
            auto_return: true,
            duration: Ticks27M::SECOND * 30,
        }),
        ..SpliceInsert::cancelled(0x4711)
    };
    for _ in 0..3 {
        bench.cue(SpliceCommand::Insert(insert), 90_000);
        bench.time += Ticks27M::SECOND;
    }
    bench.cue(SpliceCommand::Null, 0);
    bench.cue(SpliceCommand::Insert(SpliceInsert::cancelled(0x4711)), 0);
    let back = SpliceInsert {
        cancel: false,
        target: SpliceTarget::Immediate,
        ..SpliceInsert::cancelled(0x4711)
    };
    bench.cue(SpliceCommand::Insert(back), 0);
    bench.cue(SpliceCommand::TimeSignal(Pts::from_ticks(90_000 * 10)), 0);
    let measures = bench.measures();
    assert_eq!(measures.splice_pids[0].heartbeats_total, 1);
    assert_eq!(
        (
            measures.splices.entries_total,
            measures.splices.entries.len()
        ),
        (4, 4)
    );
    let entries: Vec<_> = measures.splices.entries.iter().collect();
    let [out, cancel, back, late] = entries[..] else {
        unreachable!("four entries")
    };
    // Arrived at 10.05 s of the clock, takes effect at 15 s.
    assert_eq!(
        (out.splice_pts, out.pre_roll_ms),
        (Some(90_000 * 15), Some(4950))
    );
    assert_eq!(
        (out.event_id, out.out_of_network),
        (Some(0x4711), Some(true))
    );
    assert_eq!((out.duration_ms, out.repeats_total), (Some(30_000), 2));
    assert_eq!(
        (out.at_ms, out.last_ms, out.service),
        (50, 2050, Some(ServiceId(7)))
    );
    assert!(cancel.cancelled && cancel.splice_pts.is_none() && !cancel.immediate);
    assert!(back.immediate && back.pre_roll_ms.is_none());
    assert_eq!(
        (late.command, late.pre_roll_ms),
        ("time_signal", Some(-3050))
    );
}

#[test]
fn changes_of_scrambling_are_logged_and_those_of_the_key_counted() {
    let mut bench = Bench::new();
    let mut packet = Packet::new(pid(VIDEO), ContinuityCounter::default());
    for control in [0u8, 0, 2, 2, 3, 2, 0, 3] {
        packet.as_bytes_mut()[3] = packet.as_bytes()[3] & 0x3F | control << 6;
        bench.push(&packet, false);
        bench.time += Ticks27M::from_millis(100);
    }
    let measures = bench.measures();
    let video = measures.pids.iter().find(|p| p.pid == VIDEO).unwrap();
    assert_eq!((video.scrambled, video.key_changes_total), (Some(true), 2));
    let changes = measures.scrambling.entries.iter();
    let seen: Vec<_> = changes.map(|c| (c.at_ms, c.pid, c.scrambled)).collect();
    assert_eq!(
        seen,
        [(200, VIDEO, true), (600, VIDEO, false), (700, VIDEO, true)]
    );
}

#[test]
fn a_service_is_the_sum_of_its_pids() {
    let mut bench = Bench::new();
    for n in 0..3000 {
        let on = [VIDEO, VIDEO, SOUND, 0x1FFF, 0x500][n % 5];
        bench.push(&Packet::new(pid(on), ContinuityCounter::default()), false);
        bench.time = Ticks27M::from_millis(n as i64 + 1);
    }
    let measures = bench.measures();
    let service = &measures.services[0];
    assert_eq!(service.id, ServiceId(7));
    // In each second 400 of video and 200 of sound; the first has the PMT too, which was there
    // before the service was known.
    assert_eq!(
        (service.rate.min_bps, service.rate.max_bps),
        (Some(600 * 1504), Some(601 * 1504))
    );
    assert_eq!(measures.stuffing.max_bps, Some(200 * 1504));
    assert_eq!(measures.total.packets, 3002);
    // 3002 x 1504 / 3 = 1505002.67.
    assert_eq!(measures.total.mean_bps, Some(1_505_003));
}
