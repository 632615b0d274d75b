//! An item as a path: `1/a/2/b`, as GNU parallel's `--results` names its folders.

use super::placeholder::put_number;
use crate::plan::Item;

/// Appends the names and values of all columns, each as one component of a path; of several items one after another.
pub(super) fn put(items: &[Item], names: &[String], out: &mut Vec<u8>) {
    let start = out.len();
    for item in items {
        for (at, value) in item.columns.iter().enumerate() {
            if out.len() > start {
                out.push(b'/');
            }
            match names.get(at) {
                Some(name) => put_name(name.as_bytes(), out),
                None => put_number(at as u64 + 1, out),
            }
            out.push(b'/');
            put_name(value, out);
        }
    }
}

/// Appends a value as the name of a directory, different for each value. A value that would mean another directory gets a
/// backslash in front: GNU parallel goes up for `..`, and makes no directory for an empty value.
fn put_name(value: &[u8], out: &mut Vec<u8>) {
    if matches!(value, b"" | b"." | b"..") {
        out.push(b'\\');
    }
    for byte in value {
        match byte {
            b'/' => out.extend_from_slice(br"\_"),
            b'\\' => out.extend_from_slice(br"\\"),
            b'\t' => out.extend_from_slice(br"\t"),
            b'\0' => out.extend_from_slice(br"\0"),
            _ => out.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(items: &[&[&str]], names: &[&str]) -> String {
        let item = |columns: &&[&str]| Item::new(columns.iter().map(|c| c.as_bytes().to_vec()).collect());
        let items: Vec<Item> = items.iter().map(item).collect();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut out = Vec::new();
        put(&items, &names, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paths_are_those_of_gnu_parallel() {
        assert_eq!(tree(&[&["a", "b c"]], &[]), "1/a/2/b c");
        assert_eq!(tree(&[&["a", "3"]], &["x", "y"]), "x/a/y/3");
        assert_eq!(tree(&[&["a"], &["b"]], &[]), "1/a/1/b");
        assert_eq!(tree(&[&["b/c\td\\q\0.ü"]], &[]), r"1/b\_c\td\\q\0.ü");
    }

    #[test]
    fn no_value_leads_elsewhere_or_to_the_same_folder_as_another() {
        let values = ["", ".", "..", "../..", "/", "\\", "\\.", "\\_", "\0", "\\0", "\t", "\\t", "..."];
        let mut paths: Vec<String> = values.iter().map(|value| tree(&[&[value]], &[])).collect();
        for path in &paths {
            let name = path.strip_prefix("1/").unwrap();
            assert!(!matches!(name, "" | "." | "..") && !name.contains(['/', '\0']), "{name:?}");
        }
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), values.len());
    }
}
