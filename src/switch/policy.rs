//! Which input should be on air.
//!
//! Inputs are in order of priority. One with a fault that counts, or that is disabled, is not
//! usable. Down the list the policy goes at once; up again only to an input that was usable for the
//! whole time set (hysteresis). One that was left for a fault is not chosen again for the hold-off
//! as long as another is usable: two inputs that come and go do not make the output flap.

use super::fault::Faults;
use crate::units::{Arrival, Ticks27M};

/// How the policy decides.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PolicyOptions {
    /// How long an input of higher priority must have been usable before it is returned to; `None`:
    /// never.
    pub revert: Option<Ticks27M>,
    /// How long an input that was left for a fault is not chosen while another is usable.
    pub hold_off: Ticks27M,
    /// The last input is a slate: it goes on air only where no other input is usable, and is left
    /// as soon as one was usable for [`PolicyOptions::FROM_SLATE`].
    pub slate: bool,
}

impl PolicyOptions {
    /// How long an input must have been usable to take over from a slate.
    pub const FROM_SLATE: Ticks27M = Ticks27M::from_millis(1_000);
    /// How long inputs are waited for at the beginning before the slate is taken.
    pub const PATIENCE: Ticks27M = Ticks27M::from_millis(3_000);
    /// How long an input of higher priority is waited for at the beginning when another is usable:
    /// for it to begin at all.
    pub const FIRST_PATIENCE: Ticks27M = Ticks27M::from_millis(1_000);
    /// The same where it has begun and has no fault: for its first random-access point.
    pub const POINT_PATIENCE: Ticks27M = Ticks27M::from_millis(5_000);
}

impl Default for PolicyOptions {
    /// 30 s, and 5 s.
    fn default() -> Self {
        Self {
            revert: Some(Ticks27M::SECOND * 30),
            hold_off: Ticks27M::SECOND * 5,
            slate: false,
        }
    }
}

/// Why an input is to be on air.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing was on air.
    First,
    /// The one on air has these faults.
    Faults(Faults),
    /// The one on air was disabled.
    Disabled,
    /// It was usable for long enough, and has the higher priority.
    Revert,
    /// An operator asked for it.
    Manual,
}

impl Reason {
    /// A word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Faults(_) => "faults",
            Self::Disabled => "disabled",
            Self::Revert => "revert",
            Self::Manual => "manual",
        }
    }
}

#[derive(Clone, Debug)]
struct State {
    enabled: bool,
    /// There is something to enter.
    ready: bool,
    faults: Faults,
    /// Something is known of it.
    told: bool,
    usable_since: Option<Arrival>,
    left_at: Option<Arrival>,
}

impl State {
    fn is_usable(&self) -> bool {
        self.enabled && self.ready && self.faults.is_empty()
    }
}

/// Decides, told what each input is like.
#[derive(Clone, Debug)]
pub struct Policy {
    options: PolicyOptions,
    inputs: Vec<State>,
    on_air: Option<usize>,
    preferred: Option<usize>,
    began: Option<Arrival>,
}

/// Why a command was not obeyed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no input of that number.
    NoSuchInput,
    /// It is disabled.
    Disabled,
    /// It has these faults.
    Faulty(Faults),
    /// Nothing of it can be entered yet.
    NotReady,
}

impl Policy {
    /// A policy for so many inputs, of which nothing is known.
    pub fn new(options: PolicyOptions, inputs: usize) -> Self {
        let state = State {
            enabled: true,
            ready: false,
            faults: Faults::NONE,
            told: false,
            usable_since: None,
            left_at: None,
        };
        Self {
            options,
            inputs: vec![state; inputs],
            on_air: None,
            preferred: None,
            began: None,
        }
    }

    /// The input that should be on air.
    pub const fn on_air(&self) -> Option<usize> {
        self.on_air
    }

    /// The input that an operator has asked for, if one has.
    pub const fn preferred(&self) -> Option<usize> {
        self.preferred
    }

    /// Whether an input may be used.
    pub fn is_enabled(&self, input: usize) -> bool {
        self.inputs.get(input).is_some_and(|s| s.enabled)
    }

    /// How an input is at `now`: whether something of it can be entered, and the faults that count.
    pub fn set(&mut self, input: usize, ready: bool, faults: Faults, now: Arrival) {
        if let Some(state) = self.inputs.get_mut(input) {
            (state.ready, state.faults, state.told) = (ready, faults, true);
            state.note(now);
        }
    }

