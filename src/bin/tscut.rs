//! The binary of [`headend::tools::tscut`].

fn main() -> std::process::ExitCode {
    headend::cli::main(headend::tools::tscut::run)
}
