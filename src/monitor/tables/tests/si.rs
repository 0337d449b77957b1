//! 3.1, 3.2, 3.5, 3.6, 3.7, 3.8.

use super::*;

fn seconds(n: i64) -> Ticks27M {
    Ticks27M::SECOND * n
}

/// The healthy stream with one item of its plan sent every so often instead, for some time.
fn with_interval(item: usize, every_ms: i64, end: Ticks27M) -> Sim {
    let mut sim = Sim::new(TableLimits::default());
    let mut plan = dvb();
    plan[item].every = ms(every_ms);
    sim.run(&mut plan, end);
    sim
}

/// Places in the plan of the healthy stream.
const NIT: usize = 4;
const NIT_OTHER: usize = 5;
const SDT: usize = 6;
const SDT_OTHER: usize = 7;
const BAT: usize = 8;
const EIT: usize = 9;
const EIT_OTHER: usize = 10;
const TDT: usize = 11;
const TOT: usize = 12;

#[test]
fn a_millisecond_more_than_its_interval_raises_the_check_of_each_table() {
    // The interval of each, at which an hour is healthy; and the check beside 3.2.
    let rows = [
        (NIT, 10_000, Some(Check::NitActualError)),
        (NIT_OTHER, 10_000, Some(Check::NitOtherError)),
        (SDT, 2_000, Some(Check::SdtActualError)),
        (SDT_OTHER, 10_000, Some(Check::SdtOtherError)),
        (BAT, 10_000, None),
        (EIT_OTHER, 5_000, Some(Check::EitOtherError)),
        (TDT, 30_000, Some(Check::TdtError)),
        (TOT, 30_000, None),
    ];
    for (item, interval, check) in rows {
        let sim = with_interval(item, interval + 1, ms(interval * 5 / 2));
        let mut expected = vec![(Check::SiRepetitionError, 0)];
        expected.extend(check.map(|check| (check, 0)));
        for (check, _) in &expected {
            let found = sim.of(*check);
            assert!(
                !found.is_empty() && found.len() <= 2,
                "{item} {check}: {found:#?}"
            );
            let text = field(found[0], "interval_ms") + &field(found[0], "absent_ms");
            let over = text.parse::<i64>().unwrap() - interval;
            assert!((0..=10_001).contains(&over), "{item} {check}: {text}");
        }
        assert_eq!(
            sim.counts().len(),
            expected.len(),
            "{item}: {:#?}",
            sim.found
        );
    }
}

#[test]
fn present_and_following_of_a_service_come_each_two_seconds() {
    // Sections in turn: each again after twice the interval.
    with_interval(EIT, 1_000, seconds(60)).expect(&[]);
    let sim = with_interval(EIT, 1_001, seconds(4));
    // Of the service, section 0 at 2.032 s and section 1 at 3.033 s; and of nothing else.
    let found = sim.of(Check::EitActualError);
    let services: Vec<_> = found.iter().map(|f| f.service).collect();
    assert_eq!(services, [Some(ServiceId(1)); 2], "{found:#?}");
    assert!(sim.of(Check::EitPfError).is_empty());
    assert_eq!(field(found[0], "interval_ms"), "2002");
}

#[test]
fn each_of_two_sections_that_are_late_at_once_counts() {
    // Both sections of a service's EIT each 2.2 s: missed by a tick, and late by so little that no
    // tick falls in between.
    for every_ms in [2_200, 2_050, 2_001] {
        let mut sim = Sim::new(TableLimits::default());
        let mut plan = dvb();
        plan.remove(EIT);
        for number in [0, 1] {
            let from = 30 * (1 + i64::from(number));
            let section = eit_pf(true, 1, number);
            plan.push(tables(every_ms, from, Pid::EIT, &[section]));
        }
        sim.run(&mut plan, ms(every_ms) * 11 + ms(500));
        let found = sim.of(Check::EitActualError);
        for section in ["0", "1"] {
            let of = found.iter().filter(|f| field(f, "section") == section);
            assert_eq!(of.count(), 11, "{every_ms} ms: {found:#?}");
        }
        assert_eq!(sim.of(Check::SiRepetitionError).len(), 22);
    }
}

