//! What the files of a crate name: every path in their tokens, `use` groups expanded and `self`, `super` and `crate`
//! resolved. Comments and strings are no tokens of their own, so they name nothing; the arguments of macros are, so they
//! do.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A file and the paths in it.
pub struct SourceFile {
    pub path: String,
    /// The module that the file is, such as `keys::material`.
    pub module: String,
    /// Every path that leads into the crate itself, from its root.
    pub imports: Vec<Import>,
    names: Vec<Name>,
}

pub struct Import {
    /// From the crate's root, the item's own name included.
    pub module: String,
    pub line: usize,
}

/// Where a name counts: also inside `#[cfg(test)]` modules, or not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Everywhere,
    OutsideTests,
}

impl SourceFile {
    /// Whether the file names `path`, whole or as part of a longer path.
    pub fn mentions(&self, path: &str, scope: Scope) -> bool {
        let wanted: Vec<&str> = path.split("::").collect();
        self.names
            .iter()
            .filter(|name| scope == Scope::Everywhere || !name.in_tests)
            .any(|name| name.segments.windows(wanted.len()).any(|window| window == wanted))
    }

    /// Whether a path in the file begins with that crate.
    pub fn uses_crate(&self, name: &str, scope: Scope) -> bool {
        self.names
            .iter()
            .filter(|path| scope == Scope::Everywhere || !path.in_tests)
            .any(|path| !path.from_root && path.segments.len() > 1 && path.segments[0] == name)
    }
}

/// Every Rust file below `folder`, which is a crate's `src` or `tests`.
pub fn read_folder(folder: &Path) -> Vec<SourceFile> {
    let mut files = Vec::new();
    collect_files(folder, &mut files);
    files.sort();
    files.iter().map(|file| read_file(folder, file)).collect()
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn read_file(folder: &Path, file: &Path) -> SourceFile {
    let relative = file.strip_prefix(folder).unwrap().with_extension("");
    let mut module: Vec<String> = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    module.pop_if(|last| last == "mod");
    let text = fs::read_to_string(file).unwrap();
    let names = names(&module, &text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let imports = names
        .iter()
        .filter(|name| name.from_root)
        .map(|name| Import { module: name.segments.join("::"), line: name.line })
        .collect();
    SourceFile { path: file.display().to_string(), module: module.join("::"), imports, names }
}

/// A path in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    segments: Vec<String>,
    /// Whether it began with `crate`, `self` or `super`: then the segments lead from the crate's root.
    from_root: bool,
    in_tests: bool,
    line: usize,
}

fn names(module: &[String], text: &str) -> Result<Vec<Name>, proc_macro2::LexError> {
    let mut walk = Walk { module: module.to_vec(), in_tests: false, names: Vec::new() };
    walk.stream(&tokens(text.parse()?));
    Ok(walk.names)
}

fn tokens(stream: TokenStream) -> Vec<TokenTree> {
    stream.into_iter().collect()
}

struct Walk {
    /// Where it is: the file's module and the inline ones around.
    module: Vec<String>,
    in_tests: bool,
    names: Vec<Name>,
}

impl Walk {
    fn stream(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        let mut attribute_says_test = false;
        while at < tokens.len() {
            match &tokens[at..] {
                [TokenTree::Punct(punct), TokenTree::Group(attribute), ..]
                    if punct.as_char() == '#' && attribute.delimiter() == Delimiter::Bracket =>
                {
                    attribute_says_test |= attribute.stream().to_string().replace(' ', "") == "cfg(test)";
                    at += 2;
                }
                [TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Group(body), ..]
                    if keyword == "mod" && body.delimiter() == Delimiter::Brace =>
                {
                    let outside = self.in_tests;
                    self.in_tests |= attribute_says_test;
                    self.module.push(name.to_string());
                    self.stream(&tokens_of(body));
                    self.module.pop();
                    self.in_tests = outside;
                    attribute_says_test = false;
                    at += 3;
                }
                // A visibility such as `pub(crate)` imports nothing.
                [TokenTree::Ident(keyword), TokenTree::Group(scope), ..]
                    if keyword == "pub" && scope.delimiter() == Delimiter::Parenthesis =>
                {
                    at += 2;
                }
                [TokenTree::Ident(_), ..] => {
                    attribute_says_test = false;
                    at += self.path(&tokens[at..], &[], None);
                }
                [TokenTree::Group(group), ..] => {
                    self.stream(&tokens_of(group));
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// Reads one path, or the tree of a `use`, and returns how many tokens it took.
    fn path(&mut self, tokens: &[TokenTree], prefix: &[String], inherited_root: Option<bool>) -> usize {
        let mut segments = prefix.to_vec();
        let mut from_root = inherited_root.unwrap_or(false);
        let mut at = 0;
        let line = tokens[0].span().start().line;
        loop {
            match tokens.get(at) {
                Some(TokenTree::Ident(ident)) => {
                    self.segment(&ident.to_string(), &mut segments, &mut from_root);
                    at += 1;
                }
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    for entry in tokens_of(group).split(|token| is_punct(token, ',')) {
                        if !entry.is_empty() {
                            self.path(entry, &segments, Some(from_root));
                        }
                    }
                    return at + 1;
                }
                // `use path::*` names the module, `path::<T>` the item; what follows is read by the caller.
                _ => break,
            }
            match &tokens[at..] {
                [first, second, ..] if is_punct(first, ':') && is_punct(second, ':') => at += 2,
                _ => break,
            }
        }
        self.names.push(Name { segments, from_root, in_tests: self.in_tests, line });
        at.max(1)
    }

    fn segment(&self, segment: &str, segments: &mut Vec<String>, from_root: &mut bool) {
        match segment {
            // The library, seen from the binary beside it.
            "crate" | "nitro_key_broker" if segments.is_empty() => *from_root = true,
            "self" if segments.is_empty() && !*from_root => {
                segments.clone_from(&self.module);
                *from_root = true;
            }
            // In a group it stands for what is before the group.
            "self" => {}
            "super" => {
                if !*from_root {
                    segments.clone_from(&self.module);
                    *from_root = true;
                }
                segments.pop();
            }
            other => segments.push(other.to_owned()),
        }
    }
}

fn tokens_of(group: &proc_macro2::Group) -> Vec<TokenTree> {
    tokens(group.stream())
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let text = r#"
        //! Not crate::comment.
        use crate::{a::{self, B}, c::*};
        use super::sibling::Item;
        pub(crate) fn f(self, e: &str) -> crate::d::E { println!("crate::string {}", crate::m::n()) }
        #[cfg(test)]
        mod tests { use super::Local; use std::fs; }
    "#;
    let file = ["outer".to_owned(), "inner".to_owned()];
    let found = names(&file, text).unwrap();
    let imports: Vec<String> =
        found.iter().filter(|name| name.from_root).map(|name| name.segments.join("::")).collect();
    assert_eq!(
        imports,
        [
            "a",
            "a::B",
            "c",
            "outer::sibling::Item",
            // The receiver `self`.
            "outer::inner",
            "d::E",
            "m::n",
            "outer::inner::Local",
        ]
    );
    let fs = found.iter().find(|name| name.segments == ["std", "fs"]).unwrap();
    assert!(fs.in_tests && !fs.from_root);
}
