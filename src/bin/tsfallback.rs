//! Switches between inputs so that the output never stops: see `headend::tools::tsfallback`.

fn main() -> std::process::ExitCode {
    headend::cli::main(headend::tools::tsfallback::run)
}
