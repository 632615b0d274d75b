//! `matrix` and `zip`: rows of several sources, each of which is a column.

use toml::de::DeValue;

use crate::jobfile::mistakes::Mistake;
use crate::jobfile::model::{EachSpec, Spanned};
use crate::jobfile::near::alternatives;
use crate::jobfile::read::section::{Found, Node, Section};
use crate::jobfile::read::walk::Walk;

/// The sources whose items have one column and do not come from a job or a command.
const COLUMN_SOURCES: [&str; 3] = ["seq", "lines", "glob"];

/// Reads `matrix` or `zip`.
pub(super) fn read<'a>(walk: &mut Walk<'a>, found: &Found<'a>) -> Option<EachSpec> {
    let key = found.key;
    let Some(table) = found.section(format!("`{key}`")) else {
        let help = format!("name its columns: `{{ {key} = {{ os = [\"linux\", \"mac\"], v = [1, 2] }} }}`");
        walk.wrong_type(key, found.node, "a table", Some(help));
        return None;
    };
    let columns = table.in_order();
    if columns.is_empty() {
        walk.wrong_value(key, found.node, "expected a column at least");
        return None;
    }
    // Collected first, so that each wrong column is reported.
    let columns: Vec<_> = columns
        .into_iter()
        .map(|(name, node)| {
            let value = column(walk, key, name.get_ref(), node);
            walk.name_of_place("column", name).zip(value)
        })
        .collect();
    let columns = columns.into_iter().collect::<Option<Vec<_>>>()?;
    let (names, sources): (Vec<Spanned<String>>, Vec<Spanned<EachSpec>>) = columns.into_iter().unzip();
    let (names, places) = names.into_iter().map(|name| (name.value, name.span)).unzip();
    Some(EachSpec::Join { in_step: key == "zip", names, places, sources })
}

/// Reads the values of one column of `key`, which is `matrix` or `zip`.
fn column<'a>(walk: &mut Walk<'a>, key: &str, name: &str, node: Node<'a>) -> Option<Spanned<EachSpec>> {
    let each = match node.get_ref() {
        DeValue::Array(values) => {
            let wanted = "a string or a number";
            let row = |value| walk.scalar(name, value, wanted).map(|text| vec![text.value]);
            let rows: Vec<Option<Vec<String>>> = values.iter().map(row).collect();
            let rows = rows.into_iter().collect::<Option<_>>()?;
            EachSpec::Rows { rows, names: Vec::new(), places: Vec::new() }
        }
        DeValue::Table(table) => {
            let section = Section::new(format!("column `{name}`"), node.span(), table);
            source(walk, key, &section)?
        }
        _ => {
            let help = format!("write its values as an array: `{name} = [\"a\", \"b\"]`");
            walk.wrong_type(name, node, "an array or a table", Some(help));
            return None;
        }
    };
    Some(Spanned { value: each, span: node.span() })
}

/// Reads the source of one column.
fn source<'a>(walk: &mut Walk<'a>, key: &str, table: &Section<'a>) -> Option<EachSpec> {
    let mut other = super::SOURCES.into_iter().filter(|source| !COLUMN_SOURCES.contains(source));
    if let Some(found) = other.find_map(|source| table.get(source)) {
        let message = format!("`{}` can't be a column of `{key}`", found.key);
        let sources = alternatives(&COLUMN_SOURCES);
        let help = format!("write the values as an array, or name one of the sources {sources}");
        walk.mistake(Mistake::at(found.key_span, message).help(help));
        return None;
    }
    if let (Some(_), Some(found)) = (table.get("lines"), table.get("separator")) {
        let mistake = Mistake::at(found.key_span, format!("columns within a column of `{key}`"));
        walk.mistake(mistake.help("here a line is one value"));
        return None;
    }
    super::source(walk, table, &COLUMN_SOURCES)
}
