//! Video whose own figures say when its bytes go from MB to EB: vbv_delay of MPEG-2, the NAL HRD of
//! H.264 and HEVC.

use headend::monitor::tstd::BufferMeasures;
use headend::ts::Pcr;

use super::mux::{Mux, VIDEO, pes, picture, picture_after, split};
use super::{MPEG2_VIDEO, both_find, highest, stream, watch, with_tables};

/// Ticks a packet, so that a byte is 48: the dated byte begins 480 ticks into it.
const PACKET: i64 = 188 * BYTE;
const BYTE: i64 = 48;
/// STD_descriptor with leak_valid_flag 0.
const NO_LEAK: &[u8] = &[0x11, 1, 0xFE];
/// Ticks from a picture to the next, of 90 kHz.
const FRAME: u64 = 3600;
/// The slot of the first picture.
const SLOT: u64 = 500;
/// Bytes of a picture up to the end of its picture start code, and of its PES header.
const CODE: i64 = 26;
const HEADER: i64 = 14;

/// When so many bytes of the packet in a slot have come, after slot 0's dated byte.
fn at(slot: u64, bytes: i64) -> i64 {
    slot as i64 * PACKET + (bytes - 10) * BYTE
}

/// MPEG-2 video by vbv_delay: pictures of these sizes, each with its vbv_delay; the picture start
/// code of the first goes on to EB at `code`, after slot 0's dated byte. Those after the first come
/// so many slots before their turn.
fn by_vbv(vbv: u16, code: i64, pictures: &[(usize, u16)], early: u64) -> Mux {
    let mux = Mux::new(PACKET);
    let mut mux = with_tables(mux, 3000, &[(MPEG2_VIDEO, NO_LEAK)]);
    let Some((_, first)) = pictures.first() else {
        return mux;
    };
    let decoded = mux.stamp(code) + u64::from(*first);
    for (n, (size, delay)) in (0..).zip(pictures) {
        let stamp = decoded + n * FRAME;
        let unit = pes(0xE0, Some(stamp), 0, &picture_after(vbv, *delay, *size));
        let early = if n == 0 { 0 } else { early };
        mux.put(SLOT + n * 119 - early, split(VIDEO, &unit));
    }
    mux
}

/// The pictures behind the first: small ones, of a constant vbv_delay.
fn and_more(first: (usize, u16), delay: u16) -> Vec<(usize, u16)> {
    let mut pictures = vec![first];
    pictures.extend([(1000, delay); 9]);
    pictures
}

fn levels(measures: &BufferMeasures) -> (u64, u64) {
    let video = stream(measures, VIDEO);
    (highest(video, "MB"), highest(video, "EB"))
}

#[test]
fn what_vbv_delay_wants_in_eb_must_have_come_to_mb() {
    // The picture start code has come when it is due, or so many bytes of it have not.
    for (missing, expected) in [(2, &["tstd_mb_underflow"][..]), (0, &[]), (-2, &[])] {
        let code = at(SLOT, 4 + HEADER + CODE - missing);
        let mux = by_vbv(29, code, &and_more((1000, 9000), 9000), 5);
        let (measures, found) = both_find("MB", &mux.packets(4000), expected);
        assert_eq!(stream(&measures, VIDEO).not_judged, None);
        if let [finding] = &found[..] {
            let mut fields = finding.fields.iter().map(|(k, v)| format!("{k} {v:?}"));
            assert!(
                fields.any(|f| f == "missing_bytes Number(2)"),
                "{finding:?}"
            );
        }
    }
}

#[test]
fn what_vbv_delay_leaves_in_mb_must_fit_there() {
    // Low level: 4 ms and 1/750 s of 4 Mbit/s, 2666.7 bytes. All of the first picture has come
    // when its start code goes on: the rest is in MB, but for the PES header.
    for (level, expected) in [(2668, &["tstd_mb_overflow"][..]), (2666, &[]), (2664, &[])] {
        let code = at(SLOT + 30, 0);
        let mux = by_vbv(
            29,
            code,
            &and_more(((level + CODE) as usize, 9000), 9000),
            5,
        );
        let (measures, _) = both_find("MB", &mux.packets(4000), expected);
        assert_eq!(levels(&measures).0, level as u64);
    }
}

#[test]
fn what_vbv_delay_puts_into_eb_must_fit_there() {
    // 16 384 bits are 2048 bytes. The next start code goes on when the first picture is decoded:
    // EB holds both.
    for (level, expected) in [(2050, &["tstd_eb_overflow"][..]), (2048, &[]), (2046, &[])] {
        let code = at(SLOT + 30, 0);
        let mux = by_vbv(1, code, &and_more(((level - CODE) as usize, 3600), 3600), 5);
        let (measures, _) = both_find("EB", &mux.packets(4000), expected);
        assert_eq!(levels(&measures).1, level as u64);
    }
}

