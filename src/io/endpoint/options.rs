//! What stands behind `?`: options of a socket.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::stream::fec::FecLayout;
use crate::units::ByteCount;

/// Packets in a datagram where nothing else is said: 7 x 188 = 1316 bytes fit every path.
pub(super) const DEFAULT_PACKETS: u8 = 7;
/// Packets in the largest datagram that a jumbo frame of 9000 bytes carries.
const MOST_PACKETS: u8 = 47;
/// The longest wait for FEC.
const LONGEST_FEC_WAIT: Duration = Duration::from_secs(10);

/// A network interface as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interface {
    /// By name: `eth1`.
    Name(String),
    /// By index: `3`.
    Index(u32),
    /// By an address that it has.
    Address(IpAddr),
}

impl Interface {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.trim_matches(['[', ']']).parse() {
            return Ok(Self::Address(address));
        }
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return match text.parse() {
                Ok(index) if index > 0 => Ok(Self::Index(index)),
                _ => Err(format!("'{text}' is no index of an interface")),
            };
        }
        // IFNAMSIZ is 16 with the final NUL; the kernel refuses blanks, / and :.
        let plain = |c: char| c.is_ascii_graphic() && !"/:@&?%[]=".contains(c);
        if (1..=15).contains(&text.len()) && text.chars().all(plain) {
            Ok(Self::Name(text.to_owned()))
        } else {
            Err(format!(
                "'{text}' is no interface; write its name or address"
            ))
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Index(index) => index.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Forward error correction beside RTP (SMPTE ST 2022-1), on the ports + 2 and + 4.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fec {
    /// `auto`: received, the wait for it found out.
    Auto,
    /// A duration: received, and waited for so long.
    Wait(Duration),
    /// `LxD` or `LxD+rows`: sent so. Received, that is found out all the same.
    Matrix(FecLayout),
}

impl Fec {
    fn parse(text: &str) -> Option<Self> {
        if text == "auto" {
            return Some(Self::Auto);
        }
        if let Some((columns, rest)) = text.split_once('x') {
            let (rows, both) = match rest.strip_suffix("+rows") {
                Some(rows) => (rows, true),
                None => (rest, false),
            };
            return FecLayout::new(small(columns)?, small(rows)?, both).map(Self::Matrix);
        }
        let wait = humantime::parse_duration(text).ok()?;
        (!wait.is_zero() && wait <= LONGEST_FEC_WAIT).then_some(Self::Wait(wait))
    }
}

impl fmt::Display for Fec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Wait(wait) => f.write_str(&spell_duration(*wait)),
            Self::Matrix(layout) => {
                write!(f, "{}x{}", layout.columns(), layout.rows())?;
                f.write_str(if layout.has_rows() { "+rows" } else { "" })
            }
        }
    }
}

/// Options of a UDP or RTP endpoint; `None` leaves the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// `iface`: where a group is joined, or where datagrams leave.
    pub interface: Option<Interface>,
    /// `ttl`: of multicast or unicast datagrams sent (hop limit in IPv6).
    pub ttl: Option<u8>,
    /// `tos`: the type-of-service octet (traffic class in IPv6) of datagrams sent.
    pub tos: Option<u8>,
    /// `rcvbuf`: the kernel's receive buffer.
    pub rcvbuf: Option<ByteCount>,
    /// `sndbuf`: the kernel's send buffer.
    pub sndbuf: Option<ByteCount>,
    /// `pkts`: packets in a datagram sent, 1 to 47.
    pub packets: Option<u8>,
    /// `timeout`: after that long a silence the input is at fault.
    pub timeout: Option<Duration>,
    /// `loop`: whether receivers on this machine hear a multicast sent from it.
    pub multicast_loop: Option<bool>,
    /// `ssrc`: of RTP sent.
    pub ssrc: Option<u32>,
    /// `fec`: forward error correction, received or sent.
    pub fec: Option<Fec>,
}

/// Every option's name, for messages.
const KNOWN: &str = "iface, ttl, tos, rcvbuf, sndbuf, pkts, timeout, loop, ssrc, fec";

