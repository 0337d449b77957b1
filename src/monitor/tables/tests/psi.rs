//! 1.3.a, 1.5.a, 2.2, 2.6.

use super::*;

/// PAT and PMT every so often, and the streams; for ten seconds.
fn with_intervals(pat_ms: i64, pmt_ms: i64) -> Sim {
    let mut sim = Sim::new(TableLimits::default());
    let mut plan = mpeg();
    plan[0].every = ms(pat_ms);
    plan[1].every = ms(pmt_ms);
    sim.run(&mut plan, Ticks27M::SECOND * 10);
    sim
}

#[test]
fn a_pat_and_a_pmt_may_come_every_half_second_and_not_less() {
    with_intervals(500, 500).expect(&[]);
    // 501 ms: nineteen intervals end within 10 s.
    with_intervals(501, 500).expect(&[(Check::PatError2, 19)]);
    with_intervals(500, 501).expect(&[(Check::PmtError2, 19)]);
}

#[test]
fn a_pat_that_stays_away_is_told_each_half_second() {
    let mut sim = Sim::new(TableLimits::default());
    sim.to(ms(500));
    sim.expect(&[]);
    sim.to(ms(500) + TICK);
    sim.expect(&[(Check::PatError2, 1)]);
    assert_eq!(field(&sim.found[0], "reason"), "never seen");
    sim.to(ms(3_000));
    // Told at 500 and a tick, then each 600 ms for time goes on by 100 ms.
    assert_eq!(sim.of(Check::PatError2).len(), 5);
    sim.send(Pid::PAT, &[pat()]);
    sim.send(PMT, &[pmt()]);
    sim.to(ms(3_500));
    assert_eq!(sim.counts().get("pat_error_2"), Some(&5));
    sim.to(ms(3_600));
    let last = sim.of(Check::PatError2)[5];
    assert_eq!(
        (field(last, "reason"), field(last, "absent_ms")),
        ("absent".into(), "600".into())
    );
}

#[test]
fn other_tables_and_scrambling_on_pid_0_are_errors() {
    let mut sim = Sim::new(TableLimits::default());
    sim.send(Pid::PAT, &[pat()]);
    sim.expect(&[]);
    sim.send(Pid::PAT, &[sdt(true, 7)]);
    sim.expect(&[(Check::PatError2, 1)]);
    assert_eq!(field(&sim.found[0], "table_id"), "66");
    let mut scrambled = sim.cut(Pid::PAT, &[pat()])[0];
    scrambled.as_bytes_mut()[3] |= 0xC0;
    sim.packet(&scrambled);
    sim.expect(&[(Check::PatError2, 2)]);
    assert_eq!(field(&sim.found[1], "reason"), "scrambled");
}

#[test]
fn each_pmt_pid_is_watched_by_itself_and_belongs_to_its_service() {
    let mut sim = Sim::new(TableLimits::default());
    let second = Pid::from_field(0x200);
    let entries = [(1, PMT), (2, second)].map(|(id, pid)| PatEntry {
        program: ServiceId(id),
        pid,
    });
    let pat = PatFields::new(TransportStreamId(7), 0, &entries);
    let mut plan = mpeg();
    plan[0] = tables(500, 0, Pid::PAT, &[pat.to_section().unwrap()]);
    sim.run(&mut plan, ms(2_900));
    let found = sim.of(Check::PmtError2);
    // Missed from the PAT on: told after 500 ms, each time the first tick after it.
    assert!((4..=5).contains(&found.len()), "{found:#?}");
    for finding in found {
        assert_eq!(finding.subject, crate::stream::event::Subject::Pid(second));
        assert_eq!(finding.service, Some(ServiceId(2)));
        assert_eq!(field(finding, "reason"), "never seen");
    }
    // It leaves the PAT: nobody waits for it any more.
    let before = sim.found.len();
    plan[0] = tables(
        500,
        2_950,
        Pid::PAT,
        &[{
            let entry = [entries[0]];
            PatFields::new(TransportStreamId(7), 1, &entry)
                .to_section()
                .unwrap()
        }],
    );
    sim.run(&mut plan, ms(10_000));
    assert_eq!(sim.found.len(), before);
}

#[test]
fn a_program_without_a_pmt_is_missed_on_a_pid_that_has_others() {
    let mut sim = Sim::new(TableLimits::default());
    let entries = [1, 2].map(|id| PatEntry {
        program: ServiceId(id),
        pid: PMT,
    });
    let pat = PatFields::new(TransportStreamId(7), 0, &entries);
    let mut plan = mpeg();
    plan[0] = tables(500, 0, Pid::PAT, &[pat.to_section().unwrap()]);
    sim.run(&mut plan, ms(700));
    sim.expect(&[(Check::PmtError2, 1)]);
    assert_eq!(sim.found[0].service, Some(ServiceId(2)));
}

#[test]
fn a_scrambled_pmt_is_an_error_and_private_sections_beside_it_are_not() {
    let mut sim = Sim::new(TableLimits::default());
    sim.send(Pid::PAT, &[pat()]);
    let private = SectionBuf::long(TableId(0xC0), true, syntax(1, 0, 0), &[1, 2]).unwrap();
    sim.send(PMT, &[pmt(), private]);
    sim.expect(&[]);
    let mut scrambled = sim.cut(PMT, &[pmt()])[0];
    scrambled.as_bytes_mut()[3] |= 0x40;
    sim.packet(&scrambled);
    sim.expect(&[(Check::PmtError2, 1)]);
    assert_eq!(sim.found[0].service, Some(ServiceId(1)));
}

