use super::*;
use crate::stream::Counters as _;
use crate::units::BitRate;

/// A datagram of seven packets each millisecond.
const RATE: Rate = Rate {
    rate: BitRate::new(10_528_000),
    constant: true,
};

fn us(us: i64) -> Arrival {
    Arrival::from_ticks(77_000_000 + us * 27)
}

/// Datagrams at these times, a tick each 100 ms; the rate is known from the first second on.
fn played(times: impl IntoIterator<Item = i64>) -> Network {
    let mut network = Network::new();
    let mut tick = 0;
    for time in times {
        while tick <= time {
            let at = Moment {
                position: 0,
                time: Ticks27M::new(tick * 27),
            };
            network.tick(at, (tick >= 900_000).then_some(RATE));
            tick += 100_000;
        }
        network.arrived(7, us(time));
    }
    network
}

#[test]
fn an_even_stream_has_one_spacing_and_no_burst_and_a_datagram_of_delay() {
    let network = played((0..10_001).map(|n| n * 1000));
    let measures = network.measures();
    let spacing = measures.inter_arrival.unwrap();
    assert_eq!(
        (spacing.min_us, spacing.mean_us, spacing.max_us),
        (1000, 1000, 1000)
    );
    assert_eq!(network.resolution(), Some(Ticks27M::MILLISECOND));
    let mdi = measures.mdi.unwrap();
    // Nine whole seconds after the first, in which the rate was not known.
    assert_eq!((mdi.intervals_total, mdi.newest.as_str()), (9, "1.000:0"));
    assert_eq!((mdi.df_min_ms, mdi.df_max_ms), (1.0, 1.0));
    assert_eq!((mdi.media_rate_bps, mdi.constant_rate), (10_528_000, true));
    assert_eq!(measures.bursts.unwrap().bursts_total, 0);
    assert_eq!((measures.rtp, mdi.mlr_by_rtp), (None, None));
}

#[test]
fn bursts_are_told_by_their_packets_and_make_the_delay() {
    // Twenty datagrams 10 us apart, every 20 ms.
    let times = (0..10_000).map(|n| n / 20 * 20_000 + n % 20 * 10);
    let mut network = played(times);
    network.arrived(7, us(10_000_000));
    let measures = network.measures();
    let spacing = measures.inter_arrival.unwrap();
    assert_eq!((spacing.min_us, spacing.max_us), (10, 19_810));
    let bursts = measures.bursts.unwrap();
    // 900 ms were played before the rate was known.
    assert_eq!(
        (
            bursts.bursts_total,
            bursts.longest_packets,
            bursts.longest_us
        ),
        (455, 140, 190)
    );
    // 20 datagrams of 1 ms less the 190 us in which they come.
    let mdi = measures.mdi.unwrap();
    assert!((mdi.df_max_ms - 19.81).abs() < 0.01, "{mdi:?}");
}

#[test]
fn three_datagrams_at_once_are_no_burst_and_four_are() {
    for (datagrams, bursts) in [(3, 0), (4, 1)] {
        let burst = (0..datagrams).map(|n| 1_500_000 + n);
        let network = played([0].into_iter().chain(burst).chain([2_000_000]));
        assert_eq!(network.measures().bursts.unwrap().bursts_total, bursts);
    }
    // A read of 28 packets is one arrival.
    let mut network = played([0, 1_500_000]);
    network.arrived(28, us(1_600_000));
    network.arrived(7, us(1_700_000));
    assert_eq!(network.measures().bursts.unwrap().bursts_total, 1);
}

#[test]
fn losses_are_counted_by_the_second_and_by_who_tells_them() {
    let mut network = played((0..2_000).map(|n| n * 1000));
    let mut counts = ReceptionCounts::default();
    for (key, value) in [
        ("in_datagrams", 2000),
        ("in_packets", 14_000),
        ("rtp_lost_datagrams", 3),
        ("rtp_reordered_datagrams", 1),
        ("rtp_duplicate_datagrams", 5),
        ("rtp_late_datagrams", 2),
        ("kernel_drops_datagrams", 4),
        ("in_bytes", 9),
    ] {
        counts.set(key, value);
    }
    network.counted(counts);
    network.counted(counts);
    network.lost(6);
    network.lost(0); // out of order
    network.arrived(7, us(2_000_000));
    let measures = network.measures();
    let mdi = measures.mdi.unwrap();
    // Four datagrams of seven packets.
    assert_eq!(mdi.newest, "1.000:28");
    let losses = |newest, worst, all| LossMeasures {
        newest_packets: newest,
        worst_packets: worst,
        packets_total: all,
    };
    assert_eq!(mdi.mlr_by_rtp, Some(losses(28, 28, 28)));
    assert_eq!(mdi.mlr_by_continuity, losses(7, 7, 7));
    let rtp = measures.rtp.unwrap();
    assert_eq!((rtp.lost_datagrams, rtp.reordered_datagrams), (3, 1));
    assert_eq!((rtp.duplicate_datagrams, rtp.late_datagrams), (5, 2));
    assert_eq!(measures.kernel_drops_datagrams, Some(4));
}

#[test]
fn a_pause_is_an_interval_and_costs_nothing() {
    let mut network = played((0..2_000).map(|n| n * 1000));
    // Ten years later.
    network.arrived(7, us(315_360_000_000_000));
    let measures = network.measures();
    // The second before the pause, and the last of it.
    let mdi = measures.mdi.unwrap();
    assert_eq!((mdi.intervals_total, mdi.df_max_ms), (2, 1000.0));
    assert_eq!(measures.inter_arrival.unwrap().max_us, 315_359_998_001_000);
}

#[test]
fn without_a_media_rate_there_is_no_index() {
    let mut network = Network::new();
    for n in 0..5_000 {
        network.arrived(7, us(n * 1000));
    }
    let measures = network.measures();
    assert!(measures.mdi.is_none() && measures.bursts.is_none());
    assert_eq!(measures.arrivals_total, 5_000);
}
