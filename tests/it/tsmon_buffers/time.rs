//! How long data may wait, what makes the model begin anew, a day of it, and encoders' streams.

use headend::monitor::{Check, Monitor, MonitorOptions};
use headend::stream::Batch;
use headend::ts::{ContinuityCounter, Packet, Pcr};
use headend::units::{Arrival, Ticks27M};

use super::mux::{CLOCK, Mux, SOUND, VIDEO, mp2, pat, pes, picture, pmt, split};
use super::{
    MPEG_AUDIO, MPEG2_VIDEO, both_find, highest, judge, six_frames, stream, watch, with_tables,
};
use crate::harness;

#[test]
fn sound_and_mpeg_video_may_wait_for_a_second() {
    // The unit begins behind 4 bytes of packet and 14 of PES header; byte 10 of slot n comes at
    // 2700 n, a byte takes 14.36 ticks.
    for (pid, id, unit) in [(SOUND, 0xC0, mp2()), (VIDEO, 0xE0, picture(29, 500))] {
        for (late, expected) in [(-50, &[][..]), (50, &["tstd_delay"])] {
            let mut mux = with_tables(
                Mux::new(2700),
                400,
                &[(MPEG2_VIDEO, &[]), (MPEG_AUDIO, &[])],
            );
            let at = mux.slots(300) + 3;
            let begins = at as i64 * 2700 + 8 * 2700 / 188;
            let stamp = mux.stamp(begins + 27_000_000 + late);
            mux.put_every(at, 10, split(pid, &pes(id, Some(stamp), 0, &unit)));
            let later = mux.slots(1500);
            let again = mux.stamp_at(1600 * 27_000);
            mux.put_every(later, 10, split(pid, &pes(id, Some(again), 0, &unit)));
            both_find("delay", &mux.packets(17_000), expected);
        }
    }
}

#[test]
fn a_loss_and_a_new_clock_empty_the_buffers() {
    // Six frames that are too many for Bn, or three and three.
    let whole = six_frames(46);
    let sound: Vec<_> = (0..whole.len())
        .filter(|n| whole[*n].pid() == SOUND)
        .collect();
    let mut lost = whole.clone();
    lost[sound[10]] = Packet::NULL;
    let mut jumped = whole.clone();
    let from = sound[12] - 1;
    for packet in jumped.iter_mut().skip(from).filter(|p| p.pid() == CLOCK) {
        let later = packet.pcr().unwrap() + Ticks27M::from_millis(5000);
        packet.set_pcr(later);
    }
    for (what, packets) in [("loss", lost), ("jump", jumped)] {
        let (breaches, measures, found) = watch(&packets);
        assert!(
            !breaches.contains_key("tstd_b_overflow"),
            "{what}: {found:?}"
        );
        let sound = stream(&measures, SOUND);
        assert!(highest(sound, "B") <= 4 * 590, "{what}: {sound:?}");
    }
}

#[test]
fn what_has_no_model_is_not_passed() {
    let mut mux = Mux::new(2700);
    mux.put(2, pat());
    mux.put(20, pmt(&[(0x06, &[]), (MPEG2_VIDEO, &[])], &[]));
    mux.put(50, split(VIDEO, &pes(0xBD, None, 0, &[0x55; 300])));
    let (breaches, measures, _) = watch(&mux.packets(5000));
    assert!(breaches.is_empty());
    let reasons: Vec<_> = measures
        .streams
        .iter()
        .filter_map(|s| s.not_judged)
        .collect();
    assert_eq!(
        reasons,
        [
            "no buffers are defined for this kind of stream",
            "no sequence header or parameter set has come"
        ]
    );
    // No PCR at all.
    let tables = [pat(), pmt(&[(MPEG2_VIDEO, &[])], &[])].concat();
    let (_, measures, _) = watch(&tables);
    assert_eq!(
        measures.streams[0].not_judged,
        Some("no two PCRs date its bytes")
    );
}

/// Layer II, 32 kbit/s at 48 kHz: 96 bytes.
fn short_frame() -> Vec<u8> {
    let mut frame = vec![0xFF, 0xFD, 0x14, 0xC0];
    frame.resize(96, 0x55);
    frame
}

