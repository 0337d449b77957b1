//! Inputs that fail in each way there is, in real time: senders, the tool and the network are real,
//! and what is decoded of the output says of each picture where it came from.
//!
//! Each run has two tools on the same inputs, one without and one with `--delay`. With
//! `HEADEND_MATRIX=20` each fault is struck so many times, at another moment of the GOP each time;
//! the tables stand on stderr (`--nocapture`).

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::lines::{Damage, Far, NEAR, Relay, Sender, Tap, Vigil, delay_of, packets};
use super::numbered::{Sound, pids, source};
use super::outcome::{Outcome, longest, ms, packets_of_picture, packets_only_of};
use super::sockets::Fallback;
use crate::harness::{Random, in_own_network};

const ONE: Ipv4Addr = Ipv4Addr::new(239, 9, 0, 1);
const ONE_BEFORE: Ipv4Addr = Ipv4Addr::new(239, 9, 0, 11);
const TWO: Ipv4Addr = Ipv4Addr::new(239, 9, 0, 2);
const OUT: [Ipv4Addr; 2] = [Ipv4Addr::new(239, 9, 1, 1), Ipv4Addr::new(239, 9, 1, 2)];
const PORT: u16 = 5000;

/// What the tool with a delay is told: its time-out and a GOP.
const DELAY: &str = "1500ms";

/// A run in which a thread was woken up later than this has failed by itself, if it has; it is made
/// so often.
const AWAKE: Duration = Duration::from_millis(50);
const ATTEMPTS: usize = 4;

/// What happens to the input on air.
#[derive(Copy, Clone)]
enum Strike {
    Signal(Signal),
    Unplug,
    Damage(Damage),
}

struct Fault {
    name: &'static str,
    strike: Strike,
    sound: Sound,
    options: &'static [&'static str],
    /// How long the fault lasts until it is found, in ms.
    found: f64,
    /// What is sent on until another input is entered is damaged itself.
    damaged: bool,
}

fn url(group: Ipv4Addr) -> String {
    format!("udp://{group}:{PORT}")
}

/// Strikes as often as is asked for, says what came of it.
#[track_caller]
fn strike(test: &str, fault: &Fault) {
    let times = std::env::var("HEADEND_MATRIX").map_or(1, |times| times.parse().unwrap());
    let table = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fallback-{}", fault.name));
    in_own_network(&format!("tsfallback::real::{test}"), || {
        let mut text = String::new();
        let mut wrong = String::new();
        for seed in 0..times {
            let (outcomes, findings) = run_awake(fault, seed, &mut text);
            for outcome in outcomes {
                writeln!(text, "{}", outcome.row(fault.name)).unwrap();
            }
            for finding in findings {
                writeln!(wrong, "{} {seed}: {finding}", fault.name).unwrap();
            }
            std::fs::write(&table, format!("{text}{wrong}")).unwrap();
        }
        assert!(wrong.is_empty(), "{}\n{text}{wrong}", Outcome::HEAD);
    });
    let text = std::fs::read_to_string(&table).unwrap();
    eprintln!("{}\n{text}", Outcome::HEAD);
}

/// A run in which the machine ran the processes; on one that is too busy for that nothing is proved,
/// and that is said.
fn run_awake(fault: &Fault, seed: u64, text: &mut String) -> (Vec<Outcome>, Vec<String>) {
    for _ in 0..ATTEMPTS {
        let vigil = Vigil::begin();
        let (outcomes, findings) = run(fault, seed);
        let late = vigil.end();
        if late < AWAKE || findings.is_empty() {
            return (outcomes, findings);
        }
        writeln!(
            text,
            "{:14} this machine stood still for {late:?}: again",
            fault.name
        )
        .unwrap();
    }
    writeln!(
        text,
        "SKIPPED: {}, since this machine is too busy for it",
        fault.name
    )
    .unwrap();
    (Vec::new(), Vec::new())
}

