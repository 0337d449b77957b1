//! Signals as flags that a data loop looks at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

/// What has been asked for by signal. Clones share the flags.
///
/// A system call that waits returns early (EINTR) when one arrives only if the kernel picked its
/// thread: a loop looks at the flags at least every 200 ms.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    statistics: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    /// Catches SIGINT and SIGTERM (end of input), SIGUSR1 (statistics) and SIGHUP (configuration),
    /// which does nothing where there is no file to read anew: a process survives its terminal,
    /// and one `ExecReload` serves every unit.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn install() -> io::Result<Self> {
        let signals = Self::default();
        // A second Ctrl-C, when the first has not helped, ends the process as it ends any.
        // Registered before the flag itself, so it sees what the signals before left. A second
        // SIGTERM is heard as the first was: timeout(1) sends two, and the end is near anyway.
        signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&signals.stop))?;
        for (signal, flag) in [
            (SIGINT, &signals.stop),
            (SIGTERM, &signals.stop),
            (SIGUSR1, &signals.statistics),
            (SIGHUP, &signals.reload),
        ] {
            signal_hook::flag::register(signal, Arc::clone(flag))?;
        }
        Ok(signals)
    }

    /// True once SIGINT or SIGTERM came.
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The flag of [`Signals::stop`], for an endpoint that waits: `OutputOptions::stop`.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// True once for each SIGUSR1 (several at once count as one).
    pub fn take_statistics(&self) -> bool {
        self.statistics.swap(false, Ordering::Relaxed)
    }

    /// True once for each SIGHUP (several at once count as one).
    pub fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level::raise;

    #[test]
    fn a_signal_sets_its_flag_and_nothing_else() {
        let signals = Signals::install().unwrap();
        assert!(!signals.take_statistics() && !signals.stop());
        raise(SIGUSR1).unwrap();
        raise(SIGHUP).unwrap();
        assert!(signals.take_statistics() && !signals.take_statistics());
        assert!(signals.take_reload() && !signals.take_reload());
        assert!(!signals.take_statistics() && !signals.stop());
        raise(SIGTERM).unwrap();
        assert!(signals.stop() && signals.stop());
        // timeout(1) sends a second one: nobody dies of it.
        raise(SIGTERM).unwrap();
        assert!(signals.stop());
    }
}
