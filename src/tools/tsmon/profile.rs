//! Profiles: what a stream should be, read from a file and written from a stream.

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Deserializer};

use super::limits::Limit;
use crate::cli::{Error, yaml};
use crate::monitor::profile::{PidRule, Profile, RateWindow, ServiceRule, Unlisted};
use crate::si::TransportStreamId;
use crate::stream::event::{Event, Severity, Value};
use crate::units::{BitRate, Ticks27M, parsed, parsed_option};

/// A profile as it stands in its file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileFile {
    #[serde(default, deserialize_with = "parsed_option")]
    transport_stream_id: Option<TransportStreamId>,
    #[serde(default = "usual_window", deserialize_with = "window")]
    window: Ticks27M,
    #[serde(default)]
    bitrate: RateWindow,
    #[serde(default)]
    stuffing: RateWindow,
    #[serde(default)]
    unlisted_services: Unlisted,
    #[serde(default)]
    unlisted_pids: Unlisted,
    #[serde(default)]
    services: Vec<ServiceRule>,
    #[serde(default)]
    pids: Vec<PidRule>,
    /// As `--limit` has them.
    #[serde(default)]
    pub(super) limits: Vec<Limit>,
}

const fn usual_window() -> Ticks27M {
    Profile::WINDOW
}

/// A window that holds something: a second to an hour.
fn window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ticks27M, D::Error> {
    let window: Ticks27M = parsed(deserializer)?;
    match (Ticks27M::SECOND..=Ticks27M::SECOND * 3600).contains(&window) {
        true => Ok(window),
        false => Err(serde::de::Error::custom("a window lasts from 1s to 1h")),
    }
}

/// What became of a profile that was to be read anew.
#[derive(Clone, Debug)]
pub(super) enum ProfileEvent {
    /// `profile_reloaded`.
    Reloaded {
        /// The file.
        file: String,
    },
    /// `profile_refused`: the one before holds.
    Refused {
        /// Why.
        why: String,
    },
}

impl Event for ProfileEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Reloaded { .. } => "profile_reloaded",
            Self::Refused { .. } => "profile_refused",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Reloaded { .. } => Severity::Info,
            Self::Refused { .. } => Severity::Error,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Reloaded { file } => field("file", file.as_str().into()),
            Self::Refused { why } => field("reason", why.as_str().into()),
        }
    }
}

impl ProfileFile {
    /// Reads a profile.
    ///
    /// # Errors
    /// When the file cannot be read, or is no profile: wrong configuration.
    pub(super) fn load(path: &Path) -> Result<Self, Error> {
        yaml::load(path)
            .map_err(|e| e.hint("'tsmon learn RECORDING' writes a profile to start from"))
    }

    /// What the stream should be.
    pub(super) fn profile(&self) -> Profile {
        Profile {
            transport_stream_id: self.transport_stream_id,
            window: self.window,
            bitrate: self.bitrate,
            stuffing: self.stuffing,
            unlisted_services: self.unlisted_services,
            unlisted_pids: self.unlisted_pids,
            services: self.services.clone(),
            pids: self.pids.clone(),
        }
    }
}

/// The text of a profile, for its reader to change.
pub(super) fn write(profile: &Profile, from: &str) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "# A profile for tsmon --profile, learned from {}.\n# Rates are means over `window`; what does not come in it is missing.",
        quoted(from)
    );
    if let Some(id) = profile.transport_stream_id {
        let _ = writeln!(text, "transport_stream_id: {id}");
    }
    let _ = writeln!(text, "window: {}s", profile.window.as_millis() / 1000);
    rate(&mut text, "", "bitrate", profile.bitrate);
    rate(&mut text, "", "stuffing", profile.stuffing);
    for (key, unlisted) in [
        ("unlisted_services", profile.unlisted_services),
        ("unlisted_pids", profile.unlisted_pids),
    ] {
        let word = match unlisted {
            Unlisted::Allowed => "allowed",
            Unlisted::Forbidden => "forbidden",
        };
        let _ = writeln!(text, "{key}: {word}");
    }
    text.push_str("\n# Longest times without a table or PID, as --limit has them.\nlimits: []\n");
    list(&mut text, "services", &profile.services, service);
    list(&mut text, "pids", &profile.pids, pid);
    text
}

fn list<T>(text: &mut String, key: &str, items: &[T], write: fn(&mut String, &T)) {
    match items {
        [] => drop(writeln!(text, "\n{key}: []")),
        items => {
            let _ = writeln!(text, "\n{key}:");
            items.iter().for_each(|item| write(text, item));
        }
    }
}

