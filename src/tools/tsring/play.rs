//! `tsring play`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::{apart, existing, instant};
use crate::cli::when::When;
use crate::cli::{Common, Context, Error, Level, Verdict};
use crate::io::clock::{Clock, SystemClock};
use crate::io::{Departure, Endpoint, OutputOptions, Sink, open_output};
use crate::ring::{BLOCK, Disk, ForwardSteps, Gap, Ring, SILENCE, Step};
use crate::stream::Batch;
use crate::ts::Packet;
use crate::units::{Arrival, Ticks27M, WallTime};

/// `tsring play`
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("start").args(["delay", "from"]).required(true))]
pub(super) struct Args {
    /// The ring
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Play what was received so long ago, for ever
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    delay: Option<Duration>,

    /// Play what was received from this time on, up to the live end
    #[arg(long, value_name = "TIME")]
    from: Option<When>,

    /// Read a local --from in this zone [default: the machine's]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,

    /// Where packets go
    #[arg(short, long, value_name = "ENDPOINT", default_value = "-")]
    output: Endpoint,

    #[command(flatten)]
    pub(super) common: Common,
}

/// Blocks read ahead: 84 kB, 135 ms at 5 Mb/s.
const AHEAD_BLOCKS: usize = 64;
/// How long the live end is left alone before it is looked at again.
const LOOK_AGAIN: Ticks27M = Ticks27M::from_millis(20);
/// A wait is looked up from so often, for signals and statistics.
const TURN: Ticks27M = Ticks27M::from_millis(100);
/// The first packet leaves so much after the start, so that none is late.
const LEAD: Ticks27M = Ticks27M::from_millis(50);
/// A ring that gets nothing for so long has ended, for `--from`.
const ENDED_AFTER: Ticks27M = Ticks27M::from_millis(3000);

/// Runs `tsring play`.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<Verdict, Error> {
    let dir = existing(&args.dir)?;
    apart(&dir, &args.output)?;
    let ring = Ring::open(Arc::new(Disk), &dir)?;
    let (now, wall) = (SystemClock.now(), SystemClock.wall());
    let from = match (instant(args.from.as_ref(), args.tz.as_deref())?, args.delay) {
        (Some(from), _) => from,
        (None, Some(delay)) => wall + -Ticks27M::from(delay),
        (None, None) => return Err(Error::usage(anyhow!("say --delay or --from"))),
    };
    if let Some(first) = ring.first().filter(|first| *first > from) {
        let words = format!("{from} is before the ring, which begins at {first}");
        context.say(Level::Warning, &words);
    }
    let options = OutputOptions {
        departure: Departure::ByArrival {
            delay: Ticks27M::ZERO,
        },
        stop: context.signals().stop_flag(),
        ..OutputOptions::default()
    };
    let sink = open_output(&args.output, &options)?;
    context.status(&format!("playing {} to {}", dir.display(), args.output));
    context.ready();
    let mut player = Player {
        schedule: Schedule {
            // With --delay a stamp is due at its own distance from now.
            anchor: args.delay.map(|_| (from, now)),
            last: None,
        },
        waits: !matches!(args.output, Endpoint::Socket(_)),
        follow: args.delay.is_some(),
        sink,
        sent: 0,
        told: None,
    };
    let played = player.play(&ring, from, context);
    player.sink.drain_events(&mut |e| context.event(e));
    context.last_turn(|c| player.sink.counters(c));
    played?;
    if player.sent > 0 || player.follow {
        return Ok(Verdict::Yes);
    }
    if !context.stopping() {
        let words = match ring.last() {
            Some(last) => format!("{from} is after the ring, which ends at {last}"),
            None => "there is nothing in the ring".to_owned(),
        };
        context.say(Level::Warning, &words);
    }
    Ok(Verdict::No)
}

/// When a stamp is due.
struct Schedule {
    /// A stamp and when it is due.
    anchor: Option<(WallTime, Arrival)>,
    last: Option<WallTime>,
}

impl Schedule {
    /// When a packet stamped `at` is due; `stepped` says by how much the wall clock was set
    /// forward just before it.
    fn due(&mut self, at: WallTime, stepped: impl FnOnce(WallTime) -> Ticks27M) -> Arrival {
        let last = self.last.replace(at);
        let (stamp, due) = *self
            .anchor
            .get_or_insert_with(|| (at, SystemClock.now() + LEAD));
        let anchor = match last {
            // The clock was set back: what follows follows at once.
            Some(last) if at < last => (at, due + (last - stamp)),
            Some(last) if at - last >= SILENCE => {
                let by = stepped(last);
                (stamp + by, due)
            }
            _ => (stamp, due),
        };
        self.anchor = Some(anchor);
        anchor.1 + (at - anchor.0)
    }
}

struct Player {
    schedule: Schedule,
    /// The output takes packets at once: they are held until they are due.
    waits: bool,
    follow: bool,
    sink: Box<dyn Sink>,
    sent: u64,
    /// The gap that was told last.
    told: Option<Gap>,
}

