//! A file or a pipe that whole ranges of bytes are written to as they are.
//!
//! Into a pipe the kernel moves pages by itself. Between files it gains nothing: the ends of what
//! is read are not those of pages, and copy_file_range then took a third more time than a copy
//! through a buffer.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;

use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};
use nix::poll::{PollFd, PollFlags, poll};

use super::error::Fault;
use super::{Endpoint, OutputError, room};

/// How long room in a pipe is waited for at a time, in milliseconds.
const ROOM: u8 = 100;

/// What became of a move.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// So many bytes; 0 at the end of the input.
    Bytes(u64),
    /// The pipe has no room, and had none for a tenth of a second.
    Full,
    /// The kernel cannot: this output is no pipe, or the input is of a file system that gives no
    /// pages away.
    Cannot,
}

/// An output that takes bytes.
#[derive(Debug)]
pub struct DirectOutput {
    name: String,
    file: File,
    pipe: bool,
    /// A file that nobody else writes to.
    own: bool,
}

impl DirectOutput {
    /// Opens stdout, or a file by its path: made or emptied. `None` where packets go through a
    /// [`Sink`](super::Sink): into sockets and programs, and into a FIFO by its path, whose reader
    /// is waited for.
    ///
    /// # Errors
    /// When stdout is a terminal, or the file cannot be made.
    pub fn open(endpoint: &Endpoint) -> Result<Option<Self>, OutputError> {
        let name = endpoint.to_string();
        let file = match endpoint {
            Endpoint::Standard => {
                let stdout = std::io::stdout();
                if stdout.is_terminal() {
                    return Err(OutputError::new("stdout", Fault::Terminal));
                }
                let owned = stdout.as_fd().try_clone_to_owned();
                File::from(owned.map_err(OutputError::system("stdout", "open"))?)
            }
            Endpoint::File(path) if std::fs::metadata(path).is_ok_and(|m| !m.is_file()) => {
                return Ok(None);
            }
            Endpoint::File(path) => {
                File::create(path).map_err(OutputError::system(&name, "make"))?
            }
            Endpoint::Socket(_) | Endpoint::Exec(_) => return Ok(None),
        };
        let kind = file.metadata().map(|m| m.file_type());
        let kind = kind.map_err(OutputError::system(&name, "open"))?;
        let pipe = kind.is_fifo();
        let straight = pipe || kind.is_file() || kind.is_char_device();
        let own = kind.is_file() && *endpoint != Endpoint::Standard;
        Ok(straight.then_some(Self {
            name,
            file,
            pipe,
            own,
        }))
    }

    /// Moves up to `len` bytes of `input` from `offset` on into a pipe, as many as it takes now.
    ///
    /// # Errors
    /// When the pipe takes no more; a reader that went away is `ErrorKind::BrokenPipe`.
    pub fn splice(
        &self,
        input: BorrowedFd<'_>,
        offset: u64,
        len: u64,
    ) -> Result<Moved, OutputError> {
        if !self.pipe {
            return Ok(Moved::Cannot);
        }
        let moved = self.move_pages(input, offset, len);
        moved.map_err(OutputError::system(&self.name, "write to"))
    }

    fn move_pages(&self, input: BorrowedFd<'_>, offset: u64, len: u64) -> std::io::Result<Moved> {
        let out = &self.file;
        let mut at = i64::try_from(offset).map_err(std::io::Error::other)?;
        let mut left = usize::try_from(len).map_err(std::io::Error::other)?;
        let how = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
        while left > 0 {
            match splice(input, Some(&mut at), out, None, left, how) {
                Ok(0) => break,
                Ok(moved) => left -= moved,
                Err(Errno::EINTR) => {}
                // What is slow to be read is left alone in between, for signals to be seen.
                Err(Errno::EAGAIN) if (left as u64) < len => break,
                Err(Errno::EAGAIN) => {
                    let mut fds = [PollFd::new(out.as_fd(), PollFlags::POLLOUT)];
                    if matches!(poll(&mut fds, ROOM), Ok(0) | Err(Errno::EINTR)) {
                        return Ok(Moved::Full);
                    }
                }
                Err(Errno::EINVAL) if left as u64 == len => return Ok(Moved::Cannot),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(Moved::Bytes(len - left as u64))
    }

    /// Has room set apart for `bytes` of a file made by its path.
    pub fn set_room_apart(&self, bytes: u64) {
        if self.own {
            room::set_apart(&self.file, 0..bytes);
        }
    }

    /// Gives back what was set apart and not written.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn finish(&self) -> Result<(), OutputError> {
        let given = match self.own {
            true => room::give_back(&self.file),
            false => Ok(()),
        };
        given.map_err(OutputError::system(&self.name, "end"))
    }

    /// True for a pipe.
    pub fn is_pipe(&self) -> bool {
        self.pipe
    }

    /// Writes bytes from memory.
    ///
    /// # Errors
    /// When the output takes no more.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let written = self.file.write_all(bytes);
        written.map_err(OutputError::system(&self.name, "write to"))
    }
}
