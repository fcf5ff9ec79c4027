//! The program: all of it is in the library, so that tests and the demo run the very same code.

use std::process::ExitCode;

/// Why not the system's allocator? It keeps a third more memory for each idle connection.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    sidegate::terminal::main()
}
