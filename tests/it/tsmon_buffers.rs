//! The T-STD of tsmon against the judge's, which was written from the clauses alone: streams a byte
//! over a buffer's size and a byte under, and streams that encoders made.

mod mux;
mod schedule;
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use headend::monitor::tstd::{BufferMeasures, StreamBuffers};
use headend::monitor::{Check, Finding, Monitor, MonitorOptions};
use headend::stream::event::Value;
use headend::ts::{Packet, Pid, SectionBuf, SectionSyntax, TableId};

use mux::{Mux, SOUND, VIDEO, batch, mp2, pat, pes, picture, pmt, split};

const MPEG2_VIDEO: u8 = 2;
const MPEG_AUDIO: u8 = 3;

/// How often each breach was found, by the judge's name for it.
type Breaches = BTreeMap<&'static str, usize>;

/// The judge's name of a finding.
fn name(finding: &Finding) -> &'static str {
    let field = |key| {
        let mut fields = finding.fields.iter();
        match fields.find(|(k, _)| *k == key) {
            Some((_, Value::Text(text))) => text.as_str(),
            _ => "",
        }
    };
    match (finding.check, field("buffer"), field("kind")) {
        (Check::EmptyBufferError, ..) => "tstd_not_empty",
        (Check::DataDelayError, ..) => "tstd_delay",
        (Check::BufferError, "TB", "overflow") => "tstd_tb_overflow",
        (Check::BufferError, "MB", "overflow") => "tstd_mb_overflow",
        (Check::BufferError, "MB", "underflow") => "tstd_mb_underflow",
        (Check::BufferError, "EB", "overflow") => "tstd_eb_overflow",
        (Check::BufferError, "EB", "underflow") => "tstd_eb_underflow",
        (Check::BufferError, "B", "overflow") => "tstd_b_overflow",
        (Check::BufferError, "B", "underflow") => "tstd_b_underflow",
        (Check::BufferError, "TBsys", "overflow") => "tstd_tbsys_overflow",
        (Check::BufferError, "Bsys", "overflow") => "tstd_bsys_overflow",
        other => panic!("{other:?}"),
    }
}

/// What the monitor finds, and how full it says the buffers were.
fn watch(packets: &[Packet]) -> (Breaches, BufferMeasures, Vec<Finding>) {
    let mut monitor = Monitor::new(MonitorOptions::default());
    let (mut breaches, mut found) = (Breaches::new(), Vec::new());
    let ours = [
        Check::BufferError,
        Check::EmptyBufferError,
        Check::DataDelayError,
    ];
    let mut find = |finding: &Finding| {
        if ours.contains(&finding.check) {
            *breaches.entry(name(finding)).or_default() += 1;
            found.push(finding.clone());
        }
    };
    monitor.push(&batch(packets), &mut find);
    monitor.finish(&mut find);
    (breaches, monitor.buffers(), found)
}

/// What the judge says of a file's T-STD.
fn judge(file: &Path) -> serde_json::Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge/judge.py");
    let output = Command::new("python3")
        .arg(script)
        .args(["--json", "--only", "tstd"])
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Both agree that exactly these breaches are in the stream. Answers with our measures.
#[track_caller]
fn both_find(what: &str, packets: &[Packet], expected: &[&str]) -> (BufferMeasures, Vec<Finding>) {
    let expected: BTreeSet<_> = expected.iter().copied().collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stream.ts");
    std::fs::write(&file, Packet::bytes_of(packets)).unwrap();
    let said = judge(&file);
    let theirs: BTreeSet<_> = said["findings"].as_object().unwrap().keys().collect();
    assert!(theirs.iter().eq(&expected), "{what}: the judge: {said:#}");
    let (breaches, measures, found) = watch(packets);
    assert_eq!(
        breaches.into_keys().collect::<BTreeSet<_>>(),
        expected,
        "{what}: {found:#?}"
    );
    (measures, found)
}

fn highest(stream: &StreamBuffers, buffer: &str) -> u64 {
    let mut buffers = stream.buffers.iter();
    buffers.find(|b| b.buffer == buffer).unwrap().highest_bytes
}

