//! The router in simulated time.

use headend::route::{PidMap, RouteEvent, SiMode};
use headend::si::{Eit, Pmt, Sdt, ServiceId, descriptor::CaDescriptor};
use headend::ts::{ContinuityCounter, Packet, Pid, Section};

use super::mux::{Mux, Service, pid};
use super::{Bench, of, order, plain, sections, written};
use crate::harness::{Random, judge};

/// What the judge asks of the tables of every output: PAT and PMT each 0.1 s.
const JUDGED: [&str; 4] = ["--only", "packet,psi", "--psi-interval", "101"];

fn pmts(packets: &[Packet], at: u16) -> Vec<(u8, Vec<u16>)> {
    let mut seen: Vec<(u8, Vec<u16>)> = Vec::new();
    for bytes in sections(packets, at) {
        let pmt = Pmt::new(Section::new(&bytes).unwrap()).unwrap();
        let pids = pmt.streams().map(|s| s.pid.get()).collect();
        let now = (pmt.syntax().version, pids);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    seen
}

/// What stands in an output of service `id` named `name`, whose PIDs are these.
#[track_caller]
fn check(input: &[Packet], output: &[Packet], id: u16, name: &str, pids: &[u16]) {
    let (sent, came) = (of(output, pids), of(input, pids));
    assert!(!sent.is_empty() && came.ends_with(&sent), "streams differ");
    // What came before the first PMT, or the name, belongs to nobody yet: 60 ms.
    assert!(came.len() - sent.len() < 200, "{}", came.len() - sent.len());
    let sdts = sections(output, 0x11);
    assert!(sdts.len() > 2);
    for sdt in &sdts {
        let sdt = Sdt::new(Section::new(sdt).unwrap()).unwrap();
        let lines: Vec<_> = sdt.services().collect();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].service, ServiceId(id));
        let descriptor = lines[0].descriptors.get();
        let descriptor: headend::si::descriptor::ServiceDescriptor<'_> = descriptor.unwrap();
        assert_eq!(descriptor.name.to_string(), name);
        assert!(lines[0].eit_schedule && lines[0].eit_present_following);
    }
    let eits = sections(output, 0x12);
    for eit in &eits {
        let eit = Eit::new(Section::new(eit).unwrap()).unwrap();
        assert!(eit.kind().actual && eit.service() == ServiceId(id));
    }
    let ours = |eit: &&Vec<u8>| {
        let id = id.to_be_bytes();
        eit[3..5] == id && eit[0] != 0x4F
    };
    let theirs = sections(input, 0x12);
    let theirs = theirs.iter().filter(ours).count();
    assert!(theirs.abs_diff(eits.len()) <= 2, "{theirs} {}", eits.len());
    assert_eq!(of(output, &[0x14]), of(input, &[0x14]), "TDT");
    let known = [pids, &[0, 0x11, 0x12, 0x14]].concat();
    let pat = sections(output, 0)[0].clone();
    let pmt = u16::from_be_bytes([pat[10] & 0x1F, pat[11]]);
    let strange = |p: &&Packet| !known.contains(&p.pid().get()) && p.pid().get() != pmt;
    assert_eq!(output.iter().find(strange), None);
    judge(written(output).path(), &JUDGED);
}

