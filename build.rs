//! Names the shared library's ABI and, when asked by the `header` feature, generates the C header.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let number = |name: &str| std::env::var(name).expect("cargo sets the version");
    // A new minor version may break the ABI while the major one is 0; cargo-c goes by the same rule.
    let abi = match (number("CARGO_PKG_VERSION_MAJOR"), number("CARGO_PKG_VERSION_MINOR")) {
        (major, minor) if major == "0" => format!("0.{minor}"),
        (major, _) => major,
    };
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libmmap_backed_array.so.{abi}");
    // For the programs of the tests and benchmarks.
    println!("cargo:rustc-env=MBA_SONAME=libmmap_backed_array.so.{abi}");
    #[cfg(feature = "header")]
    header::generate();
}

#[cfg(feature = "header")]
mod header {
    use std::{env, fs, path::Path};

    /// Writes `mmap_backed_array.h` into `OUT_DIR`, never into the source tree.
    pub fn generate() {
        println!("cargo:rerun-if-changed=src");
        println!("cargo:rerun-if-changed=include/cbindgen.toml");
        let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets the manifest directory");
        let out = env::var("OUT_DIR").expect("cargo sets the output directory");
        let config = cbindgen::Config::from_file(Path::new(&root).join("include/cbindgen.toml"))
            .expect("include/cbindgen.toml is a cbindgen configuration");
        let mut text = Vec::new();
        cbindgen::generate_with_config(&root, config)
            .expect("the C interface is one that cbindgen understands")
            .write(&mut text);
        let text = String::from_utf8(text).expect("the sources are UTF-8");
        let text: String = text.lines().map(|line| parenthesize(line) + "\n").collect();
        fs::write(Path::new(&out).join("mmap_backed_array.h"), text).expect("OUT_DIR is writable");
    }

    /// `#define NAME -1` becomes `#define NAME (-1)`, so that `x NAME` can't read as `x - 1`.
    fn parenthesize(line: &str) -> String {
        match line.strip_prefix("#define ").and_then(|rest| rest.split_once(" -")) {
            Some((name, digits)) => format!("#define {name} (-{digits})"),
            None => line.to_owned(),
        }
    }
}
