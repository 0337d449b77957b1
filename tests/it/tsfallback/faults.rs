//! The faults, each by itself; and what else an output has to be.

use headend::switch::{Fault, HealthOptions, PolicyOptions, SwitchOptions};
use headend::ts::{Packet, Pid};
use headend::units::{BitRate, Ticks27M};

use super::seeds::{self, VIDEO, small};
use super::sim::{Feed, Sim, Strike};
use super::{SECOND, backup, complaints, is_clean, main_channel, stamps, steps};
use crate::harness::{ffmpeg_stream, judge};

/// An input that is struck after 6 s, for 6 s.
fn struck(strike: Strike, loss: usize, on: Option<Fault>) -> Sim {
    let mut options = SwitchOptions::default();
    if let Some(fault) = on {
        options.health.on = [fault].into_iter().collect();
    }
    let mut sim = Sim::with(
        options,
        vec![Feed::new(&main_channel()), Feed::new(&backup())],
    );
    sim.run_until(SECOND * 6);
    (sim.feeds[0].strike, sim.feeds[0].loss) = (strike, loss);
    sim.run_until(SECOND * 12);
    sim
}

#[test]
fn each_fault_is_found_and_one_that_does_not_count_is_not_acted_upon() {
    for (strike, loss, fault) in [
        (Strike::Scramble, 0, Fault::Scrambled),
        (Strike::Without(0x100), 0, Fault::Video),
        (Strike::Without(0x101), 0, Fault::Audio),
        (Strike::Without(0), 0, Fault::Psi),
        (Strike::Without(0x1000), 0, Fault::Psi),
        (Strike::None, 10, Fault::Cc),
        (Strike::Noise, 0, Fault::Cc),
        (Strike::Without(0x100), 0, Fault::Pcr),
    ] {
        let sim = struck(strike, loss, Some(fault));
        let decided = format!("reason=faults faults={fault}");
        assert!(
            sim.log().contains(&decided),
            "{strike:?} {fault}\n{}",
            sim.log()
        );
        assert_eq!(sim.switched(), [1, 2], "{strike:?} {fault}\n{}", sim.log());
        if strike != Strike::Without(0x100) {
            let sim = struck(strike, loss, Some(Fault::Loss));
            assert_eq!(sim.switched(), [1], "{strike:?}\n{}", sim.log());
        }
    }
}

#[test]
fn a_bit_rate_outside_of_its_window_is_a_fault() {
    let options = |least, most| SwitchOptions {
        health: HealthOptions {
            on: [Fault::Bitrate].into_iter().collect(),
            bitrate: Some((BitRate::new(least), BitRate::new(most))),
            ..HealthOptions::default()
        },
        ..SwitchOptions::default()
    };
    for (least, most, expected) in [
        (1_400_000, 1_600_000, vec![1]),
        (1_600_000, 2_000_000, vec![]),
    ] {
        let mut sim = Sim::with(options(least, most), vec![Feed::new(&main_channel())]);
        sim.run_until(SECOND * 6);
        assert_eq!(
            sim.log().contains("bitrate"),
            expected.is_empty(),
            "{}",
            sim.log()
        );
    }
}

/// Silence of a PID of the picture is not found for 700 ms: with a delay of that and a GOP, no
/// scrambled packet leaves and no frame slot is missing.
#[test]
fn with_a_delay_a_scrambled_input_is_left_before_the_viewer_sees_it() {
    let options = SwitchOptions {
        hold: SwitchOptions::LEAST_HOLD + Ticks27M::from_millis(1_000),
        ..SwitchOptions::default()
    };
    let mut sim = Sim::with(
        options,
        vec![Feed::new(&main_channel()), Feed::new(&backup())],
    );
    sim.run_until(SECOND * 6);
    sim.feeds[0].strike = Strike::Scramble;
    sim.run_until(SECOND * 12);
    sim.finish();
    let file = sim.write("scrambled.ts");
    is_clean(&file);
    let (longest, shortest) = steps(&stamps(&file, "v"));
    assert!(
        longest < 41.0 && shortest > 39.0,
        "{longest} {shortest}\n{}",
        sim.log()
    );
}

