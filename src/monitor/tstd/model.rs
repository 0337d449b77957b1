//! Which buffers a stream has: ISO/IEC 13818-1 §2.4.2.3, §2.14.3 and §2.17.2, EN 300 472 §5,
//! EN 300 743 §5.

use super::quantity::{Amount, Fine};
use crate::si::descriptor::{DescriptorTag, Descriptors};
use crate::si::{Codec, PmtStream, StreamType};
use crate::stream::video::{DeliverySchedule, VideoCoding, VideoFormat};
use crate::units::Ticks27M;

/// The buffers of an elementary stream, and how long a unit may stay in them.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Model {
    /// Size of TBn in bytes.
    pub(super) transport: u64,
    /// Bits a second out of TBn.
    pub(super) rate: u64,
    /// What stands behind it.
    pub(super) main: Main,
    /// The longest time from a unit's first byte to its decoding, where there is one.
    pub(super) delay: Option<Fine>,
}

/// What stands behind TBn.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Main {
    /// Bn of so many bytes.
    One(u64),
    /// MBn and EBn.
    Video(Video),
}

/// MBn and EBn of video.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Video {
    /// Size of MBn.
    pub(super) multiplex: Amount,
    /// Size of EBn.
    pub(super) elementary: Amount,
    /// Bits a second from MBn to EBn by the leak method.
    pub(super) leak: u64,
    /// How data goes from MBn to EBn.
    pub(super) transfer: Transfer,
    /// A unit may come late.
    pub(super) low_delay: bool,
}

/// How data goes from MBn to EBn (§2.4.2.3).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// At Rbx, while EBn is not full.
    Leak,
    /// By the vbv_delay of each picture.
    VbvDelay,
    /// By the schedule of the NAL HRD (§2.14.3.1, §2.17.2).
    Hrd(DeliverySchedule),
    /// By an HRD that the stream does not tell of.
    Unknown(Reason),
}

/// Why a stream has no model.
pub(super) type Reason = &'static str;

/// Waits for a sequence header, a parameter set or an audio header.
pub(super) const NO_PARAMETERS: Reason = "no sequence header or parameter set has come";
pub(super) const NO_MODEL: Reason = "no buffers are defined for this kind of stream";
const UNKNOWN_LEVEL: Reason = "the profile or level is not one of the specification's";
const NO_SCHEDULE: Reason =
    "MB and EB: hrd_management_valid_flag is set, but the stream tells of no NAL HRD";
pub(super) const CONTRADICTION: Reason =
    "MB and EB in part: vbv_delay contradicts the decoding times";
/// Access units cannot be found in what is scrambled.
pub(super) const SCRAMBLED_UNITS: Reason = "scrambled: only TB could be judged";
pub(super) const SCRAMBLED_MODEL: Reason = "scrambled: its profile and level cannot be read";
const OWN_BUFFERS: Reason = "a multiplex_buffer_descriptor gives it buffers of its own";

const TRANSPORT: u64 = 512;
const AUDIO_RATE: u64 = 2_000_000;
const SECOND: Fine = Fine::SECOND;

/// What the PMT says about the buffers of a stream.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Signalled {
    pub(super) codec: Option<Codec>,
    /// AC-3 with the stream_type of ATSC.
    atsc: bool,
    /// A multiplex_buffer_descriptor is there.
    own_buffers: bool,
    /// STD_descriptor says that the leak method does not apply.
    no_leak: bool,
    /// The HRD schedule of the stream is to be used (hrd_management_valid_flag).
    managed: bool,
    /// Still pictures may come.
    still: bool,
    /// The pictures say vbv_delay 0xFFFF, with which the leak method applies in any case.
    no_vbv_delay: bool,
}

impl Signalled {
    pub(super) fn new(stream: &PmtStream<'_>, program: Descriptors<'_>) -> Self {
        const STD: DescriptorTag = DescriptorTag(0x11);
        const MULTIPLEX_BUFFER: DescriptorTag = DescriptorTag(0x23);
        const AVC_TIMING: DescriptorTag = DescriptorTag(0x2A);
        /// Extension descriptor of ISO/IEC 13818-1, and HEVC timing and HRD in it.
        const EXTENSION: DescriptorTag = DescriptorTag(0x3F);
        const HEVC_TIMING: u8 = 0x03;
        let mut signalled = Self {
            codec: Codec::of(stream, program),
            atsc: stream.stream_type == StreamType::AC3 || stream.stream_type == StreamType::EAC3,
            own_buffers: false,
            no_leak: false,
            managed: false,
            still: false,
            no_vbv_delay: false,
        };
        for d in stream.descriptors.iter() {
            let byte = |n: usize| d.payload.get(n).copied().unwrap_or(0);
            match d.tag {
                STD => signalled.no_leak = d.payload.first().is_some_and(|b| b & 1 == 0),
                MULTIPLEX_BUFFER => signalled.own_buffers = true,
                AVC_TIMING => signalled.managed |= byte(0) & 0x80 != 0,
                EXTENSION if byte(0) == HEVC_TIMING => signalled.managed |= byte(1) & 0x80 != 0,
                DescriptorTag::VIDEO_STREAM => signalled.still |= byte(0) & 1 != 0,
                DescriptorTag::AVC_VIDEO => signalled.still |= byte(3) & 0x80 != 0,
                DescriptorTag::HEVC_VIDEO => signalled.still |= byte(12) & 0x40 != 0,
                _ => {}
            }
        }
        signalled
    }

