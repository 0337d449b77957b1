//! What file stands behind an endpoint.

use std::fs::Metadata;
use std::io::IsTerminal as _;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Endpoint, Fault, InputError};
use crate::ring::is_own_name;

/// True when `output` is the regular file that `input` is read from, under whatever name: writing
/// it would destroy what is still to be read.
pub fn is_same_file(input: &Endpoint, output: &Endpoint) -> bool {
    let input = regular(input, std::io::stdin());
    let output = regular(output, std::io::stdout());
    input.is_some_and(|i| output.is_some_and(|o| place(&i) == place(&o)))
}

/// True when `output` is a file of the ring in `dir`, under whatever name, or would become one:
/// writing it would destroy what is still to be read, or what others read.
pub fn is_file_of_ring(dir: &Path, output: &Endpoint) -> bool {
    let named = match output {
        Endpoint::File(path) => real(path).zip(dir.canonicalize().ok()),
        _ => None,
    };
    if named.is_some_and(|(file, dir)| file.strip_prefix(dir).is_ok_and(is_own_name)) {
        return true;
    }
    let Some(output) = regular(output, std::io::stdout()) else {
        return false;
    };
    let entries = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
    let inside = entries(dir).flat_map(|entry| {
        let path = entry.path();
        let epoch: Vec<PathBuf> = entries(&path).map(|entry| entry.path()).collect();
        epoch.into_iter().chain([path])
    });
    let own = |path: &PathBuf| path.strip_prefix(dir).is_ok_and(is_own_name);
    let mut own = inside.filter(own).filter_map(|path| path.metadata().ok());
    own.any(|file| place(&file) == place(&output))
}

/// The path of a file, whether it is there or not, without links.
fn real(path: &Path) -> Option<PathBuf> {
    let made = || {
        let path = std::path::absolute(path).ok()?;
        let dir = path.parent()?.canonicalize().ok()?;
        Some(dir.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(made)
}

/// What one file has whatever it is called.
fn place(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// True when `input` is a regular file, under whatever name: it can wait as long as it takes.
pub fn is_regular(input: &Endpoint) -> bool {
    regular(input, std::io::stdin()).is_some()
}

/// Why nothing can be read from `input` before somebody makes it, if that is so: there is nothing at
/// its path, or a folder; stdin is a terminal. What comes by network or from a program may always
/// come.
pub fn absence(input: &Endpoint) -> Option<InputError> {
    match input {
        Endpoint::Standard if std::io::stdin().is_terminal() => {
            Some(InputError::new("stdin", Fault::Terminal))
        }
        Endpoint::File(path) => {
            let folder = || Err(std::io::Error::from(std::io::ErrorKind::IsADirectory));
            let there = std::fs::metadata(path);
            let there = there.and_then(|m| if m.is_dir() { folder() } else { Ok(()) });
            let error = InputError::system(path.display(), "open");
            there.err().map(error)
        }
        Endpoint::Standard | Endpoint::Socket(_) | Endpoint::Exec(_) => None,
    }
}

/// The file behind an endpoint, if there is one and it is a regular one.
fn regular(endpoint: &Endpoint, standard: impl AsFd) -> Option<Metadata> {
    let metadata = match endpoint {
        Endpoint::Standard => {
            let owned = standard.as_fd().try_clone_to_owned().ok()?;
            std::fs::File::from(owned).metadata()
        }
        Endpoint::File(path) => std::fs::metadata(path),
        Endpoint::Socket(_) | Endpoint::Exec(_) => return None,
    };
    metadata.ok().filter(Metadata::is_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_itself_under_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| Endpoint::File(folder.path().join(name));
        std::fs::write(folder.path().join("a"), "x").unwrap();
        std::fs::write(folder.path().join("b"), "x").unwrap();
        std::os::unix::fs::symlink("a", folder.path().join("link")).unwrap();
        std::fs::hard_link(folder.path().join("a"), folder.path().join("hard")).unwrap();
        for name in ["a", "link", "hard"] {
            assert!(is_same_file(&at("a"), &at(name)), "{name}");
        }
        for name in ["b", "absent"] {
            assert!(!is_same_file(&at("a"), &at(name)), "{name}");
        }
        let null = Endpoint::File("/dev/null".into());
        assert!(!is_same_file(&null, &null), "a device is not used up");
    }

    #[test]
    fn a_file_of_a_ring_is_one_under_every_name_and_before_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let ring = folder.path().join("ring");
        std::fs::create_dir_all(ring.join("epoch-1")).unwrap();
        for name in ["ring/5.ts", "ring/epoch-1/5.aux", "ring/cut.ts", "apart.ts"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let at = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink("ring/5.ts", at("link")).unwrap();
        std::os::unix::fs::symlink("ring", at("way")).unwrap();
        std::fs::hard_link(at("ring/epoch-1/5.aux"), at("hard")).unwrap();
        let is = |name: &str| is_file_of_ring(&ring, &Endpoint::File(at(name)));
        for name in [
            "ring/5.ts",
            "ring/6.ts",
            "ring/6.idx",
            "ring/ring.json",
            "ring/ring.lock",
            "ring/epoch-1/5.aux",
            "ring/epoch-1/epoch.json",
            "way/6.ts",
            "ring/../ring/5.ts",
            "link",
            "hard",
        ] {
            assert!(is(name), "{name}");
        }
        for name in [
            "ring/cut.ts",
            "ring/new.ts",
            "apart.ts",
            "5.ts",
            "ring/other/5.ts",
        ] {
            assert!(!is(name), "{name}");
        }
        assert!(!is_file_of_ring(&ring, &Endpoint::File("/dev/null".into())));
    }
}
