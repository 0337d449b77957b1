//! The family on streams made here, in simulated time.

use super::*;
use crate::monitor::Finding;
use crate::si::descriptor::Descriptors;
use crate::si::{PatEntry, PatFields, PmtFields, PmtStream, StreamType, TransportStreamId};
use crate::stream::SectionPacketizer;
use crate::stream::event::{Subject, Value};
use crate::ts::{ContinuityCounter, Packet, Pcr, PesHeader, Pts};
use crate::units::Arrival;

const VIDEO: Pid = Pid::from_field(0x101);
const AUDIO: Pid = Pid::from_field(0x102);
const TEXT: Pid = Pid::from_field(0x103);
const STILLS: Pid = Pid::from_field(0x104);

/// Service 7: MPEG-2 video with the clock, layer II audio, teletext, AVC still pictures.
fn programs() -> Programs {
    let pmt_pid = Pid::from_field(0x100);
    let entry = PatEntry {
        program: ServiceId(7),
        pid: pmt_pid,
    };
    let stream = |stream_type, pid, descriptors| PmtStream {
        stream_type,
        pid,
        descriptors: Descriptors::new(descriptors),
    };
    let streams = [
        stream(StreamType::MPEG2_VIDEO, VIDEO, &[]),
        stream(StreamType::MPEG1_AUDIO, AUDIO, &[]),
        stream(
            StreamType::PRIVATE_PES,
            TEXT,
            &[0x56, 5, b'd', b'e', b'u', 0x09, 0],
        ),
        stream(StreamType::AVC, STILLS, &[0x28, 4, 77, 0, 30, 0x80]),
    ];
    let pat = PatFields::new(TransportStreamId(1), 0, &[entry]).to_section();
    let pmt = PmtFields::new(ServiceId(7), 0, VIDEO, Descriptors::NONE, &streams).to_section();
    let mut programs = Programs::new();
    for (pid, section) in [(Pid::PAT, pat.unwrap()), (pmt_pid, pmt.unwrap())] {
        SectionPacketizer::new(pid).push([&section], |packet| programs.push(packet, &mut |_| {}));
    }
    programs
}

/// Plays packets into the family at places and times of the test's choice.
struct Play {
    clocks: Clocks,
    at: Moment,
    found: Vec<Finding>,
}

impl Play {
    fn new(live: bool) -> Self {
        let options = ClockOptions {
            live,
            ..ClockOptions::default()
        };
        let mut clocks = Clocks::new(options);
        clocks.services(&programs(), Moment::default());
        Self {
            clocks,
            at: Moment::default(),
            found: Vec::new(),
        }
    }

    fn push(&mut self, packet: &Packet) {
        let seen = Seen {
            packet,
            pid: packet.pid(),
            at: self.at,
            arrival: Arrival::from_ticks(1_000_000 + self.at.time.get()),
            broken: false,
            repeated: false,
        };
        let found = &mut self.found;
        self.clocks.push(&seen, &mut |finding| found.push(finding));
    }

    /// A PCR of that many ticks, at that place.
    fn pcr(&mut self, position: u64, ticks: i64) {
        self.at.position = position;
        self.push(&pcr_packet(VIDEO, ticks, false));
    }

    fn pcr_at_ms(&mut self, ms: i64, ticks: i64) {
        self.at.time = Ticks27M::from_millis(ms);
        self.pcr(self.at.position + 1000, ticks);
    }

    /// A PES packet with that PTS, and a DTS if it is another, in ticks of 90 kHz.
    fn pes(&mut self, pid: Pid, pts: i64, dts: i64) {
        self.push(&pes_packet(pid, pts, dts));
    }

    /// Time goes on to there, in the steps that a monitor takes.
    fn wait_until_ms(&mut self, ms: i64) {
        let end = Ticks27M::from_millis(ms);
        while self.at.time < end {
            self.at.time = end.min(self.at.time + Ticks27M::from_millis(100));
            let found = &mut self.found;
            self.clocks
                .tick(self.at, &mut |finding| found.push(finding));
        }
    }

