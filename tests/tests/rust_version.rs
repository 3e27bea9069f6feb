//! The sources of both crates have no syntax that is newer than the Rust that they name.
//!
//! Clippy's `incompatible_msrv` says so of the standard library, but of no syntax.

use std::fs;
use std::path::Path;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Expr, ExprBinary, Macro, PatGuard};

const LET_CHAIN: &str = "a let chain takes Rust 1.88";
const LET_GUARD: &str = "an `if let` guard takes Rust 1.95";

/// Where something newer stands.
struct Newer<'a> {
    file: &'a Path,
    found: Vec<String>,
}

impl Newer<'_> {
    fn note(&mut self, place: &impl Spanned, what: &str) {
        self.found.push(format!("{}:{}: {what}", self.file.display(), place.span().start().line));
    }
}

impl<'ast> Visit<'ast> for Newer<'_> {
    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        for side in [&binary.left, &binary.right] {
            if matches!(**side, Expr::Let(_)) {
                self.note(side, LET_CHAIN);
            }
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_pat_guard(&mut self, pattern: &'ast PatGuard) {
        if matches!(*pattern.guard, Expr::Let(_)) {
            self.note(&pattern.guard, LET_GUARD);
        }
        visit::visit_pat_guard(self, pattern);
    }

    /// The templates of the macros, which are compiled by their users.
    fn visit_macro(&mut self, template: &'ast Macro) {
        if template.tokens.to_string().contains("&& let ") {
            self.note(template, LET_CHAIN);
        }
    }
}

/// All that is newer in a source file.
fn newer(file: &Path, text: &str) -> Vec<String> {
    let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut newer = Newer { file, found: Vec::new() };
    newer.visit_file(&parsed);
    newer.found
}

/// All that is newer in the sources below a directory, and how many sources there are.
fn newer_below(directory: &Path) -> (Vec<String>, usize) {
    let (mut found, mut files) = (Vec::new(), 0);
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            let (below, more) = newer_below(&path);
            found.extend(below);
            files += more;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(newer(&path, &fs::read_to_string(&path).expect("a text")));
            files += 1;
        }
    }
    (found, files)
}

#[test]
fn the_crates_have_no_newer_syntax() {
    for sources in ["../obs-runtime/src", "../obs-macros/src"] {
        let (found, files) = newer_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(sources));
        assert!(files > 10, "{files} files in {sources}");
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

#[test]
fn newer_syntax_is_found_where_it_stands() {
    let text = "fn f() {
        if a && let Some(b) = c {}
        while let Some(b) = c && d {}
        match a { Some(b) if let Some(c) = b => {} _ => {} }
        quote! { if a && let Some(b) = c {} };
        if let Some(b) = c { if d && e {} }
    }";
    let expected: Vec<_> = [(2, LET_CHAIN), (3, LET_CHAIN), (4, LET_GUARD), (5, LET_CHAIN)]
        .map(|(line, what)| format!("f.rs:{line}: {what}"))
        .into();
    assert_eq!(newer(Path::new("f.rs"), text), expected);
}