    /// Puts an input on air for now and as long as it is usable, as if it had the highest priority.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn prefer(&mut self, input: usize) -> Result<(), Refused> {
        let state = self.inputs.get(input).ok_or(Refused::NoSuchInput)?;
        match state {
            State { enabled: false, .. } => return Err(Refused::Disabled),
            State { faults, .. } if !faults.is_empty() => return Err(Refused::Faulty(*faults)),
            State { ready: false, .. } => return Err(Refused::NotReady),
            _ => {}
        }
        self.preferred = Some(input);
        Ok(())
    }

    /// Goes by the order of the inputs again.
    pub fn auto(&mut self) {
        self.preferred = None;
    }

    /// Lets an input be used, or not.
    ///
    /// # Errors
    /// When there is no such input.
    pub fn enable(&mut self, input: usize, enabled: bool, now: Arrival) -> Result<(), Refused> {
        let state = self.inputs.get_mut(input).ok_or(Refused::NoSuchInput)?;
        state.enabled = enabled;
        state.note(now);
        if !enabled && self.preferred == Some(input) {
            self.preferred = None;
        }
        Ok(())
    }

    /// The input that was decided for could not be entered: the one on air is this.
    pub fn turned_down(&mut self, on_air: Option<usize>) {
        self.on_air = on_air;
    }

    /// Decides at `now`: tells the input that should be on air from now on when that is another one.
    pub fn decide(&mut self, now: Arrival) -> Option<(usize, Reason)> {
        let began = *self.began.get_or_insert(now);
        let (to, reason) = match self.on_air.and_then(|n| Some((n, self.inputs.get(n)?))) {
            None => {
                let best = self.best(now)?;
                let patience = match self.in_order().next() {
                    Some(first) if first == best => Ticks27M::ZERO,
                    Some(first) if self.has_begun(first) => PolicyOptions::POINT_PATIENCE,
                    _ if self.is_slate(best) => PolicyOptions::PATIENCE,
                    _ => PolicyOptions::FIRST_PATIENCE,
                };
                if now - began < patience {
                    return None;
                }
                (best, Reason::First)
            }
            Some((_, state)) if !state.is_usable() => {
                let reason = match (state.enabled, state.faults.is_empty()) {
                    (false, _) => Reason::Disabled,
                    (true, false) => Reason::Faults(state.faults),
                    // It has nothing to enter any more, and goes on.
                    (true, true) => return None,
                };
                (self.best(now)?, reason)
            }
            Some((on_air, _)) => self.better(on_air, now)?,
        };
        if let (Some(left), Reason::Faults(_)) = (self.on_air, reason)
            && let Some(state) = self.inputs.get_mut(left)
        {
            state.left_at = Some(now);
        }
        self.on_air = Some(to);
        Some((to, reason))
    }

    /// A usable input to return to from one that is usable.
    fn better(&self, on_air: usize, now: Arrival) -> Option<(usize, Reason)> {
        let wanted = self.in_order().take_while(|n| *n != on_air);
        for n in wanted {
            let state = self.inputs.get(n)?;
            if self.preferred == Some(n) && self.on_air != Some(n) && state.is_usable() {
                let asked = state
                    .left_at
                    .is_none_or(|at| now - at >= self.options.hold_off);
                if asked {
                    return Some((n, Reason::Manual));
                }
            }
            let revert = match self.is_slate(on_air) {
                true => Some(PolicyOptions::FROM_SLATE),
                false => self.options.revert,
            };
            let long = |since: Arrival| revert.is_some_and(|revert| now - since >= revert);
            if state.is_usable() && state.usable_since.is_some_and(long) {
                return Some((n, Reason::Revert));
            }
        }
        None
    }

    /// The usable input of highest priority; one that is held off only where there is no other.
    fn best(&self, now: Arrival) -> Option<usize> {
        let usable = || self.in_order().filter(|n| self.is_usable(*n));
        let held = |n: &usize| {
            let left = self.inputs.get(*n).and_then(|s| s.left_at);
            left.is_some_and(|at| now - at < self.options.hold_off)
        };
        let slate = |n: &usize| self.is_slate(*n);
        usable()
            .find(|n| !held(n) && !slate(n))
            .or_else(|| usable().next())
    }

    /// True for an input that has come and has no fault, ready or not.
    fn has_begun(&self, input: usize) -> bool {
        let state = self.inputs.get(input);
        state.is_some_and(|s| s.enabled && s.told && s.faults.is_empty())
    }

    fn is_slate(&self, input: usize) -> bool {
        self.options.slate && input + 1 == self.inputs.len()
    }

    fn is_usable(&self, input: usize) -> bool {
        self.inputs.get(input).is_some_and(State::is_usable)
    }

    fn in_order(&self) -> impl Iterator<Item = usize> + '_ {
        let others = (0..self.inputs.len()).filter(|n| self.preferred != Some(*n));
        self.preferred.into_iter().chain(others)
    }
}