#[test]
fn an_eit_that_went_away_is_missed_as_long_as_it_is() {
    let mut sim = Sim::new(TableLimits::default());
    let mut plan = dvb();
    sim.run(&mut plan, seconds(10));
    plan.remove(EIT);
    sim.run(&mut plan, seconds(60));
    // Each 2 s and a tick: by its service until that is withdrawn, which is after 20 s; then by the
    // stream, where both sections are missed.
    let found = sim.of(Check::EitActualError);
    let times: Vec<_> = found.iter().map(|f| f.at.time).collect();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(longest.is_some_and(|span| span <= ms(2_200)), "{found:#?}");
    assert!(times.last().is_some_and(|last| *last > seconds(57)));
    let withdrawn = found.iter().position(|f| f.service.is_none()).unwrap();
    let at = times[withdrawn];
    assert!(seconds(29) < at && at < seconds(33), "{at}");
    assert!(found[..withdrawn].iter().all(|f| f.service.is_some()));
    assert!(found[withdrawn..].iter().all(|f| f.service.is_none()));
}

#[test]
fn a_table_that_never_came_is_missed_and_says_so() {
    let rows = [
        (NIT, seconds(10), "nit_actual_error"),
        (SDT, seconds(2), "sdt_actual_error"),
        (EIT, seconds(2), "eit_actual_error"),
        (TDT, seconds(30), "tdt_error"),
    ];
    for (item, limit, check) in rows {
        let mut plan = dvb();
        plan.remove(item);
        // The first section of SI comes at 10 ms, without the NIT at 20 ms.
        let first = if item == NIT { ms(20) } else { ms(10) };
        let mut sim = Sim::new(TableLimits::default());
        sim.run(&mut plan, first + limit);
        sim.expect(&[]);
        sim.run(&mut plan, first + limit + ms(100));
        let count = if item == EIT { 2 } else { 1 };
        assert_eq!(
            sim.counts(),
            BTreeMap::from([(check, count)]),
            "{:#?}",
            sim.found
        );
        assert_eq!(field(&sim.found[0], "reason"), "never seen");
    }
}

#[test]
fn a_stream_without_si_is_not_judged_by_it_unless_asked() {
    let mut sim = Sim::new(TableLimits::default());
    sim.run(&mut mpeg(), seconds(60));
    sim.expect(&[]);
    let all = [
        Check::NitActualError,
        Check::SdtActualError,
        Check::EitActualError,
        Check::TdtError,
    ];
    for check in all.into_iter().chain([Check::SiRepetitionError]) {
        assert!(
            matches!(sim.tables.verdict(check), Verdict::NotJudged(_)),
            "{check}"
        );
    }
    let mut sim = Sim::new(TableLimits {
        expect_si: ExpectSi::Always,
        ..TableLimits::default()
    });
    sim.run(&mut mpeg(), seconds(31));
    for check in all {
        assert!(!sim.of(check).is_empty(), "{check}");
        assert_eq!(sim.tables.verdict(check), Verdict::Judged);
    }
}

#[test]
fn an_eit_that_the_sdt_says_is_not_there_is_not_missed() {
    let run = |flag, expect_si| {
        let mut plan = dvb();
        plan.remove(EIT);
        plan[SDT] = tables(2_000, 20, Pid::SDT, &[sdt_with(true, 7, flag)]);
        let mut sim = Sim::new(TableLimits {
            expect_si,
            ..TableLimits::default()
        });
        sim.run(&mut plan, seconds(3));
        sim
    };
    let sim = run(false, ExpectSi::OnceAny);
    sim.expect(&[]);
    let verdict = sim.tables.verdict(Check::EitActualError);
    assert!(matches!(verdict, Verdict::NotJudged(_)));
    run(true, ExpectSi::OnceAny).expect(&[(Check::EitActualError, 2)]);
    run(false, ExpectSi::Always).expect(&[(Check::EitActualError, 2)]);
    // One that came all the same is watched.
    let mut plan = dvb();
    plan[SDT] = tables(2_000, 20, Pid::SDT, &[sdt_with(true, 7, false)]);
    let mut sim = Sim::new(TableLimits::default());
    sim.run(&mut plan, seconds(10));
    plan.remove(EIT);
    sim.run(&mut plan, seconds(12));
    assert!(!sim.of(Check::EitActualError).is_empty());
}

