//! What ffmpeg is asked, and what its filters say.

use super::DecodeOptions;
use crate::si::{Service, StreamKind};
use crate::ts::Pid;

/// Black, or the same picture, is found after so many seconds.
pub(super) const PICTURE_SECONDS: u32 = 2;
/// Silence is found after so many seconds.
pub(super) const SILENCE_SECONDS: u32 = 5;

/// What the filters tell of a PID.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) enum Said {
    /// It is black from this second of the stream's own time stamps on, for however long.
    BlackFrom(f64),
    BlackTo(f64),
    /// It was black for long enough from this second on.
    BlackWas(f64),
    FrozenFrom(f64),
    FrozenTo(f64),
    SilentFrom(f64),
    SilentTo(f64),
    /// Loudness of everything so far, LUFS.
    Integrated(f64),
    /// Of the last 3 s, LUFS.
    ShortTerm(f64),
    /// Loudness range, LU.
    Range(f64),
}

/// What ffmpeg is asked.
pub(super) struct Request {
    /// The command.
    pub(super) command: String,
    /// The pictures that it decodes.
    pub(super) video: Option<Pid>,
    /// It decodes sound.
    pub(super) audio: bool,
}

/// The command that decodes a service: the first picture and the first sounds of it. `None` when it
/// has neither.
pub(super) fn request(service: &Service, options: DecodeOptions) -> Option<Request> {
    let of = |kind| {
        service
            .streams
            .iter()
            .filter(move |s| s.kind == kind && s.codec.is_some())
    };
    let (mut graph, mut maps) = (Vec::new(), String::new());
    for video in of(StreamKind::Video).take(1) {
        let pid = video.pid.get();
        let tell =
            |name: &str, key: &str| format!("metadata@{pid}_{name}=mode=print:key=lavfi.{key}");
        graph.push(format!(
            "[0:i:{pid}]blackdetect=d={PICTURE_SECONDS}:pix_th=0.1,\
             freezedetect=n=-60dB:d={PICTURE_SECONDS},{},{},{},{}[p{pid}]",
            tell("bs", "black_start"),
            tell("be", "black_end"),
            tell("fs", "freezedetect.freeze_start"),
            tell("fe", "freezedetect.freeze_end"),
        ));
        maps.push_str(&format!(" -map '[p{pid}]' -f null -"));
    }
    for audio in of(StreamKind::Audio).take(options.sounds) {
        let pid = audio.pid.get();
        let tell =
            |name: &str, key: &str| format!("ametadata@{pid}_{name}=mode=print:key=lavfi.{key}");
        // Loudness is told each 2 s, not each 0.1 s: frames are made that long.
        let loudness = match options.loudness {
            true => format!(
                ",aresample=48000,ebur128=metadata=1:framelog=verbose,asetnsamples=n=96000:p=0,\
                 {},{},{}",
                tell("i", "r128.I"),
                tell("s", "r128.S"),
                tell("r", "r128.LRA"),
            ),
            false => String::new(),
        };
        graph.push(format!(
            "[0:i:{pid}]silencedetect=n=-60dB:d={SILENCE_SECONDS},{},{}{loudness}[p{pid}]",
            tell("ss", "silence_start"),
            tell("se", "silence_end"),
        ));
        maps.push_str(&format!(" -map '[p{pid}]' -f null -"));
    }
    let graph = graph.join(";");
    let behind = if options.behind { "nice " } else { "" };
    (!graph.is_empty()).then(|| Request {
        video: of(StreamKind::Video).next().map(|s| s.pid),
        audio: options.sounds > 0 && of(StreamKind::Audio).next().is_some(),
        command: format!(
            "exec {behind}ffmpeg -hide_banner -nostats -loglevel level+info -copyts -f mpegts -i pipe:0 \
             -filter_complex '{graph}'{maps}"
        ),
    })
}

/// What a line of ffmpeg's says of a PID; `video` is that of its pictures.
pub(super) fn read(line: &str, video: Option<Pid>) -> Option<(Pid, Said)> {
    let (name, rest) = line.strip_prefix('[')?.split_once(" @ ")?;
    if name == "blackdetect" {
        let from = rest.split_once("black_start:")?.1.split(' ').next()?;
        return Some((video?, Said::BlackWas(from.parse().ok()?)));
    }
    let (filter, id) = name.split_once('@')?;
    if !matches!(filter, "metadata" | "ametadata") {
        return None;
    }
    let pid = Pid::new(id.split_once('_')?.0.parse().ok()?)?;
    let (key, value) = rest.split_once("lavfi.")?.1.split_once('=')?;
    let value: f64 = value.trim().parse().ok().filter(|v: &f64| v.is_finite())?;
    Some((
        pid,
        match key {
            "black_start" => Said::BlackFrom(value),
            "black_end" => Said::BlackTo(value),
            "freezedetect.freeze_start" => Said::FrozenFrom(value),
            "freezedetect.freeze_end" => Said::FrozenTo(value),
            "silence_start" => Said::SilentFrom(value),
            "silence_end" => Said::SilentTo(value),
            "r128.I" => Said::Integrated(value),
            "r128.S" => Said::ShortTerm(value),
            "r128.LRA" => Said::Range(value),
            _ => return None,
        },
    ))
}

/// True of the line with which ffmpeg begins to decode: its outputs stand.
pub(super) fn is_begin(line: &str) -> bool {
    line.contains("Output #0, null")
}

/// A line that a person should see: an error, or what the shell says when there is no ffmpeg.
pub(super) fn is_trouble(line: &str) -> bool {
    ["[error]", "[fatal]", "not found"]
        .iter()
        .any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as ffmpeg 5.1 writes them.
    #[test]
    fn lines_of_the_filters_are_read_and_others_are_not() {
        let pid = |n| Pid::from_field(n);
        for (line, said) in [
            (
                "[metadata@256_bs @ 0x5562b819ce00] [info] lavfi.black_start=6.01091",
                Some((pid(256), Said::BlackFrom(6.01091))),
            ),
            (
                "[blackdetect @ 0x5562b81e7d80] [info] black_start:6.01091 black_end:11.0109 \
                 black_duration:5",
                Some((pid(256), Said::BlackWas(6.01091))),
            ),
            (
                "[metadata@256_fe @ 0x5562b819ce00] [info] lavfi.freezedetect.freeze_end=11",
                Some((pid(256), Said::FrozenTo(11.0))),
            ),
            (
                "[ametadata@257_i @ 0x5562b819ce00] [info] lavfi.r128.I=-23.100",
                Some((pid(257), Said::Integrated(-23.1))),
            ),
            (
                "[ametadata@257_i @ 0x5562b819ce00] [info] lavfi.r128.I=-inf",
                None,
            ),
            (
                "[metadata@256_bs @ 0x5562b819ce00] [info] frame:150  pts:540982  pts_time:6.0",
                None,
            ),
            (
                "[silencedetect @ 0x5562b819f2c0] [info] silence_start: 6.01091",
                None,
            ),
            ("[metadata@9000_bs @ 0x1] [info] lavfi.black_start=1", None),
            ("", None),
        ] {
            assert_eq!(read(line, Some(pid(256))), said, "{line}");
        }
        assert!(is_trouble("sh: 1: exec: ffmpeg: not found"));
        assert!(!is_trouble("[info] Stream mapping:"));
    }
}
