//! A sender without end.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use headend::stream::Batch;
use headend::units::{Arrival, Ticks27M};

use super::sim::Feed;

/// A file that is sent again and again, without a seam, by a thread of this process.
pub struct LiveFeed {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LiveFeed {
    pub fn start(file: &Path, to: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (file, to) = (PathBuf::from(file), to.to_owned());
        let thread = std::thread::spawn(move || {
            let mut feed = Feed::new(&file);
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let began = Instant::now();
            let mut batch = Batch::with_capacity(1024);
            while !stopped.load(Ordering::Relaxed) {
                let now = Arrival::default() + Ticks27M::from(began.elapsed());
                batch.clear();
                feed.take(now, &mut batch);
                for piece in batch.as_bytes().chunks(1316) {
                    let _ = socket.send_to(piece, &to);
                }
                std::thread::sleep(Duration::from_millis(4));
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for LiveFeed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
