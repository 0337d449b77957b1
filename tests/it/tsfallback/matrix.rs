//! Everything that can happen to a sender, on real sockets: what went missing, and from which
//! input each picture came.
//!
//! `HEADEND_MATRIX=20` does each so many times; without it, once.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sys::signal::Signal;

use super::live::{Deed, LiveFeed};
use super::seeds::{VIDEO, pes_packets, small};
use super::sim::Strike;
use super::sockets::{Fallback, sender};
use super::{complaints, stamps, steps};
use crate::harness::{in_own_network, judge, output_of};
use headend::ts::Packet;

const ONE: &str = "udp://239.9.0.1:5000";
const TWO: &str = "udp://239.9.0.2:5000";
const ADDRESS: &str = "239.9.0.1:5000";

/// From which input each picture of the output came: the inputs in order, and how many pictures
/// of each are in a row.
fn pictures_by_input(file: &Path) -> Vec<(usize, usize)> {
    let mut of = BTreeMap::new();
    for n in 0..2 {
        let bytes = std::fs::read(small(n)).unwrap();
        let all = pes_packets(Packet::slice_of(&bytes).0);
        of.extend(
            all.iter()
                .filter(|p| p.pid == VIDEO)
                .map(|p| (p.bytes, n + 1)),
        );
    }
    let bytes = std::fs::read(file).unwrap();
    let mut rows: Vec<(usize, usize)> = Vec::new();
    for pes in pes_packets(Packet::slice_of(&bytes).0) {
        let Some(input) = of.get(&pes.bytes).filter(|_| pes.pid == VIDEO) else {
            continue;
        };
        match rows.last_mut() {
            Some((last, pictures)) if last == input => *pictures += 1,
            _ => rows.push((*input, 1)),
        }
    }
    rows
}

/// What befalls the first sender.
enum Deeds {
    Kill,
    Stop,
    LinkDown,
    Of(Deed),
}

fn befall(what: &str, deeds: &Deeds, delay: &str, spotless: bool) {
    let (mut process, mut feed) = (None, None);
    match deeds {
        Deeds::Kill | Deeds::Stop | Deeds::LinkDown => process = Some(sender(&small(0), ONE)),
        Deeds::Of(_) => feed = Some(LiveFeed::start(&small(0), ADDRESS)),
    }
    let _second = LiveFeed::start(&small(1), "239.9.0.2:5000");
    let more = ["--timeout", "300ms", "--delay", delay, "--cc-errors", "5"];
    let mut fallback = Fallback::start(&[ONE, TWO], &more);
    fallback.wait_for_input(1);
    fallback.wait_on_air(1, 2500);
    match deeds {
        Deeds::Kill => drop(process.take()),
        Deeds::Stop => process.as_ref().unwrap().signal(Signal::SIGSTOP),
        // To the group of the first input there is no way any more.
        Deeds::LinkDown => {
            let words = "route add blackhole 239.9.0.1";
            output_of(
                "ip",
                &words.split(' ').map(AsRef::as_ref).collect::<Vec<_>>(),
            );
        }
        Deeds::Of(deed) => feed.as_ref().unwrap().tell(*deed),
    }
    fallback.wait_for_input(2);
    fallback.wait_on_air(2, 2500);
    let file = fallback.stop();
    if matches!(deeds, Deeds::LinkDown) {
        let words = "route del blackhole 239.9.0.1";
        output_of(
            "ip",
            &words.split(' ').map(AsRef::as_ref).collect::<Vec<_>>(),
        );
    }
    let log = fallback.log();
    assert_eq!(fallback.switched(), [1, 2], "{what}\n{log}");
    let rows = pictures_by_input(&file);
    let order: Vec<_> = rows.iter().map(|(input, _)| *input).collect();
    assert_eq!(order, [1, 2], "{what}: {rows:?}\n{log}");
    let (longest, shortest) = steps(&stamps(&file, "v"));
    let switched = fallback.events();
    let switched = switched.iter().rfind(|e| e["event"] == "switched").unwrap();
    eprintln!(
        "{what}, --delay {delay}: pictures {rows:?}, longest step {longest:.0} ms, \
         first packet {} ms behind the decision, the input silent for {} ms then",
        switched["took_ms"], switched["silence_ms"]
    );
    if spotless {
        assert_eq!(complaints(&file), "", "{what}\n{log}");
        judge(&file, &["--ignore", "tstd,pts_interval"]);
        assert!(shortest > 39.0, "{what}: {shortest}\n{log}");
    }
    // Time-out, 100 ms, one GOP of the second input.
    let most = if delay == "0s" {
        300.0 + 100.0 + 800.0 + 40.0
    } else {
        41.0
    };
    if spotless {
        assert!(longest <= most, "{what}: {longest}\n{log}");
    }
}

#[test]
fn whatever_befalls_a_sender_the_output_goes_on() {
    in_own_network(
        "tsfallback::matrix::whatever_befalls_a_sender_the_output_goes_on",
        || {
            let times = std::env::var("HEADEND_MATRIX").map_or(1, |n| n.parse().unwrap());
            for _ in 0..times {
                for (what, deeds, delay, spotless) in [
                    ("killed", Deeds::Kill, "0s", true),
                    ("killed", Deeds::Kill, "1200ms", true),
                    ("stopped", Deeds::Stop, "1200ms", true),
                    ("unplugged", Deeds::LinkDown, "1200ms", true),
                    ("garbage", Deeds::Of(Deed::Garbage(true)), "1200ms", true),
                    (
                        "scrambled",
                        Deeds::Of(Deed::Strike(Strike::Scramble)),
                        "1200ms",
                        true,
                    ),
                    // Without sound for 700 ms before it is found.
                    (
                        "without sound",
                        Deeds::Of(Deed::Strike(Strike::Without(0x101))),
                        "1700ms",
                        true,
                    ),
                    ("10 % lost", Deeds::Of(Deed::Lose(10)), "1700ms", false),
                ] {
                    befall(what, &deeds, delay, spotless);
                }
            }
        },
    );
}

#[test]
fn a_file_and_a_slate_that_is_made_fill_in_where_no_input_is() {
    in_own_network(
        "tsfallback::matrix::a_file_and_a_slate_that_is_made_fill_in_where_no_input_is",
        || {
            for slate in [small(1).to_str().unwrap(), "bars"] {
                let mut fallback =
                    Fallback::start(&[ONE], &["--timeout", "300ms", "--slate", slate]);
                // Nothing was ever there: the output begins with the slate.
                fallback.wait_for_input(2);
                let feed = LiveFeed::start(&small(0), ADDRESS);
                fallback.wait_for_input(1);
                // A slate like the channel takes its time.
                fallback.wait_on_air(1, 6000);
                drop(feed);
                fallback.wait_for_input(2);
                fallback.wait_on_air(2, 1500);
                let _feed = LiveFeed::start(&small(0), ADDRESS);
                fallback.wait_for_input(1);
                fallback.wait_on_air(1, 1500);
                let file = fallback.stop();
                assert_eq!(fallback.switched(), [2, 1, 2, 1], "{}", fallback.log());
                assert_eq!(complaints(&file), "", "{slate}\n{}", fallback.log());
                judge(&file, &["--ignore", "tstd,pts_interval"]);
            }
        },
    );
}
