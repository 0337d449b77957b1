//! The machine's own file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::statvfs;
use nix::sys::uio::pwritev;

use super::storage::{Access, DirEntry, Lock, NOTE, Storage, StoredFile};

/// How long a lock that is held is left alone before the second and last try.
const LOOK: Duration = Duration::from_millis(50);

/// The machine's own file system.
#[derive(Copy, Clone, Debug, Default)]
pub struct Disk;

impl Storage for Disk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        match fs::create_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            other => other,
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let mut kind = Some(entry.file_type()?);
            if kind.is_some_and(|kind| !kind.is_file() && !kind.is_dir()) {
                // What a link leads to counts, where it leads somewhere.
                let metadata = fs::metadata(entry.path());
                kind = metadata.ok().map(|metadata| metadata.file_type());
            }
            let directory = kind.is_some_and(|kind| kind.is_dir());
            names.push(DirEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                directory,
                strange: !directory && !kind.is_some_and(|kind| kind.is_file()),
            });
        }
        Ok(names)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn StoredFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match access {
            Access::Read => &mut options,
            Access::Write => options.write(true),
            Access::Create => options.write(true).create_new(true),
            Access::Replace => options.write(true).create(true).truncate(true),
        };
        Ok(Box::new(DiskFile(options.open(path)?)))
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut taken = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        if let Err((file, Errno::EWOULDBLOCK)) = taken {
            // It may have been one who only looks, for an instant.
            std::thread::sleep(LOOK);
            taken = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        }
        match taken {
            Ok(file) => {
                file.set_len(0)?;
                let path = path.to_owned();
                let lock = DiskLock { file, path };
                lock.note("")?;
                Ok(Some(Box::new(lock)))
            }
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        let file = match File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Ok(_) => Ok(false),
            Err((_, Errno::EWOULDBLOCK)) => Ok(true),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = statvfs::statvfs(dir)?;
        Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
    }
}

struct DiskFile(File);

impl StoredFile for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn write_at(&self, parts: [&[u8]; 2], offset: u64) -> io::Result<()> {
        let [first, second] = parts;
        let total = first.len() + second.len();
        let mut done = 0;
        while done < total {
            let head = first.get(done..).unwrap_or_default();
            let tail = second
                .get(done.saturating_sub(first.len())..)
                .unwrap_or_default();
            let at = i64::try_from(offset + done as u64).map_err(io::Error::other)?;
            match pwritev(&self.0, &[IoSlice::new(head), IoSlice::new(tail)], at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn removed(&self) -> io::Result<bool> {
        Ok(self.0.metadata()?.nlink() == 0)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

struct DiskLock {
    file: Flock<File>,
    path: PathBuf,
}

impl Lock for DiskLock {
    fn note(&self, line: &str) -> io::Result<()> {
        // As long as the one before: it is overwritten in its place, on a full disk too.
        let text = format!("{:<10}\n{line:<NOTE$}\n", std::process::id());
        self.file.write_all_at(text.as_bytes(), 0)
    }

    fn is_lost(&self) -> io::Result<bool> {
        let named = match fs::metadata(&self.path) {
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(true);
            }
            other => other?,
        };
        let held = self.file.metadata()?;
        Ok((named.dev(), named.ino()) != (held.dev(), held.ino()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_strange() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("1.ts"), "x").unwrap();
        fs::create_dir(folder.path().join("epoch-1")).unwrap();
        std::os::unix::fs::symlink("1.ts", folder.path().join("2.ts")).unwrap();
        std::os::unix::fs::symlink("/nonexistent", folder.path().join("3.ts")).unwrap();
        std::os::unix::fs::symlink("4.ts", folder.path().join("4.ts")).unwrap();
        let mut found: Vec<_> = Disk
            .list(folder.path())
            .unwrap()
            .into_iter()
            .map(|entry| (entry.name, entry.directory, entry.strange))
            .collect();
        found.sort();
        let expected = [
            ("1.ts", false, false),
            ("2.ts", false, false),
            ("3.ts", false, true),
            ("4.ts", false, true),
            ("epoch-1", true, false),
        ];
        assert_eq!(
            found,
            expected.map(|(name, dir, strange)| (name.to_owned(), dir, strange))
        );
    }
}
