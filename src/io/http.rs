//! A page over HTTP, for a scraper or a browser: GET and HEAD, nothing else.
//!
//! Whoever asks never holds up the stream: each connection has a thread of its own, at most
//! [`CONNECTIONS`] at a time, and [`PATIENCE`] for its request and again for its answer.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Connections that are answered at a time; one more is told to come back.
pub const CONNECTIONS: usize = 16;

/// The longest that a request, or its answer, may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The longest request head that is read.
const HEAD: usize = 8192;

/// What is served at a path.
#[derive(Clone, Debug)]
pub struct Page {
    /// `Content-Type`.
    pub kind: &'static str,
    /// The bytes.
    pub body: String,
}

/// Answers requests until the process ends.
#[derive(Debug)]
pub struct HttpServer {
    local: SocketAddr,
}

impl HttpServer {
    /// Listens at `at`; `page` gives what stands at a path, without its query.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(
        at: SocketAddr,
        page: impl Fn(&str) -> Option<Page> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(at)?;
        let local = listener.local_addr()?;
        let page = Arc::new(page);
        let busy = Arc::new(AtomicUsize::new(0));
        std::thread::Builder::new()
            .name("http".into())
            .spawn(move || {
                for connection in listener.incoming() {
                    match connection {
                        Ok(connection) => admit(connection, &page, &busy),
                        // Out of descriptors, most likely: they come back, and spinning helps
                        // nobody.
                        Err(_) => std::thread::sleep(Duration::from_millis(100)),
                    }
                }
            })?;
        Ok(Self { local })
    }

    /// Where it listens: the port that was given where 0 was asked for.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

/// Gives a connection its thread, or sends it away.
fn admit<P>(mut connection: TcpStream, page: &Arc<P>, busy: &Arc<AtomicUsize>)
where
    P: Fn(&str) -> Option<Page> + Send + Sync + 'static,
{
    let seat = Seat(Arc::clone(busy));
    if busy.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS {
        let _ = connection.set_write_timeout(Some(Duration::from_millis(100)));
        let _ = connection.write_all(&message("503 Service Unavailable", "", None, true));
        return;
    }
    let page = Arc::clone(page);
    let _ = std::thread::Builder::new()
        .name("http-answer".into())
        .spawn(move || {
            let _seat = seat;
            let _ = serve(&mut connection, &*page);
        });
}

/// A place among the connections, given back when it is dropped.
struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn serve(connection: &mut TcpStream, page: &dyn Fn(&str) -> Option<Page>) -> io::Result<()> {
    let answer = match head(connection)? {
        Some(head) => answer(&head, page),
        None => message("400 Bad Request", "", None, true),
    };
    send(connection, &answer, PATIENCE)
}

/// Writes an answer, for `patience` in all: who reads a byte at a time keeps no seat.
fn send(connection: &mut TcpStream, answer: &[u8], patience: Duration) -> io::Result<()> {
    let end = Instant::now() + patience;
    let mut rest = answer;
    while !rest.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        connection.set_write_timeout(Some(left))?;
        match connection.write(rest) {
            Ok(n) => rest = &rest[n..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Reads up to the empty line; `None` where it does not come in time or in [`HEAD`] bytes.
fn head(connection: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let end = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > HEAD {
            return Ok(None);
        }
        connection.set_read_timeout(Some(left))?;
        match connection.read(&mut part) {
            Ok(0) => return Ok(None),
            Ok(n) => head.extend_from_slice(&part[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(e) => return Err(e),
        }
    }
    Ok(Some(head))
}

fn answer(head: &[u8], page: &dyn Fn(&str) -> Option<Page>) -> Vec<u8> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let (Ok(_), Some(method), Some(target)) = (request.parse(head), request.method, request.path)
    else {
        return message("400 Bad Request", "", None, true);
    };
    let with_body = method != "HEAD";
    if !matches!(method, "GET" | "HEAD") {
        return message("405 Method Not Allowed", "Allow: GET, HEAD\r\n", None, true);
    }
    let path = target.split('?').next().unwrap_or_default();
    match page(path) {
        Some(page) => message("200 OK", "", Some(&page), with_body),
        None => message("404 Not Found", "", None, with_body),
    }
}

/// A whole answer; the status is the body where there is no page.
fn message(status: &str, more: &str, page: Option<&Page>, with_body: bool) -> Vec<u8> {
    let (kind, body) = match page {
        Some(page) => (page.kind, page.body.clone()),
        None => ("text/plain; charset=utf-8", format!("{status}\n")),
    };
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n{more}\r\n"
    );
    if with_body {
        answer.push_str(&body);
    }
    answer.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> SocketAddr {
        let page = |path: &str| {
            (path == "/metrics").then(|| Page {
                kind: "text/plain",
                body: "up 1\n".into(),
            })
        };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        HttpServer::start(any, page).unwrap().local_addr()
    }

    fn ask(at: SocketAddr, request: &[u8]) -> String {
        let mut connection = TcpStream::connect(at).unwrap();
        connection.write_all(request).unwrap();
        connection.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_page_is_given_whole_with_its_length() {
        let at = server();
        let answer = ask(at, b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("Content-Length: 5\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nup 1\n"), "{answer}");
        let head = ask(at, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(head.contains("Content-Length: 5\r\n") && head.ends_with("\r\n\r\n"));
    }

    #[test]
    fn what_is_no_question_is_refused() {
        let at = server();
        let long = [b"GET /metrics HTTP/1.1\r\nX: ".as_slice(), &[b'a'; 20_000]].concat();
        for (request, status) in [
            (b"GET / HTTP/1.1\r\n\r\n".as_slice(), "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"\x47\x00\x00\r\n\r\n", "400"),
            (b"GET /metr", "400"),
            (&long, "400"),
        ] {
            let mut connection = TcpStream::connect(at).unwrap();
            let _ = connection.write_all(request);
            let _ = connection.shutdown(std::net::Shutdown::Write);
            let mut start = [0; 12];
            connection.read_exact(&mut start).unwrap();
            assert_eq!(&start[9..], status.as_bytes());
        }
    }

    #[test]
    fn who_reads_a_byte_at_a_time_is_left() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut reader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut connection, _) = listener.accept().unwrap();
        let slow = std::thread::spawn(move || while let Ok(1) = reader.read(&mut [0]) {});
        // More than both ends buffer, and minutes of reading like that.
        let answer = vec![b'x'; 256 << 20];
        let begun = Instant::now();
        assert!(send(&mut connection, &answer, Duration::from_millis(200)).is_err());
        assert!(begun.elapsed() < Duration::from_secs(20));
        connection.shutdown(std::net::Shutdown::Both).unwrap();
        drop(connection);
        slow.join().unwrap();
    }

    #[test]
    fn those_who_say_nothing_do_not_keep_others_from_asking() {
        let at = server();
        let _silent: Vec<_> = (0..CONNECTIONS - 1)
            .map(|_| TcpStream::connect(at).unwrap())
            .collect();
        assert!(ask(at, b"GET /metrics HTTP/1.1\r\n\r\n").contains("200 OK"));
    }
}