fn stream(measures: &BufferMeasures, pid: Pid) -> &StreamBuffers {
    measures.of(pid).unwrap()
}

/// A mux with PAT and PMT each 100 ms for `ms`.
fn with_tables(mut mux: Mux, ms: i64, streams: &[(u8, &[u8])]) -> Mux {
    for at in (0..ms).step_by(100) {
        let slot = mux.slots(at) + 2;
        mux.put(slot, pat());
        // Long after the PAT has passed TBsys.
        let slot = mux.slots(at + 5) + 2;
        mux.put(slot, pmt(streams, &[]));
    }
    mux
}

#[test]
fn four_packets_of_sound_fill_the_transport_buffer_by_their_spacing() {
    // While a packet comes in D ticks, 2 Mbit/s takes D/108 bytes out: four leave 4 (188 - D/108).
    for (ticks, level, expected) in [
        (6426, 514, &["tstd_tb_overflow"][..]),
        (6480, 512, &[]),
        (6534, 510, &[]),
    ] {
        let mut mux = with_tables(
            Mux::new(ticks),
            1000,
            &[(MPEG2_VIDEO, &[]), (MPEG_AUDIO, &[])],
        );
        let at = mux.slots(300) / mux.pcr_every * mux.pcr_every + 1;
        let stamp = mux.stamp_at(400 * 27_000);
        let packets = split(SOUND, &pes(0xC0, Some(stamp), 0, &mp2()));
        assert_eq!(packets.len(), 4);
        mux.put(at, packets);
        let (measures, found) = both_find("TB", &mux.packets(4000), expected);
        assert_eq!(highest(stream(&measures, SOUND), "TB"), level);
        if let [finding] = &found[..] {
            let mut fields = finding.fields.iter().map(|(k, v)| format!("{k} {v:?}"));
            assert!(
                fields.any(|f| f == "fullness_bytes Number(514)"),
                "{finding:?}"
            );
            assert_eq!(finding.at.position, at + 3);
            assert_eq!(finding.service.map(|s| s.0), Some(1));
        }
    }
}

#[test]
fn four_packets_of_a_pmt_fill_the_systems_transport_buffer_by_their_spacing() {
    // 1 Mbit/s takes D/216 bytes out while a packet comes.
    for (ticks, level, expected) in [
        (12_852, 514, &["tstd_tbsys_overflow"][..]),
        (12_960, 512, &[]),
    ] {
        let mut mux = Mux::new(ticks);
        let at = mux.slots(300) / mux.pcr_every * mux.pcr_every + 1;
        mux.put(2, pat());
        let info: Vec<u8> = [&[0x80, 170][..], &[0x11; 170]].concat().repeat(4);
        let packets = pmt(&[(MPEG2_VIDEO, &[]), (MPEG_AUDIO, &[])], &info);
        assert_eq!(packets.len(), 4);
        // The first one, far apart, says what there is.
        mux.put_every(4, 8, packets.clone());
        mux.put(at, packets);
        let (measures, _) = both_find("TBsys", &mux.packets(1000), expected);
        assert_eq!(measures.systems[0].buffers[0].highest_bytes, level);
    }
}

#[test]
fn sections_fill_the_systems_buffer() {
    // At 43 200 ticks a packet TBsys is no obstacle. Ten packets in a row: of so many bytes the leak
    // of 80 kbit/s (a byte in 2700 ticks) has taken, from the first to the last, 9 packets' time and
    // that of the bytes of the last one, which are 1654 fewer: 144 + 31 x 16 / 188 = 146.6 of 1685,
    // which leaves 1538.4, and 146.5 of 1683, which leaves 1536.5.
    for (bytes, level, expected) in [(1685, 1538, &["tstd_bsys_overflow"][..]), (1683, 1537, &[])] {
        let mut mux = Mux::new(43_200);
        mux.pcr_every = 40;
        mux.put(2, pat());
        let streams: &[(u8, &[u8])] = &[(MPEG2_VIDEO, &[]), (MPEG_AUDIO, &[])];
        mux.put(4, pmt(streams, &[]));
        let section = |number: u8, size: usize| {
            let syntax = SectionSyntax {
                extension: 7,
                version: 0,
                current: true,
                number,
                last_number: 1,
            };
            SectionBuf::long(TableId(1), true, syntax, &vec![0x22; size - 12]).unwrap()
        };
        let both = [section(0, bytes / 2), section(1, bytes - bytes / 2)];
        let packets = mux::sections(Pid::CAT, &both);
        assert_eq!(packets.len(), 10);
        mux.put(41, packets);
        let (measures, _) = both_find("Bsys", &mux.packets(400), expected);
        assert_eq!(measures.systems[0].buffers[1].highest_bytes, level);
    }
}

