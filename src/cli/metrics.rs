//! Figures in Prometheus' text format, version 0.0.4.
//!
//! A page is written family by family: its help and type once, then a line a sample. Names and
//! label names are ours and literal; label values are whatever a stream calls its services, and
//! are escaped.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;

use super::{Context, Error, Level};
use crate::io;

/// `Content-Type` of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a figure behaves.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A page that is being written.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    family: String,
}

impl Page {
    /// An empty page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a family: the samples that follow belong to it.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {word}\n");
        name.clone_into(&mut self.family);
    }

    /// A sample of the family begun last.
    pub fn sample(&mut self, labels: &[(&'static str, &str)], value: f64) {
        self.text.push_str(&self.family);
        for (n, (name, text)) in labels.iter().enumerate() {
            self.text.push(if n == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{name}=\"");
            for c in text.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        // f64's own text is what Prometheus' parser reads; NaN and infinities spell differently.
        let _ = if value.is_nan() {
            writeln!(self.text, " NaN")
        } else if value.is_infinite() {
            writeln!(self.text, " {}Inf", if value > 0.0 { '+' } else { '-' })
        } else {
            writeln!(self.text, " {value}")
        };
    }

    /// The page.
    pub fn finish(self) -> String {
        self.text
    }
}

/// Serves a page at http://ADDR:PORT/metrics; it is empty until the first update.
///
/// # Errors
/// When the address cannot be used.
pub fn serve(at: SocketAddr, context: &Context) -> Result<Arc<Mutex<String>>, Error> {
    let shared = Arc::new(Mutex::new(String::new()));
    let told = Arc::clone(&shared);
    let server = io::HttpServer::start(at, move |path| {
        (path == "/metrics").then(|| io::Page {
            kind: CONTENT_TYPE,
            body: told.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        })
    });
    let server = server.map_err(|e| {
        Error::usage(anyhow!(e).context(format!("cannot serve metrics at {at}")))
            .hint("'ss -ltnp' shows who holds the port; port 0 takes a free one")
    })?;
    let local = server.local_addr();
    context.say(Level::Info, &format!("metrics at http://{local}/metrics"));
    Ok(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_the_format_says() {
        let mut page = Page::new();
        page.family("tsmon_packets_total", Kind::Counter, "Packets,\nall.");
        page.sample(&[], 3.0);
        page.family("tsmon_bitrate_bps", Kind::Gauge, "Bit rate.");
        page.sample(&[("service", "7"), ("name", "A \"B\"\\\n")], 1.5e6);
        page.sample(&[("service", "8")], f64::NAN);
        page.sample(&[("service", "9")], f64::NEG_INFINITY);
        assert_eq!(
            page.finish(),
            "# HELP tsmon_packets_total Packets,\\nall.\n\
             # TYPE tsmon_packets_total counter\n\
             tsmon_packets_total 3\n\
             # HELP tsmon_bitrate_bps Bit rate.\n\
             # TYPE tsmon_bitrate_bps gauge\n\
             tsmon_bitrate_bps{service=\"7\",name=\"A \\\"B\\\"\\\\\\n\"} 1500000\n\
             tsmon_bitrate_bps{service=\"8\"} NaN\n\
             tsmon_bitrate_bps{service=\"9\"} -Inf\n"
        );
    }
}
