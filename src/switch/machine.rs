//! The switch: inputs, decisions, legs and the output together.

use super::description::Description;
use super::event::SwitchEvent;
use super::fault::Faults;
use super::health::{Health, HealthOptions};
use super::input::Input;
use super::layout::{Layout, MAX_SLOTS};
use super::leg::{Leg, Now};
use super::output::{Out, Output};
use super::plan::{Lag, OnAir, Plan, first_exit, plan};
use super::policy::{Policy, PolicyOptions, Reason, Refused};
use super::twins::{TwinStatus, Twins};
use crate::monitor::content::Measures;
use crate::monitor::{Alarms, Monitor};
use crate::stream::event::Event;
use crate::stream::{Batch, Counters, Pending};
use crate::ts::Packet;
use crate::units::{Arrival, BitRate, StreamTime, Ticks27M};

/// How a switch works.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct SwitchOptions {
    /// How long packets are held before they leave: [`SwitchOptions::LEAST_HOLD`] at least.
    pub hold: Ticks27M,
    /// When an input is faulty.
    pub health: HealthOptions,
    /// Which input is taken.
    pub policy: PolicyOptions,
    /// The constant rate to stuff to.
    pub rate: Option<BitRate>,
    /// Inputs of which the stamps are this far apart at most, as they leave, carry the same programme
    /// with the same stamps: a splice from one to the other neither repeats nor skips a picture.
    pub align: Option<Ticks27M>,
    /// Inputs that carry the same packets are merged, the one later than the other by so much at
    /// most: all leave later by this and 20 ms. Not longer than [`SwitchOptions::MOST_SKEW`].
    pub skew: Option<Ticks27M>,
}

impl Default for SwitchOptions {
    /// The least hold, and the pace of the input.
    fn default() -> Self {
        Self {
            hold: Self::LEAST_HOLD,
            health: HealthOptions::default(),
            policy: PolicyOptions::default(),
            rate: None,
            align: None,
            skew: None,
        }
    }
}

impl SwitchOptions {
    /// The least time for which packets are held: a PCR interval, its jitter, and a picture.
    pub const LEAST_HOLD: Ticks27M = Ticks27M::from_millis(300);
    /// The most by which an input may be later than its twin.
    pub const MOST_SKEW: Ticks27M = Ticks27M::SECOND;
}

/// Units are kept so long after they were due: what enters may go back a little.
const KEPT: Ticks27M = Ticks27M::from_millis(1_500);
/// How often what is kept is looked through.
const TRIM_EVERY: Ticks27M = Ticks27M::from_millis(100);
/// An input that is left has so long to send what belongs before the splice.
const LONGEST_LEAVE: Ticks27M = Ticks27M::SECOND;
/// Tables of an input that is entered are passed if they stood so shortly before.
const INFORMED: Ticks27M = Ticks27M::from_millis(500);
/// An input without a point to enter for so long has nothing to enter: GOPs are shorter.
const POINTLESS: Ticks27M = Ticks27M::from_millis(12_000);
/// An input without packets for so long has nothing to enter.
const STALE: Ticks27M = Ticks27M::from_millis(1_000);

#[derive(Debug)]
struct Member {
    input: Input,
    health: Health,
    /// Its own.
    faults: Faults,
    /// Those that are left with what its twins have.
    judged: Faults,
    /// When its last packet came.
    came: Option<Arrival>,
    session: u32,
    told_others: bool,
    overflow: u64,
    torn: u64,
    on_air: Ticks27M,
}

/// How an input is, for who asks.
#[derive(Clone, Debug, PartialEq)]
pub struct InputStatus {
    /// It is on air.
    pub on_air: bool,
    /// It may be used.
    pub enabled: bool,
    /// Its faults that count.
    pub faults: Faults,
    /// Something of it can be entered.
    pub ready: bool,
    /// The bit rate of the last second.
    pub rate: Option<BitRate>,
    /// Packets that came.
    pub packets: u64,
    /// Breaks of continuity counters.
    pub continuity_errors: u64,
    /// Since its last packet; `None` before the first.
    pub silence: Option<Ticks27M>,
    /// How long it was on air, all in all.
    pub time_on_air: Ticks27M,
    /// What it has in common with others.
    pub twin: TwinStatus,
}

#[derive(Copy, Clone, Debug)]
struct Wanted {
    input: usize,
    since: Arrival,
}

