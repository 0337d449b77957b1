//! What is in the stream, in words: used by the reports for people.

use std::fmt::Write as _;

use crate::monitor::content::{
    Gops, GuideEntry, Log, Measures, PidContent, Range, ScramblingChange, Splice, Video,
};
use crate::ts::Pid;
use crate::units::{BitRate, Ticks27M};

/// Lines of a log that a report for one screen shows, the newest.
const SHOWN: usize = 8;

/// What the pictures or the sound of a PID are like; empty where it has none.
pub(super) fn describe(pid: &PidContent) -> String {
    let mut parts = Vec::new();
    if let Some(video) = &pid.video {
        parts.push(pictures(video));
    }
    if let Some(gops) = &pid.gops {
        parts.extend(groups(gops));
    }
    if let Some(audio) = &pid.audio {
        let rate = audio.bit_rate_bps.map(|r| BitRate::new(r).to_string());
        let channels = audio.channels.map(|n| format!("{n} channels"));
        let kilohertz = f64::from(audio.sample_rate_hz) / 1e3;
        let layout = audio.layout.clone().or(channels);
        parts.extend([Some(audio.codec.to_owned()), layout].into_iter().flatten());
        parts.push(format!("{kilohertz} kHz"));
        parts.extend(rate);
    }
    if let Some(lufs) = pid.loudness.and_then(|l| l.integrated_lufs) {
        parts.push(format!("{lufs:.1} LUFS"));
    }
    if pid.scrambled == Some(true) {
        parts.push("scrambled".to_owned());
    }
    parts.join(" ")
}

/// `1920x1080i25 16:9 High@4`
fn pictures(video: &Video) -> String {
    let scan = if video.interlaced { 'i' } else { 'p' };
    let mut words = format!("{}x{}{scan}", video.width, video.height);
    if let Some(rate) = video.frame_rate_hz {
        let _ = write!(words, "{rate}");
    }
    if let Some(aspect) = &video.display_aspect {
        let _ = write!(words, " {aspect}");
    }
    if let Some(profile) = video.profile {
        let _ = write!(words, " {profile}@{}", video.level);
    }
    if (video.chroma, video.bit_depth) != ("4:2:0", 8) {
        let _ = write!(words, " {} {} bit", video.chroma, video.bit_depth);
    }
    words
}

/// `GOP 12-25 (16.3) pictures, 480-1000 ms`
fn groups(gops: &Gops) -> Option<String> {
    let span = |range: &Range| {
        let (min, max) = range.min.zip(range.max)?;
        Some(match min == max {
            true => min.to_string(),
            false => format!("{min}-{max}"),
        })
    };
    let (pictures, times) = span(&gops.pictures).zip(span(&gops.duration_ms))?;
    Some(format!("GOP {pictures} pictures, {times} ms"))
}

/// The newest entries of the logs.
pub(super) fn logs(page: &mut String, content: &Measures) {
    log(page, "splice information", &content.splices, splice);
    log(page, "present and following", &content.guide, programme);
    log(page, "scrambling", &content.scrambling, scrambling);
}

fn log<T>(page: &mut String, name: &str, log: &Log<T>, words: impl Fn(&T) -> String) {
    if log.entries.is_empty() {
        return;
    }
    let hidden = log.entries_total.saturating_sub(SHOWN as u64);
    let more = match hidden {
        0 => String::new(),
        n => format!(" ({n} earlier)"),
    };
    let _ = writeln!(page, "\n{name}{more}");
    for entry in log
        .entries
        .iter()
        .skip(log.entries.len().saturating_sub(SHOWN))
    {
        let _ = writeln!(page, "  {}", words(entry));
    }
}

/// `12.360 s: splice_insert 0x00004711 out, pre-roll 4.950 s, for 30.000 s, again 2 times`
pub(super) fn splice(s: &Splice) -> String {
    let span = |ms| Ticks27M::from_millis(ms).to_string();
    let mut words = format!("{}: {}", span(s.at_ms), s.command);
    if let Some(event) = s.event_id {
        let _ = write!(words, " {event:#010x}");
    }
    match (s.cancelled, s.out_of_network) {
        (true, _) => words.push_str(" cancelled"),
        (false, Some(true)) => words.push_str(" out"),
        (false, Some(false)) => words.push_str(" in"),
        (false, None) => {}
    }
    for segment in &s.segmentations {
        let name = segment.type_name.unwrap_or("segmentation");
        let _ = write!(words, ", {name} {:#010x}", segment.event_id);
        words.push_str(if segment.cancelled { " cancelled" } else { "" });
        if !segment.upid.is_empty() {
            let _ = write!(words, " {:?}", segment.upid);
        }
    }
    match s.pre_roll_ms {
        Some(ms) => drop(write!(words, ", pre-roll {}", span(ms))),
        None if s.immediate => words.push_str(", at once"),
        None => {}
    }
    if let Some(ms) = s.duration_ms {
        let _ = write!(words, ", for {}", span(ms));
    }
    if s.repeats_total > 0 {
        let _ = write!(words, ", again {} times", s.repeats_total);
    }
    words
}

/// `0.000 s: service 1031 present 50 "L'Australie sauvage", 2020-01-28T14:46:45.000Z, 2727.000 s`
pub(super) fn programme(g: &GuideEntry) -> String {
    let at = Ticks27M::from_millis(g.at_ms);
    let mut words = format!("{at}: service {} {}", g.service, g.place);
    let Some(event) = g.event_id else {
        words.push_str(" none");
        return words;
    };
    let _ = write!(words, " {event} {:?}", g.title);
    if let Some(start) = &g.start {
        let _ = write!(words, ", {start}");
    }
    if let Some(ms) = g.duration_ms {
        let _ = write!(words, ", {}", Ticks27M::from_millis(ms));
    }
    words
}

/// `12.360 s: PID 0x0100 is scrambled`
pub(super) fn scrambling(change: &ScramblingChange) -> String {
    let state = if change.scrambled {
        "scrambled"
    } else {
        "clear"
    };
    let at = Ticks27M::from_millis(change.at_ms);
    format!("{at}: PID {} is {state}", Pid::from_field(change.pid))
}