/// One run: what came of it in the output without and with delay, and what is wrong with it.
fn run(fault: &Fault, seed: u64) -> (Vec<Outcome>, Vec<String>) {
    let files = [source(1, fault.sound), source(2, fault.sound)];
    let far = Far::new();
    let relay = match fault.strike {
        Strike::Damage(damage) => Some(Relay::new(ONE_BEFORE, ONE, PORT, seed, damage)),
        _ => None,
    };
    let cabled = relay.is_none();
    let to = if cabled { ONE } else { ONE_BEFORE };
    let first = match cabled {
        true => format!("{}?iface={NEAR}", url(ONE)),
        false => url(ONE),
    };
    let (second, folder) = (url(TWO), tempfile::tempdir().unwrap());
    let taps = [Tap::new(ONE, PORT, cabled), Tap::new(TWO, PORT, false)];
    let outputs = OUT.map(|group| Tap::new(group, PORT, false));
    let mut tools = [(OUT[0], "0s"), (OUT[1], DELAY)].map(|(out, delay)| {
        let options = [&["--delay", delay], fault.options].concat();
        Fallback::start_to(&url(out), &[&first, &second], &options)
    });
    let mut senders = [
        Sender::new(Some(&far), &files[0], &url(to)),
        Sender::new(None, &files[1], &url(TWO)),
    ];
    for sender in &mut senders {
        sender.begin();
    }
    for tool in &tools {
        tool.wait_for_input(1);
    }
    // Somewhere in the GOP, when the delayed output is on air too.
    let phase = Random::new(seed + 1).below(1000) as u64;
    tools[1].wait_on_air(1, 2200 + phase);
    let struck = Instant::now();
    match fault.strike {
        Strike::Signal(signal) => senders[0].signal(signal),
        Strike::Unplug => Far::unplug(),
        Strike::Damage(_) => relay.iter().for_each(Relay::damage),
    }
    tools[0].wait_for_input(2);
    tools[1].wait_for_input(2);
    tools[1].wait_on_air(2, 2500);
    let logs = tools.each_mut().map(|tool| {
        tool.stop();
        (tool.switched(), tool.log())
    });
    drop(senders);
    let [one, two] = taps.map(Tap::finish);
    let lag = delay_of(&two, struck) - delay_of(&one, struck);
    let mut outcomes = Vec::new();
    let mut findings = Vec::new();
    for (n, tap) in outputs.into_iter().enumerate() {
        let taken = tap.finish();
        let file = folder.path().join(format!("out-{n}.ts"));
        let bytes: Vec<u8> = taken.iter().flat_map(|(_, d)| d).copied().collect();
        std::fs::write(&file, bytes).unwrap();
        let (switched, log) = &logs[n];
        let mut say = |what: String| {
            findings.push(format!("delay {}: {what}\n{log}", ["0", DELAY][n]));
        };
        if *switched != [1, 2] {
            say(format!("switched {switched:?}"));
            continue;
        }
        let mut outcome = Outcome::new(n == 1, lag);
        let backup = packets_only_of(&files[1], &files[0]);
        let came = packets_of_picture(&taken).find(|(_, packet)| backup.contains(packet));
        outcome.first = came.map_or(f64::NAN, |(at, _)| ms(struck, at));
        outcome.silence = longest(taken.iter().map(|(at, _)| *at));
        outcome.pictureless = longest(packets_of_picture(&taken).map(|(at, _)| at));
        for finding in outcome.look(&file, &files, fault.found, fault.damaged) {
            say(finding);
        }
        outcomes.push(outcome);
    }
    (outcomes, findings)
}

#[test]
fn a_sender_that_is_killed() {
    strike(
        "a_sender_that_is_killed",
        &Fault {
            name: "killed",
            strike: Strike::Signal(Signal::SIGKILL),
            sound: Sound::Mp2,
            options: &[],
            found: 500.0,
            damaged: false,
        },
    );
}

#[test]
fn a_sender_that_stands_still() {
    strike(
        "a_sender_that_stands_still",
        &Fault {
            name: "stopped",
            strike: Strike::Signal(Signal::SIGSTOP),
            sound: Sound::Aac,
            options: &[],
            found: 500.0,
            damaged: false,
        },
    );
}

#[test]
fn a_link_that_goes_down() {
    strike(
        "a_link_that_goes_down",
        &Fault {
            name: "unplugged",
            strike: Strike::Unplug,
            sound: Sound::Mp2,
            options: &[],
            found: 500.0,
            damaged: false,
        },
    );
}

#[test]
fn garbage_instead_of_packets() {
    let garbage: Damage = |datagram, random| datagram.fill_with(|| random.below(256) as u8);
    strike(
        "garbage_instead_of_packets",
        &Fault {
            name: "garbage",
            strike: Strike::Damage(garbage),
            sound: Sound::Mp2,
            options: &[],
            // At once.
            found: 50.0,
            damaged: false,
        },
    );
}

#[test]
fn packets_that_are_said_to_be_scrambled() {
    let scrambled: Damage = |datagram, _| {
        let (picture, sound) = pids(1);
        for (pid, packet) in packets(datagram) {
            if pid == picture || pid == sound {
                packet[3] |= 0x80;
            }
        }
    };
    strike(
        "packets_that_are_said_to_be_scrambled",
        &Fault {
            name: "scrambled",
            strike: Strike::Damage(scrambled),
            sound: Sound::Mp2,
            options: &[],
            // At once.
            found: 50.0,
            damaged: false,
        },
    );
}

#[test]
fn sound_that_is_gone() {
    let soundless: Damage = |datagram, _| {
        let (_, sound) = pids(1);
        let rest = packets(datagram).filter(|(pid, _)| *pid != sound);
        *datagram = rest.flat_map(|(_, packet)| packet.to_vec()).collect();
    };
    strike(
        "sound_that_is_gone",
        &Fault {
            name: "soundless",
            strike: Strike::Damage(soundless),
            sound: Sound::Aac,
            options: &[],
            // ISO/IEC 13818-1 §2.7.4 lets stamps be so far apart.
            found: 700.0,
            damaged: false,
        },
    );
}

#[test]
fn one_datagram_in_ten_is_lost() {
    let lossy: Damage = |datagram, random| {
        if random.below(10) == 0 {
            datagram.clear();
        }
    };
    strike(
        "one_datagram_in_ten_is_lost",
        &Fault {
            name: "lossy",
            strike: Strike::Damage(lossy),
            sound: Sound::Mp2,
            options: &["--on", "loss,cc", "--cc-errors", "5"],
            // Five of fourteen datagrams that are lost in a second.
            found: 1000.0,
            damaged: true,
        },
    );
}
