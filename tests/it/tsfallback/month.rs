//! One switch for a month of simulated time: thousands of switches, the clocks of the inputs drift
//! apart by more than a minute, and every 33-bit stamp goes round its circle 27 times.
//!
//! `HEADEND_DAYS=30` is the month, half an hour of a fast machine; without it there is an hour.

use headend::ts::Packet;
use headend::units::Ticks27M;

use super::SECOND;
use super::seeds::{
    Judge, asked, deed, feeds, hasty, origins, pes_packets, sound_stays_with_its_picture,
    stamps_go_on,
};
use super::sim::Sim;
use crate::harness::Random;

/// How long the output runs until it is looked at.
const STRETCH: Ticks27M = Ticks27M::new(300 * 27_000_000);
/// How far memory may grow after the first day.
const GROWTH: u64 = 8 << 20;

/// What this process holds of the memory, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn a_month_of_switches_leaves_no_mark_either() {
    let days = asked("HEADEND_DAYS", 0);
    let end = match days {
        0 => SECOND * 3600,
        days => SECOND * 86_400 * days as i64,
    };
    let origins = origins();
    let mut random = Random::new(asked("HEADEND_SEED", 0) + 1_000_000);
    let feeds = feeds(&mut random);
    let mut sim = Sim::with(hasty(1300), feeds);
    // As often as a busy machine gets to it.
    sim.turn = Ticks27M::from_millis(20);
    let mut judge = Judge::new();
    let (mut time, mut stretch) = (SECOND * 4, Ticks27M::ZERO);
    let (mut was_dirty, mut held, mut after_a_day) = (false, 0, None);
    while time < end {
        stretch += STRETCH;
        // Every other hour nothing damages packets.
        let dirty = stretch.get() / (SECOND * 3600).get() % 2 == 1;
        if !dirty {
            for feed in &mut sim.feeds {
                (feed.loss, feed.strike) = (0, super::sim::Strike::None);
            }
        }
        while time < stretch {
            sim.run_until(time);
            time += Ticks27M::from_millis(5_000 + random.below(85_000) as i64);
            deed(&mut random, dirty, &mut sim);
        }
        let timed = sim.take();
        judge.push(&timed);
        let log = || format!("after {:?}\n{}", sim.now, sim.log());
        let allowed = sim.counter("passed_continuity_errors_total");
        assert!(judge.breaks <= allowed, "{} {}", judge.breaks, log());
        assert!(judge.others.is_empty(), "{:?}\n{}", judge.others, log());
        let packets: Vec<Packet> = timed.iter().map(|(packet, _)| *packet).collect();
        let all = pes_packets(&packets);
        stamps_go_on(&all, dirty || was_dirty, &log);
        sound_stays_with_its_picture(&all, &origins, &log);
        was_dirty = dirty;
        held = held.max(sim.counter("held_packets"));
        assert!(held < 3 * 1000, "{held} {}", log());
        sim.forget();
        if time > SECOND * 86_400 {
            let now = resident();
            let before = *after_a_day.get_or_insert(now);
            assert!(now < before + GROWTH, "{before} bytes, {now} now");
        }
    }
    eprintln!(
        "{} switches in {} h, at most {held} packets held, {} MiB resident after a day and {} at the end",
        sim.switch.switches(),
        time.as_millis() / 3_600_000,
        after_a_day.unwrap_or_default() >> 20,
        resident() >> 20
    );
}
