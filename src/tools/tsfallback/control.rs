//! What an operator says over the control socket, and what is answered.

use std::path::Path;

use anyhow::anyhow;
use serde_json::json;

use super::reception::Reception;
use crate::cli::Error;
use crate::io::ControlSocket;
use crate::switch::{Fault, Refused, Switch};
use crate::units::{Arrival, BitRate};

/// A command that was understood.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Order {
    Status,
    Switch(usize),
    Auto,
    Enable(usize),
    Disable(usize),
}

/// Opens the socket.
///
/// # Errors
/// When it cannot be made.
pub(super) fn open(path: &Path, mode: u32) -> Result<ControlSocket, Error> {
    ControlSocket::open(path, mode).map_err(|e| {
        let what = format!("cannot listen at '{}'", path.display());
        Error::usage(anyhow!(e).context(what)).hint("--control takes the name of a Unix socket")
    })
}

/// A mode in octal digits.
pub(super) fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|m| *m <= 0o777);
    mode.ok_or_else(|| "write octal digits, as 0660".to_owned())
}

fn order(text: &str, inputs: usize) -> Result<Order, String> {
    let mut words = text.split_whitespace();
    let (word, number) = (words.next().unwrap_or_default(), words.next());
    if words.next().is_some() {
        return Err(format!("'{text}' has too many words"));
    }
    let input = || match number.map(str::parse::<usize>) {
        Some(Ok(n)) if (1..=inputs).contains(&n) => Ok(n - 1),
        Some(_) => Err(format!("write an input from 1 to {inputs}")),
        None => Err(format!("'{word}' needs an input from 1 to {inputs}")),
    };
    match (word, number) {
        ("status", None) => Ok(Order::Status),
        ("auto", None) => Ok(Order::Auto),
        ("switch", _) => input().map(Order::Switch),
        ("enable", _) => input().map(Order::Enable),
        ("disable", _) => input().map(Order::Disable),
        ("status" | "auto", Some(_)) => Err(format!("'{word}' takes no number")),
        _ => Err(format!(
            "'{word}' is not known; write status, switch N, auto, enable N or disable N"
        )),
    }
}

/// Obeys a command; gives the line that answers it.
pub(super) fn obey(
    text: &str,
    switch: &mut Switch,
    receptions: &[&Reception],
    inputs: usize,
    now: Arrival,
) -> String {
    let done = match order(text, inputs) {
        Ok(Order::Status) => return status(switch, receptions, inputs, now).to_string(),
        Ok(Order::Switch(n)) => switch.prefer(n).map_err(|refused| (n, refused)),
        Ok(Order::Auto) => {
            switch.auto();
            Ok(())
        }
        Ok(Order::Enable(n)) => switch.enable(n, true, now).map_err(|r| (n, r)),
        Ok(Order::Disable(n)) => switch.enable(n, false, now).map_err(|r| (n, r)),
        Err(why) => return format!("error: {why}"),
    };
    match done {
        Ok(()) => "ok".to_owned(),
        Err((n, refused)) => {
            let why = match refused {
                Refused::NoSuchInput => "is not there".to_owned(),
                Refused::Disabled => "is disabled".to_owned(),
                Refused::Faulty(faults) => format!("has faults: {faults}"),
                Refused::NotReady => "has nothing to enter yet".to_owned(),
            };
            format!("error: input {} {why}", n + 1)
        }
    }
}

/// How things are, as one JSON object; its keys are fixed, more may come to stand beside them.
pub(super) fn status(
    switch: &Switch,
    receptions: &[&Reception],
    inputs: usize,
    now: Arrival,
) -> serde_json::Value {
    let number = |n: Option<usize>| n.map(|n| n + 1);
    let each = receptions.iter().enumerate().filter_map(|(n, reception)| {
        let status = switch.status(n, now)?;
        let faults: Vec<_> = status.faults.iter().map(Fault::name).collect();
        Some(json!({
            "input": n + 1,
            "endpoint": reception.endpoint.to_string(),
            "slate": n >= inputs,
            "on_air": status.on_air,
            "enabled": status.enabled,
            "failing": reception.failing(),
            "ready": status.ready,
            "faults": faults,
            "bitrate_bps": status.rate.map(BitRate::get),
            "packets": status.packets,
            "continuity_errors": status.continuity_errors,
            "silence_ms": status.silence.map(|s| s.as_millis()),
            "on_air_ms": status.time_on_air.as_millis(),
            "twins": status.twin.twins.iter().map(|n| n + 1).collect::<Vec<_>>(),
            "twin_lost_packets": status.twin.counts.lost,
            "twin_late_packets": status.twin.counts.late,
            "twin_different_packets": status.twin.counts.different,
            "twin_lag_ms": status.twin.lag.as_millis(),
        }))
    });
    json!({
        "on_air": number(switch.on_air()),
        "preferred": number(switch.preferred()),
        "switches": switch.switches(),
        "inputs": each.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_or_refused_in_words() {
        for (text, expected) in [
            ("status", Ok(Order::Status)),
            ("auto", Ok(Order::Auto)),
            ("switch 2", Ok(Order::Switch(1))),
            ("  enable   1 ", Ok(Order::Enable(0))),
            ("disable 2", Ok(Order::Disable(1))),
            ("switch", Err("'switch' needs an input from 1 to 2")),
            ("switch 3", Err("write an input from 1 to 2")),
            ("switch 0", Err("write an input from 1 to 2")),
            ("switch 1 2", Err("'switch 1 2' has too many words")),
            ("auto 1", Err("'auto' takes no number")),
        ] {
            assert_eq!(order(text, 2), expected.map_err(str::to_owned), "{text}");
        }
        assert!(order("go", 2).unwrap_err().contains("status, switch N"));
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode("0660"), Ok(0o660));
        for text in ["9", "1000", "", "rw"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }
}
