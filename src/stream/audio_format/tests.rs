use super::*;
use proptest::prelude::*;

fn shape(codec: Codec, bytes: &[u8]) -> Option<(&'static str, u32, Option<u8>, Option<String>)> {
    let format = AudioLook::at(codec, bytes)?.format;
    Some((format.coding, format.rate, format.channels, format.layout))
}

fn padded(header: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = header.to_vec();
    bytes.resize(len, 0x55);
    bytes
}

/// Modes by ISO/IEC 11172-3 §2.4.2.3: 00 stereo, 01 joint, 10 dual channel, 11 single channel.
#[test]
fn mpeg_audio_says_its_layer_and_mode() {
    for (mode, channels, layout) in [
        (0x00, 2, "stereo"),
        (0x40, 2, "joint stereo"),
        (0x80, 2, "dual mono"),
        (0xC0, 1, "mono"),
    ] {
        assert_eq!(
            shape(Codec::MpegAudio, &[0xFF, 0xFD, 0xA4, mode]),
            Some(("mp2", 48_000, Some(channels), Some(layout.to_owned())))
        );
    }
    let mp3 = AudioLook::at(Codec::MpegAudio, &[0xFF, 0xFB, 0x90, 0xC0]).unwrap();
    assert_eq!((mp3.format.coding, mp3.format.rate), ("mp3", 44_100));
    // 417 bytes are 127 706 bit/s: padding makes up for it in other frames.
    assert_eq!(mp3.bit_rate(), Some(128_000));
}

/// Byte 6 by ETSI TS 102 366 §4.3.2: acmod, then the mix levels that it calls for, then lfeon.
#[test]
fn ac3_finds_the_lfe_behind_the_mix_levels() {
    for (bits, channels, layout) in [
        ("000 0 0000", 2, "dual mono"),
        ("001 0 0000", 1, "mono"),
        ("010 00 0 00", 2, "stereo"),
        ("010 11 1 00", 3, "2/0.1"),
        ("011 00 0 00", 3, "3/0"),
        ("100 00 0 00", 3, "2/1"),
        ("101 11 00 0", 4, "3/1"),
        ("110 00 1 00", 5, "2/2.1"),
        ("111 01 01 0", 5, "5.0"),
        ("111 00 00 1", 6, "5.1"),
    ] {
        let byte = u8::from_str_radix(&bits.replace(' ', ""), 2).unwrap();
        let frame = padded(&[0x0B, 0x77, 0, 0, 30, 0x40, byte], 1792);
        let look = AudioLook::at(Codec::Ac3, &frame).unwrap();
        assert_eq!(look.format.channels, Some(channels), "{bits}");
        assert_eq!(look.format.layout.as_deref(), Some(layout));
        assert_eq!(look.bit_rate(), Some(448_000));
    }
}

/// A 5.1 core and a dependent substream: 768 bytes in 32 ms each.
#[test]
fn eac3_adds_the_channels_of_its_dependent_substreams() {
    // fscod 00, six blocks 11, acmod 111, lfeon 1; bsid 16.
    let core = [0x0B, 0x77, 0x01, 0x7F, 0x3F, 0x80];
    // Dependent: acmod 010, no LFE; bsid 16, dialnorm 0, no compr, chanmape 1, chanmap Lrs/Rrs:
    // 10000_000 00_0_1_0000 0010_0000 0000_....
    let rears = [0x0B, 0x77, 0x41, 0x7F, 0x34, 0x80, 0x10, 0x20, 0x00];
    let both = [padded(&core, 768), padded(&rears, 768)].concat();
    let stream = [&both[..], &both].concat();
    let look = AudioLook::at(Codec::Eac3, &stream).unwrap();
    assert_eq!(look.format.coding, "eac3");
    assert_eq!(
        (look.format.channels, look.format.layout.as_deref()),
        (Some(8), Some("7.1"))
    );
    assert_eq!(look.bit_rate(), Some(384_000), "1536 bytes in 32 ms");
    let alone = shape(Codec::Eac3, &padded(&core, 768)).unwrap();
    assert_eq!((alone.2, alone.3.as_deref()), (Some(6), Some("5.1")));
}

