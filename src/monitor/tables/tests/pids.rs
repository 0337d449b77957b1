//! 1.6 and 3.4.a.

use super::*;
use crate::stream::event::Subject;

const OTHER: Pid = Pid::from_field(0x321);

#[test]
fn a_referred_pid_may_be_away_for_five_seconds_and_not_longer() {
    for (item, pid, kind) in [(2, VIDEO, "video"), (3, AUDIO, "audio")] {
        let mut sim = Sim::new(TableLimits::default());
        let mut plan = mpeg();
        sim.run(&mut plan, ms(2));
        plan[item].next = ms(5_002);
        let first = plan[item].next - ms(5_000);
        if item == 3 {
            sim.to(first);
            sim.media(AUDIO, false);
        }
        sim.run(&mut plan, ms(5_002));
        sim.expect(&[]);
        plan[item].next = ms(20_000);
        let last = ms(5_002);
        sim.run(&mut plan, last + ms(5_000));
        sim.expect(&[]);
        sim.run(&mut plan, last + ms(5_100));
        sim.expect(&[(Check::PidError, 1)]);
        let finding = &sim.found[0];
        assert_eq!(
            (finding.subject, finding.service),
            (Subject::Pid(pid), Some(ServiceId(1)))
        );
        let said = ["kind", "reason"].map(|key| field(finding, key));
        assert_eq!(said, [kind, "absent"]);
        sim.run(&mut plan, last + ms(10_500));
        sim.expect(&[(Check::PidError, 2)]);
    }
}

#[test]
fn a_pid_that_never_came_is_missed_from_its_pmt_on() {
    let mut sim = Sim::new(TableLimits::default());
    let mut plan = mpeg();
    plan.remove(3);
    sim.run(&mut plan, ms(5_001));
    sim.expect(&[]);
    sim.run(&mut plan, ms(5_101));
    sim.expect(&[(Check::PidError, 1)]);
    assert_eq!(field(&sim.found[0], "reason"), "never seen");
}

#[test]
fn what_is_sparse_is_not_missed_unless_asked() {
    // Teletext, subtitles, splice information, ECMs: none of them ever comes.
    let pid = Pid::from_field;
    let with = |kind, number, descriptors| PmtStream {
        descriptors: Descriptors::new(descriptors),
        ..stream(kind, pid(number))
    };
    let ca = [0x09, 4, 0x05, 0x00, 0xE1, 0x50];
    let streams = [
        PmtStream {
            descriptors: Descriptors::new(&ca),
            ..stream(0x1B, VIDEO)
        },
        stream(0x03, AUDIO),
        with(0x06, 0x131, &[0x56, 5, b'd', b'e', b'u', 0x09, 0]),
        with(0x06, 0x132, &[0x59, 8, b'f', b'r', b'a', 0x14, 0, 1, 0, 1]),
        with(0x86, 0x133, &[]),
        with(0x0B, 0x134, &[]),
    ];
    let run = |limits| {
        let mut sim = Sim::new(limits);
        let mut plan = mpeg();
        plan[1] = tables(500, 1, PMT, &[pmt_with(0, &streams)]);
        // The ECMs that do come are referred to.
        plan.push(every(1_000, 5, pid(0x150), What::Media));
        sim.run(&mut plan, Ticks27M::SECOND * 10);
        sim
    };
    run(TableLimits::default()).expect(&[]);
    let mut limits = TableLimits::default();
    limits.absence.teletext = Some(Ticks27M::SECOND * 8);
    limits.absence.ecm = Some(ms(999));
    let sim = run(limits);
    let missed: Vec<_> = sim.found.iter().map(|f| f.subject).collect();
    assert_eq!(
        missed
            .iter()
            .filter(|s| **s == Subject::Pid(pid(0x131)))
            .count(),
        1
    );
    assert!(missed.contains(&Subject::Pid(pid(0x150))), "{missed:?}");
}

#[test]
fn a_pid_that_nothing_refers_to_is_told_after_half_a_second() {
    let mut sim = Sim::new(TableLimits::default());
    let mut plan = mpeg();
    plan.push(every(100, 1_000, OTHER, What::Media));
    sim.run(&mut plan, ms(1_500));
    sim.expect(&[]);
    sim.run(&mut plan, ms(1_600));
    sim.expect(&[(Check::UnreferencedPid, 1)]);
    assert_eq!(sim.found[0].subject, Subject::Pid(OTHER));
    // As long as it goes on, and no longer.
    sim.run(&mut plan, ms(2_300));
    sim.expect(&[(Check::UnreferencedPid, 2)]);
    plan.pop();
    sim.run(&mut plan, ms(10_000));
    assert!(sim.of(Check::UnreferencedPid).len() <= 3);
}

#[test]
fn a_single_packet_of_an_unreferenced_pid_is_told_once() {
    let mut sim = Sim::new(TableLimits::default());
    let mut plan = mpeg();
    sim.run(&mut plan, ms(1_000));
    sim.media(OTHER, false);
    sim.run(&mut plan, ms(10_000));
    sim.expect(&[(Check::UnreferencedPid, 1)]);
}

