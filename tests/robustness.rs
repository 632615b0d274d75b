//! The documents against the repository: every test that docs/robustness.md names exists, and no file refers to a
//! document, or to a section of one, that the repository does not hold.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose files are searched for references, beside the files of the root. A published package lacks
/// `bench`.
const FOLDERS: [&str; 7] = ["src", "tests", "bench", "scripts", "man", "jobfiles", "docs"];

/// The end of a document's name. It is put together here, so that this file does not seem to refer to one.
const ENDING: &str = concat!(".", "md");

/// A test as docs/robustness.md names it: `FILE: FUNCTION`.
#[derive(Debug, PartialEq)]
struct Named {
    file: String,
    function: String,
}

#[test]
fn the_tests_that_are_named_exist() {
    let named = named_tests(&read("docs/robustness.md"));
    assert!(named.len() > 100, "{} tests are named", named.len());
    let missing: Vec<&Named> = named.iter().filter(|named| !exists(named)).collect();
    assert!(missing.is_empty(), "docs/robustness.md names what is no test: {missing:#?}");
}

#[test]
fn every_situation_names_a_test() {
    let page = read("docs/robustness.md");
    let (_, situations) = page.split_once("\n## ").expect("the first section");
    let (shown, not_shown) = situations.split_once("\n## Not shown by a test\n").expect("the last section");
    let without: Vec<&str> = items(shown).filter(|item| named_tests(item).is_empty()).collect();
    assert!(without.is_empty(), "without a test: {without:#?}");
    assert!(named_tests(not_shown).is_empty(), "the last section is for situations without a test");
}