#[test]
fn adts_has_a_channel_configuration_of_three_bits() {
    let layouts = [
        None,
        Some("mono"),
        Some("stereo"),
        Some("3/0"),
        Some("3/1"),
        Some("5.0"),
        Some("5.1"),
        Some("7.1"),
    ];
    for (n, layout) in layouts.into_iter().enumerate() {
        let n = n as u8;
        let header = [0xFF, 0xF1, 0x4C | n >> 2, n << 6, 0x2E, 0x7F, 0xFC];
        let look = AudioLook::at(Codec::AacAdts, &padded(&header, 371)).unwrap();
        assert_eq!(look.format.layout.as_deref(), layout, "configuration {n}");
        // 371 bytes in 1024/48000 s.
        assert_eq!(look.bit_rate(), Some(139_125));
    }
}

/// By hand from ISO/IEC 14496-3 tables 1.41 to 1.46: useSameStreamMux 0, audioMuxVersion 0, same
/// framing 1, numSubFrames 0, numProgram 0, numLayer 0, then object type 2, 48 kHz (3), stereo:
/// 0_0_1_000000_0000_000 00010_001 1_0010_...
#[test]
fn latm_says_it_in_its_stream_mux_config() {
    let element = |head: &[u8], size: usize| {
        let mut bytes = vec![0x56, 0xE0 | (size >> 8) as u8, size as u8];
        bytes.extend(padded(head, size));
        bytes
    };
    let config = element(&[0x20, 0x00, 0x11, 0x90], 381);
    let same = element(&[0x80], 253);
    let stream = [&[0x00, 0x56, 0x00][..], &same, &config, &same].concat();
    let look = AudioLook::at(Codec::AacLatm, &stream).unwrap();
    assert_eq!((look.format.coding, look.format.rate), ("aac_latm", 48_000));
    assert_eq!(look.format.layout.as_deref(), Some("stereo"));
    // 256 + 384 + 256 bytes in 3 x 1024 samples: 896 * 8 * 48000 / 3072.
    assert_eq!(look.bit_rate(), Some(112_000));
    assert_eq!(AudioLook::at(Codec::AacLatm, &same), None);
    // Object type 5 (SBR), core 24 kHz (6), stereo, then 48 kHz (3): 00101_0110_0010_0011; each
    // element is of 2 x 1024 samples: 384 * 8 * 48000 / 2048.
    let sbr = element(&[0x20, 0x00, 0x2B, 0x11, 0x80], 381);
    let look = AudioLook::at(Codec::AacLatm, &sbr).unwrap();
    assert_eq!((look.format.rate, look.bit_rate()), (48_000, Some(72_000)));
    // Rates that are written out, 16777215 Hz over a core of 1 Hz, with 64 frames an element:
    // 0_0_1_111111_0000_000 00101_1111_(1)_0010_1111_(16777215).
    let head = [
        0x3F, 0x80, 0x2F, 0x80, 0x00, 0x00, 0x92, 0xFF, 0xFF, 0xFF, 0xF8,
    ];
    assert_eq!(AudioLook::at(Codec::AacLatm, &element(&head, 381)), None);

    // SBR said in the open: object type 5, 24 kHz (6), mono, extension 48 kHz (3):
    // 00101_011 0_0001_001 1_...
    let sbr = element(&[0x20, 0x00, 0x2B, 0x09, 0x80], 381);
    let look = AudioLook::at(Codec::AacLatm, &sbr).unwrap();
    assert_eq!((look.format.rate, look.format.channels), (48_000, Some(1)));
    assert_eq!(look.samples, 2048);
    // Parametric stereo (29): 11101_011 0_0001_001 1_...
    let ps = element(&[0x20, 0x00, 0xEB, 0x09, 0x80], 381);
    let format = AudioLook::at(Codec::AacLatm, &ps).unwrap().format;
    assert_eq!((format.rate, format.channels), (48_000, Some(2)));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(
        prop::sample::select(vec![0u8, 0x0B, 0x77, 0xFF, 0xF1, 0xFD, 0x56, 0xE0, 0x80, 0x3F, 7]), 0..600)
    ) {
        for codec in [Codec::MpegAudio, Codec::AacAdts, Codec::AacLatm, Codec::Ac3, Codec::Eac3] {
            if let Some(look) = AudioLook::at(codec, &bytes) {
                prop_assert!(look.format.rate > 0 && look.bytes > 0);
                let _ = look.bit_rate();
            }
        }
    }
}