#[test]
fn a_picture_must_be_in_eb_when_it_is_decoded() {
    // 2000 bytes from code to code, a byte for each tick of 90 kHz: the last byte of the first
    // picture goes on 26 ticks before the code behind it, which goes on so much after the decoding.
    for (after, expected) in [(28, &["tstd_eb_underflow"][..]), (26, &[]), (24, &[])] {
        let code = at(SLOT + 30, 0);
        let later = 3600 - after;
        let first = later_first(later);
        let mux = by_vbv(29, code, &and_more((2000, first), later), 70);
        both_find("EB", &mux.packets(4000), expected);
    }
}

/// vbv_delay of a picture so that 2000 ticks pass until the code of the next, whose is `later`.
fn later_first(later: u16) -> u16 {
    2000 + later - FRAME as u16
}

#[test]
fn without_a_vbv_delay_the_leak_rules() {
    let mux = by_vbv(29, at(SLOT + 30, 0), &and_more((1000, 0xFFFF), 0xFFFF), 5);
    let (measures, _) = both_find("leak", &mux.packets(4000), &[]);
    let mut buffers = stream(&measures, VIDEO).buffers.iter();
    let multiplex = buffers.find(|b| b.buffer == "MB").unwrap();
    assert_eq!(multiplex.leak_bps, Some(4_000_000));
    assert_eq!(picture(29, 100), picture_after(29, 0xFFFF, 100));
}

#[test]
fn vbv_delay_that_contradicts_the_decoding_times_is_said() {
    // The second picture's start code would go on before the first one's.
    let mut pictures = and_more((1000, 3600), 3600);
    pictures[4].1 = 9000;
    let mux = by_vbv(29, at(SLOT + 30, 0), &pictures, 5);
    let (_, measures, found) = watch(&mux.packets(4000));
    assert!(found.is_empty(), "{found:?}");
    let video = stream(&measures, VIDEO);
    assert_eq!(
        video.not_judged,
        Some("MB and EB in part: vbv_delay contradicts the decoding times")
    );
}

/// Bits one behind the other.
#[derive(Default)]
struct Writer(String);

impl Writer {
    fn u(mut self, width: usize, value: u64) -> Self {
        self.0 += &format!("{value:0width$b}");
        self
    }

    fn ue(self, value: u64) -> Self {
        let width = (value + 1).ilog2() as usize;
        self.u(2 * width + 1, value + 1)
    }

    /// A NAL unit with its start code, rbsp_trailing_bits and emulation prevention put in.
    fn unit(self, header: &[u8]) -> Vec<u8> {
        let bits = self.0 + "1";
        let mut unit = vec![0, 0, 0, 1];
        unit.extend(header);
        let mut zeros = 0;
        for byte in bits.as_bytes().chunks(8) {
            let text = format!("{:0<8}", std::str::from_utf8(byte).unwrap());
            let byte = u8::from_str_radix(&text, 2).unwrap();
            if zeros == 2 && byte <= 3 {
                unit.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            unit.push(byte);
        }
        unit
    }
}

/// A codec with a NAL HRD of 1.8 Mbit/s, 120 ticks a byte.
#[derive(Copy, Clone, Debug)]
enum Coding {
    H264,
    Hevc,
}

const RATE: u64 = 28_125; // times 64 bit/s
const SENT_BYTE: i64 = 120;

impl Coding {
    const fn stream_type(self) -> u8 {
        match self {
            Self::H264 => 0x1B,
            Self::Hevc => 0x24,
        }
    }

    /// AVC timing and HRD, HEVC timing and HRD: hrd_management_valid_flag.
    const fn managed(self) -> &'static [u8] {
        match self {
            Self::H264 => &[0x2A, 2, 0xFF, 0x7F],
            Self::Hevc => &[0x3F, 3, 0x03, 0xFE, 0x7F],
        }
    }

    /// The largest CPB of the level in bytes, and MB beside it.
    const fn largest(self) -> (u64, i64) {
        match self {
            // Main, level 2.1: 4 Mbit/s times 1.2; 4 ms and 1/750 s of that.
            Self::H264 => (600_000, 3200),
            // Main tier, level 2.1: 3 Mbit/s times 1.1.
            Self::Hevc => (412_500, 2200),
        }
    }