/// Six frames of sound, each in a PES packet, the last with so many bytes of stuffing, all in before
/// the first is decoded; then one a long time after.
fn six_frames(stuffing: u8) -> Vec<Packet> {
    // 16 200 ticks a packet, 6.27 Mbit/s; two packets' time is more than TBn needs for one.
    let mut mux = with_tables(
        Mux::new(16_200),
        1000,
        &[(MPEG2_VIDEO, &[]), (MPEG_AUDIO, &[])],
    );
    let first = 400 * 27_000;
    for n in 0..7u64 {
        let stamp = mux.stamp_at(first + 648_000 * n as i64);
        let stuffing = if n == 5 { stuffing } else { 0 };
        let pes = pes(0xC0, Some(stamp), stuffing, &mp2());
        let at = mux.slots(if n == 6 { 530 } else { 200 + 10 * n as i64 }) + 1;
        mux.put_every(at, 2, split(SOUND, &pes));
    }
    mux.packets(1600)
}

#[test]
fn frames_of_sound_fill_the_main_buffer() {
    // Six of 590 bytes with their PES headers are 3540; Bn has 3584.
    for (stuffing, level, expected) in [(46, 3586, &["tstd_b_overflow"][..]), (44, 3584, &[])] {
        let (measures, _) = both_find("B", &six_frames(stuffing), expected);
        let sound = stream(&measures, SOUND);
        assert_eq!(highest(sound, "B"), level);
        assert_eq!(sound.not_judged, None);
    }
}

#[test]
fn a_main_buffer_that_stays_too_full_is_told_in_each_second() {
    // Frames each 24 ms that are decoded 300 ms after they came: twelve of 590 bytes, Bn has 3584.
    let mut mux = with_tables(
        Mux::new(16_200),
        5200,
        &[(MPEG2_VIDEO, &[]), (MPEG_AUDIO, &[])],
    );
    for n in 0..200 {
        let came = 200 + 24 * n;
        let stamp = mux.stamp_at((came + 300) * 27_000);
        let at = mux.slots(came) + 1;
        mux.put_every(at, 2, split(SOUND, &pes(0xC0, Some(stamp), 0, &mp2())));
    }
    let (_, found) = both_find("B", &mux.packets(8666), &["tstd_b_overflow"]);
    let seconds: Vec<_> = found.iter().map(|f| f.at.time.as_millis() / 1000).collect();
    assert_eq!(seconds, [0, 1, 2, 3, 4]);
}

#[test]
fn a_frame_of_sound_must_be_whole_when_it_is_decoded() {
    // The last packet of the frame takes 20 304 ticks through TBn, 108 a byte.
    for (early, expected) in [(216, &["tstd_b_underflow"][..]), (54, &[])] {
        let mut mux = with_tables(
            Mux::new(2700),
            1000,
            &[(MPEG2_VIDEO, &[]), (MPEG_AUDIO, &[])],
        );
        let at = mux.slots(300) + 3;
        // Each packet finds TBn empty: ten slots are 27 000 ticks.
        let last = at + 30;
        let end = mux.end_of(last) - 2700 + 20_304;
        let stamp = mux.stamp(end - early);
        mux.put_every(at, 10, split(SOUND, &pes(0xC0, Some(stamp), 0, &mp2())));
        let later = mux.stamp_at(end + 648_000);
        mux.put_every(
            last + 100,
            10,
            split(SOUND, &pes(0xC0, Some(later), 0, &mp2())),
        );
        let (_, found) = both_find("B", &mux.packets(10_000), expected);
        for finding in found {
            let missing = finding
                .fields
                .iter()
                .find(|(key, _)| *key == "missing_bytes");
            assert_eq!(missing, Some(&("missing_bytes", Value::Number(2))));
        }
    }
}

