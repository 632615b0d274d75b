//! Names of columns that headers give: which of them a placeholder can mean. Pure.

use std::collections::BTreeSet;

use super::grammar::{number, readings};

/// Checks that each name can be used as a placeholder and means one column. A column with an empty name has none, and
/// only its number.
///
/// # Errors
/// The first name that can't be used, and why. For people.
pub fn check(names: &[String]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (at, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        if !seen.insert(name.as_str()) {
            return Err(format!("two columns are called `{name}`: give each a name of its own"));
        }
        if let Some(why) = why_unusable(at, name, names) {
            let shown = name.replace('\n', "\\n");
            return Err(format!("column {} can't be called `{shown}`: {why}", at + 1));
        }
    }
    Ok(())
}

fn why_unusable(at: usize, name: &str, names: &[String]) -> Option<String> {
    if let Some(brace) = name.chars().find(|c| matches!(c, '{' | '}')) {
        return Some(format!("no placeholder can hold a `{brace}`"));
    }
    if name.contains('\n') {
        return Some("no placeholder can hold a line end".to_owned());
    }
    match name {
        "#" => return Some("`{#}` is the number of the task".to_owned()),
        "%" => return Some("`{%}` is the slot".to_owned()),
        "." | ".." => return Some(format!("`{{{name}}}` is the item without its extension")),
        _ => {}
    }
    if let Some(modifier) = ["/.", "//", "/"].into_iter().find(|modifier| name.ends_with(modifier)) {
        return Some(format!("`{modifier}` at the end of a placeholder means a part of a path"));
    }
    let other = |n: i32| {
        let meant = n.unsigned_abs() as usize;
        let meant = if n > 0 { meant.checked_sub(1) } else { names.len().checked_sub(meant) };
        meant.filter(|meant| *meant < names.len() && *meant != at)
    };
    if let Some(meant) = number(name).and_then(other) {
        return Some(format!("`{{{name}}}` is column {}", meant + 1));
    }
    let bases = readings(name).into_iter().flatten().skip(1).map(|(base, _)| base);
    let same = |base: &str| !base.is_empty() && names.iter().any(|name| name == base);
    let base = bases.into_iter().find(|base| same(base))?;
    Some(format!("`{{{name}}}` is a part of the column `{base}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        check(&names).err().unwrap_or_default()
    }

    #[test]
    fn names_that_people_give_can_be_used() {
        for names in [
            &["First name", "Last name"][..],
            &["Nr.", "km/h", "%CPU", "a%", "E-mail (work)", "it's", "\"q\"", "$x", "größe"],
            &["", "a", ""],
            &["2019", "2020", "-7"],
            &["1", "2"],
            &["a/b", "args"],
        ] {
            assert_eq!(why(names), "", "{names:?}");
        }
    }

    #[test]
    fn what_no_placeholder_could_mean_is_told() {
        for (names, told) in [
            (&["a", "b", "a"][..], "two columns are called `a`"),
            (&["a", "x{y"], "column 2 can't be called `x{y`: no placeholder can hold a `{`"),
            (&["a}"], "hold a `}`"),
            (&["a\nb"], "column 1 can't be called `a\\nb`: no placeholder can hold a line end"),
            (&["#"], "the number of the task"),
            (&["%"], "the slot"),
            (&[".."], "without its extension"),
            (&["dir/"], "`/` at the end"),
            (&["dir/."], "`/.` at the end"),
            (&["//"], "`//` at the end"),
            (&["2", "1"], "column 1 can't be called `2`: `{2}` is column 2"),
            (&["a", "-2"], "`{-2}` is column 1"),
            (&["Nr", "Nr."], "`{Nr.}` is a part of the column `Nr`"),
            (&["a", "a%b"], "a part of the column `a`"),
        ] {
            assert!(why(names).contains(told), "{names:?}: {}", why(names));
        }
    }
}