    /// The model of a stream for which the stream itself need not be read.
    pub(super) fn model(&self) -> Result<Model, Reason> {
        if self.own_buffers {
            return Err(OWN_BUFFERS);
        }
        Ok(match self.codec {
            Some(Codec::Mpeg1Video | Codec::Mpeg2Video | Codec::H264 | Codec::Hevc) => {
                return Err(NO_PARAMETERS);
            }
            Some(Codec::Aac) => return Err(NO_PARAMETERS),
            Some(Codec::Mp2) => one(TRANSPORT, AUDIO_RATE, 3584, Some(SECOND)),
            // The channels stand in the stream in a way that is not read: room for eight.
            Some(Codec::AacLatm) => aac(8),
            Some(Codec::Ac3 | Codec::Eac3) => {
                let size = if self.atsc { 2592 } else { 5696 };
                one(TRANSPORT, AUDIO_RATE, size, Some(SECOND))
            }
            Some(Codec::DvbTeletext) => {
                let delay = Fine::of(Ticks27M::from_millis(40));
                one(480, 6_750_000, 1504, Some(delay))
            }
            Some(Codec::DvbSubtitle) => one(TRANSPORT, 192_000, 24_576, None),
            _ => return Err(NO_MODEL),
        })
    }

    /// The model of video of this format.
    pub(super) fn video(&self, format: &VideoFormat) -> Result<Model, Reason> {
        if self.own_buffers {
            return Err(OWN_BUFFERS);
        }
        let mut model = match format.coding {
            VideoCoding::Mpeg1 => mpeg1(format),
            VideoCoding::Mpeg2 => mpeg2(format),
            VideoCoding::H264 => h264(format),
            VideoCoding::Hevc => hevc(format),
        }?;
        if self.still {
            model.delay = Some(Fine::of(Ticks27M::from_millis(60_000)));
        }
        if let Main::Video(video) = &mut model.main
            && self.is_scheduled()
        {
            video.transfer = match format.coding {
                VideoCoding::Mpeg1 | VideoCoding::Mpeg2 if self.no_vbv_delay => Transfer::Leak,
                VideoCoding::Mpeg1 | VideoCoding::Mpeg2 => Transfer::VbvDelay,
                VideoCoding::H264 | VideoCoding::Hevc => match format.schedule {
                    Some(schedule) => {
                        video.hold(schedule.buffer.size_bits);
                        Transfer::Hrd(schedule)
                    }
                    None => Transfer::Unknown(NO_SCHEDULE),
                },
            };
        }
        Ok(model)
    }

    /// What the stream itself says of times rules how data goes from MBn to EBn: STD_descriptor for
    /// MPEG video, hrd_management_valid_flag for the others.
    pub(super) const fn is_scheduled(&self) -> bool {
        match self.codec {
            Some(Codec::Mpeg1Video | Codec::Mpeg2Video) => self.no_leak,
            Some(Codec::H264 | Codec::Hevc) => self.managed,
            _ => false,
        }
    }

    /// A picture says whether it has a vbv_delay. True when that was not known.
    pub(super) fn has_vbv_delay(&mut self, has: bool) -> bool {
        std::mem::replace(&mut self.no_vbv_delay, !has) == has
    }

    /// As the PMT said it, and what the pictures said since.
    pub(super) const fn and_pictures(self, before: &Self) -> Self {
        Self {
            no_vbv_delay: before.no_vbv_delay,
            ..self
        }
    }
}

impl Video {
    /// EBn has so many bits; what the level allows beyond them stands in MBn.
    fn hold(&mut self, bits: u64) {
        let whole = self.multiplex + self.elementary;
        self.elementary = Amount::bits(bits, 1).min(self.elementary);
        self.multiplex = whole - self.elementary;
    }
}