    /// What was found since the last time: check, PID and the first field.
    fn found(&mut self) -> Vec<(Check, Subject, &'static str, i64)> {
        let one = |finding: Finding| match finding.fields.first() {
            Some((key, Value::Number(n))) => (finding.check, finding.subject, *key, *n),
            other => panic!("{other:?}"),
        };
        self.found.drain(..).map(one).collect()
    }
}

fn pcr_packet(pid: Pid, ticks: i64, announced: bool) -> Packet {
    let ticks = ticks.rem_euclid(Pcr::CIRCLE.get()) as u64;
    let pcr = Pcr::from_ticks(ticks).unwrap();
    let mut packet = Packet::pcr_only(pid, ContinuityCounter::default(), pcr);
    if announced {
        packet.as_bytes_mut()[5] |= 0x80;
    }
    packet
}

fn pes_packet(pid: Pid, pts: i64, dts: i64) -> Packet {
    let mut bytes = vec![0, 0, 1, 0xE0, 0, 0, 0x80, 0xC0, 10];
    bytes.extend([0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1, 0xAA]);
    if pts == dts {
        bytes[7] = 0x80;
    }
    PesHeader::set_pts(&mut bytes, Pts::wrapping(pts as u64));
    PesHeader::set_dts(&mut bytes, Pts::wrapping(dts as u64).to_dts());
    let mut packet = Packet::new(pid, ContinuityCounter::default());
    packet.fill_payload(&bytes);
    packet.set_payload_unit_start(true);
    packet
}

const ON_VIDEO: Subject = Subject::Pid(VIDEO);

#[test]
fn a_hundred_milliseconds_between_clocks_are_allowed_and_a_tick_more_is_not() {
    // 2 700 000 ticks are 100 ms; over the wrap too. A tick more breaks 2.3.a and 2.3.b.
    for start in [0, Pcr::CIRCLE.get() - 4_000_000] {
        let mut play = Play::new(false);
        for n in 0..20 {
            play.pcr(n * 1000, start + n as i64 * 2_700_000);
        }
        assert_eq!(play.found(), []);
        play.pcr(20_000, start + 20 * 2_700_000 + 1);
        let ns = 100_000_037;
        let expected = [
            (
                Check::PcrDiscontinuityIndicatorError,
                ON_VIDEO,
                "difference_ns",
                ns,
            ),
            (Check::PcrRepetitionError, ON_VIDEO, "interval_ns", ns),
        ];
        assert_eq!(play.found(), expected);
    }
}

#[test]
fn a_clock_may_stand_but_not_go_back_unless_that_is_announced() {
    let jump = Check::PcrDiscontinuityIndicatorError;
    let mut play = Play::new(false);
    play.pcr(0, 27_000_000);
    play.pcr(1000, 27_000_000);
    assert_eq!(play.found(), []);
    play.pcr(2000, 26_999_999);
    assert_eq!(play.found(), [(jump, ON_VIDEO, "difference_ns", -37)]);
    // A jump of an hour is no interval of an hour.
    play.pcr(3000, 3600 * 27_000_000);
    let ns = 3_599_000_000_037;
    assert_eq!(play.found(), [(jump, ON_VIDEO, "difference_ns", ns)]);
    // Announced with the PCR, or in a packet of the PID before it; once each.
    play.at.position = 4000;
    play.push(&pcr_packet(VIDEO, 0, true));
    assert_eq!(play.found(), []);
    let mut flagged = pcr_packet(VIDEO, 0, true);
    flagged.as_bytes_mut()[5] = 0x80;
    play.push(&flagged);
    play.pcr(5000, 1_000_000_000);
    assert_eq!(play.found(), []);
    play.pcr(6000, 0);
    assert_eq!(play.found().len(), 1);
    // On another PID it announces nothing.
    play.push(&pcr_packet(AUDIO, 0, true));
    play.pcr(7000, 9_000_000_000);
    assert_eq!(play.found().len(), 1);
    assert_eq!(
        play.clocks.measures(0, None).pcrs[0].announced_discontinuities_total,
        2
    );
}

