//! multicat's socket form: `[CONNECT[:PORT]][@BIND[:PORT]][/OPTS]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::options::{Interface, SocketOptions};
use super::{DEFAULT_PORT, Host, Protocol, SocketEndpoint, finish, host_and_port};

/// Reads multicat's form; `None` when `text` is a path: it neither starts with `@` nor with an
/// address that ends there, or before `:`, `@` or `/`.
pub(super) fn parse(text: &str) -> Option<Result<SocketEndpoint, String>> {
    looks_like_a_socket(text).then(|| socket(text))
}

fn looks_like_a_socket(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        return rest
            .split([']', '%'])
            .next()
            .is_some_and(|a| a.parse::<Ipv6Addr>().is_ok());
    }
    let Some(first) = text.split([':', '@', '/']).next() else {
        return false;
    };
    text.starts_with('@') || first.parse::<Ipv4Addr>().is_ok()
}

fn socket(text: &str) -> Result<SocketEndpoint, String> {
    let (places, tail) = text.split_once('/').unwrap_or((text, ""));
    let mut options = options(tail)?;
    let (connect, bind) = places.split_once('@').unwrap_or((places, ""));
    let (connect, connect_port) = place(connect, &mut options)?;
    let (bind, bind_port) = place(bind, &mut options)?;
    let (address, port, source) = match (connect, bind) {
        // 192.0.2.1@239.0.0.1: receive the group from that source.
        (Some(source), Some(group)) if group.is_multicast() && !source.is_multicast() => {
            (group, bind_port, Some(source))
        }
        // 239.0.0.1@192.0.2.1: send to the group from the interface with that address.
        (Some(group), Some(local)) if group.is_multicast() && !local.is_multicast() => {
            options.set_interface(Interface::Address(local))?;
            (group, connect_port, None)
        }
        (Some(a), Some(b)) => {
            return Err(format!(
                "of {a} and {b} neither is a group and the other an address of a host; write \
                 udp://{a}@{b}:PORT to receive from the first, udp://{a}:PORT?iface={b} to send to it"
            ));
        }
        (Some(address), None) => (address, connect_port, None),
        (None, Some(address)) => (address, bind_port, None),
        // `@:5004`, any address; the port may stand on either side.
        (None, None) => (
            Ipv4Addr::UNSPECIFIED.into(),
            bind_port.or(connect_port),
            None,
        ),
    };
    finish(SocketEndpoint {
        protocol: Protocol::Udp,
        host: Host::Address(address),
        port: port.unwrap_or(DEFAULT_PORT),
        source,
        options,
    })
}

/// An address, which may be absent, and a port, which may be too.
fn place(text: &str, options: &mut SocketOptions) -> Result<(Option<IpAddr>, Option<u16>), String> {
    match host_and_port(text, options)? {
        (Some(Host::Name(name)), _) => Err(format!("'{name}' is no address")),
        (Some(Host::Address(address)), port) => Ok((Some(address), port)),
        (None, port) => Ok((None, port)),
    }
}

/// Options joined by `/`, in multicat's names.
fn options(text: &str) -> Result<SocketOptions, String> {
    let mut ours = Vec::new();
    for option in text.split('/').filter(|o| !o.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let name = match name {
            "udp" => continue,
            "ifindex" | "ifaddr" | "ifname" => "iface",
            "rcvbufsz" => "rcvbuf",
            "tcp" | "fd" | "srcaddr" | "srcport" => {
                return Err(format!("multicat's option {name} has no counterpart here"));
            }
            other => other,
        };
        ours.push(format!("{name}={value}"));
    }
    SocketOptions::parse(ours.iter().map(String::as_str))
}