impl State {
    fn note(&mut self, now: Arrival) {
        self.usable_since = match self.is_usable() {
            true => self.usable_since.or(Some(now)),
            false => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Fault;
    use super::*;

    const LOSS: fn() -> Faults = || [Fault::Loss].into_iter().collect();

    fn at(seconds: i64) -> Arrival {
        Arrival::from_ticks(seconds * 27_000_000)
    }

    fn policy(inputs: usize) -> Policy {
        let mut policy = Policy::new(PolicyOptions::default(), inputs);
        for n in 0..inputs {
            policy.set(n, true, Faults::NONE, at(0));
        }
        assert_eq!(policy.decide(at(0)), Some((0, Reason::First)));
        policy
    }

    #[test]
    fn down_at_once_and_up_after_the_time_set() {
        let mut policy = policy(3);
        policy.set(0, true, LOSS(), at(1));
        assert_eq!(policy.decide(at(1)), Some((1, Reason::Faults(LOSS()))));
        policy.set(0, true, Faults::NONE, at(10));
        // A relapse begins the time anew.
        policy.set(0, true, LOSS(), at(30));
        policy.set(0, true, Faults::NONE, at(31));
        assert_eq!(policy.decide(at(60)), None);
        assert_eq!(policy.decide(at(61)), Some((0, Reason::Revert)));
    }

    #[test]
    fn never_is_never() {
        let mut policy = Policy::new(
            PolicyOptions {
                revert: None,
                ..PolicyOptions::default()
            },
            2,
        );
        policy.set(1, true, Faults::NONE, at(0));
        // The first one may come a moment later than the others.
        assert_eq!(policy.decide(at(0)), None);
        assert_eq!(policy.decide(at(1)), Some((1, Reason::First)));
        policy.set(0, true, Faults::NONE, at(1));
        assert_eq!(policy.decide(at(1_000_000)), None);
    }

    #[test]
    fn two_inputs_that_come_and_go_do_not_make_it_flap() {
        let mut policy = policy(3);
        let mut switches = Vec::new();
        // Input 0 and input 1 are faulty in turns, each tenth of a second; 2 is good.
        for n in 0..1000 {
            let now = Arrival::from_ticks(n * 2_700_000);
            let (a, b) = match n % 2 {
                0 => (LOSS(), Faults::NONE),
                _ => (Faults::NONE, LOSS()),
            };
            policy.set(0, true, a, now);
            policy.set(1, true, b, now);
            if let Some((to, _)) = policy.decide(now) {
                switches.push(to);
            }
        }
        assert_eq!(switches, [1, 2]);
    }

    #[test]
    fn an_operator_is_obeyed_and_a_fault_still_counts() {
        let mut policy = policy(3);
        assert_eq!(policy.prefer(3), Err(Refused::NoSuchInput));
        assert_eq!(policy.prefer(2), Ok(()));
        assert_eq!(policy.decide(at(1)), Some((2, Reason::Manual)));
        assert_eq!(policy.decide(at(100)), None);
        policy.set(2, true, LOSS(), at(101));
        assert_eq!(policy.decide(at(101)), Some((0, Reason::Faults(LOSS()))));
        assert_eq!(policy.prefer(2), Err(Refused::Faulty(LOSS())));
        policy.set(2, true, Faults::NONE, at(102));
        // Back to the one asked for, when its hold-off is over.
        assert_eq!(policy.decide(at(103)), None);
        assert_eq!(policy.decide(at(106)), Some((2, Reason::Manual)));
        policy.auto();
        assert_eq!(policy.decide(at(131)), Some((0, Reason::Revert)));
        policy.enable(0, false, at(132)).unwrap();
        assert_eq!(policy.decide(at(132)), Some((1, Reason::Disabled)));
        assert_eq!(policy.prefer(0), Err(Refused::Disabled));
    }

    #[test]
    fn a_slate_is_the_last_resort_and_is_left_soon() {
        let options = PolicyOptions {
            revert: None,
            slate: true,
            ..PolicyOptions::default()
        };
        let mut policy = Policy::new(options, 2);
        policy.set(1, true, Faults::NONE, at(0));
        assert_eq!(policy.decide(at(0)), None);
        assert_eq!(policy.decide(at(2)), None);
        assert_eq!(policy.decide(at(3)), Some((1, Reason::First)));
        policy.set(0, true, Faults::NONE, at(10));
        assert_eq!(policy.decide(at(10)), None);
        assert_eq!(policy.decide(at(11)), Some((0, Reason::Revert)));
        // Not even the hold-off keeps an input off when the slate is all there is beside it.
        policy.set(0, true, LOSS(), at(20));
        assert_eq!(policy.decide(at(20)), Some((1, Reason::Faults(LOSS()))));
        policy.set(0, true, Faults::NONE, at(21));
        assert_eq!(policy.decide(at(22)), Some((0, Reason::Revert)));
    }

    #[test]
    fn where_nothing_is_usable_the_output_stays() {
        let mut policy = policy(2);
        policy.set(1, false, LOSS(), at(1));
        policy.set(0, true, LOSS(), at(1));
        assert_eq!(policy.decide(at(2)), None);
        policy.set(1, true, Faults::NONE, at(3));
        assert_eq!(policy.decide(at(3)), Some((1, Reason::Faults(LOSS()))));
    }
}