#[test]
fn a_limit_that_is_not_set_is_not_looked_at() {
    let mut plan = dvb();
    plan.remove(NIT);
    let mut sim = Sim::new(TableLimits {
        nit_actual: None,
        ..TableLimits::default()
    });
    sim.run(&mut plan, seconds(60));
    sim.expect(&[]);
    assert!(matches!(
        sim.tables.verdict(Check::NitActualError),
        Verdict::NotJudged(_)
    ));
}

/// Two sections, the second so long after the first.
fn pair(pid: Pid, first: &SectionBuf, second: &SectionBuf, gap: Ticks27M) -> Sim {
    let mut sim = Sim::new(TableLimits::default());
    sim.send(pid, std::slice::from_ref(first));
    sim.to(gap);
    sim.send(pid, std::slice::from_ref(second));
    sim
}

#[test]
fn two_sections_of_a_table_keep_25_ms() {
    let rst = SectionBuf::short(TableId(0x71), true, &[]).unwrap();
    let schedule = EitKind {
        actual: true,
        schedule: Some(0),
    };
    let rows = [
        (
            Pid::NIT,
            two_loops(0x40, 1, 0, 0),
            Some(Check::NitActualError),
        ),
        (Pid::NIT, two_loops(0x41, 1, 0, 0), None),
        (Pid::SDT, sdt(true, 7), Some(Check::SdtActualError)),
        (Pid::SDT, sdt(false, 7), None),
        (Pid::SDT, two_loops(0x4A, 7, 0, 0), None),
        (Pid::EIT, eit_pf(true, 1, 0), Some(Check::EitActualError)),
        (Pid::EIT, eit_pf(false, 1, 0), None),
        (Pid::EIT, eit_of(schedule, 1, 0, 0, 1), None),
        (Pid::RST, rst, Some(Check::RstError)),
        (Pid::TDT, tdt(), Some(Check::TdtError)),
        (Pid::TDT, tot(), None),
    ];
    for (pid, section, check) in rows {
        pair(pid, &section, &section, ms(25)).expect(&[]);
        let sim = pair(pid, &section, &section, ms(25) - TICK);
        let mut expected = vec![(Check::SiRepetitionError, 1)];
        expected.extend(check.map(|check| (check, 1)));
        sim.expect(&expected);
        assert_eq!(field(&sim.found[0], "gap_us"), "24999");
    }
}

#[test]
fn the_25_ms_are_those_of_a_table_id_extension_whatever_the_section() {
    // Two services of a multiplex, one after the other: healthy. Two sections of one: not.
    pair(Pid::EIT, &eit_pf(true, 1, 0), &eit_pf(true, 2, 0), ms(1)).expect(&[]);
    let sim = pair(Pid::EIT, &eit_pf(true, 1, 0), &eit_pf(true, 1, 1), ms(1));
    sim.expect(&[(Check::EitActualError, 1), (Check::SiRepetitionError, 1)]);
    // PSI has no such rule.
    pair(Pid::PAT, &pat(), &pat(), ms(1)).expect(&[]);
}

#[test]
fn the_25_ms_run_from_the_last_byte_to_the_first() {
    // Five packets of one section, 10 ms apart; the next starts 25 ms after the last of them.
    let long = SectionBuf::long(TableId(0x4A), true, syntax(1, 0, 0), &[0; 800]).unwrap();
    let run = |gap: Ticks27M| {
        let mut sim = Sim::new(TableLimits::default());
        for turn in 0..2 {
            for (n, packet) in sim
                .cut(Pid::SDT, std::slice::from_ref(&long))
                .iter()
                .enumerate()
            {
                let pause = match (turn, n) {
                    (0, 0) => Ticks27M::ZERO,
                    (_, 0) => gap,
                    _ => ms(10),
                };
                let time = sim.at.time + pause;
                sim.to(time);
                sim.packet(packet);
            }
        }
        sim
    };
    run(ms(25)).expect(&[]);
    run(ms(25) - TICK).expect(&[(Check::SiRepetitionError, 1)]);
}

#[test]
fn a_stream_of_over_100_megabits_may_repeat_faster() {
    let run = |packets_a_second: u64| {
        let mut sim = Sim::new(TableLimits::default());
        sim.at.position = packets_a_second;
        sim.to(seconds(1));
        for _ in 0..2 {
            sim.send(Pid::TDT, &[tdt()]);
            sim.at.time += ms(1);
        }
        sim.of(Check::TdtError).len()
    };
    // 100 Mb/s are 66,489 packets of 1504 bits a second, and a bit.
    assert_eq!((run(66_489), run(66_490)), (1, 0));
}

