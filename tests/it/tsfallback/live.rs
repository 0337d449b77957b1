//! Senders that can be made to do what senders and networks do.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use headend::stream::Batch;
use headend::units::{Arrival, Ticks27M};

use super::sim::{Feed, Strike};

/// What a sender does from now on.
#[derive(Copy, Clone, Debug)]
pub enum Deed {
    /// Befalls its packets.
    Strike(Strike),
    /// Loses one packet in so many; none with 0.
    Lose(usize),
    /// Sends noise instead of packets.
    Garbage(bool),
}

/// A file that is sent for ever by a thread of this process.
pub struct LiveFeed {
    deeds: Option<Sender<Deed>>,
    thread: Option<JoinHandle<()>>,
}

impl LiveFeed {
    pub fn start(file: &Path, to: &str) -> Self {
        let (deeds, told) = channel();
        let (file, to) = (PathBuf::from(file), to.to_owned());
        let thread = std::thread::spawn(move || {
            let mut feed = Feed::new(&file);
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let began = Instant::now();
            let mut batch = Batch::with_capacity(1024);
            let mut garbage = false;
            loop {
                loop {
                    use std::sync::mpsc::TryRecvError::{Disconnected, Empty};
                    match told.try_recv() {
                        Ok(Deed::Strike(strike)) => feed.strike = strike,
                        Ok(Deed::Lose(loss)) => feed.loss = loss,
                        Ok(Deed::Garbage(is)) => garbage = is,
                        Err(Empty) => break,
                        Err(Disconnected) => return,
                    }
                }
                let now = Arrival::default() + Ticks27M::from(began.elapsed());
                batch.clear();
                feed.take(now, &mut batch);
                for piece in batch.as_bytes().chunks(1316) {
                    let noise: Vec<u8> = (0..piece.len()).map(|n| (n * 31 % 71) as u8).collect();
                    let bytes = if garbage { &noise } else { piece };
                    let _ = socket.send_to(bytes, &to);
                }
                std::thread::sleep(Duration::from_millis(4));
            }
        });
        Self {
            deeds: Some(deeds),
            thread: Some(thread),
        }
    }

    pub fn tell(&self, deed: Deed) {
        self.deeds.as_ref().unwrap().send(deed).unwrap();
    }
}

impl Drop for LiveFeed {
    fn drop(&mut self) {
        drop(self.deeds.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
