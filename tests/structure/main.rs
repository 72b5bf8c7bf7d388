//! Holds the floors of the design: imports go down only, there are no circles, and the sample stands apart.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use imports::Scope::{Everywhere, OutsideTests};
use imports::{Import, SourceFile};

/// The modules of the broker, lowest floor first. Modules of one floor may use each other, but in no circle; where the
/// floor is ordered, each may use only those before it.
const FLOORS: [Floor; 7] = [
    Floor {
        name: "F0 formats, pure",
        order: Order::Free,
        modules: &[
            "cbor",
            "cms",
            "cose",
            "crypto",
            "eif",
            "encryption_context",
            "json",
            "merkle",
            "metrics",
            "signed_note",
            "text",
            "time",
            "traceparent",
            "x509",
        ],
    },
    Floor {
        name: "F1 domain, pure",
        order: Order::AsWritten,
        modules: &[
            "attestation",
            "inspection",
            "policy",
            "keys",
            "audit::event",
            "audit::record",
            "audit::chain",
        ],
    },
    Floor { name: "F2 effects", order: Order::Free, modules: &["audit", "root_key", "store", "trace"] },
    Floor { name: "F2 questions about what was decided", order: Order::Free, modules: &["analysis"] },
    Floor { name: "F3 operations", order: Order::Free, modules: &["operations"] },
    Floor {
        name: "F4 edge",
        order: Order::Free,
        modules: &["api", "auth", "console", "forward", "monitor", "otlp", "server"],
    },
    Floor { name: "F5 command", order: Order::AsWritten, modules: &["config", "cli", "main"] },
];

struct Floor {
    name: &'static str,
    order: Order,
    modules: &'static [&'static str],
}

enum Order {
    Free,
    AsWritten,
}

/// A module's floor, and its place in it.
#[derive(Clone, Copy)]
struct Place {
    name: &'static str,
    floor: usize,
    position: usize,
}

/// Code that has an effect, or asks for the time: not for F0 and F1. `IpAddr` is a value.
const EFFECTS: [&str; 9] =
    ["hyper", "sqlx", "std::env", "std::fs", "std::io", "std::process", "std::thread", "tokio", "tracing"];

/// Crates that compute with keys: production uses the first, and it in one module.
const CRYPTOGRAPHY: [&str; 10] =
    ["aws_lc_rs", "aes_gcm", "argon2", "hmac", "openssl", "p256", "p384", "ring", "rsa", "sha2"];

/// Where `aws_lc_rs` names the provider inside rustls.
const RUSTLS_PROVIDER: &str = "server::tls";

/// A floor above the pure ones.
const FIRST_FLOOR_WITH_EFFECTS: usize = 2;

#[test]
fn every_module_has_its_floor() {
    let table: BTreeSet<&str> = FLOORS.iter().flat_map(|floor| floor.modules).copied().collect();
    let in_source: BTreeSet<String> = broker_source()
        .iter()
        .map(|file| {
            module_in_table(&file.module)
                .unwrap_or_else(|| {
                    panic!("{}: module {:?} has no floor: give it one in FLOORS", file.path, file.module)
                })
                .to_owned()
        })
        .collect();
    let stale: Vec<&&str> = table.iter().filter(|module| !in_source.contains(**module)).collect();
    assert!(stale.is_empty(), "FLOORS names modules that are not there: {stale:?}");
}

#[test]
fn imports_go_down_only() {
    let wrong: Vec<String> = broker_source().iter().flat_map(upward_imports).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_no_circles() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in broker_source() {
        let Some(user) = module_in_table(&file.module) else { continue };
        for import in &file.imports {
            let used = module_in_table(&import.module).filter(|used| *used != user);
            uses.entry(user.to_owned()).or_default().extend(used.map(str::to_owned));
        }
    }
    // Whoever uses nothing that is left is in no circle.
    while let Some(free) = uses
        .iter()
        .find(|(_, used)| used.iter().all(|used| !uses.contains_key(used)))
        .map(|(user, _)| user.clone())
    {
        uses.remove(&free);
    }
    assert!(uses.is_empty(), "these modules are in a circle, or use one: {uses:?}");
}

