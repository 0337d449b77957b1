//! A programme of the guide, as an owned value.

use super::descriptor::{ExtendedEventDescriptor, ShortEventDescriptor};
use super::{EitEvent, EventId, Language, RunningStatus};
use crate::units::{Ticks27M, WallTime};

/// What an EIT says about one event, in words and times of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programme {
    /// event_id, unique within its service.
    pub event: EventId,
    /// When it starts; `None` where the table leaves it open or is wrong.
    pub start: Option<WallTime>,
    /// How long it lasts; `None` where the table is wrong.
    pub duration: Option<Ticks27M>,
    /// Whether it is on air.
    pub running: RunningStatus,
    /// Some stream may be scrambled.
    pub scrambled: bool,
    /// The language of the texts: that of the first short_event_descriptor.
    pub language: Option<Language>,
    /// Its name; empty where there is none.
    pub title: String,
    /// A line about it; empty where there is none.
    pub summary: String,
    /// The long text, put together from its parts; empty where there is none.
    pub description: String,
}

impl Programme {
    /// When it ends, if start and duration are known.
    pub fn end(&self) -> Option<WallTime> {
        Some(self.start? + self.duration?)
    }
}

impl From<EitEvent<'_>> for Programme {
    fn from(e: EitEvent<'_>) -> Self {
        let short: Option<ShortEventDescriptor<'_>> = e.descriptors.get();
        let mut parts = e
            .descriptors
            .all::<ExtendedEventDescriptor<'_>>()
            .peekable();
        // Several languages may follow each other: the short text's, else the first.
        let language = short.map(|s| s.language);
        let wanted = language.or_else(|| parts.peek().map(|p| p.language));
        let description = parts
            .filter(|p| Some(p.language) == wanted)
            .map(|p| p.text.to_string())
            .collect();
        Self {
            event: e.event,
            start: e.start.get(),
            duration: e.duration.get(),
            running: e.running,
            scrambled: e.scrambled,
            language: wanted,
            title: short.map(|s| s.name.to_string()).unwrap_or_default(),
            summary: short.map(|s| s.text.to_string()).unwrap_or_default(),
            description,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::si::descriptor::{DescriptorSyntax, Descriptors};
    use crate::si::{DvbDuration, DvbTime, Text};
    use crate::ts::Put;

    #[test]
    fn the_parts_of_one_language_make_the_description() {
        let fra = Language(*b"fra");
        let eng = Language(*b"eng");
        let mut room = [0; 256];
        let mut put = Put::new(&mut room);
        let short = ShortEventDescriptor {
            language: fra,
            name: Text::new(b"Le titre"),
            text: Text::new(b"En bref"),
        };
        short.write(&mut put);
        for (number, language, text) in [(0, fra, "un "), (0, eng, "one"), (1, fra, "deux")] {
            let text = Text::new(text.as_bytes());
            ExtendedEventDescriptor::new(number, 1, language, text).write(&mut put);
        }
        let start = WallTime::from_unix_millis(1_700_000_000_000);
        let programme = Programme::from(EitEvent {
            event: EventId(7),
            start: DvbTime::new(start).unwrap(),
            duration: DvbDuration::new(Ticks27M::SECOND * 600).unwrap(),
            running: RunningStatus::Running,
            scrambled: false,
            descriptors: Descriptors::new(put.written().unwrap()),
        });
        assert_eq!(programme.title, "Le titre");
        assert_eq!(programme.summary, "En bref");
        assert_eq!(programme.description, "un deux");
        assert_eq!(programme.language, Some(fra));
        assert_eq!(programme.end(), Some(start + Ticks27M::SECOND * 600));
    }

    #[test]
    fn an_event_without_descriptors_has_empty_texts() {
        let programme = Programme::from(EitEvent {
            event: EventId(7),
            start: DvbTime::UNDEFINED,
            duration: DvbDuration([0xFF; 3]),
            running: RunningStatus::Undefined,
            scrambled: false,
            descriptors: Descriptors::NONE,
        });
        assert_eq!(
            (programme.start, programme.duration, programme.end()),
            (None, None, None)
        );
        assert!(programme.title.is_empty() && programme.language.is_none());
    }
}