#[test]
fn on_a_live_input_a_clock_that_does_not_come_is_found_while_it_does_not() {
    let absent = |ms| (Check::PcrRepetitionError, ON_VIDEO, "absent_ms", ms);
    let mut play = Play::new(true);
    // Never seen: 150 ms after the PMT, then each 100 ms.
    play.wait_until_ms(100);
    assert_eq!(play.found(), []);
    play.wait_until_ms(300);
    assert_eq!(play.found[0].fields[1], ("pcr", Value::from("never seen")));
    assert_eq!(play.found(), [absent(200), absent(300)]);
    play.pcr_at_ms(310, 0);
    for n in 1..10 {
        play.pcr_at_ms(310 + n * 40, n * 1_080_000);
    }
    play.wait_until_ms(770);
    assert_eq!(play.found(), []);
    play.wait_until_ms(1000);
    // Ticks at 770, 870, 970 and 1000 ms; the PCR before came at 670 ms.
    assert_eq!(play.found(), [absent(200), absent(300)]);
    // When it comes at last the interval has been told; the value is another matter.
    play.pcr_at_ms(1080, 9 * 1_080_000 + 11_070_000);
    let jump = Check::PcrDiscontinuityIndicatorError;
    assert_eq!(
        play.found(),
        [(jump, ON_VIDEO, "difference_ns", 410_000_000)]
    );
}

#[test]
fn late_packets_of_a_network_are_no_missing_clocks() {
    let mut play = Play::new(true);
    for n in 0..50 {
        // 90 ms apart by value, each second one 50 ms late.
        let late = if n % 2 == 1 { 50 } else { 0 };
        play.wait_until_ms(n * 90 + late);
        play.pcr_at_ms(n * 90 + late, n * 2_430_000);
    }
    assert_eq!(play.found(), []);
}

#[test]
fn a_file_whose_clock_ends_is_found_by_the_clock_of_another() {
    let mut play = Play::new(false);
    play.pcr_at_ms(0, 0);
    play.pcr_at_ms(40, 1_080_000);
    play.wait_until_ms(1000);
    assert_eq!(play.found(), []);
    play.wait_until_ms(2100);
    let absent = |ms| (Check::PcrRepetitionError, ON_VIDEO, "absent_ms", ms);
    assert_eq!(play.found(), [absent(1060), absent(2060)]);
}

#[test]
fn seven_hundred_milliseconds_between_stamps_are_allowed_and_a_tick_more_is_not() {
    // 63 000 ticks of 90 kHz are 700 ms.
    for start in [0, (1 << 33) - 100_000] {
        let mut play = Play::new(false);
        for n in 0..5 {
            play.pes(AUDIO, start + n * 63_000, start + n * 63_000);
        }
        assert_eq!(play.found(), []);
        play.pes(AUDIO, start + 5 * 63_000 + 1, start + 5 * 63_000 + 1);
        let ns = 700_011_111;
        let expected = (Check::PtsError, Subject::Pid(AUDIO), "interval_ns", ns);
        assert_eq!(play.found(), [expected]);
    }
}

#[test]
fn reordered_pictures_are_no_gap_and_order_is_counted() {
    let mut play = Play::new(false);
    // I P B B: the P picture is shown 720 ms behind the I picture, and decoded 40 ms after it.
    play.pes(VIDEO, 3_600, 0);
    play.pes(VIDEO, 68_400, 3_600);
    play.pes(VIDEO, 7_200, 7_200);
    play.pes(VIDEO, 10_800, 10_800);
    assert_eq!(play.found(), []);
    // Before its DTS, and not decoded after the one before.
    play.pes(VIDEO, 10_000, 10_800);
    let measures = play.clocks.measures(0, None);
    let video = &measures.stamps[0];
    assert_eq!((video.pid, video.pts_total), (0x101, 5));
    assert_eq!(
        (video.pts_before_dts_total, video.dts_not_increasing_total),
        (1, 1)
    );
}