/// DVB subtitles with a display definition segment.
pub(super) const fn wide_subtitles() -> Model {
    one(1024, 400_000, 102_400, None)
}

/// AAC in ADTS by channels; 0 for those told in the stream only: room for eight.
pub(super) const fn aac(channels: u8) -> Model {
    let (rate, size) = match channels {
        1..=2 => (AUDIO_RATE, 3584),
        0 | 3..=8 => (5_529_600, 8976),
        9..=12 => (8_294_400, 12_804),
        _ => (33_177_600, 51_216),
    };
    one(TRANSPORT, rate, size, Some(SECOND))
}

const fn one(transport: u64, rate: u64, size: u64, delay: Option<Fine>) -> Model {
    Model {
        transport,
        rate,
        main: Main::One(size),
        delay,
    }
}

/// BSmux, 4 ms, and BSoh, 1/750 s, of a rate in bits a second.
const fn mux_and_overhead(rate: u64) -> Amount {
    Amount::bits(rate * 4, 750)
}

fn video(rate: u64, base: u64, spare: u64, buffer: u64, leak: u64, format: &VideoFormat) -> Model {
    let long = matches!(format.coding, VideoCoding::H264 | VideoCoding::Hevc);
    Model {
        transport: TRANSPORT,
        rate,
        main: Main::Video(Video {
            multiplex: mux_and_overhead(base) + Amount::bits(spare, 1),
            elementary: Amount::bits(buffer, 1),
            leak,
            transfer: Transfer::Leak,
            low_delay: format.low_delay,
        }),
        delay: Some(if long {
            Fine::of(Ticks27M::from_millis(10_000))
        } else {
            SECOND
        }),
    }
}

/// ISO/IEC 11172-2 with constrained parameters: as Low and Main level of MPEG-2, with its own
/// rate and buffer.
fn mpeg1(format: &VideoFormat) -> Result<Model, Reason> {
    const RATE: u64 = 1_856_000;
    const BUFFER: u64 = 20 * 16_384;
    let told = format.buffer.ok_or(UNKNOWN_LEVEL)?;
    if told.rate_bps > RATE || told.size_bits > BUFFER {
        return Err("MPEG-1 video beyond the constrained parameters");
    }
    let spare = BUFFER - told.size_bits;
    Ok(video(
        RATE * 12 / 10,
        RATE,
        spare,
        told.size_bits,
        RATE,
        format,
    ))
}

fn mpeg2(format: &VideoFormat) -> Result<Model, Reason> {
    /// 4:2:2 Profile has levels of its own behind the escape bit.
    const ESCAPE: u8 = 8;
    let (rate, largest, low) = match (format.profile & ESCAPE != 0, format.level) {
        (false, 10) => (4_000_000, 475_136, true),
        (false, 8) => (15_000_000, 1_835_008, true),
        (false, 6) => (60_000_000, 7_340_032, false),
        (false, 4) => (80_000_000, 9_781_248, false),
        (true, 5) => (50_000_000, 9_437_184, false),
        (true, 2) => (300_000_000, 47_185_920, false),
        _ => return Err(UNKNOWN_LEVEL),
    };
    let told = format.buffer.ok_or(UNKNOWN_LEVEL)?;
    let (spare, leak) = if low {
        (u64::saturating_sub(largest, told.size_bits), rate)
    } else {
        (0, rate.min(told.rate_bps * 105 / 100))
    };
    Ok(video(
        rate * 12 / 10,
        rate,
        spare,
        told.size_bits,
        leak,
        format,
    ))
}

fn h264(format: &VideoFormat) -> Result<Model, Reason> {
    // cpbBrNalFactor (table A-2), which stands for the profile's own.
    let factor = match format.profile {
        66 | 77 | 88 => 1200,
        100 => 1500,
        110 => 3600,
        122 | 244 | 44 => 4800,
        _ => return Err(UNKNOWN_LEVEL),
    };
    // MaxBR and MaxCPB (table A-1).
    let (rate, buffer) = match format.level {
        _ if format.is_level_1b() => (128, 350),
        10 => (64, 175),
        11 => (192, 500),
        12 => (384, 1000),
        13 => (768, 2000),
        20 => (2000, 2000),
        21 | 22 => (4000, 4000),
        30 => (10_000, 10_000),
        31 => (14_000, 14_000),
        32 => (20_000, 20_000),
        40 => (20_000, 25_000),
        41 | 42 => (50_000, 62_500),
        50 => (135_000, 135_000),
        51 | 52 | 60 => (240_000, 240_000),
        61 => (480_000, 480_000),
        62 => (800_000, 800_000),
        _ => return Err(UNKNOWN_LEVEL),
    };
    let (rate, buffer) = (rate * factor, buffer * factor);
    let (told_rate, told) = match format.buffer {
        Some(told) => (told.rate_bps, told.size_bits),
        None => (rate, buffer),
    };
    let spare = u64::saturating_sub(buffer, told);
    let base = rate.max(2_000_000);
    Ok(video(told_rate * 12 / 10, base, spare, told, rate, format))
}

