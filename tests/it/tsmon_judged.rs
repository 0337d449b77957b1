//! What could not be seen is not said to be in order.

use headend::ts::{Packet, Pid};
use serde_json::Value;

use crate::harness::Run;
use crate::healthy::{AUDIO, FAST, Healthy, VIDEO};

const CHECKS: [&str; 4] = [
    "pts_error",
    "buffer_error",
    "empty_buffer_error",
    "data_delay_error",
];
const NO_LEVEL: &str = "scrambled: its profile and level cannot be read";
const ONLY_TB: &str = "scrambled: only TB could be judged";

/// Ten seconds whose PIDs are scrambled from a second on; the report in JSON and as text.
fn scrambled(pids: &[Pid], from: usize) -> (Value, String) {
    let mut packets = Healthy::seconds(FAST, 10);
    let second = 27_000_000 / FAST as usize;
    for packet in &mut packets[from * second..] {
        if pids.contains(&packet.pid()) && packet.has_payload() {
            packet.as_bytes_mut()[3] |= 0x80;
        }
    }
    let bytes = Packet::bytes_of(&packets);
    let run = |form| {
        let run = Run::new("tsmon").args(["-q", "--report", form]);
        run.stdin(bytes).run().quiet_success()
    };
    let json = serde_json::from_slice(&run("json")).unwrap();
    (json, String::from_utf8(run("text")).unwrap())
}

/// Whether each of [`CHECKS`] was judged, and why not.
fn said(report: &Value) -> [(bool, Option<&str>); 4] {
    CHECKS.map(|name| {
        let check = &report["checks"][name];
        assert_eq!(check["count"], 0, "{name}");
        (check["judged"].as_bool().unwrap(), check["reason"].as_str())
    })
}

/// The lines below one that begins with `heading`.
fn below<'t>(text: &'t str, heading: &str) -> Vec<&'t str> {
    let lines = text.lines().skip_while(|line| !line.starts_with(heading));
    lines.skip(1).take_while(|l| l.starts_with("  ")).collect()
}

#[test]
fn a_stream_in_the_clear_is_judged_as_a_whole() {
    let (report, text) = scrambled(&[], 0);
    assert_eq!(said(&report), [(true, None); 4]);
    assert!(!text.contains("in part"), "{text}");
}

#[test]
fn checks_that_did_not_see_the_only_pictures_are_not_ok() {
    let (report, text) = scrambled(&[VIDEO], 0);
    let stamps = Some("scrambled streams show no time stamps");
    let level = Some(NO_LEVEL);
    let expected = [(true, stamps), (true, level), (true, level), (true, level)];
    assert_eq!(said(&report), expected);
    let ok = below(&text, "ok:").concat();
    assert!(!CHECKS.iter().any(|name| ok.contains(name)), "{text}");
    let part = below(&text, &format!("judged in part, {NO_LEVEL}:")).concat();
    assert!(CHECKS[1..].iter().all(|name| part.contains(name)), "{text}");
}

#[test]
fn what_was_seen_before_it_was_scrambled_counts() {
    let (report, _) = scrambled(&[VIDEO, AUDIO], 5);
    let stamps = Some("scrambled streams show no time stamps");
    let only = Some(ONLY_TB);
    // TB needs no headers.
    let expected = [(true, stamps), (true, only), (true, None), (true, only)];
    assert_eq!(said(&report), expected);
}

#[test]
fn without_one_stream_in_the_clear_nothing_was_judged() {
    let (report, _) = scrambled(&[VIDEO, AUDIO], 0);
    let [stamps, buffers, _, delay] = said(&report);
    assert_eq!(stamps, (false, Some("the streams are scrambled")));
    // TBsys and Bsys were, and what was found about data in the buffers of nothing.
    assert_eq!(buffers, (true, Some(NO_LEVEL)));
    assert_eq!(delay, (false, Some(NO_LEVEL)));
}
