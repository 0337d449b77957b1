//! Compares a stream with its profile, one window after another.

use super::{PidRule, Profile, RateWindow, ScramblingRule, ServiceRule, Unlisted};
use crate::monitor::{Check, Finding, Moment, Out, Seen, Verdict};
use crate::si::{Service, ServiceId, TransportStreamId};
use crate::stream::event::Subject;
use crate::stream::{ProgramEvent, Programs};
use crate::ts::{PACKET_SIZE, Pid, Scrambling};
use crate::units::{BitRate, Ticks27M};

/// Why rates were not judged.
const WHOLE: &str = "no whole window of the profile was measured";

/// The family of checks that a profile brings.
#[derive(Debug)]
pub struct ProfileJudge {
    profile: Profile,
    /// Packets of this window, and how many of them are scrambled.
    counts: Box<[Count]>,
    start: Option<Moment>,
    end: Ticks27M,
    stream: Option<TransportStreamId>,
    services: Vec<(Service, Vec<Pid>)>,
    windows: u64,
}

#[derive(Copy, Clone, Debug, Default)]
struct Count {
    packets: u32,
    scrambled: u32,
}

impl ProfileJudge {
    /// Nothing seen yet.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            counts: vec![Count::default(); Pid::COUNT].into(),
            start: None,
            end: Ticks27M::new(i64::MIN),
            stream: None,
            services: Vec::new(),
            windows: 0,
        }
    }

    /// After a PAT or PMT changed: the services as they are now.
    pub fn services(&mut self, programs: &Programs) {
        self.stream = programs.transport_stream_id();
        let pids = |s: &Service| crate::monitor::content::pids_of(s, programs);
        self.services = programs.services().map(|s| (s.clone(), pids(s))).collect();
    }

    /// Following the tables observed something.
    pub fn event(&mut self, event: &ProgramEvent) {
        if let ProgramEvent::ServiceNamed { service, name } = event {
            let known = self.services.iter_mut().find(|(s, _)| s.id == *service);
            if let Some((known, _)) = known {
                known.name = Some(name.clone());
            }
        }
    }

    /// Takes a packet, null packets included.
    #[inline]
    pub fn push(&mut self, seen: &Seen<'_>, out: Out<'_>) {
        if seen.at.time >= self.end {
            self.tick(seen.at, out);
        }
        if let Some(count) = self.counts.get_mut(seen.pid.index()) {
            count.packets += 1;
            count.scrambled += u32::from(seen.packet.scrambling() != Scrambling::Clear);
        }
    }

    /// Time went on to `at`.
    pub fn tick(&mut self, at: Moment, out: Out<'_>) {
        let Some(start) = self.start else {
            return self.reset(at);
        };
        if at.time >= self.end {
            let window = Window {
                at,
                span: at.time - start.time,
                packets: at.position - start.position,
            };
            // What differs is found again in the next window.
            let again = self.profile.window;
            self.judge(&window, true, &mut |finding| out(finding.lasting(again)));
            self.windows += 1;
            self.reset(at);
        }
    }

    /// The stream has ended: where no window was whole, all but the rates is judged.
    pub fn finish(&mut self, at: Moment, out: Out<'_>) {
        if let Some(start) = self.start.filter(|_| self.windows == 0) {
            let window = Window {
                at,
                span: at.time - start.time,
                packets: at.position - start.position,
            };
            self.judge(&window, false, out);
        }
    }

    /// A window begins.
    pub fn reset(&mut self, at: Moment) {
        self.counts.fill(Count::default());
        self.start = Some(at);
        self.end = at.time + self.profile.window;
    }

    /// Whether its checks could be judged.
    pub fn verdict(&self, check: Check) -> Verdict {
        match check {
            Check::ProfileBitrate if self.windows == 0 => Verdict::NotJudged(WHOLE),
            _ => Verdict::Judged,
        }
    }

    fn judge(&self, window: &Window, rates: bool, out: Out<'_>) {
        let profile = &self.profile;
        let stream = |check| Finding::new(check, Subject::Stream, window.at);
        if let Some(wanted) = profile.transport_stream_id
            && self.stream != Some(wanted)
        {
            let finding = stream(Check::ProfileDescription).with("of", "transport_stream_id");
            let found = self.stream.map_or("none".to_owned(), |id| id.to_string());
            out(finding
                .with("wanted", wanted.to_string())
                .with("found", found));
        }
        if rates {
            let finding = || stream(Check::ProfileBitrate);
            window.rate(
                window.packets,
                profile.bitrate,
                &|| finding().with("of", "total"),
                out,
            );
            let nulls = u64::from(self.count(Pid::NULL).packets);
            window.rate(
                nulls,
                profile.stuffing,
                &|| finding().with("of", "stuffing"),
                out,
            );
        }
        self.judge_services(window, rates, out);
        self.judge_pids(window, rates, out);
    }

    fn judge_services(&self, window: &Window, rates: bool, out: Out<'_>) {
        let subject = |id: ServiceId| Subject::Service(id.0);
        let found = |check, id| Finding::new(check, subject(id), window.at).of(Some(id));
        for rule in &self.profile.services {
            match self.services.iter().find(|(s, _)| s.id == rule.id) {
                Some((service, pids)) => {
                    self.judge_service(rule, service, window, out);
                    if rates {
                        let packets = pids.iter().map(|pid| u64::from(self.count(*pid).packets));
                        let finding = || found(Check::ProfileBitrate, rule.id);
                        window.rate(packets.sum(), rule.bitrate, &finding, out);
                    }
                }
                None if rule.required => out(found(Check::ProfileMissing, rule.id)),
                None => {}
            }
        }
        if self.profile.unlisted_services == Unlisted::Forbidden {
            let listed = |id| self.profile.services.iter().any(|rule| rule.id == id);
            for (service, _) in self.services.iter().filter(|(s, _)| !listed(s.id)) {
                out(found(Check::ProfileUnlisted, service.id));
            }
        }
    }

    fn judge_service(&self, rule: &ServiceRule, service: &Service, window: &Window, out: Out<'_>) {
        let found = |check| {
            Finding::new(check, Subject::Service(service.id.0), window.at).of(Some(service.id))
        };
        if rule.name.is_some() && rule.name != service.name {
            let finding = found(Check::ProfileDescription).with("of", "name");
            let wanted = rule.name.clone().unwrap_or_default();
            let name = service.name.clone().unwrap_or_default();
            out(finding.with("wanted", wanted).with("found", name));
        }
        let counts = service.streams.iter().map(|s| self.count(s.pid));
        let scrambled: u32 = counts.clone().map(|c| c.scrambled).sum();
        let packets: u32 = counts.map(|c| c.packets).sum();
        if let Some(finding) = wrong(rule.scrambling, packets, scrambled, &found) {
            out(finding);
        }
    }

    fn judge_pids(&self, window: &Window, rates: bool, out: Out<'_>) {
        for n in 0..Pid::COUNT {
            let pid = Pid::from_field(n as u16);
            let count = self.count(pid);
            // Rules of ranges are looked for where packets came.
            let rule = match count.packets {
                0 => continue,
                _ => self.rule(pid),
            };
            let service = self.owner(pid);
            let found = |check| Finding::new(check, Subject::Pid(pid), window.at).of(service);
            match rule {
                Some(rule) => {
                    self.describe(rule, pid, &found, out);
                    if let Some(finding) =
                        wrong(rule.scrambling, count.packets, count.scrambled, &found)
                    {
                        out(finding);
                    }
                    if rates {
                        let finding = || found(Check::ProfileBitrate);
                        window.rate(count.packets.into(), rule.bitrate, &finding, out);
                    }
                }
                None if pid == Pid::NULL => {}
                None if self.profile.unlisted_pids == Unlisted::Forbidden => {
                    out(found(Check::ProfileUnlisted).with("packets", u64::from(count.packets)));
                }
                None => {}
            }
        }
        for rule in self.profile.pids.iter().filter(|rule| rule.is_required()) {
            for n in rule.pid.first.get()..=rule.pid.last.get() {
                let pid = Pid::from_field(n);
                if self.count(pid).packets == 0 {
                    let found = Finding::new(Check::ProfileMissing, Subject::Pid(pid), window.at);
                    let absent = window.span.as_millis();
                    out(found.of(self.owner(pid)).with("absent_ms", absent));
                }
            }
        }
    }

    /// Codec and language, by the PMT; not judged before one came.
    fn describe(&self, rule: &PidRule, pid: Pid, found: &dyn Fn(Check) -> Finding, out: Out<'_>) {
        let mut services = self.services.iter();
        let stream = services.find_map(|(s, _)| s.streams.iter().find(|s| s.pid == pid));
        let language = stream.and_then(|s| s.language).map(|l| l.to_string());
        let codec = stream.and_then(|s| s.codec).map(|c| c.name().to_owned());
        let wanted = rule.language.map(|l| l.to_string());
        for (of, wanted, is) in [
            ("codec", rule.codec.map(|c| c.name().to_owned()), codec),
            ("language", wanted, language),
        ] {
            if let Some(wanted) = wanted.filter(|w| Some(w) != is.as_ref()) {
                let finding = found(Check::ProfileDescription).with("of", of);
                let is = is.unwrap_or_else(|| "none".to_owned());
                out(finding.with("wanted", wanted).with("found", is));
            }
        }
    }

    fn rule(&self, pid: Pid) -> Option<&PidRule> {
        self.profile.pids.iter().find(|rule| rule.pid.contains(pid))
    }

    fn owner(&self, pid: Pid) -> Option<ServiceId> {
        let mut services = self.services.iter();
        services
            .find(|(_, pids)| pids.contains(&pid))
            .map(|(s, _)| s.id)
    }

    fn count(&self, pid: Pid) -> Count {
        self.counts.get(pid.index()).copied().unwrap_or_default()
    }
}

