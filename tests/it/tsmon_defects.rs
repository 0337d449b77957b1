//! For every check of TR 101 290, on the real binary: the healthy stream does not raise it, and the
//! smallest defect raises it as often as it was put in, with no other check but those it must.
//!
//! Limits to the tick and the byte are proven elsewhere, and not again here:
//!
//! - 1.1, 1.2: two sync bytes in a row and one, here; `stream::framing`.
//! - 1.3.a, 1.5.a: `monitor::tables::tests::psi`; 1.6, 3.4.a: `monitor::tables::tests::pids`;
//!   2.2 to the bit, 2.6: `monitor::tables::tests::psi`.
//! - 1.4: each rule of the clause in `stream::continuity`; 2.1: `tests/it/tsmon.rs`.
//! - 2.3.a, 2.3.b, 2.5 to the tick: `monitor::clocks::tests`; 2.4 (481 and 519 ns):
//!   `monitor::clocks::accuracy::tests`, and beside the judge `tests/it/tsmon_clocks.rs`.
//! - 3.1 to 3.8 to the millisecond: `monitor::tables::tests::si`.
//! - 3.3, a byte over and a byte under in each buffer: `tests/it/tsmon_buffers.rs`. 3.9 and 3.10 on
//!   either side of their second: here; which streams have 10 s or 60 s: `monitor::tstd::model`.
//!
//! Priority 4 is of the network: `tests/it/tsmon.rs`.

mod rows;

use std::collections::BTreeMap;

use headend::monitor::{Check, Priority};
use headend::ts::Packet;
use serde_json::Value;

use crate::harness::{Run, judge};
use crate::healthy::Healthy;
use crate::inject::{Damaged, inject};
use rows::{LONG, Row, SHORT, priority_1, priority_2, priority_3};

fn report(bytes: Vec<u8>) -> Value {
    let run = Run::new("tsmon").args(["--quiet", "--report", "json"]);
    let ran = run.stdin(bytes).run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// What was found by the checks of TR 101 290, those that found nothing left out.
fn found(report: &Value) -> BTreeMap<&'static str, u64> {
    let count = |check: &Check| report["checks"][check.name()]["count"].as_u64().unwrap();
    let all = Check::ALL.iter().map(|check| (check.name(), count(check)));
    all.filter(|(_, count)| *count > 0).collect()
}

/// Each row on the real binary, at three places; and each check of the priority has a row.
fn prove(priority: Priority, rows: Vec<Row>) {
    let (long, short) = (
        Healthy::seconds(LONG.ticks, LONG.seconds),
        Healthy::seconds(SHORT.ticks, SHORT.seconds),
    );
    let mut wrong = Vec::new();
    for row in &rows {
        let healthy: &[Packet] = if row.stream.ticks == LONG.ticks {
            &long
        } else {
            &short
        };
        for seed in 1..=3 {
            let Damaged { bytes, deeds } = inject(healthy, seed, &row.strikes);
            assert_eq!(deeds.len(), row.strikes.len(), "{}", row.what);
            let report = report(bytes);
            let found = found(&report);
            let expected: BTreeMap<_, _> = row.found.iter().map(|(c, n)| (c.name(), *n)).collect();
            if found != expected {
                wrong.push(format!(
                    "{} {deeds:?}: {found:?}, not {expected:?}",
                    row.what
                ));
            }
            for (check, _) in &row.found {
                let first = report["checks"][check.name()]["first_packet"].as_u64();
                let place = deeds[0].place as u64;
                if first.is_some_and(|first| first < place) {
                    wrong.push(format!(
                        "{}: {check} at {first:?}, before {place}",
                        row.what
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for check in Check::ALL.iter().filter(|c| c.priority() == priority) {
        let raised = |row: &Row| row.found.iter().any(|(c, _)| c == check);
        assert!(rows.iter().any(raised), "{check} has no defect");
    }
}

#[test]
fn the_healthy_streams_raise_nothing_and_the_long_one_is_judged_by_every_check() {
    for stream in [LONG, SHORT] {
        let packets = Healthy::seconds(stream.ticks, stream.seconds);
        let report = report(Packet::bytes_of(&packets).to_vec());
        assert_eq!(found(&report), BTreeMap::new());
        // So says who knows nothing of us.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), Packet::bytes_of(&packets)).unwrap();
        judge(file.path(), &[]);
        let checks = Check::ALL.iter().filter(|c| c.priority() < Priority::Four);
        for check in checks.filter(|_| stream.ticks == LONG.ticks) {
            let row = &report["checks"][check.name()];
            assert_eq!(
                (&row["judged"], &row["reason"]),
                (&true.into(), &Value::Null),
                "{check}"
            );
        }
    }
}

#[test]
fn each_check_of_priority_1_is_raised_by_its_smallest_defect_and_by_no_other() {
    prove(Priority::One, priority_1());
}

#[test]
fn each_check_of_priority_2_is_raised_by_its_smallest_defect_and_by_no_other() {
    prove(Priority::Two, priority_2());
}

#[test]
fn each_check_of_priority_3_is_raised_by_its_smallest_defect_and_by_no_other() {
    prove(Priority::Three, priority_3());
}