#[test]
fn each_service_is_a_stream_of_its_own_by_arrivals_and_by_its_clock() {
    for by_arrival in [true, false] {
        let mut mux = Mux::two();
        let run = mux.run(6_000);
        let mut bench = Bench::new(by_arrival, vec![order("0x101"), order("zwei"), order("*")]);
        bench.push(&run);
        let input = plain(&run);
        let (one, two) = (bench.take(0), bench.take(1));
        // A stream that both have goes to both.
        check(&input, &one, 0x101, "Eins", &[0x111, 0x112, 0x300]);
        check(&input, &two, 2, "Zwei", &[0x201, 0x202, 0x300, 0x2EC]);
        assert_eq!(pmts(&one, 0x100), [(3, vec![0x111, 0x112, 0x300])]);
        // Those of '*' are like those that are named, from the name on.
        for status in bench.router.routes().filter(|s| s.route.only.is_some()) {
            let each = &bench.out[&status.route.slot];
            match status.route.only == Some(ServiceId(2)) {
                true => assert!(of(each, &[0x201, 0x300]).ends_with(&of(&two, &[0x201, 0x300]))),
                false => {
                    assert!(of(each, &[0x111, 0x112, 0x300]) == of(&one, &[0x111, 0x112, 0x300]))
                }
            }
        }
        assert_eq!(
            sections(&two, 0x200)[0],
            sections(&input, 0x200)[0],
            "the PMT is kept"
        );
        bench.router.finish(run[run.len() - 1].1);
        bench.hear();
        assert_eq!(bench.said(), ["route_begun"; 4]);
    }
}

#[test]
fn a_pmt_that_changes_is_followed_at_once_and_its_version_steps() {
    let mut mux = Mux::two();
    let mut bench = Bench::new(true, vec![order("2")]);
    let mut input = mux.run(1_500);
    let two = mux.service(2);
    two.streams[1] = 0x2AA;
    two.version = 4;
    input.extend(mux.run(1_500));
    // Another PMT, the version of which has not stepped, and on another PID.
    let two = mux.service(2);
    (two.pmt, two.streams) = (0x2F0, vec![0x201, 0x2AB]);
    mux.pat_version = 10;
    input.extend(mux.run(1_500));
    bench.push(&input);
    let out = bench.take(0);
    let input = plain(&input);
    let seen = pmts(&out, 0x200);
    assert_eq!(
        seen,
        [
            (3, vec![0x201, 0x202, 0x300]),
            (4, vec![0x201, 0x2AA, 0x300])
        ]
    );
    assert_eq!(pmts(&out, 0x2F0), [(5, vec![0x201, 0x2AB])]);
    // The stream that stays loses nothing, those that come are there from their PMT on.
    assert!(of(&input, &[0x201]).ends_with(&of(&out, &[0x201])));
    for new in [0x2AA, 0x2AB] {
        let (sent, came) = (of(&out, &[new]), of(&input, &[new]));
        assert!(
            came.ends_with(&sent) && came.len() - sent.len() < 450,
            "{}",
            came.len() - sent.len()
        );
    }
    let last = out.iter().rposition(|p| p.pid() == pid(0x202)).unwrap();
    let first = out.iter().position(|p| p.pid() == pid(0x2AA)).unwrap();
    assert!(last < first);
    assert_eq!(
        bench.said(),
        ["route_begun", "route_changed", "route_changed"]
    );
    judge(written(&out).path(), &["--only", "packet,psi"]);
}

#[test]
fn a_service_that_goes_is_said_and_its_output_is_silent_until_it_is_back() {
    let mut mux = Mux::two();
    let mut bench = Bench::new(
        true,
        vec![order("Eins"), order("2"), order("9"), order("nobody")],
    );
    bench.push(&mux.run(2_000));
    assert!(!bench.take(0).is_empty());
    bench.take(1);
    let awaited: Vec<_> = bench.events.iter().map(RouteEvent::route).collect();
    assert_eq!(awaited, [Some(2), Some(1)]);
    bench.said();
    mux.service(0x101).there = false;
    (mux.pat_version, mux.sdt_version) = (10, 3);
    bench.push(&mux.run(300));
    bench.take(0);
    let gone = mux.run(3_000);
    bench.push(&gone);
    assert_eq!(bench.take(0), [], "nothing of a service that is not there");
    let waits = "route_awaited";
    assert_eq!(bench.said(), ["route_service_gone", waits, waits]);
    // The other one did not notice.
    let two = bench.take(1);
    assert!(two.len() > 4_000);
    mux.service(0x101).there = true;
    mux.service(0x101).streams = vec![0x111, 0x112];
    (mux.pat_version, mux.sdt_version) = (11, 4);
    let back = mux.run(2_000);
    bench.push(&back);
    let out = bench.take(0);
    assert!(
        plain(&back).ends_with(&[]) && of(&plain(&back), &[0x111]).ends_with(&of(&out, &[0x111]))
    );
    // The version of its PMT was that of another content.
    assert_eq!(pmts(&out, 0x100), [(4, vec![0x111, 0x112])]);
    assert_eq!(bench.said(), ["route_begun"]);
    judge(written(&out).path(), &JUDGED);
}