impl SocketOptions {
    /// Reads `name=value` pairs; a name may stand once.
    pub(super) fn parse<'a>(pairs: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut options = Self::default();
        for pair in pairs {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("the option '{pair}' has no value; known are {KNOWN}"))?;
            options.set(name, value)?;
        }
        Ok(options)
    }

    /// Packets a datagram sent holds.
    pub fn packets_per_datagram(&self) -> usize {
        usize::from(self.packets.unwrap_or(DEFAULT_PACKETS))
    }

    pub(super) fn set_interface(&mut self, interface: Interface) -> Result<(), String> {
        once(&mut self.interface, interface, "the interface")
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let wrong = |wanted: &str| format!("{name}={value}: write {wanted}");
        match name {
            "iface" => self.set_interface(Interface::parse(value)?),
            "ttl" => once(
                &mut self.ttl,
                small(value).ok_or_else(|| wrong("0 to 255"))?,
                name,
            ),
            "tos" => once(
                &mut self.tos,
                small(value).ok_or_else(|| wrong("0 to 255, or 0x0 to 0xff"))?,
                name,
            ),
            "rcvbuf" => once(
                &mut self.rcvbuf,
                size(value).ok_or_else(|| wrong(SIZE))?,
                name,
            ),
            "sndbuf" => once(
                &mut self.sndbuf,
                size(value).ok_or_else(|| wrong(SIZE))?,
                name,
            ),
            "pkts" => once(
                &mut self.packets,
                small(value)
                    .filter(|n| (1..=MOST_PACKETS).contains(n))
                    .ok_or_else(|| wrong("1 to 47 TS packets a datagram"))?,
                name,
            ),
            "timeout" => once(
                &mut self.timeout,
                humantime::parse_duration(value)
                    .ok()
                    .filter(|d| !d.is_zero())
                    .ok_or_else(|| wrong("a duration, 500ms or 10s"))?,
                name,
            ),
            "loop" => once(
                &mut self.multicast_loop,
                match value {
                    "0" => false,
                    "1" => true,
                    _ => return Err(wrong("0 or 1")),
                },
                name,
            ),
            "ssrc" => once(
                &mut self.ssrc,
                number(value).ok_or_else(|| wrong("0 to 4294967295, or 0x and hexadecimal"))?,
                name,
            ),
            "fec" => once(
                &mut self.fec,
                Fec::parse(value).ok_or_else(|| wrong(FEC))?,
                name,
            ),
            _ => Err(format!("the option '{name}' is unknown; known are {KNOWN}")),
        }
    }
}

const FEC: &str = "auto or a duration up to 10s to receive; to send, LxD or LxD+rows: L of 1 to \
                   20 (with rows 4 to 20), D of 4 to 20, L x D of 100 at most";
const SIZE: &str = "a size below 2 GiB: bytes, 8M or 8MiB";

fn once<T>(slot: &mut Option<T>, value: T, name: &str) -> Result<(), String> {
    if slot.replace(value).is_some() {
        return Err(format!("{name} is given twice"));
    }
    Ok(())
}

/// A number in decimal or, after `0x`, in hexadecimal.
fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None => (text, 10),
    };
    (!digits.starts_with('+'))
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
}

fn small(text: &str) -> Option<u8> {
    number(text).and_then(|n| u8::try_from(n).ok())
}

/// A size that the kernel's `int` holds.
fn size(text: &str) -> Option<ByteCount> {
    text.parse::<ByteCount>()
        .ok()
        .filter(|n| (1..=i32::MAX as u64).contains(&n.get()))
}

impl fmt::Display for SocketOptions {
    /// `?name=value&...`, in the order of the manual; nothing when none is set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut join = '?';
        let mut put = |name: &str, value: Option<String>| match value {
            Some(value) => write!(f, "{}{name}={value}", std::mem::replace(&mut join, '&')),
            None => Ok(()),
        };
        put("iface", self.interface.as_ref().map(Interface::to_string))?;
        put("ttl", self.ttl.map(|n| n.to_string()))?;
        put("tos", self.tos.map(|n| n.to_string()))?;
        put("rcvbuf", self.rcvbuf.map(|n| n.get().to_string()))?;
        put("sndbuf", self.sndbuf.map(|n| n.get().to_string()))?;
        put("pkts", self.packets.map(|n| n.to_string()))?;
        put("timeout", self.timeout.map(spell_duration))?;
        put(
            "loop",
            self.multicast_loop.map(|on| u8::from(on).to_string()),
        )?;
        put("ssrc", self.ssrc.map(|n| n.to_string()))?;
        put("fec", self.fec.as_ref().map(Fec::to_string))
    }
}

/// humantime's spelling without its blanks, which a URL would not survive in a shell.
fn spell_duration(duration: Duration) -> String {
    humantime::format_duration(duration)
        .to_string()
        .replace(' ', "")
}
