//! Sizes that keep the source readable: lines of a file and of a function, fields of a struct.
//!
//! The source is formatted by rustfmt, so that an item ends at the first line that is a brace in the item's own column.

use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 80;
const STRUCT_FIELDS: usize = 12;
/// The map of the run's rooms.
const RUN_MAP_LINES: usize = 150;

#[test]
fn files_can_be_read_in_one_sitting() {
    let long = over(|_, text| {
        let lines = text.lines().count();
        (lines > FILE_LINES).then(|| format!("{lines} lines")).into_iter().collect()
    });
    assert!(long.is_empty(), "over {FILE_LINES} lines:\n{}", long.join("\n"));
    let map = fs::read_to_string(root().join("src/run/mod.rs")).unwrap();
    assert!(map.lines().count() <= RUN_MAP_LINES, "src/run/mod.rs is a map");
}

#[test]
fn functions_fit_on_one_screen() {
    let long = over(|_, text| {
        let items = items(text, is_function).into_iter();
        items.filter(|item| item.lines.len() >= FUNCTION_LINES).map(|item| item.told()).collect()
    });
    assert!(long.is_empty(), "{FUNCTION_LINES} lines or more:\n{}", long.join("\n"));
}

#[test]
fn structs_with_many_fields_say_why() {
    let many = over(|file, text| {
        if file.contains("/tests") {
            return Vec::new();
        }
        let items = items(text, is_struct).into_iter();
        items
            .filter(|item| item.fields() > STRUCT_FIELDS && !says_why(&item.docs))
            .map(|item| item.told())
            .collect()
    });
    assert!(
        many.is_empty(),
        "over {STRUCT_FIELDS} fields, and their docs don't say why:\n{}",
        many.join("\n")
    );
}

#[test]
fn the_checks_find_made_up_violations() {
    let body = "    x();\n".repeat(90);
    let text = format!("/// Docs.\npub fn long(\n    a: u8,\n) {{\n{body}}}\n\nfn short() {{\n}}\n");
    let functions = items(&text, is_function);
    assert_eq!(functions.iter().map(|item| item.lines.len()).collect::<Vec<_>>(), [94, 2]);
    let fields: String = (0..13).map(|n| format!("    /// One.\n    pub f{n}: u8,\n")).collect();
    let text = format!("/// Docs.\n/// Many fields.\n#[derive(Debug)]\npub struct Big {{\n{fields}}}\n");
    let structs = items(&text, is_struct);
    assert_eq!((structs[0].fields(), structs[0].docs.as_str()), (13, "/// Docs.\n/// Many fields.\n"));
}

/// True if the docs of a struct speak of its many fields.
fn says_why(docs: &str) -> bool {
    docs.contains("field") || docs.contains("flat struct")
}

/// A function or struct.
struct Item<'a> {
    line: usize,
    docs: String,
    lines: Vec<&'a str>,
}

impl Item<'_> {
    fn told(&self) -> String {
        format!("line {}, {} lines: {}", self.line, self.lines.len(), self.lines[0].trim())
    }

    fn fields(&self) -> usize {
        let inner = self.lines.iter().skip(1).map(|line| line.trim_start().trim_start_matches("pub "));
        inner.filter(|line| !line.starts_with("//") && line.contains(": ") && line.ends_with(',')).count()
    }
}

/// Returns the items that `begins` finds, each from its first line to the brace in the same column.
fn items(text: &str, begins: fn(&str) -> bool) -> Vec<Item<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| begins(line.trim_start()));
    let item = |(at, line): (usize, &&str)| {
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let length = lines[at..].iter().position(|line| *line == end)?;
        let above = lines[..at].iter().rev().take_while(|line| {
            let line = line.trim_start();
            line.starts_with("//") || line.starts_with("#[")
        });
        let mut docs: Vec<String> =
            above.filter(|line| line.contains("//")).map(|line| format!("{}\n", line.trim_start())).collect();
        docs.reverse();
        Some(Item { line: at + 1, docs: docs.concat(), lines: lines[at..=at + length].to_vec() })
    };
    starts.filter_map(item).collect()
}

fn is_function(line: &str) -> bool {
    let mut words = line.split(['(', ' ']);
    let before = ["pub", "const", "unsafe", "extern", "crate)", "super)", "in", "crate::run)", "\"C\""];
    words.find(|word| !before.contains(word)) == Some("fn") && !line.ends_with("{}") && !line.ends_with(';')
}

fn is_struct(line: &str) -> bool {
    line.ends_with('{') && line.split(' ').take(3).any(|word| word == "struct")
}

/// Runs a check over every source file, and returns what it finds, with the file before it.
fn over(check: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    assert!(files.len() > 100, "the sources are under src");
    let found =
        files.iter().filter(|path| path.extension().is_some_and(|end| end == "rs")).flat_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            check(&name, &text).into_iter().map(move |what| format!("{name}: {what}"))
        });
    found.collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