/// The switch.
#[derive(Debug)]
pub struct Switch {
    options: SwitchOptions,
    members: Vec<Member>,
    twins: Option<Twins>,
    policy: Policy,
    output: Option<Output>,
    /// What the output is laid out like; else like the input that goes on air first.
    template: Option<Description>,
    /// The output's line less the monotonic clock, at departure.
    line: Ticks27M,
    /// The last is on air, those before are being left.
    legs: Vec<Leg>,
    legs_made: u64,
    wanted: Option<Wanted>,
    /// Nothing is entered any more.
    ending: bool,
    trimmed_at: Option<Arrival>,
    advanced_to: Option<Arrival>,
    switches: u64,
    missing: Ticks27M,
    foreign: u64,
    scrambled: u64,
    events: Pending<SwitchEvent>,
}

impl Switch {
    /// A switch of so many inputs.
    pub fn new(options: SwitchOptions, inputs: usize) -> Self {
        let options = SwitchOptions {
            hold: options.hold.max(SwitchOptions::LEAST_HOLD),
            ..options
        };
        let member = |_| Member {
            input: Input::new(),
            health: Health::new(options.health),
            faults: Faults::NONE,
            judged: Faults::NONE,
            came: None,
            session: 0,
            told_others: false,
            overflow: 0,
            torn: 0,
            on_air: Ticks27M::ZERO,
        };
        let merged = inputs - usize::from(options.policy.slate && inputs > 0);
        let skew = options.skew.filter(|_| merged > 1);
        let skew = skew.map(|skew| skew.min(SwitchOptions::MOST_SKEW));
        Self {
            twins: skew.map(|skew| Twins::new(merged, skew, options.health)),
            members: (0..inputs).map(member).collect(),
            policy: Policy::new(options.policy, inputs),
            options,
            output: None,
            template: None,
            line: Ticks27M::ZERO,
            legs: Vec::new(),
            legs_made: 0,
            wanted: None,
            ending: false,
            trimmed_at: None,
            advanced_to: None,
            switches: 0,
            missing: Ticks27M::ZERO,
            foreign: 0,
            scrambled: 0,
            events: Pending::new(),
        }
    }

    /// Takes the layout of the output from a template; before anything is on air.
    pub fn lay_out_like(&mut self, template: Description) {
        self.template = Some(template);
    }

    /// Takes packets of an input as they came.
    pub fn push(&mut self, input: usize, batch: &Batch) {
        if let Some(member) = self.members.get_mut(input) {
            member.health.push(batch);
            member.came = batch.last_arrival().or(member.came);
            let taken = self.twins.as_mut().is_some_and(|t| t.push(input, batch));
            if !taken {
                member.input.push(batch);
            }
        }
    }

    /// Synchronisation of an input was lost.
    pub fn sync_lost(&mut self, input: usize) {
        if let Some(member) = self.members.get_mut(input) {
            member.health.sync_lost();
        }
    }

    /// An input was closed: what comes next has nothing to do with what came.
    pub fn restarted(&mut self, input: usize) {
        let goes_on = self.twins.as_ref().is_some_and(|t| t.is_merging(input));
        if let Some(member) = self.members.get_mut(input).filter(|_| !goes_on) {
            member.input.restart();
        }
    }

    /// Gives what leaves by `now`, in order, with the instant of each.
    pub fn advance(&mut self, now: Arrival, out: &mut dyn FnMut(&Packet, Arrival)) {
        let step = now - self.advanced_to.unwrap_or(now);
        self.advanced_to = Some(now);
        for n in 0..self.members.len() {
            self.mend(n, now);
            self.look_at(n, now);
        }
        if !self.ending
            && let Some((to, reason)) = self.policy.decide(now)
        {
            self.decided(to, reason, now);
        }
        if let Some(member) = self.on_air().and_then(|n| self.members.get_mut(n)) {
            member.on_air += step;
        }
        self.follow();
        self.seek(now);
        let line = self.line;
        let place = &mut |packet: &Packet, at: StreamTime| {
            out(
                packet,
                Arrival::from_ticks(at.ticks().saturating_sub(line.get())),
            );
        };
        self.send(now, place);
        self.trim(now);
    }

