//! One file a tool: its manual (the doc comment of `Args`), its options, its `run`.

pub mod tscut;
pub mod tsfallback;
pub mod tsmon;
pub mod tsrecv;
pub mod tsring;

/// A tool, as man pages, completions and tests see it.
pub struct Tool {
    /// The name of the binary.
    pub name: &'static str,
    /// Its command line.
    pub command: fn() -> clap::Command,
}

/// Every tool: a row each, in the order of the README.
pub const ALL: &[Tool] = &[
    Tool {
        name: "tsrecv",
        command: crate::cli::command::<tsrecv::Args>,
    },
    Tool {
        name: "tsring",
        command: crate::cli::command::<tsring::Args>,
    },
    Tool {
        name: "tscut",
        command: crate::cli::command::<tscut::Args>,
    },
    Tool {
        name: "tsfallback",
        command: crate::cli::command::<tsfallback::Args>,
    },
    Tool {
        name: "tsmon",
        command: crate::cli::command::<tsmon::Args>,
    },
];