#[test]
fn counters_of_tables_go_on_over_an_absence() {
    let mut mux = Mux::two();
    let mut bench = Bench::new(true, vec![order("0x101")]);
    let mut out = Vec::new();
    for turn in 0..6u8 {
        mux.service(0x101).there = turn % 2 == 0;
        mux.pat_version += 1;
        bench.push(&mux.run(1_300));
        out.extend(bench.take(0));
    }
    for table in [0, 0x100, 0x11, 0x12] {
        let counters = of(&out, &[table]);
        assert!(counters.len() > 3, "{table}");
        for two in counters.windows(2) {
            let (a, b) = (two[0].continuity_counter(), two[1].continuity_counter());
            assert_eq!(b, a.next(), "PID {table:#x}");
        }
    }
}

#[test]
fn pids_are_mapped_and_conditional_access_is_taken_out_where_asked() {
    let mut mux = Mux::two();
    let run = mux.run(2_000);
    let map = [(0x201, 0x41), (0x200, 0x40), (0x2EC, 0x42)].map(|(a, b)| (pid(a), pid(b)));
    let mut mapped = order("2");
    mapped.pids = PidMap::new(map).unwrap();
    let mut free = order("2");
    free.drop_ca = true;
    let mut bench = Bench::new(true, vec![mapped, free]);
    bench.push(&run);
    let input = plain(&run);
    let (mapped, free) = (bench.take(0), bench.take(1));
    let bytes = sections(&mapped, 0x40);
    let pmt = Pmt::new(Section::new(&bytes[0]).unwrap()).unwrap();
    let ca: CaDescriptor<'_> = pmt.descriptors().get().unwrap();
    assert_eq!(
        (ca.system, ca.pid, ca.private),
        (0x0500, pid(0x42), &[7][..])
    );
    assert_eq!(pmt.pcr_pid(), pid(0x41));
    let pids: Vec<_> = pmt.streams().map(|s| s.pid.get()).collect();
    assert_eq!(pids, [0x41, 0x202, 0x300]);
    for (from, to) in [(0x201, 0x41), (0x2EC, 0x42), (0x202, 0x202)] {
        let sent = of(&mapped, &[to]);
        let mut came = of(&input, &[from]);
        came.iter_mut().for_each(|p| p.set_pid(pid(to)));
        assert!(!sent.is_empty() && came.ends_with(&sent), "{from:#x}");
    }
    assert_eq!(of(&mapped, &[0x200, 0x201, 0x2EC]), []);
    judge(written(&mapped).path(), &JUDGED);
    let bytes = sections(&free, 0x200);
    let pmt = Pmt::new(Section::new(&bytes[0]).unwrap()).unwrap();
    assert_eq!(pmt.descriptors().get::<CaDescriptor<'_>>(), None);
    assert_eq!(of(&free, &[0x2EC]), []);
    judge(written(&free).path(), &JUDGED);
}

#[test]
fn a_mapping_onto_a_pid_of_the_service_is_not_done_and_said() {
    let mut mux = Mux::two();
    let run = mux.run(1_000);
    let mut clashing = order("2");
    clashing.pids = PidMap::new([(pid(0x201), pid(0x202))]).unwrap();
    let mut swapped = order("2");
    swapped.pids =
        PidMap::new([(0x201, 0x202), (0x202, 0x201)].map(|(a, b)| (pid(a), pid(b)))).unwrap();
    let mut bench = Bench::new(true, vec![clashing, swapped]);
    bench.push(&run);
    let input = plain(&run);
    for stream in [0x201, 0x202] {
        assert!(of(&input, &[stream]).ends_with(&of(&bench.out[&0], &[stream])));
    }
    let mut swapped = of(&bench.take(1), &[0x202]);
    swapped.iter_mut().for_each(|p| p.set_pid(pid(0x201)));
    assert!(of(&input, &[0x201]).ends_with(&swapped));
    assert_eq!(
        bench.said(),
        ["route_pid_clash", "route_begun", "route_begun"]
    );
}

#[test]
fn service_information_is_none_own_or_all() {
    let mut mux = Mux::two();
    let run = mux.run(2_000);
    let [mut none, mut all] = [order("2"), order("2")];
    (none.si, all.si) = (SiMode::None, SiMode::All);
    let mut bench = Bench::new(true, vec![none, all]);
    bench.push(&run);
    let (none, all) = (bench.take(0), bench.take(1));
    assert_eq!(of(&none, &[0x10, 0x11, 0x12, 0x13, 0x14]), []);
    for table in [0x11, 0x12] {
        let (sent, came) = (of(&all, &[table]), of(&plain(&run), &[table]));
        assert!(!sent.is_empty() && came.ends_with(&sent), "{table:#x}");
    }
}

/// Packets of one service are lost and changed: the other one's output is the same to the byte.
#[test]
fn damage_to_one_service_does_not_touch_the_other() {
    let clean = Mux::two().run(10_000);
    let mut bench = Bench::new(true, vec![order("2"), order("0x101")]);
    bench.push(&clean);
    let (hurt, expected) = (bench.take(0), bench.take(1));
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut bench = Bench::new(true, vec![order("2"), order("0x101")]);
        for (packet, at) in &clean {
            let mut packet = *packet;
            let theirs = [0x200, 0x201, 0x202, 0x2EC].contains(&packet.pid().get());
            if theirs && random.below(10) == 0 {
                match random.below(3) {
                    0 => continue,
                    1 => packet.as_bytes_mut()[4 + random.below(184)] ^= 1 << random.below(8),
                    _ => packet.as_bytes_mut()[1] |= 0x80,
                }
            }
            bench.push(&[(packet, *at)]);
        }
        let (two, one) = (bench.take(0), bench.take(1));
        for pids in [&[0x111, 0x112, 0x300][..], &[0x12], &[0x14]] {
            assert!(of(&one, pids) == of(&expected, pids), "seed {seed}");
        }
        // Tables are looked at with a packet of the input, which may be the next one.
        for table in [0, 0x100, 0x11] {
            let (ours, theirs) = (sections(&one, table), sections(&expected, table));
            assert!(ours.len().abs_diff(theirs.len()) <= 1 && ours[0] == theirs[0]);
        }
        assert!(two.len() > hurt.len() * 8 / 10);
        // What is written anew is whole, whatever came.
        sections(&two, 0);
        sections(&two, 0x200);
    }
}

