//! What the ring needs of a file system.
//!
//! The machine's own is [`Disk`](super::Disk). The trait is small so that the tests can put a
//! simulated disk in its place: one that loses un-synced writes in any order, tears sectors, fills
//! up and fails at every call.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// What a file is opened for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read; it must be there.
    Read,
    /// To read and write; it must be there.
    Write,
    /// To read and write; it must not be there yet.
    Create,
    /// To read and write, made or emptied.
    Replace,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The last part of its path; names that are not Unicode are shown with replacements.
    pub name: String,
    /// True for a directory.
    pub directory: bool,
    /// True for what is neither a file nor a directory: a link that leads nowhere or in a circle,
    /// a socket.
    pub strange: bool,
}

/// The file operations of the ring.
pub trait Storage: Send + Sync {
    /// Makes a directory and those above it; it may be there already.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes a directory in one that is there; it may be there already.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// The names in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// Opens a file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn StoredFile>>;
    /// Bytes of a file, by its name.
    fn size(&self, path: &Path) -> io::Result<u64>;
    /// Renames a file, replacing what was there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory last through a power loss.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the exclusive lock `path`, and says in it who holds it; `None` when another does.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;
    /// True while someone holds the lock `path`; changes nothing.
    fn is_locked(&self, path: &Path) -> io::Result<bool>;
    /// Bytes that are free for this user on the file system of `dir`.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file.
pub trait StoredFile: Send + Sync {
    /// Bytes in it.
    fn len(&self) -> io::Result<u64>;
    /// True when nothing is in it.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads up to `buf.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `parts`, one behind the other, at `offset`.
    fn write_at(&self, parts: [&[u8]; 2], offset: u64) -> io::Result<()>;
    /// Cuts the file, or lengthens it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes its bytes and length last through a power loss.
    fn sync(&self) -> io::Result<()>;
    /// True when its name is gone: what is open stays readable, and is the last of it.
    fn removed(&self) -> io::Result<bool>;
    /// The descriptor, for copies inside the kernel; none where there is no kernel.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Held while it lives.
pub trait Lock: Send + Sync {
    /// Leaves a line of at most `NOTE` bytes for who looks at the lock, in the place of the one
    /// before; that takes no room on the disk.
    fn note(&self, line: &str) -> io::Result<()>;
    /// True when the file that is locked is not the one of its name any more.
    fn is_lost(&self) -> io::Result<bool>;
}

/// Bytes of a note in a lock.
pub const NOTE: usize = 80;