#[test]
fn a_day_with_the_wrap_in_it_ends_as_it_began() {
    // A packet each 24 ms: PCR, sound, nothing; the clock goes round after 12 hours.
    const TICKS: i64 = 648_000;
    const HOUR: i64 = 3600 * 27_000_000 / (3 * TICKS);
    let start = Pcr::CIRCLE.get() - 12 * HOUR * 3 * TICKS;
    let mut monitor = Monitor::new(MonitorOptions::default());
    let mut found = Vec::new();
    let mut batch = Batch::with_capacity(3000);
    let mut push = |monitor: &mut Monitor, packets: &[Packet]| {
        batch.clear();
        batch.extend(packets, Arrival::default());
        monitor.push(&batch, &mut |f| {
            if matches!(
                f.check,
                Check::BufferError | Check::EmptyBufferError | Check::DataDelayError
            ) {
                found.push(f.clone());
            }
        });
    };
    let tables = [pat(), pmt(&[(MPEG2_VIDEO, &[]), (MPEG_AUDIO, &[])], &[])].concat();
    push(&mut monitor, &tables);
    let frame = short_frame();
    let mut counter = ContinuityCounter::default();
    let mut block = Vec::new();
    for n in 0..24 * HOUR {
        let at = (start + n * 3 * TICKS).rem_euclid(Pcr::CIRCLE.get());
        let pcr = Pcr::from_ticks(at as u64).unwrap();
        block.push(Packet::pcr_only(CLOCK, ContinuityCounter::default(), pcr));
        // Its unit is the end of the packet; it is decoded 100 ms after the PCR.
        let stamp = (at / 300 + 9000) as u64;
        for mut packet in split(SOUND, &pes(0xC0, Some(stamp), 0, &frame)) {
            packet.set_continuity_counter(counter);
            counter = counter.next();
            block.push(packet);
        }
        block.push(Packet::NULL);
        if block.len() >= 2997 {
            push(&mut monitor, &block);
            block.clear();
        }
    }
    assert_eq!(found, []);
    let measures = monitor.buffers();
    let sound = stream(&measures, SOUND);
    assert!(sound.access_units_total as i64 > 24 * HOUR - 1100);
    // The unit's first byte is the 92nd of its packet, one packet and 82 bytes after the dated byte:
    // 24 ms + 10.468 ms; it waits for 65.532 ms.
    assert_eq!(
        (sound.delay_lowest_ms, sound.delay_highest_ms),
        (Some(65), Some(65))
    );
    assert_eq!((highest(sound, "TB"), highest(sound, "B")), (0, 110));
    assert_eq!(sound.resets_total, 0);
}

#[test]
fn streams_of_constant_rate_that_keep_to_the_model_raise_nothing() {
    // Buffers that the encoder keeps to, little delay in the multiplex, one frame a PES packet:
    // without these ffmpeg's multiplexer overfills Bn, as the judge finds too.
    let common = "-f lavfi -i testsrc2=s=720x576:r=25:d=10 -f lavfi -i sine=d=10 -c:a mp2 -b:a 64k \
                  -pes_payload_size 100 -threads 1";
    for (name, video) in [
        (
            "tstd-h264",
            "-c:v libx264 -preset ultrafast -x264-params nal-hrd=cbr:force-cfr=1 -b:v 3M \
             -minrate 3M -maxrate 3M -bufsize 1M -muxdelay 0.3 -muxpreload 0.3 -muxrate 3500k",
        ),
        (
            "tstd-mpeg2",
            "-c:v mpeg2video -b:v 4M -minrate 4M -maxrate 4M -bufsize 1835008 -muxdelay 0.4 \
             -muxpreload 0.4 -muxrate 4500k",
        ),
    ] {
        let file = harness::ffmpeg_stream(name, &format!("{common} {video}"));
        let bytes = std::fs::read(&file).unwrap();
        let (breaches, measures, found) = watch(Packet::slice_of(&bytes).0);
        assert!(breaches.is_empty(), "{name}: {found:#?}");
        let said = judge(&file);
        assert_eq!(
            said["findings"].as_object().unwrap().len(),
            0,
            "{name}: {said:#}"
        );
        for ours in &measures.streams {
            let theirs = &said["tstd"]["streams"][ours.pid.to_string()];
            assert_eq!(ours.not_judged, None, "{name}");
            for buffer in &ours.buffers {
                // The judge goes on behind the last PCR, and has the first unit.
                let high = theirs[buffer.buffer.to_lowercase()]["high"]
                    .as_f64()
                    .unwrap();
                let ours = buffer.highest_bytes as f64;
                assert!(
                    (ours - high).abs() < 1.0 + high / 20.0,
                    "{name}: {buffer:?}, {high}"
                );
            }
        }
    }
}