#[test]
fn inputs_with_the_same_stamps_are_aligned_to_the_picture() {
    let bytes = std::fs::read(small(0)).unwrap();
    let pictures = |packets: &[Packet]| -> Vec<u64> {
        let all = seeds::pes_packets(packets);
        all.iter()
            .filter(|pes| pes.pid == VIDEO)
            .map(|pes| pes.bytes)
            .collect()
    };
    let there = pictures(Packet::slice_of(&bytes).0);
    for (ms, hold) in [
        (0, 1300),
        (130, 1300),
        (410, 1300),
        (770, 1300),
        (-330, 1300),
    ] {
        let mut feeds = vec![Feed::new(&small(0)), Feed::new(&small(0))];
        feeds[0].delay = Ticks27M::from_millis((-ms).max(0));
        feeds[1].delay = Ticks27M::from_millis(ms.max(0));
        let options = SwitchOptions {
            hold: SwitchOptions::LEAST_HOLD
                + Ticks27M::from_millis(hold)
                + Ticks27M::from_millis(700),
            align: Some(SECOND * 2),
            policy: PolicyOptions {
                revert: Some(SECOND * 4),
                ..PolicyOptions::default()
            },
            ..SwitchOptions::default()
        };
        let mut sim = Sim::with(options, feeds);
        sim.run_until(SECOND * 6);
        sim.feeds[0].alive = false;
        sim.run_until(SECOND * 10);
        sim.feeds[0].alive = true;
        sim.run_until(SECOND * 20);
        sim.finish();
        assert_eq!(sim.switched(), [1, 2, 1], "{}", sim.log());
        let here = pictures(Packet::slice_of(&sim.out).0);
        let place = |picture: &u64| there.iter().position(|p| p == picture);
        // The last picture of a file ends with it: it is no whole PES packet to who reads it.
        let places: Vec<_> = here.iter().filter_map(place).collect();
        let steps = places
            .windows(2)
            .map(|pair| (pair[1] + there.len() + 1 - pair[0]) % (there.len() + 1));
        let wrong: Vec<_> = steps
            .enumerate()
            .filter(|(_, step)| *step != 1 && *step != 2)
            .collect();
        assert!(wrong.is_empty(), "{ms} ms: {wrong:?}\n{}", sim.log());
        let twos = places
            .windows(2)
            .filter(|pair| (pair[1] + there.len() + 1 - pair[0]) % (there.len() + 1) == 2);
        // The one that is not known, once a round of 8 s.
        assert!(twos.count() <= 3, "{}", sim.log());
        let file = sim.write(&format!("aligned-{ms}.ts"));
        let (longest, shortest) = super::steps(&stamps(&file, "v"));
        assert!(
            longest < 41.0 && shortest > 39.0,
            "{longest} {shortest}\n{}",
            sim.log()
        );
    }
}

#[test]
fn a_constant_rate_is_constant_over_a_switch_and_through_silence() {
    let options = SwitchOptions {
        rate: Some(BitRate::new(2_000_000)),
        ..SwitchOptions::default()
    };
    let mut feeds = vec![Feed::new(&main_channel()), Feed::new(&backup())];
    // Over the wrap of 33 bits, 9 s after the beginning.
    feeds[0].shift = Ticks27M::new(2_576_980_377_600 - 27_000_000 * 9);
    let mut sim = Sim::with(options, feeds);
    sim.run_until(SECOND * 6);
    sim.feeds[0].alive = false;
    sim.run_until(SECOND * 11);
    sim.feeds[1].alive = false;
    sim.run_until(SECOND * 14);
    sim.feeds[0].alive = true;
    sim.run_until(SECOND * 22);
    sim.finish();
    let file = sim.write("constant.ts");
    assert_eq!(sim.switched(), [1, 2, 1], "{}", sim.log());
    assert_eq!(complaints(&file), "");
    // Three seconds are without picture and sound.
    judge(
        &file,
        &["--cbr", "2000000", "--ignore", "tstd,pts_interval"],
    );
}

