//! Many switches in simulated time, by seeds: drift, jitter, loss, noise, wraps, restarts.
//!
//! `HEADEND_SWITCHES=10000` makes as many switches; without it there are some hundred.
//! `HEADEND_SEED` is the first seed, to look at one that failed.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;

use headend::monitor::{Check, Finding, Monitor, MonitorOptions, TimeSource};
use headend::stream::{Batch, PesPayload};
use headend::switch::{PolicyOptions, SwitchOptions};
use headend::ts::{Packet, Pid, Pts};
use headend::units::{Arrival, Ticks27M};

use super::sim::{Feed, Sim, Strike};
use super::{SECOND, complaints};
use crate::harness::{Random, ffmpeg_stream, judge};

pub const VIDEO: u16 = 0x100;
const AUDIO: u16 = 0x101;

/// Small channels whose every PES packet is told from every other by its bytes.
pub fn small(n: usize) -> PathBuf {
    let (source, gop, frames) = [
        ("testsrc2", 25, 2),
        ("testsrc", 20, 0),
        ("mandelbrot", 15, 1),
    ][n];
    ffmpeg_stream(
        &format!("fallback-small-{n}"),
        &format!(
            "-f lavfi -i {source}=size=96x64:rate=25 \
             -f lavfi -i anoisesrc=sample_rate=48000:seed={n}:amplitude=0.5 -t 8 \
             -c:v libx264 -preset ultrafast -g {gop} -keyint_min {gop} -sc_threshold 0 \
             -bf {frames} -b:v 60k -c:a mp2 -b:a 64k -pcr_period 40 -pes_payload_size 400"
        ),
    )
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// A PES packet as it went by.
pub struct Pes {
    pub pid: u16,
    pub pts: Pts,
    pub bytes: u64,
    /// Packets before it.
    pub place: usize,
}

pub fn pes_packets(packets: &[Packet]) -> Vec<Pes> {
    let mut all: Vec<Pes> = Vec::new();
    for pid in [VIDEO, AUDIO] {
        let mut reader = PesPayload::new();
        let mut begun: Option<(Pts, usize)> = None;
        let mut payload = Vec::new();
        let of_it = packets.iter().enumerate();
        for (place, packet) in of_it.filter(|(_, p)| p.pid() == Pid::from_field(pid)) {
            let part = reader.push(packet);
            if let Some(start) = part.start {
                if let Some((pts, place)) = begun {
                    let bytes = hash(&payload);
                    all.push(Pes {
                        pid,
                        pts,
                        bytes,
                        place,
                    });
                }
                payload.clear();
                begun = start.pts.map(|pts| (pts, place));
            }
            payload.extend_from_slice(part.payload);
        }
    }
    all.sort_by_key(|pes| pes.place);
    all
}

/// From which input each PES packet came, and its stamp there.
pub type Origins = HashMap<u64, (usize, Pts)>;

pub fn origins() -> Origins {
    let mut origins = HashMap::new();
    for n in 0..3 {
        for file in [small(n), richer(n)] {
            let bytes = std::fs::read(file).unwrap();
            for pes in pes_packets(Packet::slice_of(&bytes).0) {
                origins.insert(pes.bytes, (n, pes.pts));
            }
        }
    }
    origins
}

/// tsmon's machine on an output, and what it has against it that no input is to blame for.
pub struct Judge {
    monitor: Monitor,
    pub breaks: usize,
    pub others: Vec<Finding>,
}

impl Judge {
    pub fn new() -> Self {
        Self {
            monitor: Monitor::new(MonitorOptions {
                time: TimeSource::Arrival,
                ..MonitorOptions::default()
            }),
            breaks: 0,
            others: Vec::new(),
        }
    }

    pub fn push(&mut self, packets: &[(Packet, Arrival)]) {
        let mut batch = Batch::with_capacity(1024);
        for piece in packets.chunks(1024) {
            batch.clear();
            for (packet, at) in piece {
                batch.push(packet, *at);
            }
            let (breaks, others) = (&mut self.breaks, &mut self.others);
            self.monitor
                .push(&batch, &mut |finding| match finding.check {
                    Check::ContinuityCountError => *breaks += 1,
                    Check::PatError2
                    | Check::PmtError2
                    | Check::PcrRepetitionError
                    | Check::PcrDiscontinuityIndicatorError
                    | Check::CrcError => others.push(finding.clone()),
                    _ => {}
                });
        }
    }
}

/// Channels like [`small`] ones, each with a second sound that its PMT describes.
pub fn richer(n: usize) -> PathBuf {
    ffmpeg_stream(
        &format!("fallback-richer-{n}"),
        &format!(
            "-f lavfi -i testsrc=size=96x64:rate=25 \
             -f lavfi -i anoisesrc=sample_rate=48000:seed=1{n}:amplitude=0.5 \
             -f lavfi -i anoisesrc=sample_rate=48000:seed=2{n}:amplitude=0.5 -t 8 \
             -map 0 -map 1 -map 2 -metadata:s:a:1 language=fra -vf hue=h={n}0 \
             -c:v libx264 -preset ultrafast -g 16 -keyint_min 16 -sc_threshold 0 \
             -bf 1 -b:v 60k -c:a mp2 -b:a 64k -pcr_period 40 -pes_payload_size 400"
        ),
    )
}

/// Three channels whose clocks drift, that come late and with jitter, anywhere on the circle of their
/// stamps and often a little before its end.
pub fn feeds(random: &mut Random) -> Vec<Feed> {
    let mut feeds: Vec<Feed> = (0..3).map(|n| Feed::new(&small(n))).collect();
    for feed in &mut feeds {
        feed.drift_ppm = random.below(61) as i64 - 30;
        feed.jitter = Ticks27M::from_millis(random.below(20) as i64);
        feed.delay = Ticks27M::from_millis(random.below(1500) as i64);
        let circle = 2_576_980_377_600;
        let place = match random.below(3) {
            0 => circle - random.below(60) as i64 * 27_000_000,
            _ => random.below(90_000) as i64 * 27_000_000,
        };
        feed.shift = Ticks27M::new(place);
    }
    feeds
}

/// What happens to one of the inputs, or what an operator does; `dirty`, also what damages packets
/// of an input that is on air.
pub fn deed(random: &mut Random, dirty: bool, sim: &mut Sim) {
    let n = random.below(3);
    let others = sim
        .feeds
        .iter()
        .enumerate()
        .filter(|(m, f)| *m != n && f.is_well());
    let enough = others.count() > 0;
    let feed = &mut sim.feeds[n];
    match random.below(if dirty { 12 } else { 8 }) {
        0 | 1 if enough => feed.alive = false,
        2 => {
            feed.alive = true;
            feed.strike = Strike::None;
            feed.loss = 0;
        }
        // The sender starts anew, with another clock.
        3 => feed.shift += Ticks27M::new(random.below(2_000_000_000) as i64 * 300),
        4 => {
            let _ = sim.switch.prefer(n);
        }
        5 => sim.switch.auto(),
        // Its PMT is another one.
        6 => feed.go_on_with(&richer(n)),
        7 => feed.go_on_with(&small(n)),
        8 if enough => feed.strike = Strike::Scramble,
        9 if enough => feed.strike = Strike::Without([VIDEO, AUDIO][random.below(2)]),
        10 if enough => feed.strike = Strike::Noise,
        11 if enough => feed.loss = 10 + random.below(200),
        _ => {}
    }
}

/// The policy with which inputs are returned to soon.
pub fn hasty(hold_ms: i64) -> SwitchOptions {
    SwitchOptions {
        hold: SwitchOptions::LEAST_HOLD + Ticks27M::from_millis(hold_ms),
        policy: PolicyOptions {
            revert: Some(SECOND * 4),
            hold_off: SECOND * 2,
            ..PolicyOptions::default()
        },
        ..SwitchOptions::default()
    }
}

/// One run: gives how many switches there were.
#[track_caller]
fn run(seed: u64, origins: &Origins) -> u64 {
    let mut random = Random::new(seed);
    let dirty = seed % 2 == 1;
    let feeds = feeds(&mut random);
    let hold = [0, 1300][random.below(2)];
    let mut sim = Sim::with(hasty(hold), feeds);
    let mut time = SECOND * 4;
    for _ in 0..14 {
        sim.run_until(time);
        time += Ticks27M::from_millis(1500 + random.below(4000) as i64);
        deed(&mut random, dirty, &mut sim);
    }
    sim.run_until(time + SECOND * 3);
    sim.finish();
    judge_run(seed, dirty, &sim, origins);
    if seed < 4 && !dirty {
        let file = sim.write(&format!("seed-{seed}.ts"));
        // Without a delay the picture may be missing for longer than a PTS may.
        assert_eq!(complaints(&file), "", "seed {seed}");
        judge(&file, &["--ignore", "tstd,pts_interval"]);
    }
    sim.switch.switches()
}

fn judge_run(seed: u64, dirty: bool, sim: &Sim, origins: &Origins) {
    let log = || format!("seed {seed}\n{}", sim.log());
    let counter = |key| sim.counter(key);
    let packets = Packet::slice_of(&sim.out).0;
    let timed: Vec<_> = packets
        .iter()
        .copied()
        .zip(sim.times.iter().copied())
        .collect();
    let mut monitor = Judge::new();
    monitor.push(&timed);
    let allowed = counter("passed_continuity_errors_total");
    assert!(dirty || allowed == 0, "{}", log());
    let breaks = monitor.breaks;
    assert!(
        breaks <= allowed,
        "{breaks} breaks, {allowed} of them passed on\n{}",
        log()
    );
    assert!(monitor.others.is_empty(), "{:?}\n{}", monitor.others, log());
    // 300 ms and 1.3 s and 1.5 s and more of three inputs of 150 kb/s.
    assert!(counter("held_packets") < 3 * 1000, "{}", log());
    let all = pes_packets(packets);
    stamps_go_on(&all, dirty, &log);
    sound_stays_with_its_picture(&all, origins, &log);
}

/// No picture is presented twice, and sound goes on. Where a file begins anew its own sound steps by
/// 32 ms and not 48 (the seam may take half a PES packet): of a PES packet that is split there, a
/// frame of 24 ms is followed after 8 ms.
pub fn stamps_go_on(all: &[Pes], dirty: bool, log: &dyn Fn() -> String) {
    if dirty {
        return;
    }
    let mut pictures: Vec<Pts> = Vec::new();
    let mut sound: Option<Pts> = None;
    for pes in all {
        if pes.pid == VIDEO {
            for before in pictures.iter().rev().take(60) {
                let apart = (pes.pts - *before).abs();
                assert!(
                    apart >= Ticks27M::from_millis(39),
                    "packet {}: {} {}\n{}",
                    pes.place,
                    pes.pts,
                    before,
                    log()
                );
            }
            pictures.push(pes.pts);
            continue;
        }
        if let Some(before) = sound {
            let step = pes.pts - before;
            assert!(
                step >= Ticks27M::from_millis(7),
                "{} {before}\n{}",
                pes.pts,
                log()
            );
        }
        sound = Some(pes.pts);
    }
}

/// Picture and sound of an input are moved by the same. Where it began anew and is left before its
/// first new picture, its sound alone fills the time: so it is looked at beside pictures only.
pub fn sound_stays_with_its_picture(all: &[Pes], origins: &Origins, log: &dyn Fn() -> String) {
    let moved: Vec<_> = all
        .iter()
        .filter_map(|pes| {
            let (input, there) = origins.get(&pes.bytes)?;
            Some((pes, *input, pes.pts - *there))
        })
        .collect();
    assert!(
        moved.len() * 10 > all.len() * 7,
        "{} of {}\n{}",
        moved.len(),
        all.len(),
        log()
    );
    for (n, (pes, input, by)) in moved.iter().enumerate() {
        if pes.pid != AUDIO {
            continue;
        }
        let near = &moved[n.saturating_sub(150)..(n + 150).min(moved.len())];
        let pictures: Vec<_> = near
            .iter()
            .filter(|(other, from, _)| other.pid == VIDEO && from == input)
            .collect();
        // A frame of sound is 24 ms. Each round of a file is moved by 8 s more.
        let round = SECOND.get() * 8;
        let beside = |picture: Pts| (picture - pes.pts).abs() < Ticks27M::from_millis(15);
        if !pictures.iter().any(|(picture, ..)| beside(picture.pts)) {
            continue;
        }
        let kept = pictures.iter().any(|(_, _, with)| {
            let apart = (*with - *by).get().rem_euclid(round);
            apart.min(round - apart) < 24 * 27_000
        });
        assert!(
            kept,
            "sound of input {} at {} (packet {}) is moved by {by}, its pictures by {:?}\n{}",
            input + 1,
            pes.pts,
            pes.place,
            pictures
                .iter()
                .map(|(p, _, by)| (p.place, by.as_millis()))
                .collect::<Vec<_>>(),
            log()
        );
    }
}

pub fn asked(variable: &str, otherwise: u64) -> u64 {
    let asked = std::env::var(variable).ok();
    asked.map_or(otherwise, |n| n.parse().unwrap())
}

#[test]
fn switches_by_seed_leave_no_mark_in_the_output() {
    let origins = origins();
    let (wanted, first) = (asked("HEADEND_SWITCHES", 150), asked("HEADEND_SEED", 0));
    let (mut switches, mut seed) = (0, first);
    while switches < wanted {
        switches += run(seed, &origins);
        seed += 1;
    }
    eprintln!("{switches} switches in {} runs", seed - first);
}
