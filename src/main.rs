//! The `portcullis` program.

use std::process::ExitCode;

/// Ten to thirty per cent less time per check than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portcullis::cli::main()
}