    /// Lays an input with what its twins have on its line.
    fn mend(&mut self, n: usize, now: Arrival) {
        let (Some(twins), Some(member)) = (&mut self.twins, self.members.get_mut(n)) else {
            return;
        };
        twins.pop(n, now, &mut |batch| member.input.push(batch));
        let events = &mut self.events;
        twins.drain(&mut |input, event| events.push(SwitchEvent::Twin { input, event }));
    }

    /// Looks at an input and tells the policy.
    fn look_at(&mut self, n: usize, now: Arrival) {
        let Some(member) = self.members.get_mut(n) else {
            return;
        };
        member.health.idle(now);
        member.input.idle(now);
        let faults = member.health.faults(now);
        let mended = self.twins.as_mut().and_then(|twins| twins.health(n));
        member.judged = mended.map_or(faults, |health| health.faults(now));
        let judged = member.judged;
        let fresh = |last: Arrival| now - last < STALE;
        let ready = member.input.description.is_some()
            && member.input.recovery.is_settled()
            && member.input.last_arrival.is_some_and(fresh)
            && member
                .input
                .last_point
                .is_some_and(|at| now - at < POINTLESS);
        if !ready && self.wanted.is_some_and(|wanted| wanted.input == n) {
            // It was chosen, and there is nothing to enter any more: another may do.
            self.wanted = None;
            self.policy
                .turned_down(self.legs.last().map(|leg| leg.input));
        }
        if faults != member.faults {
            member.faults = faults;
            self.events.push(SwitchEvent::Faults { input: n, faults });
        }
        if member.input.session != member.session {
            let again = member.session > 1;
            member.session = member.input.session;
            if again {
                self.events.push(SwitchEvent::Restarted { input: n });
            }
        }
        if member.input.overflow != member.overflow {
            member.overflow = member.input.overflow;
            let packets = member.overflow;
            self.events
                .push(SwitchEvent::Overflow { input: n, packets });
        }
        self.policy.set(n, ready, judged, now);
    }

    fn decided(&mut self, to: usize, reason: Reason, now: Arrival) {
        let from = self.on_air();
        self.events.push(SwitchEvent::Decided { to, from, reason });
        self.wanted = Some(Wanted {
            input: to,
            since: now,
        });
    }

    /// The input on air.
    pub fn on_air(&self) -> Option<usize> {
        self.legs.last().map(|leg| leg.input)
    }

    /// The output's line follows the clock of the input on air.
    fn follow(&mut self) {
        let Some(leg) = self.legs.last() else { return };
        let Some(member) = self.members.get(leg.input) else {
            return;
        };
        if member.input.session == leg.session
            && let Some(delay) = member.input.recovery.delay()
        {
            self.line = leg.offset - delay - self.options.hold - leg.phase;
        }
    }

    /// The output ends, with the picture that is nearest: [`Switch::advance`] goes on until
    /// [`Switch::is_over`].
    pub fn end(&mut self) {
        self.ending = true;
        let Some(leg) = self.legs.last_mut() else {
            return;
        };
        let member = self.members.get(leg.input);
        match member.and_then(|m| Some((m, first_exit(leg, &m.input)?))) {
            Some((member, (before, end))) => {
                let end = end + leg.offset;
                leg.leave(&member.input, before, end, end);
            }
            None => leg.close(),
        }
    }

    /// True when all that belongs to the output has left.
    pub fn is_over(&self) -> bool {
        self.ending && self.legs.iter().all(Leg::is_over)
    }

    /// Makes the splice that is wanted, as soon as there is one.
    fn seek(&mut self, now: Arrival) {
        if self.ending {
            return;
        }
        let wanted = match (self.wanted, self.legs.last()) {
            (Some(wanted), _) => wanted,
            // The input on air began anew: it is entered again.
            (None, Some(leg)) => {
                let input = leg.input;
                let renewed = self.members.get(input).map(|m| m.input.session);
                if renewed == Some(leg.session) {
                    return;
                }
                Wanted { input, since: now }
            }
            (None, None) => return,
        };
        let n = wanted.input;
        let again = |leg: &Leg, session| leg.input == n && leg.session == session;
        let Some(member) = self.members.get(n) else {
            return;
        };
        if self
            .legs
            .last()
            .is_some_and(|leg| again(leg, member.input.session))
        {
            self.wanted = None;
            return;
        }
        let before = self.legs.len().saturating_sub(1);
        let same = |leg: &Leg| leg.input == n;
        if self.legs.iter().take(before).any(same) {
            return;
        }
        let hold = self.options.hold;
        let line = match self.output {
            Some(_) => self.line,
            None => match member.input.recovery.delay() {
                Some(delay) => -delay - hold,
                None => return,
            },
        };
        let at = Now {
            arrival: now,
            clock: clock_at(now, line).max(
                self.output
                    .as_ref()
                    .map_or(StreamTime::from_ticks(i64::MIN), Output::last),
            ),
        };
        let old = self.legs.last().and_then(|leg| {
            let input = &self.members.get(leg.input)?.input;
            let gone = self.members.get(leg.input)?.judged.has(super::Fault::Loss);
            let alive = !gone && input.session == leg.session;
            Some(OnAir { leg, input, alive })
        });
        let lag = Lag {
            hold,
            align: self.options.align,
        };
        if let Some(plan) = plan(old.as_ref(), &member.input, line, lag, at) {
            self.line = line;
            self.splice(wanted, &plan, now);
        }
    }

