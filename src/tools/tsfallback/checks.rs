//! What must be right before anything begins.

use anyhow::anyhow;

use super::Args;
use crate::cli::Error;
use crate::io::{Endpoint, absence};
use crate::switch::Faults;

/// The faults that are found by decoding are asked for together with it.
///
/// # Errors
/// When one is named without the other.
pub(super) fn decoding(args: &Args) -> Result<(), Error> {
    let asked: Faults = args.on.iter().copied().collect();
    let decoded = asked.among(Faults::DECODED);
    if !decoded.is_empty() && !args.decode {
        let error = anyhow!("{decoded} cannot be found without decoding");
        return Err(Error::usage(error).hint(format!("--decode --on {}", list(asked))));
    }
    if args.decode && decoded.is_empty() && !args.on.is_empty() {
        let error = anyhow!(
            "--decode finds {}, and --on names none of them",
            Faults::DECODED
        );
        let all = list(asked.and(Faults::DECODED));
        return Err(Error::usage(error).hint(format!("--decode --on {all}")));
    }
    Ok(())
}

/// Faults as they are written on the command line.
fn list(faults: Faults) -> String {
    faults.to_string().replace(", ", ",")
}

/// Something may come: an input that is not there yet is waited for, and where there is nothing else
/// that is a wrong path.
///
/// # Errors
/// When nothing is there, or stdin is a terminal.
pub(super) fn presence(args: &Args) -> Result<(), Error> {
    let mut standard = args.input.iter().filter(|i| **i == Endpoint::Standard);
    if let Some(terminal) = standard.find_map(absence) {
        return Err(terminal.into());
    }
    let absent: Vec<_> = args.input.iter().filter_map(absence).collect();
    let all = absent.len() == args.input.len() && args.slate.is_none();
    match absent.into_iter().next() {
        Some(first) if all => {
            let error = anyhow!(first).context("no input is there");
            Err(Error::usage(error).hint(
                "beside another input or a slate, a path at which nothing is yet is waited for",
            ))
        }
        _ => Ok(()),
    }
}