#[test]
fn another_coding_on_other_pids_is_announced_and_decodes() {
    let other = ffmpeg_stream(
        "fallback-other",
        "-f lavfi -i testsrc=size=352x288:rate=25:duration=10 \
         -f lavfi -i sine=frequency=880:duration=10:sample_rate=48000 \
         -f lavfi -i sine=frequency=220:duration=10:sample_rate=48000 \
         -map 1 -map 0 -map 2 -c:v mpeg2video -g 12 -bf 2 -b:v 1M -c:a ac3 -b:a 128k \
         -metadata:s:a:0 language=eng -metadata:s:a:1 language=fra -mpegts_start_pid 0x200 \
         -mpegts_pmt_start_pid 0x1200",
    );
    let mut sim = Sim::new(vec![Feed::new(&main_channel()), Feed::new(&other)]);
    sim.run_until(SECOND * 6);
    sim.feeds[0].alive = false;
    sim.run_until(SECOND * 12);
    sim.finish();
    let file = sim.write("other.ts");
    assert_eq!(sim.switched(), [1, 2], "{}", sim.log());
    assert!(
        sim.log().contains("output_pmt_changed version=1"),
        "{}",
        sim.log()
    );
    judge(&file, &["--ignore", "tstd,pts_interval"]);
    // Behind the switch, what is there is what the PMT says.
    let packets = Packet::slice_of(&sim.out).0;
    let at = packets.len() * 2 / 3;
    let tail = file.with_file_name("other-tail.ts");
    std::fs::write(&tail, Packet::bytes_of(&packets[at..])).unwrap();
    let output = std::process::Command::new("ffprobe")
        .args([
            "-v",
            "fatal",
            "-of",
            "csv=p=0",
            "-show_entries",
            "stream=id,codec_name",
        ])
        .arg(&tail)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for stream in ["mpeg2video,0x100", "ac3,0x101", "ac3,0x202"] {
        assert!(text.contains(stream), "{text}");
    }
    let pids = packets.iter().map(Packet::pid);
    assert!(
        pids.clone().any(|pid| pid == Pid::PAT)
            && pids.clone().all(|pid| pid != Pid::from_field(0x200))
    );
}

#[test]
fn sound_that_breaks_off_or_is_scrambled_makes_room_at_once_and_leaves_nothing_torn() {
    // (what, found after so many ms)
    for (strike, found) in [(Strike::Without(0x101), 700.0), (Strike::Scramble, 20.0)] {
        for ms in [0, 170, 310, 490, 620, 830] {
            let mut sim = Sim::new(vec![Feed::new(&main_channel()), Feed::new(&backup())]);
            sim.run_until(SECOND * 6 + Ticks27M::from_millis(ms));
            sim.feeds[0].strike = strike;
            sim.run_until(SECOND * 12);
            sim.finish();
            let file = sim.write("breaks-off.ts");
            let what = || format!("{strike:?} {ms} ms\n{}", sim.log());
            assert_eq!(sim.switched(), [1, 2], "{}", what());
            assert_eq!(complaints(&file), "", "{}", what());
            // A time-out with a GOP behind it is longer than stamps may be apart.
            judge(&file, &["--ignore", "tstd,pts_interval"]);
            let (longest, _) = steps(&stamps(&file, "a"));
            // 100 ms, one GOP of the backup, and PES packets of some frames.
            assert!(
                longest <= found + 100.0 + 800.0 + 200.0,
                "{longest}: {}",
                what()
            );
        }
    }
}

/// What it sent before it began anew is still held then, and what came behind is left again.
#[test]
fn an_input_that_began_anew_is_left_before_its_new_part_has_left() {
    for ms in [300, 600, 900, 1200] {
        let options = SwitchOptions {
            hold: SwitchOptions::LEAST_HOLD + Ticks27M::from_millis(1_300),
            ..SwitchOptions::default()
        };
        let mut sim = Sim::with(
            options,
            vec![Feed::new(&main_channel()), Feed::new(&backup())],
        );
        sim.run_until(SECOND * 6);
        sim.feeds[0].shift += SECOND * 1000;
        sim.run_until(SECOND * 6 + Ticks27M::from_millis(ms));
        sim.switch.prefer(1).unwrap();
        sim.run_until(SECOND * 12);
        sim.finish();
        let file = sim.write(&format!("anew-{ms}.ts"));
        assert_eq!(*sim.switched().last().unwrap(), 2, "{}", sim.log());
        assert_eq!(complaints(&file), "", "{ms} ms\n{}", sim.log());
        judge(&file, &["--ignore", "tstd,pts_interval"]);
        let (longest, shortest) = steps(&stamps(&file, "v"));
        assert!(longest < 1100.0, "{ms} ms: {longest}\n{}", sim.log());
        assert!(shortest > 39.0, "{ms} ms: {shortest}\n{}", sim.log());
    }
}