/// One of each table that 2.2 names, by PID.
fn sealed() -> Vec<(Pid, SectionBuf)> {
    let cat = crate::si::CatFields::new(0, Descriptors::NONE);
    let schedule = |actual| EitKind {
        actual,
        schedule: Some(3),
    };
    vec![
        (Pid::PAT, pat()),
        (PMT, pmt()),
        (Pid::CAT, cat.to_section().unwrap()),
        (Pid::NIT, two_loops(0x40, 1, 0, 0)),
        (Pid::NIT, two_loops(0x41, 1, 0, 0)),
        (Pid::SDT, sdt(true, 7)),
        (Pid::SDT, sdt(false, 8)),
        (Pid::SDT, two_loops(0x4A, 1, 0, 0)),
        (Pid::EIT, eit_pf(true, 1, 0)),
        (Pid::EIT, eit_pf(false, 1, 0)),
        (Pid::EIT, eit_of(schedule(true), 1, 0, 0, 1)),
        (Pid::EIT, eit_of(schedule(false), 1, 0, 0, 1)),
        (Pid::TDT, tot()),
    ]
}

#[test]
fn each_wrong_bit_of_each_table_is_a_crc_error() {
    for (pid, section) in sealed() {
        let bits = section.as_bytes().len() * 8;
        // table_id and section_length say what and where the section is; the bits behind them.
        for bit in 24..bits {
            let mut sim = Sim::new(TableLimits::default());
            sim.send(Pid::PAT, &[pat()]);
            let mut packet = sim.cut(pid, std::slice::from_ref(&section))[0];
            sim.packet(&packet.clone());
            assert_eq!(sim.of(Check::CrcError).len(), 0, "healthy on {pid}");
            packet.set_continuity_counter(packet.continuity_counter().next());
            packet.as_bytes_mut()[5 + bit / 8] ^= 0x80 >> (bit % 8);
            sim.at.time += ms(100);
            sim.packet(&packet);
            let found = sim.of(Check::CrcError).len();
            assert_eq!(found, 1, "bit {bit} on {pid}: {:#?}", sim.found);
        }
    }
}

#[test]
fn a_syntax_indicator_that_is_lost_does_not_hide_damage() {
    let mut sim = Sim::new(TableLimits::default());
    let mut packet = sim.cut(Pid::SDT, &[sdt(true, 7)])[0];
    packet.as_bytes_mut()[6] &= 0x7F;
    sim.packet(&packet);
    sim.expect(&[(Check::CrcError, 1)]);
}

#[test]
fn every_repeat_of_a_table_is_checked() {
    let mut sim = Sim::new(TableLimits::default());
    for turn in 0..100 {
        let mut packet = sim.cut(Pid::SDT, &[sdt(true, 7)])[0];
        if turn % 10 == 9 {
            // A byte in the middle: version and CRC_32 stay what they were.
            packet.as_bytes_mut()[5 + 8] ^= 1;
        }
        sim.packet(&packet);
        sim.at.time += ms(100);
    }
    sim.expect(&[(Check::CrcError, 10)]);
    assert_eq!(sim.tables.measures().crc_errors_total, 10);
}

#[test]
fn what_is_lost_or_stuffing_is_no_crc_error() {
    let mut sim = Sim::new(TableLimits::default());
    let long = SectionBuf::long(TableId(0x50), true, syntax(1, 0, 0), &[7; 600]).unwrap();
    for missing in 0..4 {
        for (n, packet) in sim
            .cut(Pid::EIT, std::slice::from_ref(&long))
            .iter()
            .enumerate()
        {
            if n != missing {
                sim.flagged(packet, n == missing + 1, false);
            }
        }
        sim.at.time += ms(100);
    }
    // A stuffing section may be any bytes, and a TDT has no CRC_32.
    let stuffing = SectionBuf::long(TableId::ST, true, syntax(0, 0, 0), &[7; 30]).unwrap();
    let mut packet = sim.cut(Pid::EIT, &[stuffing])[0];
    packet.as_bytes_mut()[20] ^= 1;
    sim.packet(&packet);
    sim.send(Pid::TDT, &[tdt()]);
    sim.expect(&[]);
}

#[test]
fn scrambled_packets_need_a_cat() {
    let cat = crate::si::CatFields::new(0, Descriptors::NONE)
        .to_section()
        .unwrap();
    let run = |cat_ms: Option<i64>, scrambled: bool, seconds: i64| {
        let mut sim = Sim::new(TableLimits::default());
        let mut plan = mpeg();
        if scrambled {
            plan[2].what = What::Scrambled;
        }
        plan.extend(cat_ms.map(|every| tables(every, 4, Pid::CAT, std::slice::from_ref(&cat))));
        sim.run(&mut plan, Ticks27M::SECOND * seconds);
        sim
    };
    run(None, false, 60).expect(&[]);
    run(Some(10_000), true, 60).expect(&[]);
    run(None, true, 10).expect(&[]);
    let sim = run(None, true, 11);
    sim.expect(&[(Check::CatError, 1)]);
    assert_eq!(field(&sim.found[0], "reason"), "never seen");
    // 10.2 s between two: told when 10 s are over, each time.
    run(Some(10_200), true, 60).expect(&[(Check::CatError, 5)]);
}

#[test]
fn another_table_on_pid_1_is_a_cat_error() {
    let mut sim = Sim::new(TableLimits::default());
    sim.send(Pid::CAT, &[pat()]);
    sim.expect(&[(Check::CatError, 1)]);
}
