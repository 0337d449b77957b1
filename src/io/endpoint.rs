//! Where packets come from or go: the one grammar of every tool.
//!
//! ```text
//! -                                       stdin or stdout
//! PATH, file:PATH                         file, FIFO, character device
//! udp://[SOURCE@]ADDR:PORT[?OPTS]         TS in UDP
//! rtp://[SOURCE@]ADDR:PORT[?OPTS]         RTP, payload type 33
//! exec:COMMAND                            a program's stdout or stdin, run by `sh -c`
//! [CONNECT[:PORT]][@BIND[:PORT]][/OPTS]   multicat's socket form: plain UDP, default port 1234
//! ```
//!
//! What stands before `@` in a URL is a source address when it is an IP address, else the name of
//! an interface. IPv6 addresses stand in brackets, with `%INTERFACE` where the scope needs it.
//! [`Endpoint`]'s `Display` is the normal form of all of them, and reads back as the same value.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

mod multicat;
mod options;

pub use options::{Fec, Interface, SocketOptions};

/// The port where none is given, in multicat's form only.
pub const DEFAULT_PORT: u16 = 1234;

/// Where packets come from or go.
///
/// ```
/// use headend::io::Endpoint;
/// for (typed, normal) in [
///     ("@239.0.0.1/ttl=4", "udp://239.0.0.1:1234?ttl=4"),
///     ("udp://eth1@239.0.0.1:5000", "udp://239.0.0.1:5000?iface=eth1"),
///     ("rtp://10.0.0.9@232.0.0.1:5000", "rtp://10.0.0.9@232.0.0.1:5000"),
///     ("file:-", "file:-"),
///     ("one.ts", "one.ts"),
/// ] {
///     assert_eq!(typed.parse::<Endpoint>().unwrap().to_string(), normal);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// stdin or stdout.
    Standard,
    /// A regular file, a FIFO or a character device.
    File(PathBuf),
    /// A UDP socket, with or without RTP.
    Socket(SocketEndpoint),
    /// A program run by `sh -c`: its stdout as input, its stdin as output.
    Exec(String),
}

/// What datagrams carry.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Packets alone on output; on input RTP too, which is found by itself.
    Udp,
    /// RTP (RFC 2250, SMPTE ST 2022-2).
    Rtp,
}

/// A host as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address; unspecified (`0.0.0.0`) for any local one.
    Address(IpAddr),
    /// A name, looked up when the socket is opened.
    Name(String),
}

/// A UDP or RTP endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketEndpoint {
    /// What datagrams carry.
    pub protocol: Protocol,
    /// The group, the local address to receive on, or the destination.
    pub host: Host,
    /// The port, never 0.
    pub port: u16,
    /// The only sender to be heard: source-specific multicast where the host is a group.
    pub source: Option<IpAddr>,
    /// What stands behind `?`.
    pub options: SocketOptions,
}

impl SocketEndpoint {
    /// True when the host is a multicast group.
    pub fn is_multicast(&self) -> bool {
        matches!(&self.host, Host::Address(a) if a.is_multicast())
    }
}

/// A text that is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseEndpointError {
    text: String,
    why: String,
}

impl ParseEndpointError {
    pub(crate) fn new(text: &str, why: impl Into<String>) -> Self {
        Self {
            text: text.to_owned(),
            why: why.into(),
        }
    }
}

impl fmt::Display for ParseEndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no endpoint: {}", self.text, self.why)
    }
}

impl std::error::Error for ParseEndpointError {}

impl FromStr for Endpoint {
    type Err = ParseEndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|why| ParseEndpointError::new(text, why))
    }
}

/// Reads an endpoint, or says why it is none.
fn parse(text: &str) -> Result<Endpoint, String> {
    if text.is_empty() {
        return Err("it is empty; write - for stdin or stdout".to_owned());
    }
    if text.contains('\0') {
        return Err("no path or address holds a NUL".to_owned());
    }
    if text == "-" {
        return Ok(Endpoint::Standard);
    }
    if let Some(path) = text.strip_prefix("file:") {
        return if path.is_empty() {
            Err("a path must follow file:".to_owned())
        } else {
            Ok(Endpoint::File(path.into()))
        };
    }
    if let Some(command) = text.strip_prefix("exec:") {
        return if command.trim().is_empty() {
            Err("a command must follow exec:".to_owned())
        } else {
            Ok(Endpoint::Exec(command.to_owned()))
        };
    }
    if let Some(rest) = text.strip_prefix("udp://") {
        return url(Protocol::Udp, rest).map(Endpoint::Socket);
    }
    if let Some(rest) = text.strip_prefix("rtp://") {
        return url(Protocol::Rtp, rest).map(Endpoint::Socket);
    }
    if let Some(scheme) = unknown_scheme(text) {
        return Err(match scheme {
            "srt" | "rist" => format!(
                "{scheme} goes through its own program: \
                 exec:srt-live-transmit '{text}' file://con"
            ),
            _ => format!(
                "the scheme {scheme} is unknown; known are udp://, rtp://, file: and exec: \
                 (./{text} for a file of that name)"
            ),
        });
    }
    if let Some(socket) = multicat::parse(text) {
        return socket.map(Endpoint::Socket);
    }
    Ok(Endpoint::File(text.into()))
}

