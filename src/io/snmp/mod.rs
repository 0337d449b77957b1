//! SNMP: traps that we send, and figures that net-snmp's agent asks us for.

mod agent;
mod trap;

pub use agent::{Objects, PassPersist};
pub use trap::{TRAP_PORT, TrapSender};

/// A value of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// INTEGER.
    Integer(i32),
    /// OCTET STRING.
    Text(String),
    /// Gauge32; what does not fit stands at its end, as RFC 2578 §7.1.7 says.
    Gauge(u64),
    /// Counter64.
    Counter(u64),
}
