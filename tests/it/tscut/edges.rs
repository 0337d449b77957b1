//! Where a cut begins and ends, and what stands at its edges.

use headend::si::{PatEntry, PatFields, ServiceId, TransportStreamId};
use headend::stream::SectionPacketizer;
use headend::ts::{Packet, PesHeader, Pid};

use super::ffmpeg::{coded_pictures, complaints, pictures, sounds};
use super::{cut, place, plain, recording};
use crate::harness::{Run, judge};

fn packets(bytes: &[u8]) -> &[Packet] {
    Packet::slice_of(bytes).0
}

#[test]
fn pat_and_pmt_come_first_then_the_clock_then_the_picture() {
    let out = place("order.ts");
    cut(&plain(), &["--from", "6s", "--to", "8s"], &out);
    let bytes = std::fs::read(&out).unwrap();
    let packets = packets(&bytes);
    assert_eq!(packets[0].pid(), Pid::PAT);
    assert_eq!(packets[1].pid().get(), 0x1000);
    assert_eq!(packets[2].pid().get(), 0x100);
    assert!(packets[2].pcr().is_some());
    assert!(packets.iter().all(|p| p.pid() != Pid::NULL));
    let video = packets
        .iter()
        .find(|p| p.pid().get() == 0x100 && p.has_payload());
    assert!(video.unwrap().random_access());
}

/// Points stand at every second even second; by hand.
#[test]
fn times_move_to_points_as_asked() {
    let source = plain();
    for (snap, from, to, expected) in [
        ("outward", "5s", "9s", (4_000, 10_000)),
        ("outward", "6s", "8s", (6_000, 8_000)),
        ("before", "5.9s", "9.9s", (4_000, 8_000)),
        ("after", "4.1s", "8.1s", (6_000, 10_000)),
        ("nearest", "4.9s", "9.1s", (4_000, 10_000)),
        ("nearest", "5.1s", "8.9s", (6_000, 8_000)),
        ("closed", "5s", "9s", (4_000, 10_000)),
        ("outward", "0s", "1ms", (0, 2_000)),
        ("outward", "00:00:17.5", "19.999s", (16_000, 20_000)),
    ] {
        let out = place("snap.ts");
        let report = cut(&source, &["--snap", snap, "--from", from, "--to", to], &out);
        let got = (
            report["in_ms"].as_i64().unwrap(),
            report["out_ms"].as_i64().unwrap(),
        );
        assert_eq!(got, expected, "--snap {snap} --from {from} --to {to}");
    }
}

#[test]
fn closed_points_alone_are_taken_where_that_is_asked() {
    // x264 opens its groups but begins with an IDR: the one closed point.
    let source = recording(
        "h264-open",
        "-c:v libx264 -preset veryfast -bf 3 -g 50 -x264-params open-gop=1 -c:a ac3 -b:a 192k",
    );
    let out = place("closed.ts");
    let report = cut(&source, &["--snap", "closed", "--from", "9s"], &out);
    assert_eq!(
        (&report["in_ms"], &report["in_kind"]),
        (&0.into(), &"closed".into())
    );
    let report = cut(&source, &["--from", "9s"], &out);
    assert_eq!(
        (&report["in_ms"], &report["in_kind"]),
        (&8000.into(), &"open".into())
    );
}

