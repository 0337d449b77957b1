//! Receives, plays out and filters transport streams: see `headend::tools::tsrecv`.

fn main() -> std::process::ExitCode {
    headend::cli::main(headend::tools::tsrecv::run)
}