/// A large picture of so many bytes, PES header included, between small ones, with
/// vbv_buffer_size 1, at 4.7 Mbit/s; it is decoded 300 ms after its beginning.
fn large_picture(size: usize) -> Vec<Packet> {
    const HEADER: usize = 14;
    let mut mux = with_tables(
        Mux::new(8640),
        1000,
        &[(MPEG2_VIDEO, &[]), (MPEG_AUDIO, &[])],
    );
    for n in 0..5 {
        let stamp = mux.stamp_at((60 + 40 * n) * 27_000);
        let at = mux.slots(20 + 40 * n) + 1;
        mux.put(
            at,
            split(VIDEO, &pes(0xE0, Some(stamp), 0, &picture(1, 400))),
        );
    }
    let at = mux.slots(250) + 1;
    let stamp = mux.stamp_at(550 * 27_000);
    mux.put(
        at,
        split(
            VIDEO,
            &pes(0xE0, Some(stamp), 0, &picture(1, size - HEADER)),
        ),
    );
    for n in 0..3 {
        let stamp = mux.stamp_at((650 + 40 * n) * 27_000);
        let at = mux.slots(600 + 40 * n) + 1;
        mux.put(
            at,
            split(VIDEO, &pes(0xE0, Some(stamp), 0, &picture(1, 400))),
        );
    }
    mux.packets(3000)
}

#[test]
fn a_picture_fills_the_multiplexing_buffer_behind_a_full_one() {
    // Low level: EBn has 2048 bytes of the 59 392 that VBV may have, MBn the other 57 344 and
    // 4 ms + 1/750 s of 4 Mbit/s, 2666.67: 60 010.67.
    for (size, level, expected) in [
        (62_061, 60_013, &["tstd_mb_overflow"][..]),
        (62_059, 60_011, &[]),
    ] {
        // The picture is not whole in EBn when it is decoded, whatever MBn holds.
        let expected = [expected, &["tstd_eb_underflow"]].concat();
        let (measures, _) = both_find("MB", &large_picture(size), &expected);
        assert_eq!(highest(stream(&measures, VIDEO), "MB"), level);
        assert_eq!(highest(stream(&measures, VIDEO), "EB"), 2048);
    }
}

#[test]
fn a_picture_must_be_whole_when_it_is_decoded() {
    // At 3 Mbit/s neither TBn (4.8) nor MBn (4 Mbit/s) holds anything back: a byte in 72 ticks.
    for (early, expected) in [(144, &["tstd_eb_underflow"][..]), (36, &[])] {
        let streams: &[(u8, &[u8])] = &[(MPEG2_VIDEO, &[]), (MPEG_AUDIO, &[])];
        let mut mux = with_tables(Mux::new(13_536), 1000, streams);
        let at = mux.slots(300) + 4;
        let last = at + 9 * 3;
        let end = mux.end_of(last);
        let stamp = mux.stamp(end - early);
        for n in 0..5 {
            let stamp = stamp - 3600 * (6 - n as u64);
            let at = mux.slots(20 + 40 * n) + 1;
            mux.put(
                at,
                split(VIDEO, &pes(0xE0, Some(stamp), 0, &picture(29, 400))),
            );
        }
        // 14 + 1826 bytes are ten packets.
        let unit = pes(0xE0, Some(stamp), 0, &picture(29, 1826));
        assert_eq!(mux.put_every(at, 3, split(VIDEO, &unit)), last);
        for n in 1..4 {
            let at = last + 60 * n;
            let unit = pes(0xE0, Some(stamp + 3600 * n), 0, &picture(29, 400));
            mux.put(at, split(VIDEO, &unit));
        }
        let (_, found) = both_find("EB", &mux.packets(2000), expected);
        for finding in found {
            let missing = finding
                .fields
                .iter()
                .find(|(key, _)| *key == "missing_bytes");
            assert_eq!(missing, Some(&("missing_bytes", Value::Number(2))));
        }
    }
}