/// Anything may be wrong: nothing panics, and tables that are written are whole.
#[test]
fn damage_anywhere_is_survived() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut mux = Mux::two();
        let mut bench = Bench::new(seed % 2 == 0, vec![order("*"), order("Zwei")]);
        for turn in 0..40u8 {
            if random.below(4) == 0 {
                mux.service(2).there ^= true;
                mux.pat_version = turn % 32;
            }
            for (packet, at) in mux.run(100) {
                let mut packet = packet;
                match random.below(100) {
                    0 => continue,
                    1 => packet.as_bytes_mut()[random.below(188)] = random.next() as u8,
                    2 => bench.push(&[(packet, at)]),
                    _ => {}
                }
                bench.push(&[(packet, at)]);
            }
        }
        for out in bench.out.values() {
            sections(out, 0);
            sections(out, 0x11);
        }
    }
}

/// A hundred routes; half of them are other ones in each of a hundred reloads.
#[test]
fn what_a_reload_does_not_touch_does_not_notice_it() {
    let services = (0..16u16).map(|n| {
        let (id, base) = (n + 1, 0x100 + n * 0x10);
        Service::new(id, "S", base, &[base + 1, base + 2])
    });
    let mut mux = Mux::new(services.collect());
    let all = |turn: usize| -> Vec<_> {
        let order = |n: usize| {
            let moves = n % 2 == 1;
            let mut order = order(&(1 + (n + turn * usize::from(moves)) % 16).to_string());
            order.drop_ca = moves && turn.is_multiple_of(3);
            let absent = moves && (n + turn).is_multiple_of(5);
            (!absent).then_some((n, order))
        };
        (0..100).filter_map(order).collect()
    };
    let (mut reloaded, mut alone) = (Bench::new(true, vec![]), Bench::new(true, vec![]));
    reloaded.set(all(0));
    alone.set(all(0));
    for turn in 1..=100 {
        let run = mux.run(40);
        let half = run.len() / 2;
        alone.push(&run);
        reloaded.push(&run[..half]);
        reloaded.set(all(turn));
        reloaded.push(&run[half..]);
    }
    // A slot is never given to another: those that stay have those of the beginning.
    let mut compared = 0;
    for slot in 0..100 {
        if alone
            .router
            .routes()
            .any(|s| s.route.slot == slot && s.route.order.0 % 2 == 0)
        {
            assert!(reloaded.out[&slot] == alone.out[&slot], "slot {slot}");
            assert!(alone.out[&slot].len() > 300);
            compared += 1;
        }
    }
    assert_eq!(compared, 50);
}

