//! What the reception of datagrams observes.

use std::net::IpAddr;

use crate::stream::event::{Event, Severity, Value};

/// What reception observes beyond packets and their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceptionEvent {
    /// The kernel lost datagrams for want of room in the receive buffer.
    KernelDrops {
        /// How many since the last time, at least: several that the kernel had put together count
        /// as one.
        datagrams: u64,
    },
    /// Datagrams come from another sender than before; `source@` picks one.
    SourceChanged {
        /// The address of the sender.
        source: IpAddr,
    },
    /// Datagrams that hold no packets.
    Foreign,
}

impl Event for ReceptionEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::KernelDrops { .. } => "kernel_drops",
            Self::SourceChanged { .. } => "source_changed",
            Self::Foreign => "foreign_datagrams",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::KernelDrops { .. } => Severity::Error,
            Self::SourceChanged { .. } | Self::Foreign => Severity::Warning,
        }
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::KernelDrops { datagrams } => field("lost_datagrams", Value::from(*datagrams)),
            Self::SourceChanged { source } => field("source", Value::from(source.to_string())),
            Self::Foreign => {}
        }
    }
}