impl Player {
    fn play(&mut self, ring: &Ring, from: WallTime, context: &mut Context) -> Result<(), Error> {
        let mut cursor = ring.cursor(from, None);
        let mut steps = ForwardSteps::new(ring);
        let mut bytes = vec![0; AHEAD_BLOCKS * BLOCK];
        let mut stamps = Vec::new();
        let mut batch = Batch::with_capacity(bytes.len() / crate::ts::PACKET_SIZE);
        let mut idle_since = SystemClock.now();
        let mut before = from;
        while !context.stopping() {
            stamps.clear();
            let (step, read) = cursor.read(&mut bytes, Some(&mut stamps))?;
            cursor.drain_events(&mut |e| context.event(e));
            if read == 0 {
                let now = SystemClock.now();
                let over = step == Step::End || now - idle_since >= ENDED_AFTER;
                if over && !self.follow {
                    break;
                }
                self.sink.flush()?;
                self.turn(now + LOOK_AGAIN, context);
                continue;
            }
            cursor.segment().into_iter().for_each(|s| steps.enter(s));
            for at in &stamps {
                if *at - before >= SILENCE {
                    self.tell_gaps(ring, before, *at, context)?;
                }
                before = *at;
            }
            spread(&mut stamps);
            batch.clear();
            let packets = Packet::slice_of(bytes.get(..read).unwrap_or_default()).0;
            for (packet, at) in packets.iter().zip(&stamps) {
                let due = self.schedule.due(*at, |last| steps.between(last, *at));
                let span = due - batch.first_arrival().unwrap_or(due);
                if batch.room() == 0 || span >= OutputOptions::TOGETHER {
                    self.send(&mut batch, context)?;
                }
                batch.push(packet, due);
            }
            self.send(&mut batch, context)?;
            idle_since = SystemClock.now();
        }
        Ok(self.sink.finish()?)
    }

    /// Says what the ring has of a time in which nothing is played.
    fn tell_gaps(
        &mut self,
        ring: &Ring,
        from: WallTime,
        to: WallTime,
        context: &Context,
    ) -> Result<(), Error> {
        let mut ring = ring.clone();
        ring.refresh()?;
        for gap in ring.gaps(from, to)? {
            if self.told != Some(gap) {
                context.say(Level::Warning, &gap.to_string());
                self.told = Some(gap);
            }
        }
        Ok(())
    }

    /// Sends a batch when its packets are due.
    fn send(&mut self, batch: &mut Batch, context: &mut Context) -> Result<(), Error> {
        if let (Some(first), Some(last)) = (batch.first_arrival(), batch.last_arrival()) {
            // A socket sends each datagram in time by itself, once the first is near.
            let until = if self.waits { last } else { first + -TURN };
            while SystemClock.now() < until && !context.stopping() {
                self.turn(until, context);
            }
            if context.stopping() {
                return Ok(());
            }
            self.sink.send(batch)?;
            self.sent += batch.len() as u64;
            self.turn(SystemClock.now(), context);
        }
        batch.clear();
        Ok(())
    }

    /// Sees to signals, events and counters, and sleeps until `until`, or for a turn.
    fn turn(&mut self, until: Arrival, context: &mut Context) {
        self.sink.drain_events(&mut |e| context.event(e));
        context.turn(|c| self.sink.counters(c));
        if context.stopping() {
            return;
        }
        SystemClock.sleep_until(until.min(SystemClock.now() + TURN));
    }
}

/// Spreads packets that share a stamp evenly up to the next stamp, where that is near: one read
/// of a pipe may have brought many blocks.
fn spread(stamps: &mut [WallTime]) {
    let mut begin = 0;
    while let Some(&at) = stamps.get(begin) {
        let after = stamps.get(begin..).unwrap_or_default();
        let run = after.iter().take_while(|s| **s == at).count();
        let next = stamps.get(begin + run).map(|next| *next - at);
        if let Some(gap) = next.filter(|gap| !gap.is_negative() && *gap < SILENCE) {
            let count = i64::try_from(run).unwrap_or(i64::MAX);
            let run = stamps.get_mut(begin..begin + run).unwrap_or_default();
            for (stamp, i) in run.iter_mut().zip(0..) {
                *stamp = at + gap * i / count;
            }
        }
        begin += run;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> WallTime {
        WallTime::from_unix_millis(ms)
    }

    #[test]
    fn a_burst_is_spread_up_to_what_follows() {
        let mut stamps = [0, 0, 0, 0, 40, 40, 50, 9000].map(at);
        spread(&mut stamps);
        assert_eq!(stamps, [0, 10, 20, 30, 40, 45, 50, 9000].map(at));
    }

    #[test]
    fn silence_is_played_and_steps_of_the_clock_are_not() {
        let start = Arrival::from_ticks(0);
        let mut schedule = Schedule {
            anchor: Some((at(0), start)),
            last: None,
        };
        let none = |_| Ticks27M::ZERO;
        let hour = Ticks27M::SECOND * 3600;
        let due = [
            schedule.due(at(100), none),
            schedule.due(at(5_100), none),
            schedule.due(at(3_605_200), |_| hour),
            schedule.due(at(200), none),
            schedule.due(at(300), none),
        ];
        let ms: Vec<i64> = due.iter().map(|d| (*d - start).as_millis()).collect();
        assert_eq!(ms, [100, 5100, 5200, 5200, 5300]);
    }
}
