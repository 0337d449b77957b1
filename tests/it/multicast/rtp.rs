//! RTP: order, losses, time stamps.

use std::net::UdpSocket;
use std::time::Duration;

use headend::stream::RtpHeader;
use headend::ts::{ContinuityCounter, Packet, Pid};

use super::{Receiver, stream};
use crate::harness::{Running, assert_same_packets, command, in_own_network};

#[test]
fn rtp_is_put_in_order_and_its_losses_are_counted() {
    in_own_network(
        "multicast::rtp::rtp_is_put_in_order_and_its_losses_are_counted",
        || {
            let mut receiver = Receiver::start("udp://127.0.0.1:5000", &["--reorder", "200ms"]);
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let pid = Pid::new(0x100).unwrap();
            let packet = |n: u16| Packet::new(pid, ContinuityCounter::new(n as u8 % 16).unwrap());
            // over the wrap of 16 bits: the first and two more overtaken, one twice, one lost
            let order = [1u16, 0, 3, 2, 4, 4, 5, 7, 8, 9, 6, 10, 12, 13, 14, 15];
            for n in order {
                // a sender report and a source description, one compound (RFC 3550 §6.1)
                let report = [
                    &[0x80, 200, 0, 6][..],
                    &[7; 24],
                    &[0x81, 202, 0, 1, 0, 0, 0, 7],
                ];
                socket.send_to(&report.concat(), "127.0.0.1:5000").unwrap();
                let header = RtpHeader {
                    sequence: n.wrapping_sub(5),
                    timestamp: 0,
                    ssrc: 7,
                    marker: false,
                };
                let datagram = [&header.write()[..], packet(n).as_bytes()].concat();
                socket.send_to(&datagram, "127.0.0.1:5000").unwrap();
            }
            let expected: Vec<u8> = (0..16)
                .filter(|n| *n != 11)
                .flat_map(|n| *packet(n).as_bytes())
                .collect();
            assert_same_packets(&receiver.finish(expected.len() as u64), &expected);
            assert_eq!(receiver.counter("rtp_lost_datagrams"), 1);
            assert_eq!(receiver.counter("rtp_duplicate_datagrams"), 1);
            assert_eq!(receiver.counter("rtcp_datagrams"), 16);
            assert_eq!(receiver.counter("sync_losses_total"), 0);
            assert!(receiver.log().contains("rtp_lost"), "{}", receiver.log());
        },
    );
}

/// RFC 2250 §2: the time stamp is the clock at the first byte. At 2 Mb/s a packet takes
/// 188 x 8 / 2 000 000 s = 67.68 ticks of 90 kHz.
#[test]
fn rtp_time_stamps_are_the_streams_own_clock() {
    in_own_network(
        "multicast::rtp::rtp_time_stamps_are_the_streams_own_clock",
        || {
            let socket = UdpSocket::bind("127.0.0.1:5000").unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let mut tsrecv = command("tsrecv");
            tsrecv.arg(stream()).arg("rtp://127.0.0.1:5000?ssrc=77");
            let mut sender = Running::spawn(&mut tsrecv);
            let mut datagram = [0; 2000];
            let (mut last, mut clocks) = (None::<RtpHeader>, 0);
            for _ in 0..400 {
                let n = socket.recv(&mut datagram).unwrap();
                let (header, payload) = RtpHeader::read(&datagram[..n]).unwrap();
                assert_eq!((datagram[1], header.ssrc), (33, 77));
                if let Some(last) = last {
                    assert_eq!(header.sequence, last.sequence.wrapping_add(1));
                    assert!(header.timestamp.wrapping_sub(last.timestamp) < 2000);
                }
                last = Some(header);
                let (packets, _) = Packet::slice_of(&datagram[payload]);
                for (place, packet) in packets.iter().enumerate() {
                    if let Some(pcr) = packet.pcr() {
                        let ahead = (pcr.base() as u32).wrapping_sub(header.timestamp);
                        let error = f64::from(ahead) - place as f64 * 67.68;
                        assert!(error.abs() <= 2.0, "{place}: {ahead} ticks ahead");
                        clocks += 1;
                    }
                }
            }
            assert!(clocks > 50);
            assert_eq!(sender.wait(), 0);
        },
    );
}
