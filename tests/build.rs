//! Makes a test of each folder below `scenarios/`, so that adding one is all there is to do.

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=scenarios");
    println!("cargo::rerun-if-changed=build.rs");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("the folder of scenarios")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("a name that is text"))
        .collect();
    names.sort();
    let mut text = String::new();
    for name in names {
        writeln!(
            text,
            "#[tokio::test(flavor = \"multi_thread\")]\nasync fn scenario_{name}() {{\n    crate::scenarios::run({name:?}).await;\n}}"
        )
        .expect("text");
    }
    let out = std::env::var_os("OUT_DIR").expect("a folder for what is made");
    std::fs::write(Path::new(&out).join("scenario_tests.rs"), text).expect("the tests are written");
}