#[test]
fn sparse_and_scrambled_streams_and_stills_owe_no_stamps() {
    let mut play = Play::new(false);
    for pid in [TEXT, STILLS] {
        play.pes(pid, 0, 0);
        play.pes(pid, 300_000, 300_000);
    }
    play.pes(AUDIO, 0, 0);
    let mut scrambled = pes_packet(AUDIO, 0, 0);
    scrambled.as_bytes_mut()[3] |= 0x80;
    play.push(&scrambled);
    play.pes(AUDIO, 90_000, 90_000);
    play.pes(AUDIO, 92_160, 92_160);
    assert_eq!(play.found(), []);
    assert_eq!(
        play.clocks.verdict(Check::PtsError, 0),
        Verdict::InPart("scrambled streams show no time stamps")
    );
}

#[test]
fn stamps_that_end_or_never_come_are_found_by_the_monitors_clock() {
    let mut play = Play::new(true);
    play.pcr_at_ms(0, 0);
    play.pes(AUDIO, 0, 0);
    let mut bare = pes_packet(VIDEO, 0, 0);
    bare.as_bytes_mut()[188 - 20 + 7] = 0; // PTS_DTS_flags
    assert_eq!(
        PesHeader::new(bare.payload()).unwrap().stamps_announced(),
        0
    );
    play.push(&bare);
    for n in 1..30 {
        play.wait_until_ms(n * 80);
        play.pcr_at_ms(n * 80, n * 2_160_000);
        play.push(&bare);
    }
    let found: Vec<_> = std::mem::take(&mut play.found);
    // After 1.7 s, and 0.7 s later.
    let absent = |pid, ms| (pid, ms);
    let told: Vec<_> = found
        .iter()
        .map(|f| (f.subject, f.at.time.as_millis()))
        .collect();
    let (video, audio) = (ON_VIDEO, Subject::Pid(AUDIO));
    let expected = [
        absent(video, 1700),
        absent(audio, 1700),
        absent(video, 2400),
        absent(audio, 2400),
    ];
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!(told.0, expected.0);
        assert!((told.1 - expected.1).abs() <= 100, "{told:?}");
    }
    assert!(found.iter().all(|f| f.check == Check::PtsError));
    assert_eq!(found[0].fields[1], ("pts", Value::from("never seen")));
    assert_eq!(found[1].fields.len(), 1);
}

#[test]
fn a_clock_that_is_replaced_voids_the_stamps_before_it() {
    let mut play = Play::new(false);
    play.pcr(0, 0);
    play.pes(AUDIO, 10_000, 10_000);
    play.push(&pcr_packet(VIDEO, 80 * 27_000_000, true));
    play.pes(AUDIO, 150_000, 150_000);
    assert_eq!(play.found(), []);
    play.pes(AUDIO, 290_000, 290_000);
    assert_eq!(play.found().len(), 1);
}

#[test]
fn stamps_lead_the_clock_by_what_they_say() {
    let mut play = Play::new(false);
    // The clock passes its wrap.
    play.pcr_at_ms(40, Pcr::CIRCLE.get() + 1_080_000);
    // 10 ms behind the PCR the clock shows 50 ms, which is 4500 of 90 kHz.
    play.at.time += Ticks27M::from_millis(10);
    play.pes(VIDEO, 4_500 + 45_000, 4_500 + 18_000);
    play.pes(AUDIO, 4_500 + 9_000, 4_500 + 9_000);
    let measures = play.clocks.measures(0, None);
    let (video, audio) = (&measures.stamps[0], &measures.stamps[1]);
    assert_eq!(video.pts_pcr.as_ref().unwrap().mean_ms, 500.0);
    assert_eq!(video.dts_pcr.as_ref().unwrap().min_ms, 200.0);
    assert_eq!(audio.pts_pcr.as_ref().unwrap().max_ms, 100.0);
    assert_eq!(audio.av_offset.as_ref().unwrap().mean_ms, -400.0);
    assert_eq!(video.av_offset, None);
}