/// The scheme of a text that reads like a URL.
fn unknown_scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let mut letters = scheme.chars();
    (letters.next()?.is_ascii_alphabetic()
        && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)))
    .then_some(scheme)
}

/// `[SOURCE@]ADDR:PORT[?OPTS]`.
fn url(protocol: Protocol, text: &str) -> Result<SocketEndpoint, String> {
    let (place, options) = text.split_once('?').unwrap_or((text, ""));
    let place = place.strip_suffix('/').unwrap_or(place);
    let mut options = SocketOptions::parse(options.split('&').filter(|o| !o.is_empty()))?;
    let (before, place) = match place.rsplit_once('@') {
        Some((before, place)) => (before, place),
        None => ("", place),
    };
    let (host, port) = host_and_port(place, &mut options)?;
    let port = port.ok_or("the port is missing; write ADDR:PORT")?;
    let source = match (before, before.trim_matches(['[', ']']).parse::<IpAddr>()) {
        ("", _) => None,
        (_, Ok(source)) => Some(source),
        (name, Err(_)) => {
            options.set_interface(Interface::parse(name)?)?;
            None
        }
    };
    finish(SocketEndpoint {
        protocol,
        host: host.unwrap_or(Host::Address(Ipv4Addr::UNSPECIFIED.into())),
        port,
        source,
        options,
    })
}

/// What no form of an endpoint may say.
fn finish(endpoint: SocketEndpoint) -> Result<SocketEndpoint, String> {
    let SocketEndpoint {
        host, source, port, ..
    } = &endpoint;
    if *port == 0 {
        return Err("port 0 is none".to_owned());
    }
    if let (Host::Address(address), Some(source)) = (host, source)
        && address.is_ipv4() != source.is_ipv4()
    {
        return Err(format!(
            "the source {source} and the address {address} are of different families"
        ));
    }
    if source.is_some_and(|s| s.is_multicast() || s.is_unspecified()) {
        return Err("the source before @ must be one sender's address".to_owned());
    }
    Ok(endpoint)
}

/// `[HOST][:PORT]`; a scope in brackets (`[ff02::1%eth0]`) becomes the interface.
fn host_and_port(
    text: &str,
    options: &mut SocketOptions,
) -> Result<(Option<Host>, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']').ok_or("the bracket [ is not closed")?;
            let (address, scope) = match inside.split_once('%') {
                Some((address, scope)) => (address, Some(scope)),
                None => (inside, None),
            };
            let address: Ipv6Addr = address
                .parse()
                .map_err(|_| format!("'{address}' is no IPv6 address"))?;
            if let Some(scope) = scope {
                options.set_interface(Interface::parse(scope)?)?;
            }
            let port = match after.strip_prefix(':') {
                Some(port) => Some(port),
                None if after.is_empty() => None,
                None => return Err(format!("'{after}' behind the bracket is no port")),
            };
            (Some(Host::Address(address.into())), port)
        }
        None => {
            let (host, port) = match text.split_once(':') {
                Some((_, rest)) if rest.contains(':') => {
                    return Err("an IPv6 address stands in brackets: [ff15::1]:1234".to_owned());
                }
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            (
                if host.is_empty() {
                    None
                } else {
                    Some(named(host)?)
                },
                port,
            )
        }
    };
    let port = port
        .map(|p| {
            p.parse::<u16>()
                .ok()
                .filter(|n| *n > 0 && !p.starts_with('+'))
                .ok_or_else(|| format!("'{p}' is no port; write 1 to 65535"))
        })
        .transpose()?;
    Ok((host, port))
}

/// An IPv4 address or a host name.
fn named(host: &str) -> Result<Host, String> {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    let plain = host
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    // A last label of digits is a mistyped address and never a name (RFC 3696 §2).
    let numeric = host
        .rsplit('.')
        .find(|label| !label.is_empty())
        .is_none_or(|label| label.bytes().all(|b| b.is_ascii_digit()));
    if plain && !numeric && !host.starts_with('-') {
        Ok(Host::Name(host.to_owned()))
    } else {
        Err(format!("'{host}' is no address"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => f.write_str("-"),
            Self::Exec(command) => write!(f, "exec:{command}"),
            Self::Socket(socket) => socket.fmt(f),
            Self::File(path) => {
                let text = path.to_string_lossy();
                // A path that would read as something else wears the prefix.
                match parse(&text) {
                    Ok(Self::File(same)) if same == *path => f.write_str(&text),
                    _ => write!(f, "file:{text}"),
                }
            }
        }
    }
}

impl fmt::Display for SocketEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.protocol {
            Protocol::Udp => "udp://",
            Protocol::Rtp => "rtp://",
        })?;
        match self.source {
            Some(IpAddr::V4(source)) => write!(f, "{source}@")?,
            Some(IpAddr::V6(source)) => write!(f, "[{source}]@")?,
            None => {}
        }
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}")?,
            Host::Name(name) => f.write_str(name)?,
        }
        write!(f, ":{}{}", self.port, self.options)
    }
}

#[cfg(test)]
mod tests;
