//! The objects and notifications of `examples/snmp/HEADEND-MIB.txt`.

use std::str::FromStr;

use crate::io::snmp::{Objects, Variable};
use crate::monitor::{Check, Report};

use super::prometheus::SERVICES;

/// The arc of the MIB: by default the one that RFC 5612 sets aside for documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arc(Vec<u32>);

impl Default for Arc {
    fn default() -> Self {
        Self(vec![1, 3, 6, 1, 4, 1, 32473, 1])
    }
}

impl FromStr for Arc {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let arcs = text.strip_prefix('.').unwrap_or(text).split('.');
        let arcs: Option<Vec<u32>> = arcs.map(|arc| arc.parse().ok()).collect();
        // The first two are encoded in one number (X.690 8.19.4): there are three roots, and below
        // the first two of them 40 arcs.
        let is_encoded = |arcs: &[u32]| match *arcs {
            [0 | 1, second, ..] => second < 40,
            [first, ..] => first == 2,
            [] => false,
        };
        match arcs {
            Some(arcs) if (3..=32).contains(&arcs.len()) && is_encoded(&arcs) => Ok(Self(arcs)),
            _ => Err("an object identifier is 3 to 32 numbers with dots between, as 1.3.6.1.4.1.N"),
        }
    }
}

impl std::fmt::Display for Arc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|arc| write!(f, ".{arc}"))
    }
}

/// An alarm, as a notification tells it.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    /// It is raised, not cleared.
    pub raised: bool,
    /// Which check.
    pub check: Check,
    /// About what.
    pub subject: String,
    /// What the check has found since the alarm was raised.
    pub errors: u64,
    /// Where the stream comes from.
    pub input: &'a str,
}

impl Arc {
    fn below(&self, arcs: &[u32]) -> Vec<u32> {
        [&self.0, arcs].concat()
    }

    /// The notification of an alarm, and what it carries.
    pub fn notification(&self, told: &Told<'_>) -> (Vec<u32>, Vec<(Vec<u32>, Variable)>) {
        let text = |text: &str| Variable::Text(short(text));
        let priority = i32::from(told.check.priority().number());
        (
            self.below(&[0, if told.raised { 1 } else { 2 }]),
            vec![
                (self.below(&[1, 1, 0]), text(told.input)),
                (self.below(&[1, 10, 0]), text(told.check.name())),
                (self.below(&[1, 11, 0]), Variable::Integer(priority)),
                (self.below(&[1, 12, 0]), text(&told.subject)),
                (self.below(&[1, 13, 0]), Variable::Counter(told.errors)),
            ],
        )
    }

    /// Every object that can be read. `bitrate_bps` is the rate of the last second.
    pub fn objects(
        &self,
        report: &Report,
        input: &str,
        bitrate_bps: u64,
        raised: &[Check],
    ) -> Objects {
        let mut objects = Objects::new();
        let mut put = |arcs: &[u32], value| drop(objects.insert(self.below(arcs), value));
        let errors = |of: &dyn Fn(u16) -> bool| {
            let pids = report.pids.iter().filter(|p| of(p.pid));
            Variable::Counter(pids.map(|p| p.continuity_errors).sum())
        };
        put(&[1, 1, 0], Variable::Text(short(input)));
        put(&[1, 2, 0], Variable::Counter(report.packets));
        put(&[1, 3, 0], Variable::Gauge(bitrate_bps / 1000));
        put(&[1, 4, 0], Variable::Counter(report.sync_losses));
        put(&[1, 5, 0], Variable::Counter(report.transport_errors));
        put(&[1, 6, 0], errors(&|_| true));
        put(&[1, 7, 0], Variable::Gauge(raised.len() as u64));
        for (row, check) in (1..).zip(&report.checks) {
            let name = Variable::Text(check.check.name().to_owned());
            let priority = Variable::Integer(check.priority.number().into());
            put(&[1, 8, 1, 2, row], name);
            put(&[1, 8, 1, 3, row], priority);
            put(&[1, 8, 1, 4, row], truth(check.judged));
            put(&[1, 8, 1, 5, row], truth(raised.contains(&check.check)));
            put(&[1, 8, 1, 6, row], Variable::Counter(check.count));
        }
        for service in report.services.iter().take(SERVICES) {
            let row = u32::from(service.id.0);
            let name = Variable::Text(short(&service.name));
            put(&[1, 9, 1, 2, row], name);
            put(
                &[1, 9, 1, 3, row],
                Variable::Gauge(service.bitrate_bps / 1000),
            );
            put(&[1, 9, 1, 4, row], truth(service.scrambled));
            put(
                &[1, 9, 1, 5, row],
                errors(&|pid| service.pids.contains(&pid)),
            );
        }
        objects
    }
}

/// TruthValue (RFC 2579): true is 1 and false 2.
const fn truth(yes: bool) -> Variable {
    Variable::Integer(if yes { 1 } else { 2 })
}

/// As much of a text as an object holds: 255 bytes.
fn short(text: &str) -> String {
    let end = (0..=text.len().min(255)).rfind(|n| text.is_char_boundary(*n));
    text[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arc_is_read_with_and_without_its_first_dot() {
        assert_eq!(Arc::default().to_string(), ".1.3.6.1.4.1.32473.1");
        assert_eq!("1.3.6.1.4.1.32473.1".parse(), Ok(Arc::default()));
        assert_eq!(".1.3.6.1.4.1.32473.1".parse(), Ok(Arc::default()));
        for wrong in ["", "1.3", "1.3.6.x", "1..3", "1.3.6.", "3.1.1", "1.40.1"] {
            assert!(wrong.parse::<Arc>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        assert_eq!(short(&"é".repeat(200)).len(), 254);
        assert_eq!(short("France 2"), "France 2");
    }
}