#[test]
fn sound_that_slips_shows_in_the_trend() {
    let mut play = Play::new(false);
    for n in 0..3600 * 25 / 4 {
        // A quarter of an hour; audio falls behind by 36 ms an hour: 1 us every 100 ms.
        play.wait_until_ms(n * 40);
        play.pcr_at_ms(n * 40, n * 1_080_000);
        let now = n * 3_600;
        play.pes(VIDEO, now + 45_000, now + 45_000);
        let slipped = (n as f64 * 0.036).round() as i64;
        play.pes(AUDIO, now + 45_000 - slipped, now + 45_000 - slipped);
    }
    let measures = play.clocks.measures(0, None);
    let offset = measures.stamps[1].av_offset.clone().unwrap();
    let trend = offset.trend_ms_per_hour.unwrap();
    assert!((trend + 36.0).abs() < 0.5, "{offset:?}");
    assert!((offset.last_ms.unwrap() + 9.0).abs() < 0.2, "{offset:?}");
}

#[test]
fn a_day_of_a_healthy_file_with_the_wrap_in_it_has_no_finding() {
    a_healthy_day(false);
}

#[test]
fn a_day_of_a_healthy_input_with_the_wrap_in_it_has_no_finding() {
    a_healthy_day(true);
}

fn a_healthy_day(live: bool) {
    let mut play = Play::new(live);
    // 10.152 Mb/s: 4000 ticks a packet; a PCR every 270 packets, which is 40 ms. The wrap is
    // 26.5 h after zero, here an hour in.
    let start = Pcr::CIRCLE.get() - 3600 * 27_000_000;
    let mut tick = Ticks27M::ZERO;
    for n in 0..24 * 3600 * 25i64 {
        let ticks = start + n * 1_080_000;
        play.at.time = Ticks27M::new(n * 1_080_000);
        if play.at.time >= tick {
            tick = play.at.time + Ticks27M::from_millis(100);
            let found = &mut play.found;
            play.clocks
                .tick(play.at, &mut |finding| found.push(finding));
        }
        play.pcr(n as u64 * 270, ticks);
        let pts = ticks / 300 + 45_000;
        play.pes(VIDEO, pts, pts - 7_200);
        play.pes(AUDIO, pts - 20_000, pts - 20_000);
    }
    assert_eq!(play.found(), []);
    for check in [
        Check::PcrRepetitionError,
        Check::PcrDiscontinuityIndicatorError,
        Check::PcrAccuracyError,
        Check::PtsError,
    ] {
        assert_eq!(play.clocks.verdict(check, 1), Verdict::Judged, "{check}");
    }
    let measures = play.clocks.measures(1, Some(Ticks27M::new(4000)));
    let pcr = &measures.pcrs[0];
    assert_eq!(pcr.pcrs_total, 2_160_000);
    assert_eq!(pcr.transport_rate_bps, Some(10_152_000));
    assert_eq!(pcr.accuracy.judged_pcrs_total, 2_160_000);
    assert!(pcr.accuracy.max_ns.unwrap() < 1.0, "{pcr:?}");
    let interval = pcr.interval.as_ref().unwrap();
    assert_eq!((interval.min_us, interval.max_us), (40_000, 40_000));
    assert_eq!(pcr.frequency.is_some(), live);
    let of = |n: usize| measures.stamps[n].pts_pcr.as_ref().unwrap();
    assert_eq!((of(0).min_ms, of(0).max_ms), (500.0, 500.0));
}

#[test]
fn thirty_ppm_are_judged_only_by_a_clock_that_is_kept() {
    for (disciplined, hertz, expected) in [
        (false, 0.0, None),
        (true, 800.0, Some(true)),
        (true, -820.0, Some(false)),
    ] {
        let mut play = Play::new(true);
        play.clocks = Clocks::new(ClockOptions {
            live: true,
            disciplined,
            filter: Demarcation::Mgf2,
        });
        play.clocks.services(&programs(), Moment::default());
        for n in 0..1000i64 {
            play.pcr_at_ms(n * 40, (n as f64 * (27e6 + hertz) * 0.04).round() as i64);
        }
        let measures = play.clocks.measures(0, Some(Ticks27M::new(7000)));
        assert_eq!(measures.arrival_resolution_ns, Some(259_259));
        let frequency = measures.pcrs[0].frequency.clone().unwrap();
        assert_eq!(frequency.within_limit, expected, "{frequency:?}");
        assert_eq!(frequency.reason.is_some(), expected.is_none());
        assert!((frequency.offset_hz - hertz).abs() < 1.0, "{frequency:?}");
    }
}

