//! A profile of a stream that is as it should be.

use super::{PidRange, PidRule, Profile, RateWindow, ScramblingRule, ServiceRule, Unlisted};
use crate::monitor::Report;
use crate::monitor::content::{PidContent, Rate};
use crate::ts::Pid;
use crate::units::BitRate;

/// How far beyond what was seen a rate may go, in percent.
const MARGIN_PERCENT: u64 = 25;

impl Profile {
    /// What `report` shows, with room around its rates: the stream it is of keeps to it.
    pub fn learned(report: &Report) -> Self {
        let content = &report.content;
        let scrambling = |scrambled: bool| match scrambled {
            true => ScramblingRule::Scrambled,
            false => ScramblingRule::Clear,
        };
        let services = report.services.iter().map(|service| {
            let seen = content.services.iter().find(|s| s.id == service.id);
            let pids = report.pids.iter().filter(|p| service.pids.contains(&p.pid));
            let scrambled = pids.clone().any(|p| p.scrambled_packets > 0);
            ServiceRule {
                id: service.id,
                name: Some(service.name.clone()).filter(|n| !n.is_empty()),
                required: true,
                scrambling: Some(scrambling(scrambled)),
                bitrate: seen.map(|s| around(&s.rate)).unwrap_or_default(),
            }
        });
        let pids = report
            .pids
            .iter()
            .filter(|p| p.pid != Pid::NULL.get() && p.pid > 0x1F);
        let pids = pids.map(|pid| {
            let seen = content.pids.iter().find(|p| p.pid == pid.pid);
            let steady = seen.is_some_and(is_steady);
            let moving = matches!(pid.kind, "video" | "audio");
            let mixed = pid.scrambled_packets > 0 && pid.scrambled_packets < pid.packets;
            PidRule {
                pid: Pid::from_field(pid.pid).into(),
                required: Some(steady),
                codec: pid.codec.and_then(|name| name.parse().ok()),
                // A code that is not three letters cannot be asked for.
                language: pid.language.filter(|l| l.to_string().parse() == Ok(*l)),
                scrambling: (!mixed).then(|| scrambling(pid.scrambled_packets > 0)),
                bitrate: match seen {
                    Some(seen) if steady && moving => around(&seen.rate),
                    _ => RateWindow::default(),
                },
            }
        });
        let mut pids: Vec<_> = pids.collect();
        // What tables of PSI and SI are there is for the checks of TR 101 290.
        pids.push(PidRule {
            pid: PidRange {
                first: Pid::PAT,
                last: Pid::from_field(0x1F),
            },
            required: None,
            codec: None,
            language: None,
            scrambling: Some(ScramblingRule::Clear),
            bitrate: RateWindow::default(),
        });
        let total = around(&content.total);
        Self {
            transport_stream_id: report.transport_stream_id,
            window: Self::WINDOW,
            bitrate: total,
            stuffing: RateWindow {
                min: None,
                max: around(&content.stuffing).max,
            },
            unlisted_services: Unlisted::Forbidden,
            unlisted_pids: Unlisted::Forbidden,
            services: services.collect(),
            pids,
        }
    }
}

/// Packets came in every second.
fn is_steady(pid: &PidContent) -> bool {
    pid.rate.min_bps.is_some_and(|bps| bps > 0)
}

/// From what the lowest second had to what the highest had, and the margin; rounded outwards to
/// whole kbit/s.
fn around(rate: &Rate) -> RateWindow {
    let Some((min, max)) = rate.min_bps.zip(rate.max_bps) else {
        return RateWindow::default();
    };
    let lowest = min * (100 - MARGIN_PERCENT) / 100 / 1000 * 1000;
    let highest = (max * (100 + MARGIN_PERCENT) / 100).div_ceil(1000) * 1000;
    let some = |bps| Some(BitRate::new(bps)).filter(|_| bps > 0);
    RateWindow {
        min: some(lowest),
        max: some(highest),
    }
}
