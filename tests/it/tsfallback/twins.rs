//! Inputs that carry the same packets.

use headend::switch::{Fault, SwitchOptions};
use headend::ts::Packet;
use headend::units::Ticks27M;

use super::seeds::{self, small};
use super::sim::{Feed, Sim, Strike};
use super::{SECOND, complaints, is_clean, main_channel, stamps, steps};

fn merging(skew: i64) -> SwitchOptions {
    SwitchOptions {
        skew: Some(Ticks27M::from_millis(skew)),
        ..SwitchOptions::default()
    }
}

/// Two paths of one encoder, each of which loses one packet in 40, the second one later by up to
/// 700 ms: what comes out is what went in.
#[test]
fn what_one_of_two_paths_has_lost_is_taken_from_the_other() {
    let bytes = std::fs::read(small(0)).unwrap();
    let whole: Vec<u64> = seeds::pes_packets(Packet::slice_of(&bytes).0)
        .iter()
        .map(|pes| pes.bytes)
        .collect();
    for ms in [0, 90, 700] {
        let mut feeds = vec![Feed::new(&small(0)), Feed::new(&small(0)).seeded(99)];
        feeds[1].delay = Ticks27M::from_millis(ms);
        let mut sim = Sim::with(merging(ms + 20), feeds);
        sim.run_until(SECOND * 3);
        sim.feeds[0].loss = 40;
        sim.feeds[1].loss = 40;
        sim.run_until(SECOND * 30);
        sim.finish();
        // Ten breaks in a second are a fault, but not of what is left.
        assert_eq!(sim.switched(), [1], "{}", sim.log());
        let packets = Packet::slice_of(&sim.out).0;
        let all = seeds::pes_packets(packets);
        let known = all.iter().filter(|pes| whole.contains(&pes.bytes)).count();
        // Both lose one packet in 1600, of which a PES packet has 11 at most; and at each of the seams
        // a unit is none of the file's.
        let unknown = all.len() - known;
        assert!(
            unknown * 100 < all.len(),
            "{ms} ms: {unknown} of {}",
            all.len()
        );
        assert!(
            sim.counter("input_1_twin_lost_packets") > 50,
            "{}",
            sim.log()
        );
        let (longest, shortest) = steps(&stamps(&sim.write("twins.ts"), "v"));
        assert!(longest < 81.0 && shortest > 39.0, "{longest} {shortest}");
    }
}

/// The first path dies, comes back later than before, and the second dies: nothing is switched, and
/// not one packet is missing.
#[test]
fn one_path_after_the_other_dies_and_the_output_is_the_file() {
    let mut feeds = vec![Feed::new(&main_channel()), Feed::new(&main_channel())];
    feeds[1].delay = Ticks27M::from_millis(30);
    let mut sim = Sim::with(merging(50), feeds);
    sim.run_until(SECOND * 3);
    sim.feeds[0].alive = false;
    sim.run_until(SECOND * 5);
    (sim.feeds[0].alive, sim.feeds[0].delay) = (true, Ticks27M::from_millis(45));
    sim.run_until(SECOND * 7);
    sim.feeds[1].alive = false;
    sim.run_until(SECOND * 9);
    sim.finish();
    assert_eq!(sim.switched(), [1], "{}", sim.log());
    for line in [
        "twin_found input=1 twin=2",
        "input_faulty input=1 faults=loss",
    ] {
        assert!(sim.log().contains(line), "{}", sim.log());
    }
    let file = sim.write("twins-die.ts");
    is_clean(&file);
    let (longest, shortest) = steps(&stamps(&file, "v"));
    assert!(longest < 40.1 && shortest > 39.9, "{longest} {shortest}");
    let (longest, _) = steps(&stamps(&file, "a"));
    assert!(longest < 49.0, "{longest}");
}

/// Both paths go dark at once, or are scrambled alike: that is a fault of the merged input too.
#[test]
fn what_both_paths_have_is_a_fault_and_a_third_input_takes_over() {
    for strike in [Strike::Scramble, Strike::Without(0x100)] {
        let feeds = vec![
            Feed::new(&main_channel()),
            Feed::new(&main_channel()),
            Feed::new(&super::backup()),
        ];
        let mut options = merging(50);
        options.health.on = [Fault::Scrambled, Fault::Video].into_iter().collect();
        let mut sim = Sim::with(options, feeds);
        sim.run_until(SECOND * 4);
        sim.feeds[0].strike = strike;
        sim.run_until(SECOND * 7);
        let switched = sim.switched();
        sim.feeds[1].strike = strike;
        sim.run_until(SECOND * 12);
        sim.finish();
        let file = sim.write("twins-struck.ts");
        assert_eq!(complaints(&file), "", "{}", sim.log());
        // Scrambled packets are others, and a path without pictures has little in common with the
        // other: the first one is its own again, and is left.
        assert_eq!(switched, [1, 2], "{}", sim.log());
        assert_eq!(sim.switched().last(), Some(&3), "{}", sim.log());
    }
}
