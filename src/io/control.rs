//! A Unix socket by which a running tool is told what to do: one line a command, one line an answer.
//!
//! Who may connect is who may write to the socket: its permissions are set before anybody can.
//! Connections wait for the tool, never the tool for them.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Connections at one time at most; others are told so and closed.
const CONNECTIONS: usize = 16;
/// Bytes of a command at most.
const LONGEST: u64 = 4096;
/// Commands that wait for the tool at most; who sends more waits.
const WAITING: usize = 16;
/// How long an answer is waited for, and how long one may take to be read.
const PATIENCE: Duration = Duration::from_secs(5);

/// A command, to be answered.
#[derive(Debug)]
pub struct Command {
    /// What was asked, without the end of the line.
    pub text: String,
    answer: SyncSender<String>,
}

impl Command {
    /// Answers with one line.
    pub fn answer(self, line: &str) {
        // Who asked may be gone.
        let _ = self.answer.try_send(line.replace('\n', " "));
    }
}

/// The socket. It is removed when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    commands: Receiver<Command>,
}

impl ControlSocket {
    /// Listens at `path`, for those whom `mode` lets write (`0o660`: owner and group). A socket on
    /// which nobody listens any more is replaced; anything else that is there is not.
    ///
    /// # Errors
    /// When another process listens there, or the socket cannot be made.
    pub fn open(path: &Path, mode: u32) -> io::Result<Self> {
        if let Ok(there) = std::fs::symlink_metadata(path) {
            if !there.file_type().is_socket() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "there is a file of that name, and it is no socket",
                ));
            }
            if UnixStream::connect(path).is_ok() {
                let why = "another process listens there";
                return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
            }
            std::fs::remove_file(path)?;
        }
        // Nobody connects to a name that is not there yet: it gets its own when its mode is set.
        let mut hidden = path.as_os_str().to_owned();
        hidden.push(format!(".{}", std::process::id()));
        let hidden = PathBuf::from(hidden);
        let listener = UnixListener::bind(&hidden)?;
        let named = std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(mode))
            .and_then(|()| std::fs::rename(&hidden, path));
        if let Err(e) = named {
            let _ = std::fs::remove_file(&hidden);
            return Err(e);
        }
        let (sender, commands) = sync_channel(WAITING);
        let busy = Arc::new(AtomicUsize::new(0));
        std::thread::Builder::new()
            .name("control".into())
            .spawn(move || {
                for connection in listener.incoming() {
                    match connection {
                        Ok(connection) => admit(connection, &sender, &busy),
                        // Too many open files: there is nothing to do but to wait.
                        Err(_) => std::thread::sleep(Duration::from_millis(100)),
                    }
                }
            })?;
        Ok(Self {
            path: path.to_owned(),
            commands,
        })
    }

    /// The next command, if there is one.
    pub fn next(&self) -> Option<Command> {
        self.commands.try_recv().ok()
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A place among the connections, given back when it is dropped.
struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn admit(mut connection: UnixStream, sender: &SyncSender<Command>, busy: &Arc<AtomicUsize>) {
    let seat = Seat(Arc::clone(busy));
    let _ = connection.set_write_timeout(Some(PATIENCE));
    if busy.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS {
        let _ = connection.set_write_timeout(Some(Duration::from_millis(100)));
        let _ = connection.write_all(b"error: too many connections\n");
        return;
    }
    let sender = sender.clone();
    let _ = std::thread::Builder::new()
        .name("control-answer".into())
        .spawn(move || {
            let _seat = seat;
            let _ = serve(&connection, &sender);
        });
}

fn serve(mut connection: &UnixStream, sender: &SyncSender<Command>) -> io::Result<()> {
    let mut lines = BufReader::new(connection);
    loop {
        let mut line = Vec::new();
        let came = lines.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        if came == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') && came as u64 == LONGEST {
            return connection.write_all(b"error: a command has 4096 bytes at most\n");
        }
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if text.is_empty() {
            continue;
        }
        let (answer, answered) = sync_channel(1);
        let answer = match sender.send(Command { text, answer }) {
            Ok(()) => answered.recv_timeout(PATIENCE).ok(),
            Err(_) => None,
        };
        let answer = answer.unwrap_or_else(|| "error: no answer".to_owned());
        connection.write_all((answer + "\n").as_bytes())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &Path, line: &[u8]) -> String {
        let mut connection = UnixStream::connect(path).unwrap();
        connection.write_all(line).unwrap();
        connection.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_line_is_a_command_and_its_answer_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        let socket = ControlSocket::open(&path, 0o600).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let asking = {
            let path = path.clone();
            std::thread::spawn(move || ask(&path, b"status\n\n  switch 2 \n"))
        };
        let mut seen = Vec::new();
        while seen.len() < 2 {
            if let Some(command) = socket.next() {
                seen.push(command.text.clone());
                command.answer("one\nline");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(seen, ["status", "switch 2"]);
        assert_eq!(asking.join().unwrap(), "one line\none line\n");
        let long = [b'x'; 5000];
        assert!(ask(&path, &long).starts_with("error: "));
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_there_is_replaced_only_where_nobody_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        std::fs::write(&path, "a file").unwrap();
        assert!(ControlSocket::open(&path, 0o600).is_err());
        std::fs::remove_file(&path).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        let socket = ControlSocket::open(&path, 0o600).unwrap();
        let taken = ControlSocket::open(&path, 0o600).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(socket);
    }
}