fn service(text: &mut String, rule: &ServiceRule) {
    let _ = writeln!(text, "  - id: {}", rule.id);
    if let Some(name) = &rule.name {
        let _ = writeln!(text, "    name: {}", quoted(name));
    }
    if let Some(scrambling) = rule.scrambling {
        let _ = writeln!(text, "    scrambling: {scrambling}");
    }
    rate(text, "    ", "bitrate", rule.bitrate);
}

fn pid(text: &mut String, rule: &PidRule) {
    let _ = writeln!(text, "  - pid: {}", rule.pid);
    if let Some(required) = rule.required {
        let _ = writeln!(text, "    required: {required}");
    }
    if let Some(codec) = rule.codec {
        let _ = writeln!(text, "    codec: {}", quoted(codec.name()));
    }
    if let Some(language) = rule.language {
        let _ = writeln!(text, "    language: {}", quoted(&language.to_string()));
    }
    if let Some(scrambling) = rule.scrambling {
        let _ = writeln!(text, "    scrambling: {scrambling}");
    }
    rate(text, "    ", "bitrate", rule.bitrate);
}

fn rate(text: &mut String, indent: &str, key: &str, rate: RateWindow) {
    let bound =
        |key: &str, rate: Option<BitRate>| rate.map(|r| format!("{key}: {}k", r.get() / 1000));
    let bounds = [bound("min", rate.min), bound("max", rate.max)];
    let bounds: Vec<_> = bounds.into_iter().flatten().collect();
    if !bounds.is_empty() {
        let _ = writeln!(text, "{indent}{key}: {{{}}}", bounds.join(", "));
    }
}

/// A text in double quotes: those of JSON are also those of YAML, which however folds lines at
/// more characters than JSON knows, and takes no control characters.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        match c {
            '\u{7F}'..='\u{9F}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}' => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::profile::ScramblingRule;
    use crate::si::{Codec, Language, ServiceId};
    use crate::ts::Pid;

    #[test]
    fn what_is_written_is_read_back() {
        let rate = |min, max| RateWindow {
            min: Some(BitRate::new(min)),
            max: Some(BitRate::new(max)),
        };
        let profile = Profile {
            transport_stream_id: Some(TransportStreamId(0x1234)),
            window: Ticks27M::SECOND * 5,
            bitrate: rate(7_000_000, 9_000_000),
            stuffing: RateWindow {
                min: None,
                ..rate(0, 2_500_000)
            },
            unlisted_services: Unlisted::Forbidden,
            unlisted_pids: Unlisted::Allowed,
            services: vec![ServiceRule {
                id: ServiceId(7),
                name: Some("no: \"1\" # \u{e9}\u{85}\\".to_owned()),
                required: true,
                scrambling: Some(ScramblingRule::Scrambled),
                bitrate: rate(1_000, 2_000),
            }],
            pids: vec![PidRule {
                pid: "0x10-0x1F".parse().unwrap(),
                required: Some(false),
                codec: Some(Codec::Mp2),
                // A word that YAML could take for another thing.
                language: Some(Language(*b"nan")),
                scrambling: Some(ScramblingRule::Clear),
                bitrate: RateWindow::default(),
            }],
        };
        let text = write(&profile, "some\n# where");
        let read: ProfileFile = yaml::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(read.profile(), profile);
        assert!(profile.pids[0].pid.contains(Pid::SDT));
    }

    #[test]
    fn what_is_wrong_in_a_profile_has_its_line() {
        for (text, said) in [
            ("pids:\n  - pid: 0x2000\n", "line 2, column 10: "),
            ("pids:\n  - pid: 0x20-0x10\n", "line 2, column 10: "),
            (
                "services:\n  - id: 1\n    scrambling: maybe\n",
                "line 3, column 17: ",
            ),
            (
                "services:\n  - id: 1\n    bitrate: {mim: 3M}\n",
                "line 3, column 15: ",
            ),
            (
                "window: 5s\nbitrate: {min: 9M, max: 1M}\n",
                "line 2, column 10: bitrate: min, 9.000 Mb/s, is above max",
            ),
            (
                "pids:\n  - pid: 1\n    codec: h265\n",
                "line 3, column 12: pids[0].codec: 'h265' is not a codec; write",
            ),
            ("limits: [sdt=2s, std=3s]\n", "line 1, column 18: "),
            ("window: 5\n", "line 1, column 9: "),
        ] {
            let error = yaml::parse::<ProfileFile>(text).unwrap_err();
            assert!(error.starts_with(said), "{text}: {error}");
        }
    }
}
