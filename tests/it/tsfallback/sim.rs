//! A switch in simulated time: files without end as inputs, each with a clock of its own.

use std::fs;
use std::path::{Path, PathBuf};

use headend::stream::event::Value;
use headend::stream::pacer::Pacer;
use headend::stream::restamp::{Seam, shift};
use headend::stream::stuffing::Stuffer;
use headend::stream::{Batch, Snapshot};
use headend::switch::{Switch, SwitchOptions};
use headend::ts::Packet;
use headend::units::{Arrival, StreamTime, Ticks27M};

use crate::harness::Random;

/// A file that is played for ever.
pub struct Feed {
    packets: Vec<Packet>,
    seam: Seam,
    pacer: Pacer,
    next: usize,
    ready: std::collections::VecDeque<(Packet, StreamTime)>,
    start: Option<StreamTime>,
    /// When its first packet comes.
    pub delay: Ticks27M,
    /// How much faster than ours its clock is, in parts of a million.
    pub drift_ppm: i64,
    /// A packet comes later by up to this.
    pub jitter: Ticks27M,
    /// All its times are moved by this.
    pub shift: Ticks27M,
    /// Its packets come.
    pub alive: bool,
    /// One packet in so many is lost; none with 0.
    pub loss: usize,
    /// What happens to its packets on their way.
    pub strike: Strike,
    random: Random,
    last: Arrival,
}

/// What happens to the packets of a feed.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Strike {
    None,
    /// transport_scrambling_control says that they are scrambled.
    Scramble,
    /// Those of this PID do not come.
    Without(u16),
    /// Half of them are noise behind their sync bytes.
    Noise,
}

impl Strike {
    /// False when the packet is lost.
    fn befall(self, packet: &mut Packet, random: &mut Random) -> bool {
        let pid = packet.pid().get();
        match self {
            Self::None => {}
            Self::Scramble if (0x100..0x110).contains(&pid) && packet.has_payload() => {
                packet.as_bytes_mut()[3] |= 0x80;
            }
            Self::Scramble => {}
            Self::Without(lost) => return pid != lost,
            Self::Noise if random.below(2) == 0 => {
                for byte in &mut packet.as_bytes_mut()[1..] {
                    *byte = random.next() as u8;
                }
            }
            Self::Noise => {}
        }
        true
    }
}

impl Feed {
    pub fn new(file: &Path) -> Self {
        let bytes = fs::read(file).unwrap();
        Self {
            packets: Packet::slice_of(&bytes).0.to_vec(),
            seam: Seam::new(),
            pacer: Pacer::new(),
            next: 0,
            ready: std::collections::VecDeque::new(),
            start: None,
            delay: Ticks27M::ZERO,
            drift_ppm: 0,
            jitter: Ticks27M::ZERO,
            shift: Ticks27M::ZERO,
            alive: true,
            loss: 0,
            strike: Strike::None,
            random: Random::new(7),
            last: Arrival::default(),
        }
    }

    /// The same, with another fate.
    pub fn seeded(mut self, seed: u64) -> Self {
        self.random = Random::new(seed);
        self
    }

    /// The sender goes on with another file, as one that was set up anew does: its clock is another
    /// one, and so is its PMT where it describes something else.
    pub fn go_on_with(&mut self, file: &Path) {
        self.packets = Packet::slice_of(&fs::read(file).unwrap()).0.to_vec();
        (self.seam, self.next) = (Seam::new(), 0);
    }

    /// Nothing is wrong with it.
    pub fn is_well(&self) -> bool {
        self.alive && self.loss == 0 && self.strike == Strike::None
    }

    /// The next packet and when it comes.
    fn peek(&mut self) -> (Packet, Arrival) {
        while self.ready.is_empty() {
            if self.next == self.packets.len() {
                assert!(self.seam.again());
                self.next = 0;
            }
            let mut packet = self.packets[self.next];
            self.next += 1;
            self.seam.push(&mut packet);
            shift(&mut packet, self.shift);
            let ready = &mut self.ready;
            self.pacer
                .push(&packet, &mut |packet, at| ready.push_back((*packet, at)));
        }
        let (packet, at) = self.ready[0];
        let since = at - *self.start.get_or_insert(at);
        let slower = since.get() / 1_000_000 * self.drift_ppm;
        let came = Arrival::default() + self.delay + since - Ticks27M::new(slower);
        (packet, came)
    }