#[test]
fn a_section_that_is_announced_and_never_comes_is_missed() {
    let mut plan = dvb();
    plan[NIT] = tables(
        5_000,
        10,
        Pid::NIT,
        &[two_loops(0x40, 1, 0, 2), two_loops(0x40, 1, 2, 2)],
    );
    let mut sim = Sim::new(TableLimits::default());
    sim.run(&mut plan, seconds(10) + ms(10));
    sim.expect(&[]);
    sim.run(&mut plan, seconds(10) + ms(110));
    sim.expect(&[(Check::SiRepetitionError, 1)]);
    let finding = &sim.found[0];
    let said = ["reason", "section", "table"].map(|key| field(finding, key));
    assert_eq!(said, ["never seen", "1", "NIT actual"]);
}

#[test]
fn the_present_event_without_the_following_one_is_an_error_and_back() {
    for number in 0..2 {
        let mut plan = dvb();
        plan[EIT] = tables(1_000, 30, Pid::EIT, &[eit_pf(true, 1, number)]);
        let mut sim = Sim::new(TableLimits::default());
        // One has come for twice the limit of 2 s, the other not.
        sim.run(&mut plan, ms(4_030));
        assert_eq!(sim.of(Check::EitPfError).len(), 0);
        sim.run(&mut plan, ms(4_130));
        let found = sim.of(Check::EitPfError);
        assert_eq!(found.len(), 1);
        let (there, absent) = (field(found[0], "there"), field(found[0], "absent"));
        let words = ["present", "following"].map(String::from);
        assert_eq!(
            [there, absent],
            [
                words[number as usize].clone(),
                words[1 - number as usize].clone()
            ]
        );
        // The section that is missing, of the service and of the stream.
        assert!(sim.of(Check::EitActualError).len() >= 2);
    }
}

#[test]
fn a_schedule_may_have_holes_and_change_but_what_it_has_comes_again() {
    let schedule = EitKind {
        actual: true,
        schedule: Some(0),
    };
    let sections = |version| [0, 8, 16].map(|n| eit_of(schedule, 1, n, 16, version));
    let mut plan = dvb();
    plan.push(tables(3_000, 45, Pid::EIT, &sections(1)));
    let mut sim = Sim::new(TableLimits::default());
    sim.run(&mut plan, seconds(60));
    // A version without the second one.
    let fewer = [0, 16].map(|n| eit_of(schedule, 1, n, 16, 2));
    *plan.last_mut().unwrap() = tables(5_000, 60_045, Pid::EIT, &fewer);
    sim.run(&mut plan, seconds(120));
    sim.expect(&[]);
    // The same version without its last one.
    *plan.last_mut().unwrap() = tables(5_000, 120_045, Pid::EIT, &fewer[..1]);
    sim.run(&mut plan, seconds(130));
    sim.expect(&[(Check::SiRepetitionError, 1)]);
    let said = ["reason", "section", "service_id"].map(|key| field(&sim.found[0], key));
    assert_eq!(said, ["absent", "16", "1"]);
}

#[test]
fn a_slow_schedule_of_a_terrestrial_stream_is_counted_and_no_error() {
    let other = EitKind {
        actual: false,
        schedule: Some(0),
    };
    let run = |delivery| {
        let mut plan = dvb();
        plan.push(tables(61_000, 45, Pid::EIT, &[eit_of(other, 1, 0, 0, 1)]));
        let mut sim = Sim::new(TableLimits::new(delivery));
        sim.run(&mut plan, seconds(65));
        sim
    };
    let sim = run(Delivery::Terrestrial);
    sim.expect(&[]);
    let measures = sim.tables.measures();
    let table = measures.tables.iter().find(|t| t.table_id == 0x60).unwrap();
    assert!(table.limit_is_advice);
    assert_eq!((table.limit_ms, table.late_total), (Some(60_000), 1));
    let sim = run(Delivery::SatelliteOrCable);
    assert!(sim.of(Check::SiRepetitionError).len() >= 5);
}

