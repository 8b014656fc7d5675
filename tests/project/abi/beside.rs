//! The static library brings Rust's own along, and shares a program with what another Rust crate brings.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::helpers::{Place, binary_directory, output_of};

/// Uses what has global state or runs when a program starts: threads, panics, arguments, allocation.
const OTHER: &str = r#"
#[unsafe(no_mangle)]
pub extern "C" fn other() -> usize {
    let arguments: Vec<String> = std::env::args().collect();
    std::panic::set_hook(Box::new(|_| {}));
    let panicked = std::panic::catch_unwind(|| panic!("on purpose")).is_err();
    std::thread::spawn(move || arguments.len() + usize::from(panicked)).join().unwrap()
}
"#;

const PROGRAM: &str = r#"
#include "mmap_backed_array.h"
#include <stdio.h>
size_t other(void);
int main(void)
{
    mba_array *array;
    uint32_t value = 7;
    int code = mba_anon(MBA_UINT32, &array);
    if (code == MBA_OK) code = mba_append(array, &value);
    if (code == MBA_OK) code = mba_push(array, &value, sizeof value);
    printf("%d %zu %zu\n", code, mba_len(array), other());
    mba_free(array);
    return 0;
}
"#;

#[test]
fn two_static_libraries_of_one_rust_compiler_share_a_program() {
    let directory = Place::Disk.directory();
    let file = |name: &str| directory.path().join(name);
    fs::write(file("other.rs"), OTHER).unwrap();
    fs::write(file("program.c"), PROGRAM).unwrap();
    // The compiler that has made our library.
    let mut rust = Command::new(Path::new(env!("CARGO")).with_file_name("rustc"));
    rust.args(["--edition=2024", "--crate-type=staticlib", "-o"])
        .arg(file("libother.a"))
        .arg(file("other.rs"));
    output_of(&mut rust, "rustc");

    let ours = binary_directory().join("libmmap_backed_array.a");
    let other = file("libother.a");
    for libraries in [[&ours, &other], [&other, &ours]] {
        let mut compiler = Command::new("cc");
        compiler.arg("-I").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"));
        compiler.arg(file("program.c")).args(libraries).arg("-o").arg(file("program"));
        compiler.args(["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"]);
        output_of(&mut compiler, "gcc");
        assert_eq!(output_of(&mut Command::new(file("program")), "gcc"), "0 2 2\n", "{libraries:?}");
    }
}