/// The rate of the level serves whether or not the stream has an HRD: the larger Rx raises no
/// alarm that another reading of the clause would not.
fn hevc(format: &VideoFormat) -> Result<Model, Reason> {
    // MaxBR, which is MaxCPB (table A.9), by tier and general_level_idc.
    let rate: u64 = match (format.high_tier, format.level) {
        (false, 30) => 128,
        (false, 60) => 1500,
        (false, 63) => 3000,
        (false, 90) => 6000,
        (false, 93) => 10_000,
        (false, 120) => 12_000,
        (false, 123) => 20_000,
        (false, 150) => 25_000,
        (false, 153) => 40_000,
        (false, 156 | 180) => 60_000,
        (false, 183) => 120_000,
        (false, 186) => 240_000,
        (true, 120) => 30_000,
        (true, 123) => 50_000,
        (true, 150) => 100_000,
        (true, 153) => 160_000,
        (true, 156 | 180) => 240_000,
        (true, 183) => 480_000,
        (true, 186) => 800_000,
        _ => return Err(UNKNOWN_LEVEL),
    };
    let rate = rate * 1100;
    let base = rate.max(2_000_000);
    Ok(video(rate * 11 / 10, base, 0, rate, rate, format))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::video::{Chroma, CodedBuffer};
    use crate::ts::Pid;

    fn format(
        coding: VideoCoding,
        profile: u8,
        level: u8,
        buffer: Option<(u64, u64)>,
    ) -> VideoFormat {
        VideoFormat {
            coding,
            profile,
            level,
            high_tier: false,
            constraints: 0,
            width: 720,
            height: 576,
            frame_rate: None,
            sample_aspect: None,
            interlaced: false,
            chroma: Chroma::C420,
            bit_depth: 8,
            buffer: buffer.map(|(rate_bps, size_bits)| CodedBuffer {
                size_bits,
                rate_bps,
            }),
            schedule: None,
            low_delay: false,
        }
    }

    fn signalled(stream_type: u8, descriptors: &[u8]) -> Signalled {
        let stream = PmtStream {
            stream_type: StreamType(stream_type),
            pid: Pid::from_field(0x100),
            descriptors: Descriptors::new(descriptors),
        };
        Signalled::new(&stream, Descriptors::NONE)
    }

    /// Rx and Rbx in bit/s, MB and EB in bytes, delay in seconds.
    fn figures(model: &Model) -> (u64, u64, u64, u64, i64) {
        let Main::Video(video) = model.main else {
            panic!("{model:?}");
        };
        let delay = model.delay.unwrap().ticks().as_millis() / 1000;
        let (mb, eb) = (video.multiplex.to_bytes(), video.elementary.to_bytes());
        (model.rate, video.leak, mb, eb, delay)
    }

    #[test]
    fn video_has_the_sizes_of_its_level() {
        use VideoCoding::{H264, Hevc, Mpeg1, Mpeg2};
        // vbv_buffer_size in units of 16 384 bits. MBS: (4 ms + 1/750 s) Rmax, and what is left of
        // the largest VBV.
        let vbv = |n: u64| n * 16_384;
        for (f, expected) in [
            (
                format(Mpeg2, 4, 8, Some((15_000_000, vbv(112)))),
                (18_000_000, 15_000_000, 10_000, 229_376, 1),
            ),
            (
                format(Mpeg2, 4, 8, Some((4_000_000, vbv(12)))),
                (18_000_000, 15_000_000, 214_800, 24_576, 1),
            ),
            (
                format(Mpeg2, 4, 4, Some((20_000_000, vbv(597)))),
                (96_000_000, 21_000_000, 53_333, 1_222_656, 1),
            ),
            (
                format(Mpeg2, 4, 6, Some((80_000_000, vbv(448)))),
                (72_000_000, 60_000_000, 40_000, 917_504, 1),
            ),
            (
                format(Mpeg2, 8, 5, Some((50_000_000, vbv(576)))),
                (60_000_000, 50_000_000, 33_333, 1_179_648, 1),
            ),
            (
                format(Mpeg1, 0, 0, Some((1_150_000, vbv(20)))),
                (2_227_200, 1_856_000, 1237, 40_960, 1),
            ),
            (
                format(H264, 100, 40, None),
                (36_000_000, 30_000_000, 20_000, 4_687_500, 10),
            ),
            (
                format(H264, 77, 30, Some((3_000_000, 1_000_000))),
                (3_600_000, 12_000_000, 1_383_000, 125_000, 10),
            ),
            (
                format(Hevc, 1, 123, None),
                (24_200_000, 22_000_000, 14_667, 2_750_000, 10),
            ),
        ] {
            let model = signalled(0x02, &[]).video(&f).unwrap();
            assert_eq!(figures(&model), expected, "{f:?}");
        }
        // 2 Mbit/s at least count for BSmux and BSoh: 1333 bytes.
        let small = signalled(0x1B, &[])
            .video(&format(H264, 66, 10, None))
            .unwrap();
        assert_eq!(figures(&small), (92_160, 76_800, 1333, 26_250, 10));
        assert_eq!(
            signalled(0x1B, &[]).video(&format(H264, 100, 99, None)),
            Err(UNKNOWN_LEVEL)
        );
    }

    #[test]
    fn descriptors_change_the_rules() {
        let f = format(VideoCoding::H264, 100, 40, None);
        let transfer = |stream_type, descriptors: &[u8]| {
            let model = signalled(stream_type, descriptors).video(&f).unwrap();
            match model.main {
                Main::Video(video) => (video.transfer, figures(&model).4),
                Main::One(_) => panic!("video"),
            }
        };
        // STD_descriptor: leak_valid_flag 1 and 0. AVC timing and HRD: hrd_management_valid_flag.
        assert_eq!(transfer(0x1B, &[0x11, 1, 0xFF]), (Transfer::Leak, 10));
        // Only MPEG video has a vbv_delay.
        assert_eq!(transfer(0x1B, &[0x11, 1, 0xFE]), (Transfer::Leak, 10));
        assert_eq!(transfer(0x1B, &[0x2A, 2, 0x7F, 0xFF]), (Transfer::Leak, 10));
        assert_eq!(
            transfer(0x1B, &[0x2A, 2, 0xFF, 0xFF]),
            (Transfer::Unknown(NO_SCHEDULE), 10)
        );
        let mpeg2 = format(VideoCoding::Mpeg2, 4, 8, Some((4_000_000, 112 * 16_384)));
        let mut said = signalled(0x02, &[0x11, 1, 0xFE]);
        let by = |said: &Signalled| match said.video(&mpeg2).unwrap().main {
            Main::Video(video) => video.transfer,
            Main::One(_) => panic!("video"),
        };
        assert_eq!(by(&said), Transfer::VbvDelay);
        assert!(said.has_vbv_delay(false) && !said.has_vbv_delay(false));
        assert_eq!(by(&said), Transfer::Leak);
        // AVC_video_descriptor with AVC_still_present.
        assert_eq!(
            transfer(0x1B, &[0x28, 4, 100, 0, 40, 0x80]),
            (Transfer::Leak, 60)
        );
        assert_eq!(
            signalled(0x03, &[0x23, 6, 0, 0, 0, 0, 0, 0]).model(),
            Err(OWN_BUFFERS)
        );
    }

    #[test]
    fn sound_and_data_have_the_sizes_of_their_kind() {
        for (stream_type, descriptors, transport, rate, size) in [
            (0x03, &[][..], 512, 2_000_000, 3584),
            (0x06, &[0x6A, 1, 0], 512, 2_000_000, 5696),
            (0x81, &[], 512, 2_000_000, 2592),
            (
                0x06,
                &[0x56, 5, b'f', b'r', b'a', 9, 0],
                480,
                6_750_000,
                1504,
            ),
            (
                0x06,
                &[0x59, 8, b'f', b'r', b'a', 0x10, 0, 1, 0, 1],
                512,
                192_000,
                24_576,
            ),
        ] {
            let model = signalled(stream_type, descriptors).model().unwrap();
            let expected = (transport, rate, Main::One(size));
            assert_eq!((model.transport, model.rate, model.main), expected);
        }
        for (channels, rate, size) in [
            (0, 5_529_600, 8976),
            (2, 2_000_000, 3584),
            (6, 5_529_600, 8976),
            (12, 8_294_400, 12_804),
            (13, 33_177_600, 51_216),
        ] {
            assert_eq!(
                (aac(channels).rate, aac(channels).main),
                (rate, Main::One(size))
            );
        }
        assert_eq!(signalled(0x86, &[]).model(), Err(NO_MODEL));
    }
}
