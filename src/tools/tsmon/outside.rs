//! What others ask of a running monitor, and what it tells them: Prometheus and SNMP.

use std::io::BufReader;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::prometheus::{self, Beside};
use super::snmp;
use crate::cli::report::Level;
use crate::cli::{Context, Error, metrics};
use crate::io::snmp::{PassPersist, TrapSender};
use crate::io::{Endpoint, Source};
use crate::monitor::{Alarm, Alarms, Monitor};
use crate::stream::Counters;
use crate::stream::event::Value;
use crate::ts::PACKET_SIZE;
use crate::units::{BitRate, Ticks27M};

/// How often what is told is brought up to date.
const EVERY: Duration = Duration::from_secs(1);

/// Options of what is told to others.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Prometheus and SNMP")]
pub struct OutsideArgs {
    /// Serve metrics to Prometheus at http://ADDR:PORT/metrics
    #[arg(long, value_name = "ADDR:PORT")]
    prometheus: Option<SocketAddr>,

    /// Send an SNMP v2c trap when an alarm is raised and when it is cleared
    #[arg(long, value_name = "HOST[:PORT]")]
    snmp_trap: Option<String>,

    /// The community of traps
    #[arg(
        long,
        value_name = "NAME",
        default_value = "public",
        requires = "snmp_trap"
    )]
    community: String,

    /// Answer net-snmp's snmpd on stdin and stdout (`pass_persist` in snmpd.conf)
    #[arg(long)]
    snmp_pass_persist: bool,

    /// The arc of HEADEND-MIB
    #[arg(long, value_name = "OID", default_value_t)]
    snmp_oid: snmp::Arc,
}

/// The channels to others that are open.
#[derive(Debug)]
pub struct Outside {
    input: String,
    arc: snmp::Arc,
    page: Option<Arc<Mutex<String>>>,
    traps: Option<TrapSender>,
    agent: Option<PassPersist>,
    /// snmpd closed our stdin.
    dismissed: Arc<AtomicBool>,
    updated: Option<Instant>,
    /// Packets at the last update: when it was, and how many.
    before: (Ticks27M, u64),
    last_packet: Option<f64>,
}

impl OutsideArgs {
    /// stdin and stdout belong to snmpd.
    pub const fn is_agent(&self) -> bool {
        self.snmp_pass_persist
    }

    /// Opens what was asked for.
    ///
    /// # Errors
    /// Where an address cannot be used, or stdin is wanted twice.
    pub fn open(&self, input: &Endpoint, context: &Context) -> Result<Outside, Error> {
        let page = self
            .prometheus
            .map(|at| metrics::serve(at, context))
            .transpose()?;
        let traps = self.snmp_trap.as_deref().map(|to| {
            TrapSender::open(to, &self.community).map_err(|e| {
                Error::usage(anyhow!(e).context(format!("cannot send traps to '{to}'")))
                    .hint("a receiver is HOST, HOST:PORT or [IPV6]:PORT")
            })
        });
        let dismissed = Arc::new(AtomicBool::new(false));
        let agent = if self.snmp_pass_persist {
            if *input == Endpoint::Standard {
                let cause = anyhow!("with --snmp-pass-persist stdin belongs to snmpd");
                return Err(Error::usage(cause).hint("name an INPUT: a file, udp://ADDR:PORT, …"));
            }
            // snmpd has stderr and stdout in one pipe.
            context.report().silence();
            Some(answer_snmpd(&dismissed)?)
        } else {
            None
        };
        Ok(Outside {
            input: input.to_string(),
            arc: self.snmp_oid.clone(),
            page,
            traps: traps.transpose()?,
            agent,
            dismissed,
            updated: None,
            before: (Ticks27M::ZERO, 0),
            last_packet: None,
        })
    }
}

/// Answers snmpd in a thread of its own until it closes our stdin.
fn answer_snmpd(dismissed: &Arc<AtomicBool>) -> Result<PassPersist, Error> {
    let agent = PassPersist::new();
    let (ours, gone) = (agent.clone(), Arc::clone(dismissed));
    std::thread::Builder::new()
        .name("snmp".into())
        .spawn(move || {
            let questions = BufReader::new(std::io::stdin());
            let _ = ours.serve(questions, std::io::stdout());
            gone.store(true, Ordering::Release);
        })?;
    Ok(agent)
}

impl Outside {
    /// True once snmpd has no more questions: the tool ends as at SIGTERM.
    pub fn is_dismissed(&self) -> bool {
        self.dismissed.load(Ordering::Acquire)
    }

    /// Brings what is told up to date, once a second.
    pub fn turn(&mut self, monitor: &Monitor, source: &dyn Source, alarms: &Alarms) {
        let nobody = self.page.is_none() && self.agent.is_none();
        if nobody || self.updated.is_some_and(|then| then.elapsed() < EVERY) {
            return;
        }
        self.updated = Some(Instant::now());
        let (then, before) = self.before;
        let now = (monitor.now().time, monitor.packets());
        let span = now.0 - then;
        if now.1 > before {
            self.last_packet = Some(jiff::Timestamp::now().as_millisecond() as f64 / 1000.0);
        }
        let rate = BitRate::of((now.1 - before) * PACKET_SIZE as u64, span);
        self.before = now;
        let report = monitor.report();
        let raised = &alarms.checks();
        if let Some(agent) = &self.agent {
            let rate = rate.map_or(0, BitRate::get);
            agent.publish(self.arc.objects(&report, &self.input, rate, raised));
        }
        if let Some(page) = &self.page {
            let mut counters = Numbers::default();
            source.counters(&mut counters);
            let beside = Beside {
                input: &self.input,
                last_packet: self.last_packet,
                raised,
                counters: &counters.0,
            };
            let text = prometheus::page(&report, &beside);
            *page.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
    }

    /// An alarm was raised or cleared.
    pub fn alarm(&mut self, alarm: &Alarm, context: &Context) {
        let Some(traps) = &mut self.traps else {
            return;
        };
        let told = snmp::Told {
            raised: alarm.raised,
            check: alarm.check,
            subject: alarm.subject.to_string(),
            errors: alarm.count,
            input: &self.input,
        };
        let (which, variables) = self.arc.notification(&told);
        if let Err(e) = traps.send(&which, &variables) {
            context.say(Level::Warning, &format!("cannot send a trap: {e}"));
        }
    }
}

/// The numbers of a source.
#[derive(Debug, Default)]
struct Numbers(Vec<(String, u64)>);

impl Counters for Numbers {
    fn put(&mut self, key: &str, value: Value) {
        if let Value::Number(n) = value {
            self.0.push((key.to_owned(), u64::try_from(n).unwrap_or(0)));
        }
    }
}
