//! Names the shared library's ABI and, when asked by the `header` feature, generates the C header.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let soname = soname();
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{soname}");
    // For the tests, benchmarks and examples, which give the library a file of this name.
    println!("cargo:rustc-env=MBA_SONAME={soname}");
    #[cfg(feature = "header")]
    header::generate();
}

/// The name changes whenever the ABI may: with the minor version too while the major one is 0. Cargo-c asks the linker
/// for the same one, and makes links of that name; if they differed, the linker would take this.
fn soname() -> String {
    let part = |name| std::env::var(name).expect("cargo sets the version");
    let major = part("CARGO_PKG_VERSION_MAJOR");
    if major == "0" {
        format!("libmmap_backed_array.so.0.{}", part("CARGO_PKG_VERSION_MINOR"))
    } else {
        format!("libmmap_backed_array.so.{major}")
    }
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
