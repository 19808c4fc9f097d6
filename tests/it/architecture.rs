//! Holds the sources to the layers: a module may import those of its own layer and of the layers below.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// Modules by layer, the lowest first. The longest matching path counts.
const LAYERS: &[(&str, &[&str])] = &[
    ("ground", &["clock", "secret", "ids", "diagnostic"]),
    ("request", &["request", "headers"]),
    (
        "domain",
        &[
            "authn", "consumer", "policy", "limit", "verdict", "respond", "audit",
        ],
    ),
    (
        "adapters",
        &["config", "jwks", "http_client", "telemetry", "audit::sink"],
    ),
    (
        "assembly",
        &["pipeline", "snapshot", "standin", "policy_test"],
    ),
    (
        "edges",
        &["envoy", "admin", "reload", "app", "cli", "test_support"],
    ),
];

/// Crates that only some modules may name: what talks to the world stays in the adapters and edges.
const CONFINED: &[(&str, &[&str])] = &[
    ("tonic", &["envoy", "app"]),
    ("prost", &["envoy"]),
    ("envoy_types", &[]),
    ("reqwest", &["http_client", "jwks"]),
    ("serde_yaml", &["config"]),
    ("axum", &["admin"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("notify", &["reload"]),
    ("rustls", &["app::tls"]),
    ("tokio_rustls", &["app"]),
    ("nix", &["app"]),
    ("opentelemetry", &["telemetry", "app"]),
    ("opentelemetry_sdk", &["telemetry", "app"]),
    ("jsonwebtoken", &["authn", "policy::compile"]),
    ("sfv", &["authn::http_signature", "request::peer"]),
    ("x509_parser", &["authn", "app::tls"]),
    ("webpki", &["authn"]),
    ("cel", &["policy::expression"]),
    (
        "chrono",
        &[
            "policy::expression",
            "authn::hmac",
            "authn::sigv4",
            "authn::webhook",
        ],
    ),
    ("regex", &["policy::expression"]),
];

fn layer_of(module: &str) -> Option<(usize, &'static str)> {
    let mut best: Option<(usize, &'static str)> = None;
    for (rank, (_, modules)) in LAYERS.iter().enumerate() {
        for &name in *modules {
            let matches = module == name || module.starts_with(&format!("{name}::"));
            if matches && best.is_none_or(|(_, known)| known.len() < name.len()) {
                best = Some((rank, name));
            }
        }
    }
    best
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("src can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `src/policy/route.rs` is `policy::route`.
fn module_name(root: &Path, path: &Path) -> String {
    let relative = path
        .strip_prefix(root)
        .expect("below src")
        .with_extension("");
    let parts: Vec<String> = relative
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    parts.join("::")
}

/// Collects every path that starts with `crate`, `super` or a confined crate's name.
struct Paths {
    module: Vec<String>,
    inside: Vec<String>,
    crate_paths: Vec<String>,
    outside: Vec<String>,
}

impl Paths {
    fn note(&mut self, segments: &[String]) {
        let Some(first) = segments.first() else {
            return;
        };
        match first.as_str() {
            "crate" => self.crate_paths.push(segments[1..].join("::")),
            "self" => {}
            "super" => {
                let mut base: Vec<String> =
                    self.module.iter().chain(&self.inside).cloned().collect();
                let ups = segments
                    .iter()
                    .take_while(|segment| *segment == "super")
                    .count();
                base.truncate(base.len().saturating_sub(ups));
                base.extend(segments.iter().skip(ups).cloned());
                self.crate_paths.push(base.join("::"));
            }
            other => self.outside.push(other.to_owned()),
        }
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(&path.tree, before);
                before.pop();
            }
            syn::UseTree::Group(group) => {
                for item in &group.items {
                    self.tree(item, before);
                }
            }
            syn::UseTree::Name(name) => self.leaf(before, name.ident.to_string()),
            syn::UseTree::Rename(name) => self.leaf(before, name.ident.to_string()),
            syn::UseTree::Glob(_) => panic!(
                "{}: a glob import hides what is used",
                self.module.join("::")
            ),
        }
    }

    fn leaf(&mut self, before: &[String], name: String) {
        let mut segments = before.to_vec();
        segments.push(name);
        self.note(&segments);
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if segments.len() > 1 {
            self.note(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let test_only = item.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute
                    .meta
                    .require_list()
                    .is_ok_and(|list| list.tokens.to_string() == "test")
        });
        if !test_only {
            self.inside.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.inside.pop();
        }
    }
}

/// Every upward import, as `importer -> imported`.
fn violations(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (module, text) in files {
        if matches!(module.as_str(), "lib" | "main")
            || module.split("::").any(|part| part == "tests")
        {
            continue;
        }
        let Some((rank, _)) = layer_of(module) else {
            found.push(format!("{module} stands in no layer"));
            continue;
        };
        let parsed = syn::parse_file(text).expect("the sources parse");
        let module_parts = module.split("::").map(str::to_owned).collect();
        let mut paths = Paths {
            module: module_parts,
            inside: Vec::new(),
            crate_paths: Vec::new(),
            outside: Vec::new(),
        };
        paths.visit_file(&parsed);
        for imported in paths.crate_paths {
            match layer_of(&imported) {
                Some((other, _)) if other > rank => found.push(format!("{module} -> {imported}")),
                Some(_) => {}
                None => found.push(format!("{module} -> {imported}, which stands in no layer")),
            }
        }
        for name in paths.outside {
            for (confined, homes) in CONFINED {
                let home = homes
                    .iter()
                    .any(|home| module == home || module.starts_with(&format!("{home}::")));
                if name == *confined && !home {
                    found.push(format!("{module} names the crate {name}"));
                }
            }
        }
    }
    found
}

fn all_sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .iter()
        .map(|path| {
            (
                module_name(&root, path),
                std::fs::read_to_string(path).expect("can be read"),
            )
        })
        .collect()
}

#[test]
fn no_layer_imports_one_above_it() {
    let files = all_sources();
    assert!(files.len() > 40, "only {} files were found", files.len());
    assert_eq!(violations(&files), Vec::<String>::new());
}

/// What makes credentials must be out of reach of what judges real ones: these modules may name it, and no
/// others.
#[test]
fn only_commands_that_serve_nobody_name_the_stand_ins() {
    for (name, may) in [
        ("standin", &["policy_test", "cli::test", "cli::replay"][..]),
        ("policy_test", &["cli::test"]),
    ] {
        let mut importers = 0;
        for (module, text) in all_sources() {
            let is = |other: &str| module == other || module.starts_with(&format!("{other}::"));
            if is(name) || module == "lib" || !text.contains(name) {
                continue;
            }
            assert!(may.iter().any(|may| is(may)), "{module} names {name}");
            importers += 1;
        }
        assert!(importers > 0, "nobody names {name}");
    }
}

#[test]
fn an_upward_import_is_seen() {
    for (module, text) in [
        ("clock", "use crate::policy::route::Route;"),
        ("request::path", "fn f() { crate::authn::run(); }"),
        ("authn::jwt", "use super::super::config::load;"),
        ("policy::route", "use tonic::Status;"),
        ("audit", "use crate::audit::sink::AuditSink;"),
        ("unheard_of", ""),
    ] {
        let files = BTreeMap::from([(module.to_owned(), text.to_owned())]);
        assert_eq!(violations(&files).len(), 1, "{module}: {text}");
    }
    let fine = BTreeMap::from([(
        "policy::route".to_owned(),
        "use crate::request::Request;".to_owned(),
    )]);
    assert!(violations(&fine).is_empty());
}

/// What the product is built from, as `name version`, without what only tests need.
fn dependencies() -> Vec<(String, String)> {
    let output = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut found: Vec<(String, String)> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn one_of_each_that_must_not_be_two_and_none_of_what_is_banned() {
    let found = dependencies();
    assert!(found.len() > 100, "only {} crates were found", found.len());
    for banned in [
        "ring",
        "openssl-sys",
        "native-tls",
        "serde_yml",
        "unsafe-libyaml",
    ] {
        assert!(!found.iter().any(|(name, _)| name == banned), "{banned}");
    }
    for single in ["tonic", "prost", "rustls", "hyper", "h2", "aws-lc-sys"] {
        let versions: Vec<&(String, String)> =
            found.iter().filter(|(name, _)| name == single).collect();
        assert_eq!(versions.len(), 1, "{versions:?}");
    }
}
