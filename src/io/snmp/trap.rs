//! SNMP v2c traps (RFC 3416 §4.2.6) over UDP.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Instant;

use rasn::types::{Integer, ObjectIdentifier, OctetString};
use rasn_smi::v1::{Gauge, TimeTicks};
use rasn_smi::v2::{ApplicationSyntax, Counter64, ObjectSyntax, SimpleSyntax};
use rasn_snmp::v2::{Pdu, Trap, VarBind, VarBindValue};
use rasn_snmp::v2c::Message;

use super::Variable;

/// The port of a receiver of traps that names none.
pub const TRAP_PORT: u16 = 162;

/// sysUpTime.0 (RFC 3418).
const SYS_UP_TIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3, 0];
/// snmpTrapOID.0 (RFC 3418).
const SNMP_TRAP_OID: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];

/// Sends traps to one receiver. UDP: a trap may be lost, and none is waited for.
#[derive(Debug)]
pub struct TrapSender {
    socket: UdpSocket,
    community: OctetString,
    begun: Instant,
    request: i32,
}

impl TrapSender {
    /// A sender to `HOST`, `HOST:PORT` or `[IPV6]:PORT`; the name is looked up here, once.
    ///
    /// # Errors
    /// When the name is not known, or no socket can be had.
    pub fn open(receiver: &str, community: &str) -> io::Result<Self> {
        let to = look_up(receiver)?;
        let any: SocketAddr = match to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(to)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            community: community.as_bytes().to_vec().into(),
            begun: Instant::now(),
            request: 0,
        })
    }

    /// Sends a trap; sysUpTime counts from [`open`](Self::open) and wraps after 497 days.
    ///
    /// # Errors
    /// When the system takes no datagram, or an object identifier is none.
    pub fn send(&mut self, trap: &[u32], variables: &[(Vec<u32>, Variable)]) -> io::Result<()> {
        self.request = self.request.wrapping_add(1) & i32::MAX;
        let hundredths = (self.begun.elapsed().as_millis() / 10) as u32;
        let message = trap_message(
            self.community.clone(),
            self.request,
            hundredths,
            trap,
            variables,
        )?;
        self.socket.send(&message).map(drop)
    }
}

fn look_up(receiver: &str) -> io::Result<SocketAddr> {
    let found = if let Ok(address) = receiver.parse::<std::net::IpAddr>() {
        Some((address, TRAP_PORT).into())
    } else if let Ok(mut found) = receiver.to_socket_addrs() {
        found.next()
    } else {
        (receiver, TRAP_PORT).to_socket_addrs()?.next()
    };
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

fn trap_message(
    community: OctetString,
    request_id: i32,
    hundredths: u32,
    trap: &[u32],
    variables: &[(Vec<u32>, Variable)],
) -> io::Result<Vec<u8>> {
    let bind = |name: &[u32], syntax| {
        Ok::<_, io::Error>(VarBind {
            name: object(name)?,
            value: VarBindValue::Value(syntax),
        })
    };
    let ticks = ObjectSyntax::ApplicationWide(ApplicationSyntax::Ticks(TimeTicks(hundredths)));
    let which = ObjectSyntax::Simple(SimpleSyntax::ObjectId(object(trap)?));
    let mut variable_bindings = vec![bind(SYS_UP_TIME, ticks)?, bind(SNMP_TRAP_OID, which)?];
    for (name, value) in variables {
        variable_bindings.push(bind(name, syntax(value))?);
    }
    let message = Message {
        version: Integer::from(Message::<()>::VERSION),
        community,
        data: Trap(Pdu {
            request_id,
            error_status: Pdu::ERROR_STATUS_NO_ERROR,
            error_index: 0,
            variable_bindings,
        }),
    };
    rasn::ber::encode(&message).map_err(|e| invalid(e.to_string()))
}

fn syntax(value: &Variable) -> ObjectSyntax {
    match value {
        Variable::Integer(n) => ObjectSyntax::Simple(SimpleSyntax::Integer((*n).into())),
        Variable::Text(text) => {
            ObjectSyntax::Simple(SimpleSyntax::String(text.as_bytes().to_vec().into()))
        }
        Variable::Gauge(n) => {
            let n = u32::try_from(*n).unwrap_or(u32::MAX);
            ObjectSyntax::ApplicationWide(ApplicationSyntax::Unsigned(Gauge(n)))
        }
        Variable::Counter(n) => {
            ObjectSyntax::ApplicationWide(ApplicationSyntax::BigCounter(Counter64(*n)))
        }
    }
}

fn object(arcs: &[u32]) -> io::Result<ObjectIdentifier> {
    ObjectIdentifier::new(arcs.to_vec())
        .ok_or_else(|| invalid(format!("{arcs:?} is no object identifier")))
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand from X.690 and RFC 3416: a trap with an INTEGER, an OCTET STRING and a Counter64.
    #[test]
    fn a_trap_is_encoded_as_the_clauses_say() {
        let arc = |last| vec![1, 3, 6, 1, 4, 1, 32473, 1, last];
        let variables = [
            (arc(1), Variable::Integer(-2)),
            (arc(2), Variable::Text("ab".into())),
            (arc(3), Variable::Counter(256)),
        ];
        let community = b"public".to_vec().into();
        let message = trap_message(community, 5, 300, &arc(9), &variables).unwrap();
        // 32473 = 1 * 16384 + 125 * 128 + 89: 81 FD 59.
        #[rustfmt::skip]
        let expected: &[u8] = &[
            0x30, 0x77,
            0x02, 0x01, 0x01,
            0x04, 0x06, b'p', b'u', b'b', b'l', b'i', b'c',
            0xA7, 0x6A,
            0x02, 0x01, 0x05, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00,
            0x30, 0x5F,
            0x30, 0x0E, 0x06, 0x08, 0x2B, 6, 1, 2, 1, 1, 3, 0, 0x43, 0x02, 0x01, 0x2C,
            0x30, 0x18, 0x06, 0x0A, 0x2B, 6, 1, 6, 3, 1, 1, 4, 1, 0,
                        0x06, 0x0A, 0x2B, 6, 1, 4, 1, 0x81, 0xFD, 0x59, 1, 9,
            0x30, 0x0F, 0x06, 0x0A, 0x2B, 6, 1, 4, 1, 0x81, 0xFD, 0x59, 1, 1, 0x02, 0x01, 0xFE,
            0x30, 0x10, 0x06, 0x0A, 0x2B, 6, 1, 4, 1, 0x81, 0xFD, 0x59, 1, 2, 0x04, 0x02, b'a', b'b',
            0x30, 0x10, 0x06, 0x0A, 0x2B, 6, 1, 4, 1, 0x81, 0xFD, 0x59, 1, 3, 0x46, 0x02, 0x01, 0x00,
        ];
        assert_eq!(message, expected);
    }

    #[test]
    fn a_receiver_is_named_with_or_without_its_port() {
        let at = |name: &str| look_up(name).unwrap().to_string();
        assert_eq!(at("192.0.2.1"), "192.0.2.1:162");
        assert_eq!(at("192.0.2.1:1162"), "192.0.2.1:1162");
        assert_eq!(at("2001:db8::1"), "[2001:db8::1]:162");
        assert_eq!(at("[2001:db8::1]:1162"), "[2001:db8::1]:1162");
    }
}