#[test]
fn documents_that_are_referred_to_exist() {
    let mut wrong = Vec::new();
    for file in searched_files() {
        let text = joined(&fs::read_to_string(&file).unwrap_or_default());
        let folder = file.parent().expect("a file is in a folder");
        for (name, section) in references(&text) {
            let found = [root().join(&name), folder.join(&name)].into_iter().find(|path| path.is_file());
            let what = match (found, section) {
                (None, _) => format!("refers to `{name}`, which is not here"),
                (Some(document), Some(section)) if !has_section(&document, &section) => {
                    format!("refers to \"{section}\" of `{name}`, which has no such section")
                }
                _ => continue,
            };
            wrong.push(format!("{}: {what}", file.strip_prefix(root()).expect("it is below").display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_and_folders_that_documents_name_exist() {
    let pages = ["README", "CONTRIBUTING", "CHANGELOG", "docs/design", "docs/robustness"];
    let folders = ["src/", "tests/", "scripts/", "bench/", "jobfiles/", "docs/", "man/", "completions/"];
    let mut missing = Vec::new();
    for page in pages.map(|page| page.to_owned() + ENDING) {
        let text = read(&page);
        let quoted = text.split('`').skip(1).step_by(2);
        let paths = quoted.map(|quoted| quoted.split(": ").next().unwrap_or_default());
        let is_path = |path: &&str| {
            let is_plain = path.chars().all(|letter| letter.is_alphanumeric() || "_-./".contains(letter));
            is_plain && folders.iter().any(|folder| path.starts_with(folder))
        };
        missing.extend(
            paths
                .filter(is_path)
                .filter(|path| !root().join(path).exists())
                .map(|path| format!("{page}: {path}")),
        );
    }
    assert!(missing.is_empty(), "named, but not here: {missing:#?}");
}

#[test]
fn the_way_of_one_task_has_35_stops_at_most_and_none_twice() {
    let page = read(&format!("docs/design{ENDING}"));
    let section = page.split("\n## The way of one task\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let stops = section.expect("the section").lines().filter_map(|line| {
        let (number, rest) = line.split_once(". `")?;
        number.parse::<usize>().ok().map(|number| (number, rest.split('`').next().unwrap_or_default()))
    });
    let stops: Vec<(usize, &str)> = stops.collect();
    assert!(stops.len() <= 35 && stops.len() > 20, "{} stops", stops.len());
    assert!(stops.iter().zip(1..).all(|((number, _), at)| *number == at), "they are numbered in order");
    let files: std::collections::BTreeSet<&str> = stops.iter().map(|(_, file)| *file).collect();
    assert_eq!(files.len(), stops.len(), "a file comes once");
}

#[test]
fn the_checks_find_made_up_mistakes() {
    let page =
        "- A situation: fine.\n  `tests/e2e/stop.rs: no_such_test`,\n  `src/main.rs: main`, `no.rs: a b`";
    let named = named_tests(page);
    assert_eq!(named.len(), 2);
    assert!(!exists(&named[0]), "there is no such function");
    assert!(!exists(&named[1]), "it is no test");
    let document = format!("A{ENDING}");
    let text = joined(&format!(
        "/// See ({document}, \"One\n/// two\") and `x/b{ENDING}`, not *{ENDING} nor c{ENDING}x."
    ));
    let expected = [(document, Some("One two".to_owned())), (format!("x/b{ENDING}"), None)];
    assert_eq!(references(&text), expected);
    assert!(!has_section(&root().join("docs/robustness.md"), "No such section"));
}

/// Returns the tests that a text names in backquotes, `FILE: FUNCTION`.
fn named_tests(text: &str) -> Vec<Named> {
    let quoted = text.split('`').skip(1).step_by(2);
    let parts = quoted.filter_map(|quoted| quoted.split_once(".rs: "));
    let is_name = |text: &str| text.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    let named = parts.filter(|(_, function)| is_name(function));
    named
        .map(|(file, function)| Named { file: format!("{file}.rs"), function: function.to_owned() })
        .collect()
}

/// True if the file has this function, and it is a test: by its own attribute, or below `proptest!`.
fn exists(named: &Named) -> bool {
    let text = fs::read_to_string(root().join(&named.file)).unwrap_or_default();
    let Some(at) = text.find(&format!("fn {}(", named.function)) else { return false };
    let before = text[..at].trim_end();
    let attribute = before.rsplit("\n\n").next().unwrap_or_default();
    attribute.contains("#[test]") || before.contains("proptest! {")
}

/// Returns the items of a page's lists, each from its dash to the next item or empty line.
fn items(page: &str) -> impl Iterator<Item = &str> {
    page.split("\n- ").skip(1).map(|item| item.split("\n\n").next().unwrap_or_default())
}

/// Returns the names of documents in a text, each with the section that follows it in quotes, if one does.
fn references(text: &str) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(ENDING) {
        let after = &text[at + ENDING.len()..];
        if after.starts_with(|letter: char| letter.is_alphanumeric()) {
            continue;
        }
        let is_of_name = |letter: char| letter.is_alphanumeric() || "_-./".contains(letter);
        let start = text[..at].rfind(|letter| !is_of_name(letter)).map_or(0, |at| at + 1);
        if start < at {
            let section = after.strip_prefix(", \"").and_then(|rest| rest.split_once('"'));
            found.push((text[start..at].to_owned() + ENDING, section.map(|(section, _)| section.to_owned())));
        }
    }
    found
}

/// True if the document has a heading with this text.
fn has_section(document: &Path, section: &str) -> bool {
    let text = fs::read_to_string(document).unwrap_or_default();
    text.lines().any(|line| line.starts_with('#') && line.trim_start_matches('#').trim() == section)
}

/// Returns the text with lines of one comment joined, so that a reference may go on in the next line.
fn joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for line in text.lines() {
        let comment = line.trim_start().trim_start_matches(['/', '!', '#']);
        joined.push_str(comment.trim_start());
        joined.push(' ');
    }
    joined
}

/// Returns the paths of all files that are searched.
fn searched_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = entries(root()).filter(|path| path.is_file()).collect();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| root().join(folder)).collect();
    folders.retain(|folder| folder.is_dir());
    while let Some(folder) = folders.pop() {
        let (inner, found): (Vec<PathBuf>, Vec<PathBuf>) = entries(&folder).partition(|path| path.is_dir());
        folders.extend(inner);
        files.extend(found);
    }
    assert!(files.len() > 100, "the repository is at {}", root().display());
    files
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry").path())
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