/// What is wrong with so many scrambled packets.
fn wrong(
    rule: Option<ScramblingRule>,
    packets: u32,
    scrambled: u32,
    found: &dyn Fn(Check) -> Finding,
) -> Option<Finding> {
    let rule = rule?;
    let holds = match rule {
        ScramblingRule::Clear => scrambled == 0,
        ScramblingRule::Scrambled => scrambled > 0 || packets == 0,
    };
    (!holds).then(|| {
        found(Check::ProfileScrambling)
            .with("wanted", rule.to_string())
            .with("scrambled_packets", u64::from(scrambled))
            .with(
                "clear_packets",
                u64::from(packets.saturating_sub(scrambled)),
            )
    })
}

/// A window that is over.
struct Window {
    at: Moment,
    span: Ticks27M,
    packets: u64,
}

impl Window {
    fn rate(&self, packets: u64, wanted: RateWindow, found: &dyn Fn() -> Finding, out: Out<'_>) {
        let Some(rate) = BitRate::of(packets * PACKET_SIZE as u64, self.span) else {
            return;
        };
        let low = wanted
            .min
            .filter(|min| rate < *min)
            .map(|min| ("min_bps", min));
        let high = wanted
            .max
            .filter(|max| rate > *max)
            .map(|max| ("max_bps", max));
        if let Some((key, limit)) = low.or(high) {
            out(found()
                .with("bitrate_bps", rate.get())
                .with(key, limit.get()));
        }
    }
}