    fn splice(&mut self, wanted: Wanted, plan: &Plan, now: Arrival) {
        let n = wanted.input;
        let from = self.on_air();
        let Some(member) = self.members.get(n) else {
            return;
        };
        let input = &member.input;
        let Some(description) = &input.description else {
            return;
        };
        let main = description.main().unwrap_or_default();
        let main_units = input
            .streams
            .get(main)
            .map(|s| (&s.units, s.gatherer.open()));
        let point = main_units.and_then(|(units, open)| {
            let mut all = units.iter().chain(open);
            all.find(|unit| unit.serial == plan.point && unit.session == input.session)
        });
        let Some(point) = point else { return };
        let placed = point.at() + plan.offset;
        let presents = plan.presents + plan.offset;
        let template = self.template.as_ref();
        let output = self.output.get_or_insert_with(|| {
            let layout = template.map_or_else(|| Layout::of(description), Layout::of_template);
            Output::new(layout, placed, self.options.rate)
        });
        let slots = output.layout.admit(description);
        let changed = output.layout.enter(description, &slots);
        output.hurry(placed);
        output.name(input.naming());
        self.legs_made += 1;
        let mut leg = Leg::new(self.legs_made, n, input.session, main);
        (leg.offset, leg.phase) = (plan.offset, plan.phase);
        leg.enter(input, &slots, point, plan.presents);
        if changed && from.is_some() {
            let version = output.layout.version();
            self.events.push(SwitchEvent::PmtChanged { version });
        }
        let lacks = output.layout.slots().iter().filter(|s| !s.present).count();
        let left_out = slots.iter().filter(|s| s.is_none()).count();
        if lacks + left_out > 0 {
            self.events.push(SwitchEvent::LayoutDiffers {
                input: n,
                lacks,
                left_out,
            });
        }
        if description.others > 0 && !member.told_others {
            self.events.push(SwitchEvent::OtherServices {
                input: n,
                service: description.service.0,
                others: description.others,
            });
        }
        let mut silence = Ticks27M::ZERO;
        if let Some(old) = self.legs.last_mut()
            && let Some(left) = self.members.get(old.input)
        {
            old.leave(
                &left.input,
                plan.before.unwrap_or_default(),
                presents,
                placed,
            );
            silence = left.came.map_or(silence, |last| now - last);
        }
        if let Some(member) = self.members.get_mut(n) {
            member.told_others = true;
        }
        self.legs.push(leg);
        self.wanted = None;
        self.switches += 1;
        self.missing += plan.missing;
        self.events.push(SwitchEvent::Switched {
            to: n,
            from,
            took: now - wanted.since,
            missing: plan.missing,
            silence,
        });
    }

    /// Sends what is due by `now`.
    fn send(&mut self, now: Arrival, out: Out<'_>) {
        let clock = clock_at(now, self.line);
        let Some(mut output) = self.output.take() else {
            return;
        };
        let at = Now {
            arrival: now,
            clock: clock.max(output.last()),
        };
        self.inform(&mut output, clock);
        while let Some((leg, stream, due)) = self.next(&mut output, at) {
            let due = due.max(output.last());
            if due > clock {
                break;
            }
            output.fill(due, &mut *out);
            self.send_one(&mut output, leg, stream, due, &mut *out);
        }
        output.fill(clock, &mut *out);
        output.stuff(clock, &mut *out);
        self.output = Some(output);
        self.end_legs(clock);
    }

