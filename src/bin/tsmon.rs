//! Measures transport streams and says what is wrong with them: see `headend::tools::tsmon`.

fn main() -> std::process::ExitCode {
    headend::cli::main(headend::tools::tsmon::run)
}
