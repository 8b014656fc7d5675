# The usual commands: `just` lists them. https://just.systems

_:
    @just --list

# What must hold before each commit
check:
    cargo fmt --all --check
    cargo clippy --all-targets -- -D warnings
    cargo test

# Format Rust, and C and C++ but for the Python package
format:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml
    .ci/format

# Write the C header and the list of the ABI anew
bless:
    MBA_BLESS=1 cargo test --test project header::
    MBA_BLESS=1 cargo test --test project abi::

# Two processes on one file
quickstart:
    cargo run --release --example quickstart

# Compare with peers, in one run
bench *names:
    cargo bench --bench capi -- {{names}}

# The campaign of faults, as CI runs it
faults:
    MBA_FAULTS=ci cargo test --release --test faults

# The model of many handles, as CI runs it
handles:
    MBA_HANDLES=ci cargo test --release --test handles

# All that must hold before a change lands
ci:
    .ci/run
