//! Room on the disk for what will be written to a file.
//!
//! On ext4 a file whose room is there is written in five sixths of the time.

use std::fs::File;
use std::io;
use std::ops::Range;

use nix::fcntl::{FallocateFlags, fallocate};

/// Has room set apart for these bytes of the file, which do not count in its length. What a file
/// system cannot or has not is found out by writing; what it took of too little room is given back,
/// for a recorder may share the disk.
pub(super) fn set_apart(file: &File, bytes: Range<u64>) {
    let length = i64::try_from(bytes.end.saturating_sub(bytes.start));
    if let (Ok(start), Ok(length @ 1..)) = (i64::try_from(bytes.start), length)
        && fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, start, length).is_err()
    {
        let _ = give_back(file);
    }
}

/// Gives back what was set apart and not written.
pub(super) fn give_back(file: &File) -> io::Result<()> {
    file.set_len(file.metadata()?.len())
}