#[test]
fn a_pmt_that_comes_in_time_refers() {
    // The PMT names the PID 500 ms after its first packet; 100 ms later is too late.
    for (named, found) in [(1_000, 0), (1_100, 1)] {
        let mut sim = Sim::new(TableLimits::default());
        let mut plan = mpeg();
        plan.push(every(100, 500, OTHER, What::Media));
        sim.run(&mut plan, ms(named - 1));
        let streams = [
            stream(0x1B, VIDEO),
            stream(0x03, AUDIO),
            stream(0x03, OTHER),
        ];
        plan[1] = tables(500, named, PMT, &[pmt_with(1, &streams)]);
        sim.run(&mut plan, ms(4_000));
        assert_eq!(sim.of(Check::UnreferencedPid).len(), found, "{named}");
        // It leaves the PMT, and goes on.
        plan[1] = tables(500, 4_050, PMT, &[pmt_with(2, &streams[..2])]);
        sim.run(&mut plan, ms(4_500));
        assert_eq!(sim.of(Check::UnreferencedPid).len(), found, "{named}");
        sim.run(&mut plan, ms(4_700));
        assert_eq!(sim.of(Check::UnreferencedPid).len(), found + 1, "{named}");
    }
}

#[test]
fn a_stream_that_ends_before_it_leaves_the_pmt_is_not_unreferenced() {
    // A packet that comes behind the PMT is one.
    for late in [false, true] {
        let mut sim = Sim::new(TableLimits::default());
        let mut plan = mpeg();
        let streams = [stream(0x1B, VIDEO), stream(0x03, OTHER)];
        plan[1] = tables(500, 4, PMT, &[pmt_with(1, &streams)]);
        plan[3] = every(100, 5, OTHER, What::Media);
        sim.run(&mut plan, ms(3_900));
        plan.pop();
        sim.run(&mut plan, ms(4_000));
        plan[1] = tables(500, 4_050, PMT, &[pmt_with(2, &streams[..1])]);
        sim.run(&mut plan, ms(4_058));
        if late {
            sim.media(OTHER, false);
        }
        sim.run(&mut plan, ms(8_000));
        assert_eq!(sim.of(Check::UnreferencedPid).len(), usize::from(late));
    }
}

#[test]
fn emms_private_pids_and_assigned_ones_need_no_pmt() {
    let emm = [0x09, 4, 0x05, 0x00, 0xE3, 0x00];
    let cat = crate::si::CatFields::new(0, Descriptors::new(&emm))
        .to_section()
        .unwrap();
    let pid = Pid::from_field;
    let mut limits = TableLimits::default();
    limits.declared.insert(pid(0x1000));
    let mut sim = Sim::new(limits);
    let mut plan = mpeg();
    plan.push(tables(1_000, 4, Pid::CAT, &[cat]));
    for free in [0x300, 0x1000, 0x02, 0x15, 0x1F, 0x1FFB, 0x1FFF] {
        plan.push(every(100, 5, pid(free), What::Media));
    }
    sim.run(&mut plan, Ticks27M::SECOND * 10);
    sim.expect(&[]);
    // Another version of the CAT, which names nothing.
    let none = crate::si::CatFields::new(1, Descriptors::NONE)
        .to_section()
        .unwrap();
    plan[4] = tables(1_000, 10_004, Pid::CAT, &[none]);
    sim.run(&mut plan, ms(10_200));
    assert!(
        sim.of(Check::UnreferencedPid)
            .iter()
            .all(|f| f.subject == Subject::Pid(pid(0x300)))
    );
    assert_eq!(sim.of(Check::UnreferencedPid).len(), 1);
}

#[test]
fn nothing_is_unreferenced_before_a_pat() {
    let mut sim = Sim::new(TableLimits::default());
    let mut plan = vec![every(40, 0, VIDEO, What::Media)];
    sim.run(&mut plan, Ticks27M::SECOND * 10);
    assert!(sim.of(Check::UnreferencedPid).is_empty());
    let unjudged = sim.tables.verdict(Check::UnreferencedPid);
    assert_eq!(unjudged, Verdict::NotJudged("no PMT came"));
    assert!(sim.of(Check::PatError2).len() > 15);
}

#[test]
fn an_absence_that_ends_between_two_looks_is_found() {
    // 5 s and a tick; the packet that ends it comes before time is told to go on.
    for (over, found) in [(Ticks27M::ZERO, 0), (TICK, 1)] {
        let mut sim = Sim::new(TableLimits::default());
        let mut plan = mpeg();
        plan.remove(2);
        sim.go(ms(50));
        sim.media(VIDEO, false);
        sim.run(&mut plan, ms(5_010));
        sim.go(ms(5_050) + over);
        sim.media(VIDEO, false);
        assert_eq!(sim.of(Check::PidError).len(), found);
    }
}