    /// Takes what comes before `until`, and where it is on its way.
    pub fn take(&mut self, until: Arrival, batch: &mut Batch) {
        loop {
            let (mut packet, came) = self.peek();
            if came >= until || batch.room() == 0 {
                return;
            }
            self.ready.pop_front();
            let lost = self.loss > 0 && self.random.below(self.loss) == 0;
            let kept = self.strike.befall(&mut packet, &mut self.random);
            if self.alive && kept && !lost {
                let late = self.random.below(1 + self.jitter.get() as usize) as i64;
                self.last = self.last.max(came + Ticks27M::new(late));
                batch.push(&packet, self.last);
            }
        }
    }
}

/// Feeds into a switch, and what came out of it.
pub struct Sim {
    pub switch: Switch,
    /// How often it is asked.
    pub turn: Ticks27M,
    pub feeds: Vec<Feed>,
    pub now: Arrival,
    pub out: Vec<u8>,
    /// When each packet of it left.
    pub times: Vec<Arrival>,
    events: Vec<String>,
    last: Arrival,
    /// At a constant rate what is more waits for its slot.
    ahead: Ticks27M,
}

impl Sim {
    pub fn new(feeds: Vec<Feed>) -> Self {
        Self::with(SwitchOptions::default(), feeds)
    }

    pub fn with(options: SwitchOptions, feeds: Vec<Feed>) -> Self {
        Self {
            switch: Switch::new(options, feeds.len()),
            turn: Ticks27M::from_millis(5),
            feeds,
            now: Arrival::default(),
            out: Vec::new(),
            times: Vec::new(),
            events: Vec::new(),
            last: Arrival::from_ticks(i64::MIN),
            ahead: match options.rate {
                Some(_) => Stuffer::MOST_BEHIND,
                None => Ticks27M::ZERO,
            },
        }
    }

    /// Runs until so long after the beginning.
    pub fn run_until(&mut self, end: Ticks27M) {
        let mut batch = Batch::with_capacity(1024);
        while self.now < Arrival::default() + end {
            self.now += self.turn;
            for (n, feed) in self.feeds.iter_mut().enumerate() {
                batch.clear();
                feed.take(self.now, &mut batch);
                if !batch.is_empty() {
                    self.switch.push(n, &batch);
                }
            }
            let (out, times) = (&mut self.out, &mut self.times);
            let (last, now, ahead) = (&mut self.last, self.now, self.ahead);
            self.switch.advance(now, &mut |packet, at| {
                // Neither back in time nor ahead of it.
                assert!(at >= *last - Ticks27M::from_millis(1) && at <= now + ahead);
                *last = at;
                out.extend_from_slice(packet.as_bytes());
                times.push(at);
            });
            let events = &mut self.events;
            self.switch.drain_events(&mut |event| {
                let mut line = format!("{} {}", now.ticks() / 27_000, event.name());
                event.fields(&mut |key, value| {
                    let value = match value {
                        Value::Number(n) => n.to_string(),
                        Value::Text(text) => text,
                    };
                    line.push_str(&format!(" {key}={value}"));
                });
                events.push(line);
            });
        }
    }

    /// A counter of the switch.
    pub fn counter(&self, key: &str) -> usize {
        let mut counted = Snapshot::default();
        self.switch.counters(&mut counted);
        match counted.iter().find(|(k, _)| *k == key) {
            Some((_, Value::Number(n))) => *n as usize,
            _ => panic!("no {key}"),
        }
    }

    /// Takes what came out since the last call, and when.
    pub fn take(&mut self) -> Vec<(Packet, Arrival)> {
        let packets = Packet::slice_of(&self.out).0.to_vec();
        self.out.clear();
        packets.into_iter().zip(self.times.drain(..)).collect()
    }

    /// Forgets what was observed but for the newest.
    pub fn forget(&mut self) {
        let old = self.events.len().saturating_sub(60);
        self.events.drain(..old);
    }

    /// Ends the output with a whole picture.
    pub fn finish(&mut self) {
        self.switch.end();
        let limit = self.now + Ticks27M::SECOND * 10;
        while !self.switch.is_over() {
            assert!(self.now < limit, "{}", self.log());
            self.run_until(self.now - Arrival::default() + self.turn);
        }
    }

    /// The inputs that went on air, in order.
    pub fn switched(&self) -> Vec<usize> {
        let lines = self
            .events
            .iter()
            .filter(|line| line.contains(" switched "));
        let inputs = lines.filter_map(|line| {
            let word = line
                .split(' ')
                .find_map(|word| word.strip_prefix("to_input="));
            word?.parse().ok()
        });
        inputs.collect()
    }

    pub fn log(&self) -> String {
        self.events.join("\n")
    }

    /// Writes what came out.
    pub fn write(&self, name: &str) -> PathBuf {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fallback");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, &self.out).unwrap();
        path
    }
}