#[test]
fn formats_and_domain_have_no_effects() {
    let mut wrong = Vec::new();
    for file in broker_source() {
        let is_pure = place(&file.module).is_some_and(|place| place.floor < FIRST_FLOOR_WITH_EFFECTS);
        if !is_pure {
            continue;
        }
        let mut effects: Vec<&str> =
            EFFECTS.into_iter().filter(|effect| file.mentions(effect, OutsideTests)).collect();
        // The one place where a time can come from, for those above to call.
        if file.module != "time" && file.mentions("SystemTime", OutsideTests) {
            effects.push("SystemTime");
        }
        wrong.extend(effects.iter().map(|effect| format!("{}: {effect} in a pure module", file.path)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cryptography_has_one_module() {
    let wrong: Vec<String> = broker_source()
        .iter()
        .filter(|file| place(&file.module).is_some_and(|place| place.name != "crypto"))
        .filter(|file| file.module != RUSTLS_PROVIDER)
        .flat_map(|file| {
            CRYPTOGRAPHY
                .into_iter()
                .filter(|name| file.uses_crate(name, OutsideTests))
                .map(|name| format!("{}: {name} outside crypto", file.path))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the member `KeyId` names depends on the caller's account: an operation asks the broker, which knows the caller.
#[test]
fn operations_leave_it_to_the_broker_what_a_key_id_names() {
    let folder = repository().join("src/operations");
    let mut readers: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| fs::read_to_string(path).unwrap().contains("KeyIdentifier::parse("))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    readers.sort();
    assert_eq!(readers, ["broker.rs"]);
}

#[test]
fn main_is_short() {
    let lines = fs::read_to_string(repository().join("src/main.rs")).unwrap().lines().count();
    assert!(lines < 40, "src/main.rs has {lines} lines: what it does belongs to cli");
}

#[test]
fn the_sample_does_not_depend_on_the_broker() {
    let manifest: toml::Table =
        fs::read_to_string(repository().join("enclave-sample/Cargo.toml")).unwrap().parse().unwrap();
    let text = toml::to_string(&manifest).unwrap();
    let has_path = text.lines().any(|line| line.starts_with("path ="));
    assert!(!has_path, "enclave-sample depends on a package of this workspace:\n{text}");
    for folder in ["enclave-sample/src", "enclave-sample/tests"] {
        for file in imports::read_folder(&repository().join(folder)) {
            assert!(!file.mentions("nitro_key_broker", Everywhere), "{} uses the broker", file.path);
        }
    }
}

fn upward_imports(file: &SourceFile) -> Vec<String> {
    let Some(user) = module_in_table(&file.module) else { return Vec::new() };
    let from = place(user).unwrap();
    file.imports
        .iter()
        .filter_map(|Import { module, line }| {
            let Some(used) = module_in_table(module) else {
                return Some(format!("{}:{line}: uses {module:?}, which has no floor", file.path));
            };
            let to = place(used).unwrap();
            let floor = &FLOORS[from.floor];
            let allowed = to.floor < from.floor
                || (to.floor == from.floor
                    && (matches!(floor.order, Order::Free) || to.position <= from.position));
            (!allowed).then(|| {
                format!(
                    "{}:{line}: {user} ({}) uses {used} ({})",
                    file.path, floor.name, FLOORS[to.floor].name
                )
            })
        })
        .collect()
}

/// The module of the table that `path` lies in: the longest that is a prefix of it.
fn module_in_table(path: &str) -> Option<&'static str> {
    FLOORS
        .iter()
        .flat_map(|floor| floor.modules)
        .copied()
        .filter(|module| {
            path == *module || path.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"))
        })
        .max_by_key(|module| module.len())
}

fn place(path: &str) -> Option<Place> {
    let module = module_in_table(path)?;
    FLOORS.iter().enumerate().find_map(|(floor, Floor { modules, .. })| {
        modules.iter().position(|name| *name == module).map(|position| Place {
            name: module,
            floor,
            position,
        })
    })
}

/// Every file of `src/`, but for the list of modules in `lib.rs`.
fn broker_source() -> Vec<SourceFile> {
    let files = imports::read_folder(&repository().join("src"));
    assert!(files.len() > 50, "src/ was not read: {} files", files.len());
    files.into_iter().filter(|file| file.module != "lib").collect()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