#[test]
fn what_cannot_be_judged_is_said() {
    let not = Verdict::NotJudged;
    let accuracy = Check::PcrAccuracyError;
    let empty = Clocks::new(ClockOptions::default());
    assert_eq!(empty.verdict(accuracy, 0), not("no PMT names a PCR PID"));
    let mut play = Play::new(false);
    play.pcr(0, 0);
    play.pcr(1000, 1_000_000);
    assert_eq!(
        play.clocks.verdict(accuracy, 0),
        not("fewer than three PCRs")
    );
    assert_eq!(
        play.clocks.verdict(Check::PcrRepetitionError, 0),
        Verdict::Judged
    );
    play.pcr(2000, 2_000_000);
    let short = not("no second of PCRs without a break");
    assert_eq!(play.clocks.verdict(accuracy, 0), short);
    for n in 3..200u64 {
        // As a stream without its null packets is: now 200 packets in 37 ms, now 1000.
        play.pcr(n * 1000 - n % 7 * 100, n as i64 * 1_000_000);
    }
    let variable = not("the rate is not constant");
    assert_eq!(play.clocks.verdict(accuracy, 5), variable);
    let stripped =
        "the rate is not constant: there are no null packets, they may have been taken out";
    assert_eq!(play.clocks.verdict(accuracy, 0), not(stripped));
    let mut play = Play::new(false);
    for n in 0..200u64 {
        play.pcr(n * 1000, n as i64 * 1_000_000);
        if n % 20 == 19 {
            play.clocks.lost();
        }
    }
    let lost = not("packets were lost: places in the stream do not tell its time");
    assert_eq!(play.clocks.verdict(accuracy, 5), lost);
}

#[test]
fn a_new_version_of_the_table_keeps_what_was_measured() {
    let mut play = Play::new(false);
    for n in 0..100 {
        play.pcr(n * 1000, n as i64 * 1_000_000);
    }
    play.clocks.services(&programs(), play.at);
    play.pcr(100_000, 100_000_000);
    let measures = play.clocks.measures(0, None);
    assert_eq!((measures.pcrs.len(), measures.stamps.len()), (1, 4));
    assert_eq!(measures.pcrs[0].accuracy.judged_pcrs_total, 101);
    play.clocks.services(&Programs::new(), play.at);
    let measures = play.clocks.measures(0, None);
    assert!(measures.pcrs.is_empty() && measures.stamps.is_empty());
    play.pcr(110_000, 0);
    assert_eq!(play.found(), []);
}

#[test]
fn no_packet_whatever_its_bytes_harms() {
    for live in [false, true] {
        let mut play = Play::new(live);
        let mut x = 88_172_645_463_325_252u64;
        for n in 0..60_000u64 {
            let mut packet = Packet::NULL;
            for byte in packet.as_bytes_mut() {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                *byte = x as u8;
            }
            // Mostly starts with an adaptation field that has a PCR, or with a PES header.
            packet.set_pid([VIDEO, AUDIO, TEXT, STILLS][(x >> 20) as usize % 4]);
            packet.as_bytes_mut()[3] = 0x30;
            packet.as_bytes_mut()[4] %= 60;
            let offset = packet.payload_offset();
            if x & 0x100 != 0 {
                packet.as_bytes_mut()[offset..offset + 4].copy_from_slice(&[0, 0, 1, 0xC0]);
            }
            play.at.position = n * (x >> 60);
            play.at.time += Ticks27M::new((x >> 40) as i64);
            play.push(&packet);
            match x % 997 {
                0 => play.clocks.reset(play.at),
                1..20 => play.clocks.lost(),
                _ => play.clocks.tick(play.at, &mut |_| {}),
            }
            play.found.clear();
        }
        assert!(play.clocks.measures(0, None).pcrs[0].pcrs_total > 1000);
    }
}
