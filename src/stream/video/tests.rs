//! Headers that ffmpeg's encoders wrote; what they say is what ffprobe and its trace_headers say.

use super::*;
use crate::stream::codec::Codec;

/// The start of an elementary stream, in hexadecimal.
fn bytes(hex: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
    hex.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// The format in force behind `stream`, pushed in pieces of `piece` bytes.
fn format(codec: Codec, stream: &[u8], piece: usize) -> Option<VideoFormat> {
    let (mut codes, mut parser) = (StartCodes::new(), SequenceParser::new(codec).unwrap());
    for piece in stream.chunks(piece) {
        codes.push(
            piece,
            0,
            |v| wanted(codec, v),
            |unit| {
                parser.push(unit);
            },
        );
    }
    parser.format().copied()
}

const fn fraction(numerator: u32, denominator: u32) -> Option<Fraction> {
    Some(Fraction {
        numerator,
        denominator,
    })
}

const fn buffer(rate_bps: u64, size_bits: u64) -> Option<CodedBuffer> {
    Some(CodedBuffer {
        size_bits,
        rate_bps,
    })
}

/// A slice header that ends the parameter sets: of H.264, of HEVC, each long enough.
const H264_SLICE: &str = "0000016588843ff0f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8";
const HEVC_SLICE: &str = "0000012801ad68cf8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f";

const PLAIN: VideoFormat = VideoFormat {
    coding: VideoCoding::Mpeg1,
    profile: 0,
    level: 0,
    high_tier: false,
    constraints: 0,
    width: 352,
    height: 288,
    frame_rate: fraction(25, 1),
    sample_aspect: fraction(1, 1),
    interlaced: false,
    chroma: Chroma::C420,
    bit_depth: 8,
    buffer: None,
    schedule: None,
    low_delay: false,
};

/// A NAL HRD of one schedule of constant rate, as many bits as bits a second, with these lengths.
fn schedule(bits: u64, lengths: [u8; 3]) -> Option<DeliverySchedule> {
    let [delay_bits, removal_bits, output_bits] = lengths;
    Some(DeliverySchedule {
        buffer: buffer(bits, bits)?,
        constant: true,
        delay_bits,
        removal_bits,
        output_bits,
        ..DeliverySchedule::of_count(1)
    })
}

/// Codec, stream, format, names of profile and level.
fn vectors() -> Vec<(Codec, Vec<u8>, VideoFormat, &'static str, &'static str)> {
    let h264 = |sps: &str| bytes(&[sps, H264_SLICE].concat());
    let hevc = |sets: &str| bytes(&[sets, HEVC_SLICE].concat());
    vec![
        (
            Codec::Mpeg2Video,
            bytes(
                "000001b31601201302cee0a0000001b80008004000000100000ffff80000010123f9c23006842018\
                 06",
            ),
            // bit_rate 2875, vbv_buffer_size 20: 327 680 bits, as asked for.
            VideoFormat {
                buffer: buffer(1_150_000, 327_680),
                ..PLAIN
            },
            "",
            "",
        ),
        (
            Codec::Mpeg2Video,
            bytes(
                "000001b37804383313882380000001b5144200010000000001b800080040000001000009e3b80000\
                 01b58ffff3000000000101137ce0",
            ),
            VideoFormat {
                coding: VideoCoding::Mpeg2,
                profile: 4,
                level: 4,
                width: 1920,
                height: 1080,
                interlaced: true,
                buffer: buffer(8_000_000, 1_835_008),
                ..PLAIN
            },
            "Main",
            "High",
        ),
        (
            Codec::Mpeg2Video,
            bytes(
                "000001b32d02403309c42380000001b5148a00010000000001b80008004000000100000bc7780000\
                 01b58ffff34180000001011bf9c148",
            ),
            VideoFormat {
                coding: VideoCoding::Mpeg2,
                profile: 4,
                level: 8,
                width: 720,
                height: 576,
                sample_aspect: fraction(64, 45),
                buffer: buffer(4_000_000, 1_835_008),
                ..PLAIN
            },
            "Main",
            "Main",
        ),
        (
            Codec::H264,
            h264(
                "00000001674d4028f403c0227ef011000003000100000300326260002dc6c0005b8de4c200f8b175\
                 0000000168de3c80",
            ),
            VideoFormat {
                coding: VideoCoding::H264,
                profile: 77,
                level: 40,
                constraints: 0x40,
                width: 1920,
                height: 1080,
                interlaced: true,
                // 46 875 << 7 and << 7.
                buffer: buffer(6_000_000, 6_000_000),
                schedule: schedule(6_000_000, [19, 0, 0]),
                ..PLAIN
            },
            "Main",
            "4",
        ),
        (
            Codec::H264,
            h264("00000001677a0020b6cb402802dd808800001f48000ea60078c1950000000168ce0fc8"),
            VideoFormat {
                coding: VideoCoding::H264,
                profile: 122,
                level: 32,
                width: 1280,
                height: 720,
                frame_rate: fraction(60_000, 1001),
                chroma: Chroma::C422,
                bit_depth: 10,
                ..PLAIN
            },
            "High 4:2:2",
            "3.2",
        ),
        (
            Codec::H264,
            h264(
                "000000016742c01eda02d049bff0040002d1000003000100000300320f162ea00000000168ce0fc8",
            ),
            VideoFormat {
                coding: VideoCoding::H264,
                profile: 66,
                level: 30,
                constraints: 0xC0,
                width: 720,
                height: 576,
                sample_aspect: fraction(64, 45),
                ..PLAIN
            },
            "Constrained Baseline",
            "3",
        ),
        (
            Codec::Hevc,
            hevc(
                "0000000140010c01ffff02200000030090000003000003007b959409000000014201010220000003\
                 0090000003000003007ba003c0801107cad965654a4c2f016808000003000800000301930d64c370\
                 007a12000f4264000000014401c073c189",
            ),
            VideoFormat {
                coding: VideoCoding::Hevc,
                profile: 2,
                level: 123,
                width: 1920,
                height: 1080,
                frame_rate: fraction(50, 1),
                bit_depth: 10,
                // 15 625 << 9 and << 9.
                buffer: buffer(8_000_000, 8_000_000),
                schedule: schedule(8_000_000, [19, 13, 7]),
                ..PLAIN
            },
            "Main 10",
            "4.1",
        ),
        (
            Codec::Hevc,
            hevc(
                "0000000140010c01ffff01600000030090000003000003005d959409000000014201010160000003\
                 0090000003000003005da00280802d1d56595952930bc05a020000030002000003003c1000000001\
                 4401c073c189",
            ),
            VideoFormat {
                coding: VideoCoding::Hevc,
                profile: 1,
                level: 93,
                width: 1278,
                height: 718,
                frame_rate: fraction(30, 1),
                ..PLAIN
            },
            "Main",
            "3.1",
        ),
    ]
}

#[test]
fn formats_are_those_that_ffprobe_reads() {
    for (codec, stream, expected, profile, level) in vectors() {
        let got = format(codec, &stream, stream.len());
        assert_eq!(got, Some(expected), "{codec}, {profile}@{level}");
        assert_eq!(expected.profile_name().unwrap_or_default(), profile);
        assert_eq!(expected.level_name(), level);
    }
}

#[test]
fn where_packets_end_does_not_matter() {
    for (codec, stream, expected, ..) in vectors() {
        for piece in 1..stream.len() {
            assert_eq!(
                format(codec, &stream, piece),
                Some(expected),
                "{codec}, {piece}"
            );
        }
    }
}

#[test]
fn a_set_cut_short_is_none_and_one_cut_in_its_timing_keeps_its_size() {
    for (codec, stream, expected, ..) in vectors() {
        // The whole of a set is followed by another start code: cut before that.
        for n in 5..stream.len() - 20 {
            let mut cut = stream[..n].to_vec();
            cut.extend([0, 0, 1, if codec == Codec::Hevc { 0x28 } else { 0x65 }]);
            cut.extend([0x01; 20]);
            if let Some(got) = format(codec, &cut, cut.len()).filter(|_| codec != Codec::Mpeg2Video)
            {
                let size = |f: &VideoFormat| (f.coding, f.width, f.height, f.profile, f.level);
                assert_eq!(size(&got), size(&expected), "{codec}, {n} bytes");
            }
        }
    }
}

#[test]
fn mpeg_video_shows_the_area_that_its_display_extension_gives() {
    // Sequence header of 704 x 576, 4:3; sequence extension Main@Main; sequence display extension:
    // id 2, video_format 5, no colours; 720 in 14 bits, a marker, 576 in 14 bits.
    let stream = bytes(
        "000001b32c02402309c42380000001b5148200010000000001b52a0b421200000001000009e3b8\
         0000000001b58ffff3",
    );
    let got = format(Codec::Mpeg2Video, &stream, 100).unwrap();
    assert_eq!((got.width, got.height), (704, 576));
    // 4:3 x 576/720 = 16:15; shown are 704 of the 720.
    assert_eq!(got.sample_aspect, fraction(16, 15));
    assert_eq!(got.display_aspect(), fraction(176, 135));
}

#[test]
fn a_set_that_changes_comes_into_force_with_a_picture() {
    let all = vectors();
    let (_, first, a, ..) = &all[3];
    let (_, second, b, ..) = &all[4];
    let (mut codes, mut parser) = (StartCodes::new(), SequenceParser::new(Codec::H264).unwrap());
    let mut push = |parser: &mut SequenceParser, bytes: &[u8]| {
        codes.push(
            bytes,
            0,
            |v| wanted(Codec::H264, v),
            |unit| {
                parser.push(unit);
            },
        );
    };
    push(&mut parser, first);
    assert_eq!(parser.format(), Some(a));
    let sets = second.len() - H264_SLICE.len() / 2;
    push(&mut parser, &second[..sets + 3]);
    assert_eq!(parser.format(), Some(a));
    push(&mut parser, &second[sets + 3..]);
    assert_eq!(parser.format(), Some(b));
}
