//! Copies a crate with `#[observe]` on every function that can have it, so that functions of other people can be
//! tried: they still compile, without a warning.
//!
//! ```text
//! annotate CRATE COPY RUNTIME
//! ```

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{ImplItemFn, ItemFn, Signature, TraitItemFn};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [from, to, runtime] = &arguments[..] else {
        return Err("annotate CRATE COPY RUNTIME".into());
    };
    let functions = copy(from, to)?;
    let manifest = to.join("Cargo.toml");
    let mut text = fs::read_to_string(&manifest)?;
    let runtime = fs::canonicalize(runtime)?;
    writeln!(text, "\n[dependencies.obs-runtime]\npath = '{}'", runtime.display())?;
    text.push_str("default-features = false\n\n[workspace]\n");
    fs::write(&manifest, text)?;
    println!("{functions}");
    Ok(())
}

/// Copies a directory; returns how many functions were annotated.
fn copy(from: &Path, to: &Path) -> Result<usize, Box<dyn Error>> {
    fs::create_dir_all(to)?;
    let mut functions = 0;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            functions += copy(&path, &target)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let (text, count) = annotated(fs::read_to_string(&path)?);
            fs::write(&target, text)?;
            functions += count;
        } else if path.file_name().is_some_and(|name| name != "Cargo.lock") {
            fs::copy(&path, &target)?;
        }
    }
    Ok(functions)
}

/// The source with an attribute before each function. One that does not parse stays as it is.
fn annotated(mut text: String) -> (String, usize) {
    let Ok(file) = syn::parse_file(&text) else { return (text, 0) };
    let mut functions = Functions(Vec::new());
    functions.visit_file(&file);
    let Functions(mut places) = functions;
    places.sort_unstable();
    for place in places.iter().rev() {
        text.insert_str(*place, "#[::obs_runtime::observe] ");
    }
    let count = places.len();
    (text, count)
}

/// Where functions begin, in bytes.
struct Functions(Vec<usize>);

impl Functions {
    fn note(&mut self, signature: &Signature, at: proc_macro2::Span) {
        if signature.constness.is_none() && signature.variadic.is_none() {
            self.0.push(at.byte_range().start);
        }
    }
}

impl<'a> Visit<'a> for Functions {
    fn visit_item_fn(&mut self, function: &'a ItemFn) {
        self.note(&function.sig, function.span());
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'a ImplItemFn) {
        self.note(&function.sig, function.span());
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'a TraitItemFn) {
        if function.default.is_some() {
            self.note(&function.sig, function.span());
        }
        visit::visit_trait_item_fn(self, function);
    }
}