    /// Delimiter, sequence parameter set, and where a period begins its message; then a picture,
    /// filled up to `size` bytes.
    fn unit(self, cpb: u64, constant: bool, period: Option<(u64, u64)>, size: usize) -> Vec<u8> {
        let mut bytes = match self {
            Self::H264 => vec![0, 0, 0, 1, 9, 0xF0],
            Self::Hevc => vec![0, 0, 0, 1, 0x46, 1, 0x50],
        };
        if let Some((delay, offset)) = period {
            bytes.extend(match self {
                Self::H264 => h264_sequence(cpb, constant),
                Self::Hevc => hevc_sequence(cpb, constant),
            });
            // One of another kind stands in front, user_data_unregistered.
            let other = Writer::default().u(8, 5).u(8, 16).u(32, 9).u(32, 9);
            let header: &[u8] = match self {
                Self::H264 => &[6],
                Self::Hevc => &[0x4E, 1],
            };
            bytes.extend(other.u(32, 9).u(32, 9).unit(header));
            let message = Writer::default().u(8, 0);
            bytes.extend(match self {
                Self::H264 => message
                    .u(8, 7)
                    .ue(0)
                    .u(24, delay)
                    .u(24, offset)
                    .u(7, 0x40)
                    .unit(header),
                // concatenation_flag 0, au_cpb_removal_delay_delta of 10 bits.
                Self::Hevc => message
                    .u(8, 8)
                    .ue(0)
                    .u(1, 0)
                    .u(11, 0)
                    .u(24, delay)
                    .u(24, offset)
                    .u(3, 4)
                    .unit(header),
            });
        }
        bytes.extend(match self {
            Self::H264 => vec![0, 0, 1, 0x65, 0x88],
            Self::Hevc => vec![0, 0, 1, 0x26, 1, 0xAF],
        });
        assert!(size > bytes.len(), "{}", bytes.len());
        bytes.resize(size, 0x55);
        bytes
    }
}

/// Main profile at level 2.1, 352 x 288, with a NAL HRD of one schedule.
fn h264_sequence(cpb: u64, constant: bool) -> Vec<u8> {
    let plain = Writer::default()
        .u(8, 77)
        .u(8, 0)
        .u(8, 21)
        .ue(0)
        .ue(0)
        .ue(2);
    let plain = plain.ue(1).u(1, 0).ue(21).ue(17).u(3, 0b110);
    let usability = plain.u(1, 1).u(5, 0);
    let hrd = usability.u(1, 1).ue(0).u(8, 0).ue(RATE - 1).ue(cpb / 2 - 1);
    // Lengths of 24, 10 and 10 bits; no VCL HRD, low_delay_hrd_flag 0, no pic_struct, no limits.
    let hrd = hrd.u(1, constant.into()).u(5, 23).u(5, 9).u(5, 9).u(5, 0);
    hrd.u(4, 0).unit(&[0x67])
}

/// Main profile, Main tier at level 2.1, 352 x 288, with a NAL HRD of one schedule.
fn hevc_sequence(cpb: u64, constant: bool) -> Vec<u8> {
    let plain = Writer::default().u(8, 1).u(8, 1).u(32, 0x6000_0000);
    let plain = plain.u(32, 0x9000_0000).u(16, 0).u(8, 63).ue(0).ue(1);
    let plain = plain.ue(352).ue(288).u(1, 0).ue(0).ue(0).ue(4).u(1, 0);
    // Orders of one sub-layer, six sizes, no lists; no reference sets, none long term.
    let plain = plain.ue(1).ue(0).ue(0).ue(0).ue(3).ue(0).ue(3).ue(0).ue(0);
    let plain = plain.u(4, 0).ue(0).u(3, 0).u(1, 1);
    // Timing in vui_parameters: 25 Hz, then hrd_parameters.
    let usability = plain.u(4, 0).u(4, 0).u(1, 1).u(32, 1).u(32, 25).u(1, 0);
    let hrd = usability.u(1, 1).u(2, 0b10).u(1, 0).u(8, 0);
    let hrd = hrd.u(5, 23).u(5, 9).u(5, 9).u(1, 1).ue(0).ue(0);
    let hrd = hrd.ue(RATE - 1).ue(cpb / 2 - 1).u(1, constant.into());
    hrd.u(2, 0).unit(&[0x42, 1])
}