    /// The packet that is due first: of which leg and stream, and when. A PID is one leg's after
    /// the other, in the order in which they were entered.
    fn next(&mut self, output: &mut Output, now: Now) -> Option<(usize, usize, StreamTime)> {
        let mut first: Option<(usize, usize, StreamTime)> = None;
        // Slots that a leg before has not left.
        let mut taken = [false; MAX_SLOTS];
        for (l, leg) in self.legs.iter_mut().enumerate() {
            let member = self.members.get_mut(leg.input)?;
            for n in 0..leg.streams.len() {
                let Some(slot) = leg.streams.get(n).and_then(|s| s.slot) else {
                    continue;
                };
                let end = output.lanes.get(slot).and_then(|lane| lane.end);
                let Some(taken) = taken.get_mut(slot).filter(|taken| !**taken) else {
                    continue;
                };
                if let Some(due) = leg.due(&mut member.input, n, end, now)
                    && first.is_none_or(|(_, _, before)| due < before)
                {
                    first = Some((l, n, due));
                }
                let Some(stream) = leg.streams.get(n) else {
                    continue;
                };
                *taken = !stream.is_over();
                if let (Some(end), Some(lane)) = (stream.ended, output.lanes.get_mut(slot)) {
                    lane.end = Some(end + leg.offset);
                }
            }
        }
        first
    }

    fn send_one(
        &mut self,
        output: &mut Output,
        leg: usize,
        stream: usize,
        due: StreamTime,
        out: Out<'_>,
    ) {
        let Some(leg) = self.legs.get_mut(leg) else {
            return;
        };
        let Some(member) = self.members.get_mut(leg.input) else {
            return;
        };
        let Some(slot) = leg.streams.get(stream).and_then(|s| s.slot) else {
            return;
        };
        let Some(next) = leg.take(&mut member.input, stream) else {
            return;
        };
        let by = next.base + leg.offset;
        output.send(slot, next, by, due, out);
    }

    /// Passes what the tables of the input on air say that is due by `clock`.
    fn inform(&mut self, output: &mut Output, clock: StreamTime) {
        let Some(leg) = self.legs.last() else { return };
        let Some(member) = self.members.get_mut(leg.input) else {
            return;
        };
        let found = &mut member.input.information.found;
        while let Some(passed) = found.front() {
            let due = passed.at + leg.offset;
            if passed.session > leg.session || passed.session == leg.session && due > clock {
                break;
            }
            if passed.session == leg.session && clock - due < INFORMED {
                output.inform(passed, leg.id, due);
            }
            found.pop_front();
        }
    }

    /// Forgets legs of which nothing more is to come.
    fn end_legs(&mut self, clock: StreamTime) {
        let on_air = self.legs.last().map(|leg| leg.id);
        let (members, events) = (&mut self.members, &mut self.events);
        let (foreign, scrambled) = (&mut self.foreign, &mut self.scrambled);
        self.legs.retain_mut(|leg| {
            let late = leg.left_at.is_some_and(|at| clock - at > LONGEST_LEAVE);
            if late {
                leg.close();
            }
            if Some(leg.id) == on_air || !leg.is_over() {
                return true;
            }
            let torn = leg.streams.iter().map(|s| s.torn).sum::<u64>();
            *foreign += leg.streams.iter().map(|s| s.foreign).sum::<u64>();
            *scrambled += leg.streams.iter().map(|s| s.scrambled).sum::<u64>();
            if let Some(member) = members.get_mut(leg.input).filter(|_| torn > 0) {
                member.torn += torn;
                events.push(SwitchEvent::Torn {
                    input: leg.input,
                    units: member.torn,
                });
            }
            false
        });
    }

    fn trim(&mut self, now: Arrival) {
        if self.trimmed_at.is_some_and(|then| now - then < TRIM_EVERY) {
            return;
        }
        self.trimmed_at = Some(now);
        let until = now - self.options.hold - KEPT;
        for member in &mut self.members {
            member.input.trim(until);
        }
        if let (Some(output), Some(leg)) = (&mut self.output, self.legs.last())
            && let Some(member) = self.members.get(leg.input)
        {
            output.name(member.input.naming());
        }
    }

