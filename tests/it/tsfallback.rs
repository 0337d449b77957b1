//! `tsfallback`: the switch in simulated time, and the tool on real sockets.

mod absent;
mod decoded;
mod faults;
mod information;
mod lines;
mod live;
mod month;
mod numbered;
mod outcome;
mod real;
mod seeds;
mod sim;
mod slates;
mod sockets;
mod template;
mod twins;

use std::path::{Path, PathBuf};
use std::process::Command;

use headend::switch::{PolicyOptions, SwitchOptions};
use headend::units::Ticks27M;

use crate::harness::{ffmpeg_stream, judge};
use sim::{Feed, Sim};

/// Ten seconds of a channel: pictures with B pictures, sound of one frequency.
pub fn channel(name: &str, source: &str, hz: u32, more: &str) -> PathBuf {
    ffmpeg_stream(
        &format!("fallback-{name}"),
        &format!(
            "-f lavfi -i {source}=size=320x240:rate=25:duration=10 \
             -f lavfi -i sine=frequency={hz}:duration=10:sample_rate=48000 \
             -c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -bf 2 \
             -b:v 800k -maxrate 800k -bufsize 400k -c:a mp2 -b:a 128k -muxrate 1500k {more}"
        ),
    )
}

fn main_channel() -> PathBuf {
    channel("main", "testsrc2", 440, "")
}

fn backup() -> PathBuf {
    channel("backup", "testsrc", 880, "-g 20 -keyint_min 20")
}

/// What ffmpeg has to say when it decodes all of it.
pub fn complaints(file: &Path) -> String {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(file)
        .args(["-map", "0", "-f", "null", "-"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The instants of presentation of the frames of a kind, in ms, as ffprobe's demuxer gives them.
pub fn stamps(file: &Path, kind: &str) -> Vec<f64> {
    let mut all = packets_times(file, kind, "pts_time");
    all.sort_by(f64::total_cmp);
    all
}

fn packets_times(file: &Path, kind: &str, which: &str) -> Vec<f64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", kind, "-of", "csv=p=0"])
        .args(["-show_entries", &format!("packet={which}")])
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = text.lines().filter_map(|line| {
        let number = line.trim().trim_end_matches(',');
        number.parse::<f64>().ok()
    });
    numbers.map(|seconds| seconds * 1000.0).collect()
}

/// The times at which the frames of a kind are decoded, in ms, in the order of ffprobe's demuxer.
pub fn decoding_times(file: &Path, kind: &str) -> Vec<f64> {
    packets_times(file, kind, "dts_time")
}

/// The longest step between stamps, and the shortest.
pub fn steps(stamps: &[f64]) -> (f64, f64) {
    let steps = stamps.windows(2).map(|pair| pair[1] - pair[0]);
    steps.fold((0.0, f64::MAX), |(most, least), step| {
        (f64::max(most, step), f64::min(least, step))
    })
}

/// What ffmpeg's streams have against them by themselves: they overflow buffers of the T-STD.
const NOT_OURS: &str = "tstd";

/// The tables, counters, clocks and stamps are right, and a decoder finds nothing to say.
#[track_caller]
fn is_clean(file: &Path) {
    assert_eq!(complaints(file), "");
    judge(file, &["--ignore", NOT_OURS]);
}

const SECOND: Ticks27M = Ticks27M::SECOND;

#[test]
fn an_input_that_falls_silent_is_replaced_by_whole_pictures_and_sound() {
    let mut sim = Sim::new(vec![Feed::new(&main_channel()), Feed::new(&backup())]);
    sim.run_until(SECOND * 6);
    sim.feeds[0].alive = false;
    sim.run_until(SECOND * 12);
    sim.finish();
    let file = sim.write("silent.ts");
    assert_eq!(sim.switched(), [1, 2], "{}", sim.log());
    is_clean(&file);
    let (longest, shortest) = steps(&stamps(&file, "v"));
    // Time-out, 100 ms, one GOP of the backup.
    assert!(longest <= 500.0 + 100.0 + 800.0 + 40.0, "{longest}");
    assert!(shortest > 39.0, "{shortest}");
}

#[test]
fn a_delay_of_the_time_out_and_a_gop_loses_no_frame_slot() {
    for ms in [0, 130, 290, 410, 570, 730] {
        let mut feeds = vec![Feed::new(&main_channel()), Feed::new(&backup())];
        feeds[1].delay = Ticks27M::from_millis(ms);
        let options = SwitchOptions {
            hold: SwitchOptions::LEAST_HOLD + Ticks27M::from_millis(500 + 800),
            policy: PolicyOptions {
                revert: Some(SECOND * 5),
                ..PolicyOptions::default()
            },
            ..SwitchOptions::default()
        };
        let mut sim = Sim::with(options, feeds);
        sim.run_until(SECOND * 5 + Ticks27M::from_millis(ms * 3));
        sim.feeds[0].alive = false;
        sim.run_until(SECOND * 10);
        sim.feeds[0].alive = true;
        sim.run_until(SECOND * 22);
        sim.finish();
        let file = sim.write(&format!("delay-{ms}.ts"));
        assert_eq!(sim.switched(), [1, 2, 1], "{}", sim.log());
        is_clean(&file);
        let (longest, shortest) = steps(&stamps(&file, "v"));
        assert!(
            longest < 41.0 && shortest > 39.0,
            "{longest} {shortest}: {}",
            sim.log()
        );
        let (longest, shortest) = steps(&stamps(&file, "a"));
        assert!(longest <= 48.1 && shortest > 15.0, "{longest} {shortest}");
    }
}
