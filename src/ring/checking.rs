//! Looks at every segment of a ring, and puts right what can be.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::units::Ticks27M;

use super::epoch_found;
use super::error::RingError;
use super::index::Index;
use super::layout::{LOCK, Layout};
use super::missing::Short;
use super::neighbours::Around;
use super::reader::Ring;
use super::rebuild::Rebuild;
use super::segment::{Care, OpenSegment, Repair, repair};
use super::settings::set_aside;
use super::storage::{Access, Storage};
use super::summary::Gap;

/// What is wrong in a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Settings cannot be believed or, of an epoch, are missing: they are told from the files.
    Settings {
        /// The file.
        name: String,
        /// Why.
        why: String,
    },
    /// A segment's packets or stamps are not whole.
    Torn {
        /// Which.
        name: String,
        /// What was found.
        repair: Repair,
    },
    /// A segment's index is missing or ends early.
    Unindexed {
        /// Which.
        name: String,
    },
    /// Stamps or an index without packets.
    Orphan {
        /// Which file.
        name: String,
    },
    /// Segments between others are gone, or packets at the end of one; nothing brings them back.
    Missing {
        /// From when to when, and between which.
        gap: Gap,
    },
    /// A file that is none of the ring's; it is left alone.
    Foreign {
        /// Its name.
        name: String,
    },
}

impl Finding {
    /// False for what is left as it is.
    pub fn can_be_repaired(&self) -> bool {
        !matches!(self, Self::Missing { .. } | Self::Foreign { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings { name, why } => write!(f, "{name}: {why}"),
            Self::Torn { name, repair } => write!(
                f,
                "{name}: {} bytes that are no whole packet, {} packets lost with the power, \
                 {} stamps missing or wrong",
                repair.cut_bytes, repair.nulled, repair.stamps
            ),
            Self::Unindexed { name } => write!(f, "{name}: not indexed"),
            Self::Orphan { name } => write!(f, "{name}: without packets"),
            Self::Missing { gap } => gap.fmt(f),
            Self::Foreign { name } => write!(f, "{name}: not of this ring"),
        }
    }
}

/// Looks at the ring in `dir`; `mend` puts right what is wrong. The newest segment of a ring
/// that is being recorded is left out. Returns how many segments were looked at.
pub fn check(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    mend: bool,
    found: &mut dyn FnMut(Finding),
) -> Result<usize, RingError> {
    let shared = storage;
    let storage = &**storage;
    let lock_path = dir.join(LOCK);
    let lock = match mend {
        true => storage
            .lock(&lock_path)
            .map_err(RingError::io("locking", &lock_path))?,
        false => None,
    };
    if mend && lock.is_none() {
        return Err(RingError::Locked {
            dir: dir.to_owned(),
        });
    }
    // Who only looks keeps no recorder out: it looks whether there is one.
    let recorded = || !mend && storage.is_locked(&lock_path).unwrap_or(true);
    let layout = Layout::read(storage, dir)?;
    for damaged in &layout.damaged {
        found(Finding::Settings {
            name: damaged.name.clone(),
            why: damaged.why.clone(),
        });
        if mend {
            set_aside(storage, &damaged.path)?;
        }
    }
    if mend {
        epoch_found::store(storage, dir, &layout)?;
    }
    let ring = Ring::of(Arc::clone(shared), dir, layout.clone());
    let missing = ring.missing_segments()?;
    let mut looked_at = layout.segments.len();
    if let Some((_, before)) = layout.segments.split_last() {
        for at in 0..before.len() {
            look(storage, dir, &layout, at, mend, found)?;
        }
        let mut of_newest = Vec::new();
        if !recorded() {
            let of_newest = &mut |f| of_newest.push(f);
            look(storage, dir, &layout, before.len(), mend, of_newest)?;
        }
        if recorded() {
            looked_at -= 1;
        } else {
            of_newest.into_iter().for_each(&mut *found);
        }
    }
    missing
        .into_iter()
        .for_each(|gap| found(Finding::Missing { gap }));
    for orphan in &layout.orphans {
        let name = orphan.strip_prefix(dir).unwrap_or(orphan);
        found(Finding::Orphan {
            name: name.display().to_string(),
        });
        if mend {
            let removed = storage.remove(orphan);
            removed.map_err(RingError::io("removing", orphan))?;
        }
    }
    for name in layout.foreign {
        found(Finding::Foreign { name });
    }
    Ok(looked_at)
}

fn look(
    storage: &dyn Storage,
    dir: &Path,
    layout: &Layout,
    at: usize,
    mend: bool,
    found: &mut dyn FnMut(Finding),
) -> Result<(), RingError> {
    let segments = layout.segments.get(..=at).unwrap_or_default();
    let Some(name) = segments.last() else {
        return Ok(());
    };
    let path = name.path(dir, "ts");
    let newest = at + 1 == layout.segments.len();
    let lost = Short::of(storage, dir, name);
    let state = if mend {
        OpenSegment::reopen(storage, dir, &layout.segments, at, None).map(|(_, repair)| repair)
    } else {
        storage.open(&path, Access::Read).and_then(|ts| {
            let aux = match storage.open(&name.path(dir, "aux"), Access::Read) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
                other => Some(Arc::from(other?)),
            };
            let care = Care {
                unsure: Ticks27M::MAX,
                all: true,
                write: false,
                around: &mut || Around::of(storage, dir, &layout.segments, at),
            };
            repair(&*ts, aux.as_ref(), name, care)
        })
    };
    let state = state.map_err(RingError::io("reading", &path))?;
    let bytes = state.bytes;
    if !state.was_whole() {
        found(Finding::Torn {
            name: name.display(),
            repair: state,
        });
    }
    let idx = name.path(dir, "idx");
    let reach = Index::read(storage, dir, name).map(|index| index.reach());
    // The newest is indexed as far as its recorder came; the next goes on from there.
    if reach.is_some_and(|(reach, closed)| reach == bytes && (closed || newest)) {
        return Ok(());
    }
    // What multicat recorded has no index, and needs none.
    let absent = layout.settings.is_none() && storage.size(&idx).is_err();
    if !absent {
        found(Finding::Unindexed {
            name: name.display(),
        });
    }
    if mend {
        let known = lost.map(|short| short.record()).into_iter().collect();
        let rebuild = Rebuild::begin(storage, dir, segments, bytes, known);
        rebuild
            .and_then(|rebuild| {
                rebuild.map_or(Ok(()), |mut rebuild| {
                    // Nothing is appended to one that is empty: the recorder removes it.
                    let closed = !newest || bytes == 0;
                    while !rebuild.step(storage, dir, closed)? {}
                    Ok(())
                })
            })
            .map_err(RingError::io("indexing", &idx))?;
    }
    Ok(())
}