    /// Puts an input on air as if it had the highest priority.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn prefer(&mut self, input: usize) -> Result<(), Refused> {
        self.policy.prefer(input)
    }

    /// Goes by the order of the inputs again.
    pub fn auto(&mut self) {
        self.policy.auto();
    }

    /// Lets an input be used, or not.
    ///
    /// # Errors
    /// When there is no such input.
    pub fn enable(&mut self, input: usize, enabled: bool, now: Arrival) -> Result<(), Refused> {
        self.policy.enable(input, enabled, now)
    }

    /// The input that an operator has asked for, if one has.
    pub const fn preferred(&self) -> Option<usize> {
        self.policy.preferred()
    }

    /// How an input is at `now`; `None` when there is none of that number.
    pub fn status(&self, input: usize, now: Arrival) -> Option<InputStatus> {
        let member = self.members.get(input)?;
        let monitor = member.health.monitor();
        Some(InputStatus {
            on_air: self.on_air() == Some(input),
            enabled: self.policy.is_enabled(input),
            faults: member.faults,
            ready: member.input.description.is_some() && member.input.recovery.is_settled(),
            rate: member.health.rate(),
            packets: monitor.packets(),
            continuity_errors: monitor
                .count(crate::monitor::Check::ContinuityCountError)
                .count,
            silence: member.came.map(|last| now - last),
            time_on_air: member.on_air,
            twin: self
                .twins
                .as_ref()
                .and_then(|t| t.status(input))
                .unwrap_or_default(),
        })
    }

    /// What is in the service of an input, as its tables and its pictures and sound tell.
    pub fn content(&self, input: usize) -> Option<(&Description, Measures)> {
        let member = self.members.get(input)?;
        let description = member.input.description.as_ref()?;
        Some((description, member.health.monitor().content()))
    }

    /// The monitor of an input and its alarms, for a decoder that tells what it finds in it.
    pub fn decoded(&mut self, input: usize) -> Option<(&mut Monitor, &mut Alarms)> {
        Some(self.members.get_mut(input)?.health.decoded())
    }

    /// How long packets are held before they leave.
    pub fn hold(&self) -> Ticks27M {
        self.options.hold + self.twins.as_ref().map(Twins::delay).unwrap_or_default()
    }

    /// Switches so far, the first included.
    pub const fn switches(&self) -> u64 {
        self.switches
    }

    /// Hands over what was observed since the last call.
    pub fn drain_events(&mut self, sink: &mut dyn FnMut(&dyn Event)) {
        self.events.drain(sink);
        if let Some(stuffer) = self.output.as_mut().and_then(Output::stuffer) {
            stuffer.drain_events(sink);
        }
    }

    /// What each input had, and had not, of what its twins have.
    fn count_twins(&self, out: &mut dyn Counters) {
        let Some(twins) = &self.twins else { return };
        for n in 0..self.members.len() {
            let Some(TwinStatus { counts, lag, .. }) = twins.status(n) else {
                continue;
            };
            let mut set = |key, value| out.set(&format!("input_{}_twin_{key}", n + 1), value);
            set("lost_packets", counts.lost);
            set("late_packets", counts.late);
            set("different_packets", counts.different);
            set("repeated_packets", counts.repeated);
            set("lag_ms", u64::try_from(lag.as_millis()).unwrap_or(0));
        }
    }

    /// What was counted.
    pub fn counters(&self, out: &mut dyn Counters) {
        out.set("switches_total", self.switches);
        let missing = u64::try_from(self.missing.as_millis()).unwrap_or(0);
        out.set("missing_ms", missing);
        let torn = self.members.iter().map(|m| m.torn).sum();
        out.set("torn_units_total", torn);
        let overflow = self.members.iter().map(|m| m.overflow).sum();
        out.set("foreign_units_total", self.foreign);
        out.set("scrambled_units_total", self.scrambled);
        out.set("overflow_packets", overflow);
        let held: usize = self.members.iter().map(|m| m.input.held()).sum();
        let mended = self.twins.as_ref().map_or(0, Twins::held);
        out.set("held_packets", (held + mended) as u64);
        self.count_twins(out);
        if let Some(output) = &self.output {
            out.set("out_packets", output.packets);
            out.set("passed_continuity_errors_total", output.breaks);
            out.set("stamps_not_moved_total", output.stamps_not_moved);
            out.set("dropped_sections_total", output.uninformed());
        }
    }
}

/// Where the output's line is at an instant.
fn clock_at(now: Arrival, line: Ticks27M) -> StreamTime {
    StreamTime::from_ticks(now.ticks().saturating_add(line.get()))
}