/// A route that gets another order keeps its counters, where a PID stays, and its versions.
#[test]
fn a_route_with_another_order_goes_on_in_its_output() {
    let mut mux = Mux::two();
    let mut mapped = order("2");
    mapped.pids = PidMap::new([(pid(0x201), pid(0x900)), (pid(0x200), pid(0x800))]).unwrap();
    let mut other = order("0x101");
    other.pids = PidMap::new([(pid(0x111), pid(0x900)), (pid(0x100), pid(0x800))]).unwrap();
    let mut bench = Bench::new(true, vec![mapped.clone()]);
    bench.push(&mux.run(1_030));
    for order in [&other, &mapped, &other] {
        bench.set(vec![(0, order.clone())]);
        bench.push(&mux.run(1_030));
    }
    let out = bench.take(0);
    for table in [0x900, 0x800, 0] {
        let mut due = None::<ContinuityCounter>;
        for packet in of(&out, &[table]) {
            let counter = packet.continuity_counter();
            assert!(due.is_none_or(|due| due == counter), "PID {table:#x}");
            due = Some(counter.next());
        }
    }
    let versions: Vec<_> = pmts(&out, 0x800).iter().map(|pmt| pmt.0).collect();
    assert_eq!(versions, [3, 4, 3, 4], "each of another content");
    assert_eq!(bench.router.routes().count(), 1);
    assert!(of(&out, &[Pid::NULL.get()]).is_empty());
}

/// Tables that are written, that pass and that are written again: the counters are those of one.
#[test]
fn service_information_of_another_kind_goes_on_with_its_counters() {
    let mut mux = Mux::two();
    let mut bench = Bench::new(true, vec![order("2")]);
    for si in [SiMode::All, SiMode::Own, SiMode::All, SiMode::Own] {
        bench.push(&mux.run(1_530));
        let mut other = order("2");
        other.si = si;
        bench.set(vec![(0, other)]);
    }
    bench.push(&mux.run(1_530));
    let out = bench.take(0);
    for table in [0x11, 0x12, 0x200] {
        let packets = of(&out, &[table]);
        assert!(packets.len() > 8, "{table:#x}");
        for two in packets.windows(2) {
            let (a, b) = (two[0].continuity_counter(), two[1].continuity_counter());
            assert_eq!(b, a.next(), "PID {table:#x}");
        }
    }
}