/// Ten access units by an HRD: the first of `size` bytes begins to go on to EB at `begin` after slot
/// 0's dated byte and is decoded `delay` ticks of 90 kHz later.
fn by_hrd(coding: Coding, cpb: u64, begin: i64, delay: u64, size: usize) -> Mux {
    let descriptors = coding.managed();
    let mux = Mux::new(PACKET);
    let mut mux = with_tables(mux, 3000, &[(coding.stream_type(), descriptors)]);
    let decoded = mux.stamp(begin) + delay;
    for n in 0..10 {
        let period = (n % 5 == 0).then_some((delay, 0));
        let size = if n == 0 { size } else { 800 };
        let unit = coding.unit(cpb, false, period, size);
        let unit = pes(0xE0, Some(decoded + n * FRAME), 0, &unit);
        let early = if n == 0 { 0 } else { 20 };
        mux.put_every(SLOT + n * 119 - early, 2, split(VIDEO, &unit));
    }
    mux
}

#[test]
fn what_the_hrd_wants_in_eb_must_have_come_to_mb() {
    for coding in [Coding::H264, Coding::Hevc] {
        for (missing, expected) in [(2, &["tstd_mb_underflow"][..]), (0, &[]), (-2, &[])] {
            // The first byte leaves TB behind 4 bytes of the packet's header and the PES header, at
            // 1.2 times the rate of the HRD, or at 1.1 times that of the level.
            let byte = match coding {
                Coding::H264 => 100.0,
                Coding::Hevc => 8.0 * 27e6 / (3.3e6 * 1.1),
            };
            let leaves = at(SLOT, 0) as f64 + f64::from(4 + HEADER as i32) * byte;
            let begin = leaves.round() as i64 - missing * SENT_BYTE;
            let (cpb, _) = coding.largest();
            let mux = by_hrd(coding, cpb, begin, 5000, 1000);
            let (measures, _) = both_find("MB", &mux.packets(4000), expected);
            assert_eq!(stream(&measures, VIDEO).not_judged, None, "{coding:?}");
        }
    }
}

#[test]
fn what_the_hrd_leaves_in_mb_must_fit_there() {
    for coding in [Coding::H264, Coding::Hevc] {
        let (cpb, size) = coding.largest();
        for (more, expected) in [(2, &["tstd_mb_overflow"][..]), (0, &[]), (-2, &[])] {
            let level = size + more;
            // The PES header is there until the first byte goes on.
            let unit = (level - HEADER) as usize;
            let mux = by_hrd(coding, cpb, at(SLOT + 60, 0), 5000, unit);
            let (measures, _) = both_find("MB", &mux.packets(4000), expected);
            assert_eq!(levels(&measures).0, level as u64, "{coding:?}");
        }
    }
}

#[test]
fn the_hrd_and_its_size_bound_eb() {
    for coding in [Coding::H264, Coding::Hevc] {
        for (delay, size, expected) in [
            // EB of 2048 bytes: 2050 need 820 ticks of 90 kHz.
            (900, 2050, &["tstd_eb_overflow"][..]),
            (900, 2048, &[]),
            // 2000 bytes have come in 800 ticks.
            (800, 2002, &["tstd_eb_underflow"]),
            (800, 2000, &[]),
        ] {
            let mux = by_hrd(coding, 2048, at(SLOT + 60, 0), delay, size);
            let (measures, _) = both_find("EB", &mux.packets(4000), expected);
            let level = (size as u64).min(delay * 5 / 2);
            assert_eq!(levels(&measures).1, level, "{coding:?}");
        }
    }
}

#[test]
fn an_hrd_that_is_not_told_is_said() {
    let stream_type = Coding::H264.stream_type();
    let mut mux = with_tables(
        Mux::new(PACKET),
        1000,
        &[(stream_type, Coding::H264.managed())],
    );
    // A parameter set without video usability information.
    let plain = Writer::default()
        .u(8, 77)
        .u(8, 0)
        .u(8, 21)
        .ue(0)
        .ue(0)
        .ue(2);
    let mut unit = vec![0, 0, 0, 1, 9, 0xF0];
    unit.extend(
        plain
            .ue(1)
            .u(1, 0)
            .ue(21)
            .ue(17)
            .u(3, 0b110)
            .u(2, 0)
            .unit(&[0x67]),
    );
    unit.extend([0, 0, 1, 0x65, 0x88, 0x55, 0x55]);
    for n in 0..3 {
        let stamp = mux.stamp_at(200 * 27_000) + n * FRAME;
        mux.put(
            400 + n * 100,
            split(VIDEO, &pes(0xE0, Some(stamp), 0, &unit)),
        );
    }
    let (measures, _) = both_find("none", &mux.packets(2000), &[]);
    let said = stream(&measures, VIDEO).not_judged.unwrap();
    assert!(said.contains("hrd_management_valid_flag"), "{said}");
    assert_eq!(Pcr::CIRCLE.get() % 300, 0);
}
