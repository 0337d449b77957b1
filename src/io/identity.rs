//! What file stands behind an endpoint.

use std::fs::Metadata;
use std::io::IsTerminal as _;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use super::{Endpoint, Fault, InputError};

/// True when `output` is the regular file that `input` is read from, under whatever name: writing
/// it would destroy what is still to be read.
pub fn is_same_file(input: &Endpoint, output: &Endpoint) -> bool {
    let input = regular(input, std::io::stdin());
    let output = regular(output, std::io::stdout());
    let place = |m: &Metadata| (m.dev(), m.ino());
    input.is_some_and(|i| output.is_some_and(|o| place(&i) == place(&o)))
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
}
