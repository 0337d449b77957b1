//! Files that appear whole or not at all.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{OutputError, room, sys};

/// After so many bytes their way to the disk begins: at the end little is left to wait for, and who
/// shares the disk does not find all of a long file before him at once.
const TOGETHER: u64 = 8 << 20;
/// Room is set apart ahead of what is written, this much at most.
const AHEAD: u64 = 64 << 20;

/// A file written beside its place, under a name of its own, and put there when it is whole.
/// Dropped before, it is removed. A device, FIFO or socket that has the name (`/dev/null`) is
/// written to and stays what it is; a symbolic link stays one.
#[derive(Debug)]
pub struct StagedFile {
    target: PathBuf,
    temporary: PathBuf,
    /// `None` when another program writes it.
    file: Option<File>,
    /// Bytes written.
    written: u64,
    /// How many of them are on their way to the disk.
    begun: u64,
    /// Up to where the file has room.
    room: u64,
    placed: bool,
    /// What has the name is no file: it is written to as it stands.
    special: bool,
}

impl StagedFile {
    /// Begins the file that will be at `target`.
    ///
    /// # Errors
    /// When its directory does not let it be made, or a directory has its name.
    pub fn create(target: &Path) -> Result<Self, OutputError> {
        let mut staged = Self::reserve(target)?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(!staged.special)
            .open(&staged.temporary)
            .map_err(OutputError::system(target.display(), "create"))?;
        staged.file = Some(file);
        Ok(staged)
    }

    /// The place of a file that another program writes at [`temporary`](Self::temporary).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn reserve(target: &Path) -> Result<Self, OutputError> {
        let error =
            |kind: std::io::ErrorKind| OutputError::system(target.display(), "create")(kind.into());
        if target.is_dir() {
            return Err(error(std::io::ErrorKind::IsADirectory));
        }
        if fs::metadata(target).is_ok_and(|m| !m.is_file()) {
            return Ok(Self {
                target: target.to_owned(),
                temporary: target.to_owned(),
                file: None,
                written: 0,
                begun: 0,
                room: 0,
                placed: false,
                special: true,
            });
        }
        let linked = fs::canonicalize(target)
            .ok()
            .filter(|_| target.is_symlink());
        let target = linked.as_deref().unwrap_or(target);
        let name = target
            .file_name()
            .ok_or(error(std::io::ErrorKind::InvalidFilename))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let temporary = target.with_file_name(hidden);
        remove_leftovers(target, name);
        Ok(Self {
            target: target.to_owned(),
            temporary,
            file: None,
            written: 0,
            begun: 0,
            room: 0,
            placed: false,
            special: false,
        })
    }

    /// Where it will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where the file is while it is written.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Appends.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.write_all(bytes)
            .map_err(OutputError::system(self.target.display(), "write"))?;
        self.written += bytes.len() as u64;
        if !self.special && self.written - self.begun >= TOGETHER {
            // What a file system cannot is left to the end.
            let length = self.written - self.begun;
            let _ = sys::begin_write_back(file.as_fd(), self.begun, length);
            self.begun = self.written;
            if self.written + TOGETHER > self.room {
                let from = self.room.max(self.written);
                self.room = from + AHEAD;
                room::set_apart(file, from..self.room);
            }
        }
        Ok(())
    }

    /// Puts the file in its place, over one that is there. Bytes first, then the name, both on
    /// the disk: a file that has its name is whole, after a power loss too.
    ///
    /// # Errors
    /// When the disk does not take it, or it cannot be renamed.
    pub fn place(mut self) -> Result<(), OutputError> {
        if self.special {
            return Ok(());
        }
        let target = self.target.clone();
        let error = |what| OutputError::system(target.display(), what);
        let file = match self.file.take() {
            Some(file) => Ok(file),
            None => File::open(&self.temporary),
        };
        let whole = file.and_then(|file| {
            if self.room > 0 {
                room::give_back(&file)?;
            }
            file.sync_all()
        });
        whole.map_err(error("write"))?;
        self.show()?;
        File::open(directory_of(&target))
            .and_then(|folder| folder.sync_all())
            .map_err(error("put in place"))
    }

    /// As [`place`](Self::place), for what is written anew every second: a reader sees the old
    /// file or the new one, and nothing waits for the disk.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn show(&mut self) -> Result<(), OutputError> {
        if !self.special {
            fs::rename(&self.temporary, &self.target)
                .map_err(OutputError::system(self.target.display(), "put in place"))?;
            self.placed = true;
        }
        Ok(())
    }
}

fn directory_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Removes what processes that were killed left of this file.
fn remove_leftovers(target: &Path, name: &OsStr) {
    let prefix = [b".", name.as_bytes(), b"."].concat();
    for entry in fs::read_dir(directory_of(target))
        .into_iter()
        .flatten()
        .flatten()
    {
        let found = entry.file_name();
        let number = found.as_bytes().strip_prefix(&prefix[..]);
        let number = number.and_then(|rest| rest.strip_suffix(b".part"));
        let number = number.and_then(|n| std::str::from_utf8(n).ok()?.parse::<u32>().ok());
        let dead = |n: u32| n == std::process::id() || !Path::new(&format!("/proc/{n}")).exists();
        if number.is_some_and(dead) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.placed && !self.special {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_written_to_and_stays() {
        use std::os::unix::fs::FileTypeExt as _;
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let reader = {
            let fifo = fifo.clone();
            std::thread::spawn(move || fs::read(fifo).unwrap())
        };
        let mut staged = StagedFile::create(&fifo).unwrap();
        staged.write(b"page").unwrap();
        staged.place().unwrap();
        assert_eq!(reader.join().unwrap(), b"page");
        assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());

        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        let mut staged = StagedFile::create(&link).unwrap();
        staged.write(b"new").unwrap();
        staged.place().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }

    #[test]
    fn a_long_file_is_what_was_written_and_keeps_no_room_it_does_not_need() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("long.ts");
        let mut staged = StagedFile::create(&target).unwrap();
        // Twice over what is set apart at once, in pieces that fit nothing.
        let pieces = (2 * AHEAD + 3 * TOGETHER) / 1_000_003;
        let piece = |n: u64| vec![(n % 251) as u8; 1_000_003];
        (0..pieces).for_each(|n| staged.write(&piece(n)).unwrap());
        let meanwhile = fs::metadata(staged.temporary()).unwrap().len();
        assert_eq!(meanwhile, pieces * 1_000_003, "room is no length");
        staged.place().unwrap();
        let placed = fs::read(&target).unwrap();
        assert_eq!(placed.len() as u64, pieces * 1_000_003);
        for (n, read) in (0..pieces).zip(placed.chunks(1_000_003)) {
            assert!(read == piece(n), "piece {n}");
        }
        let kept = fs::metadata(&target).unwrap().blocks() * 512;
        assert!(kept < placed.len() as u64 + TOGETHER, "{kept} bytes kept");
    }

    #[test]
    fn a_file_has_its_name_when_it_is_whole_and_the_dead_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("20:15 news.ts");
        // No process has the highest number there is (pid_max is 2^22 at most).
        let left = folder.path().join(".20:15 news.ts.4194305.part");
        let other = folder.path().join(".other.ts.4194305.part");
        fs::write(&left, "x").unwrap();
        fs::write(&other, "x").unwrap();
        let mut staged = StagedFile::create(&target).unwrap();
        staged.write(b"whole").unwrap();
        assert!(!target.exists() && !left.exists() && other.exists());
        staged.place().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        drop(StagedFile::create(&target).unwrap());
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            2,
            "the file and the other's"
        );
    }
}