#[test]
fn other_tables_on_the_pids_of_si_are_errors() {
    let rows = [
        (Pid::NIT, sdt(true, 7), Check::NitActualError),
        (Pid::SDT, two_loops(0x40, 1, 0, 0), Check::SdtActualError),
        (Pid::EIT, tdt(), Check::EitActualError),
        (Pid::RST, tdt(), Check::RstError),
        (Pid::TDT, sdt(true, 7), Check::TdtError),
    ];
    for (pid, section, check) in rows {
        let mut sim = Sim::new(TableLimits::default());
        sim.send(pid, &[section]);
        sim.expect(&[(check, 1)]);
        let stuffing = SectionBuf::short(TableId::ST, true, &[9; 5]).unwrap();
        sim.send(pid, &[stuffing]);
        sim.expect(&[(check, 1)]);
    }
}

#[test]
fn a_network_that_was_withdrawn_is_told_for_a_while() {
    let mut plan = dvb();
    let mut sim = Sim::new(TableLimits::default());
    sim.run(&mut plan, seconds(60));
    plan.remove(NIT_OTHER);
    sim.run(&mut plan, seconds(400));
    let told = sim.of(Check::NitOtherError).len();
    // Last seen at 50 s; told from 60 s to 150 s, every 5 s and a bit.
    assert!((17..=18).contains(&told), "{told}");
    let table = |sim: &Sim| {
        let all = sim.tables.measures().tables;
        all.into_iter().find(|t| t.table_id == 0x41).unwrap()
    };
    assert!(table(&sim).withdrawn);
    // It comes back, and is watched as before.
    sim.send(Pid::NIT, &[two_loops(0x41, 2, 0, 0)]);
    assert!(!table(&sim).withdrawn);
    sim.run(&mut plan, seconds(409));
    assert_eq!(sim.of(Check::NitOtherError).len(), told);
    sim.run(&mut plan, seconds(411));
    assert_eq!(sim.of(Check::NitOtherError).len(), told + 1);
}

#[test]
fn a_flood_of_sub_tables_is_counted_and_said_and_makes_room() {
    let mut sim = Sim::new(TableLimits::default());
    for service in 0..5000 {
        sim.send(Pid::EIT, &[eit_pf(false, service, 0)]);
        sim.at.time += ms(1);
    }
    let measures = sim.tables.measures();
    assert_eq!(measures.tables.len(), MAX_SUB_TABLES);
    assert_eq!(
        measures.untimed_sections_total,
        5000 - MAX_SUB_TABLES as u64
    );
    assert_eq!(
        sim.tables.verdict(Check::SiRepetitionError),
        Verdict::NotJudged("in part: more than 4,096 sub-tables, or 524,288 sections")
    );
    // All are withdrawn after 100 s; the next ones find room.
    sim.to(seconds(200));
    sim.send(Pid::EIT, &[eit_pf(false, 60_000, 0)]);
    assert_eq!(sim.tables.measures().tables.len(), 1);
}

#[test]
fn a_flood_of_sections_is_bounded() {
    let mut sim = Sim::new(TableLimits::default());
    let schedule = EitKind {
        actual: false,
        schedule: Some(0),
    };
    // 256 sections each are announced: 2,048 of them fill what is kept.
    for service in 0..2_100 {
        sim.send(Pid::EIT, &[eit_of(schedule, service, 0, 255, 1)]);
        sim.at.time += ms(1);
    }
    assert_eq!(MAX_SECTIONS / 256, 2_048);
    assert_eq!(sim.tables.measures().untimed_sections_total, 52);
}

#[test]
fn what_is_said_of_a_service_that_left_the_pat_is_not_missed() {
    let mut plan = dvb();
    let mut sim = Sim::new(TableLimits::default());
    sim.run(&mut plan, ms(10_010));
    // Another service takes its place, with an EIT of its own.
    let entry = PatEntry {
        program: ServiceId(2),
        pid: PMT,
    };
    let entries = [entry];
    let other = PatFields::new(TransportStreamId(7), 1, &entries);
    plan[0] = tables(500, 10_015, Pid::PAT, &[other.to_section().unwrap()]);
    let streams = [stream(0x1B, VIDEO), stream(0x03, AUDIO)];
    let map = PmtFields::new(ServiceId(2), 0, VIDEO, Descriptors::NONE, &streams);
    plan[1] = tables(500, 10_016, PMT, &[map.to_section().unwrap()]);
    let pf = [eit_pf(true, 2, 0), eit_pf(true, 2, 1)];
    plan[EIT] = tables(1_000, 10_020, Pid::EIT, &pf);
    sim.run(&mut plan, seconds(60));
    sim.expect(&[]);
}