/// The points of that recording: closed at 0, open at 2 s, 4 s, ... 18 s.
#[test]
fn a_cut_over_open_points_says_how_far_it_went() {
    let source = recording(
        "h264-open",
        "-c:v libx264 -preset veryfast -bf 3 -g 50 -x264-params open-gop=1 -c:a ac3 -b:a 192k",
    );
    let (out, open) = (place("widened.ts"), place("open-only.ts"));
    Run::new("tscut")
        .args([source.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .args(["--snap", "closed", "--from", "5s", "--to", "11s"])
        .run()
        .expect(
            0,
            &[
                "warning: cut_starts_early stream: by_ms=5000 open_points=2",
                "warning: cut_ends_late stream: by_ms=9000 open_points=4",
            ],
        );
    let report = cut(&source, &["--from", "4s"], &open);
    assert_eq!(report["in_kind"].as_str(), Some("open"));
    Run::new("tscut")
        .args([open.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .args(["--snap", "closed"])
        .run()
        .expect(1, &["no closed random-access point", "tscut: hint:"]);
}

/// Two programmes, with points every two seconds and every three.
#[test]
fn the_service_asked_for_gives_the_points() {
    let source = crate::harness::ffmpeg_stream(
        "cut-two-programmes",
        "-f lavfi -i testsrc2=size=160x90:rate=25:duration=20 \
         -f lavfi -i testsrc=size=160x90:rate=25:duration=20 -map 0 -map 1 \
         -c:v libx264 -preset ultrafast -g:v:0 50 -g:v:1 75 -flags +cgop \
         -program program_num=258:title=One:st=0 -program program_num=259:title=Two:st=1",
    );
    let out = place("service.ts");
    for (service, expected) in [
        (&[][..], (4_000, 8_000)),
        (&["--service", "258"], (4_000, 8_000)),
        (&["--service", "0x103"], (3_000, 9_000)),
        (&["--service", "two"], (3_000, 9_000)),
    ] {
        let times = [&["--from", "5s", "--to", "8s"], service].concat();
        let report = cut(&source, &times, &out);
        let got = (
            report["in_ms"].as_i64().unwrap(),
            report["out_ms"].as_i64().unwrap(),
        );
        assert_eq!(got, expected, "{service:?}");
    }
    Run::new("tscut")
        .args([source.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .run()
        .expect(0, &["cut_other_programs service 258: others=1"]);
}

/// Two programmes whose clocks are 20 s apart, packet by packet in turn; the second one has a
/// point every three seconds.
fn programmes_of_two_clocks() -> std::path::PathBuf {
    let one = |pid: u16, id: u16, group: u16, offset: u16| {
        let made = crate::harness::ffmpeg_stream(
            "cut-one-of-two",
            &format!(
                "-f lavfi -i testsrc2=size=160x90:rate=25:duration=20 \
                 -f lavfi -i sine=frequency=440:sample_rate=48000:duration=20 \
                 -c:v libx264 -preset ultrafast -b:v 400k -maxrate 400k -bufsize 200k -bf 2 \
                 -g {group} -flags +cgop -c:a mp2 -b:a 128k -muxrate 1M \
                 -mpegts_start_pid {pid} -mpegts_pmt_start_pid {} -mpegts_service_id {id} \
                 -output_ts_offset {offset}",
                pid - 16
            ),
        );
        std::fs::read(made).unwrap()
    };
    let (a, b) = (one(0x100, 258, 50, 0), one(0x200, 259, 75, 20));
    let entry = |program, pid| PatEntry {
        program: ServiceId(program),
        pid: Pid::from_field(pid),
    };
    let entries = [entry(258, 0xF0), entry(259, 0x1F0)];
    let pat = PatFields::new(TransportStreamId(1), 0, &entries);
    let pat = pat.to_section().unwrap();
    let mut packetizer = SectionPacketizer::new(Pid::PAT);
    let mut mixed: Vec<Packet> = Vec::new();
    for (a, b) in packets(&a).iter().zip(packets(&b)) {
        if a.pid() == Pid::PAT {
            packetizer.push([&pat], |packet| mixed.push(*packet));
        }
        let kept = |p: &&Packet| ![Pid::PAT, Pid::SDT].contains(&p.pid());
        mixed.extend([a, b].into_iter().filter(kept));
    }
    let path = place("two-clocks.ts");
    std::fs::write(&path, Packet::bytes_of(&mixed)).unwrap();
    path
}

#[test]
fn a_programme_beside_is_cut_to_the_same_stretch_of_its_own_clock() {
    let (source, out) = (programmes_of_two_clocks(), place("beside.ts"));
    let report = cut(&source, &["--from", "5s", "--to", "11s"], &out);
    assert_eq!(report["in_ms"].as_i64(), Some(4_000));
    // Its clock, where both have a PCR: one packet, 0.75 ms, apart.
    let bytes = std::fs::read(&source).unwrap();
    let clock = |pid: u16| {
        let mut packets = packets(&bytes).iter().filter(|p| p.pid().get() == pid);
        packets.find_map(Packet::pcr).unwrap()
    };
    let ahead = (clock(0x200) - clock(0x100)).get() / 300 - 68;
    let (begin, end) = (
        report["in_pts"].as_i64().unwrap() + ahead,
        report["out_pts"].as_i64().unwrap() + ahead,
    );
    // All its sound of that stretch, to the frame.
    let stamps = |file: &std::path::Path| sounds(file, 1).into_iter().map(|f| f.pts);
    let heard = stamps(&source).filter(|pts| (begin..end).contains(pts));
    assert!(stamps(&out).eq(heard), "{:?}", stamps(&out).next());
    // Its points stand at 21.4 s and every three seconds behind that; 25.4 s is asked for.
    let bytes = std::fs::read(&out).unwrap();
    let mut pictures = packets(&bytes).iter().filter(|p| p.pid().get() == 0x200);
    let first = pictures.find(|p| p.payload_unit_start()).unwrap();
    let stamp = PesHeader::new(first.payload()).and_then(|h| h.pts());
    assert_eq!(stamp.map(|pts| pts.ticks()), Some(274 * 9_000));
    assert!(first.random_access());
}

#[test]
fn the_whole_of_a_file_without_times_is_the_whole() {
    let (source, out) = (plain(), place("whole.ts"));
    let report = cut(&source, &[], &out);
    assert_eq!(
        (report["in_ms"].as_i64(), report["out_ms"].as_i64()),
        (Some(0), Some(20_000))
    );
    assert_eq!(coded_pictures(&out), coded_pictures(&source));
    // What sounds before the first picture, and after the last, goes.
    let heard = sounds(&source, 0);
    let kept = heard
        .iter()
        .filter(|f| f.pts >= report["in_pts"].as_i64().unwrap());
    let kept = kept.filter(|f| f.pts < report["out_pts"].as_i64().unwrap());
    assert_eq!(sounds(&out, 0).len(), kept.count());
}

#[test]
fn a_clock_begun_at_zero_shows_the_same_pictures() {
    let source = plain();
    let (kept, moved) = (place("kept.ts"), place("moved.ts"));
    cut(&source, &["--from", "6s", "--to", "10s"], &kept);
    cut(
        &source,
        &["--from", "6s", "--to", "10s", "--rebase"],
        &moved,
    );
    let bytes = std::fs::read(&moved).unwrap();
    let first = packets(&bytes).iter().find_map(Packet::pcr).unwrap();
    assert!(
        first.ticks() < 300,
        "the first PCR is {} ticks",
        first.ticks()
    );
    let (a, b) = (pictures(&kept), pictures(&moved));
    let shift = a[0].pts - b[0].pts;
    assert!(shift > 0);
    let back: Vec<_> = b.iter().map(|f| (f.pts + shift, &f.digest)).collect();
    assert_eq!(
        a.iter().map(|f| (f.pts, &f.digest)).collect::<Vec<_>>(),
        back
    );
    let (a, b) = (sounds(&kept, 0), sounds(&moved, 0));
    let back: Vec<_> = b.iter().map(|f| (f.pts + shift, &f.digest)).collect();
    assert_eq!(
        a.iter().map(|f| (f.pts, &f.digest)).collect::<Vec<_>>(),
        back
    );
    assert_eq!(complaints(&moved, false), "");
    judge(&moved, &["--ignore", "tstd"]);
}

#[test]
fn the_wrap_of_the_clock_inside_the_range_is_passed_and_said() {
    // The stamps wrap 95 443.7 s after zero, some 4 s into the recording.
    let source = recording(
        "wrap",
        "-c:v libx264 -preset ultrafast -bf 2 -g 50 -flags +cgop -c:a mp2 -b:a 192k \
         -output_ts_offset 95438",
    );
    let out = place("wrap.ts");
    let report = cut(&source, &["--from", "2s", "--to", "10s"], &out);
    assert_eq!(
        ["in_ms", "out_ms", "pcr_wraps", "pcr_jumps"].map(|k| report[k].as_i64().unwrap()),
        [2_000, 10_000, 1, 0]
    );
    let expected = coded_pictures(&source)[50..250].to_vec();
    let digests =
        |f: &[super::ffmpeg::Frame]| f.iter().map(|f| f.digest.clone()).collect::<Vec<_>>();
    assert_eq!(digests(&coded_pictures(&out)), digests(&expected));
    Run::new("tscut")
        .args([source.as_os_str()])
        .args(["--from", "2s", "--to", "10s", "-o"])
        .args([&out])
        .run()
        .expect(0, &["pcr_wrap"]);
    // A point behind the wrap, looked for from the beginning, and one at it.
    for (from, expected) in [("13s", 12_000), ("5s", 4_000)] {
        let report = cut(&source, &["--from", from, "--to", "14s"], &out);
        assert_eq!(report["in_ms"].as_i64(), Some(expected));
        assert_eq!(complaints(&out, false), "");
    }
}

#[test]
fn a_radio_programme_is_cut_at_its_frames() {
    let source = crate::harness::ffmpeg_stream(
        "cut-radio",
        "-f lavfi -i sine=frequency=440:sample_rate=48000:duration=20 -c:a mp2 -b:a 192k",
    );
    let out = place("radio.ts");
    let report = cut(&source, &["--from", "5s", "--to", "10s"], &out);
    let (a, b) = (
        report["in_ms"].as_i64().unwrap(),
        report["out_ms"].as_i64().unwrap(),
    );
    // PES packets of five frames, 120 ms.
    assert!(
        (4_870..=5_000).contains(&a) && (10_000..=10_130).contains(&b),
        "{a} to {b}"
    );
    assert_eq!(sounds(&out, 0).len() as i64, (b - a) / 24);
    assert_eq!(complaints(&out, false), "");
}

/// A second of twenty is gone: half of the first group of pictures, and its point.
#[test]
fn before_the_first_point_the_hint_says_what_helps() {
    let whole = std::fs::read(plain()).unwrap();
    let (source, out) = (place("pointless-start.ts"), place("pointless-out.ts"));
    let rest = whole.len() / 188 / 20 * 188;
    std::fs::write(&source, &whole[rest..]).unwrap();
    let _ = std::fs::remove_file(&out);
    let ran = Run::new("tscut")
        .args([source.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .args(["--from", "0.1s", "--to", "0.3s"])
        .run()
        .expect(
            1,
            &["both times move to the same", "hint: no random-access"],
        );
    assert!(!ran.stderr.contains("--snap outward"), "{}", ran.stderr);
    assert!(!out.exists());
    // As it says.
    cut(&source, &["--from", "0.1s", "--to", "1.5s"], &out);
}
