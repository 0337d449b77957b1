//! The binary of [`headend::tools::tsring`].

fn main() -> std::process::ExitCode {
    headend::cli::main(headend::tools::tsring::run)
}
