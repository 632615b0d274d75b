//! Texts whose placeholders are known only when the header of a table has been read. Pure.
//!
//! Before that, nobody can tell `{First name}` from a word in braces. The text is kept, and parsed anew with the names
//! of the columns: with the rules, the suggestions and the errors of a source whose columns are known from the start.
//! All clones of a template get the result at once, because a plan is shared by those who run it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::{Names, Piece, Template, TextError};

/// Parses a text with placeholders.
pub(in crate::plan) type Parse = fn(&[u8], &Names) -> Result<Template, TextError>;

/// The part of a template that waits for the names of columns.
#[derive(Debug, Clone)]
pub(super) struct Late {
    text: Arc<LateText>,
    /// Pieces that follow the text, and have no names of columns.
    pub suffix: Vec<Piece>,
    /// True if `{#}`, `{%}` and values of locks stay as they are written.
    pub without_numbers: bool,
    /// `{1}` … `{blank}` are empty for tasks with fewer columns.
    pub blank: usize,
}

/// A text, and the names that it may use beside those of columns.
#[derive(Debug)]
struct LateText {
    text: Vec<u8>,
    parse: Parse,
    items: bool,
    /// True if a column's number can only be that of a column, and not that of an item in a batch.
    one_item: bool,
    locks: Vec<String>,
    untaken: Vec<String>,
    vars: BTreeMap<String, String>,
    args: Option<Vec<Vec<u8>>>,
    parsed: OnceLock<Template>,
}

impl Late {
    pub fn new(text: &[u8], names: &Names, parse: Parse) -> Late {
        let text = LateText {
            text: text.to_vec(),
            parse,
            items: names.items,
            one_item: names.one_item,
            locks: names.locks.to_vec(),
            untaken: names.untaken.to_vec(),
            vars: names.vars.clone(),
            args: names.args.map(<[_]>::to_vec),
            parsed: OnceLock::new(),
        };
        Late { text: Arc::new(text), suffix: Vec::new(), without_numbers: false, blank: 0 }
    }

    /// Returns the template with the names of columns, if they are known by now.
    pub fn parsed(&self) -> Option<&Template> {
        self.text.parsed.get()
    }

    /// Parses the text with the names of the columns.
    pub fn name_columns(&self, columns: &[String]) -> Result<(), TextError> {
        let LateText { text, parse, items, one_item, locks, untaken, vars, args, parsed } = &*self.text;
        // Not the names of locks: the job file has them, and it can call them something else.
        let other = |name: &&String| {
            vars.contains_key(*name) || locks.contains(name) || (args.is_some() && *name == "args")
        };
        if let Some(name) = columns.iter().find(other) {
            let what = if vars.contains_key(name) { "a variable" } else { "something else of the job file" };
            return Err(TextError {
                range: 0..0,
                message: format!("`{name}` is both a column of the items and {what}"),
                help: Some(format!("what is `{{{name}}}`? Call one of them something else")),
            });
        }
        let names = Names {
            items: *items,
            columns,
            locks,
            untaken,
            width: one_item.then_some(columns.len()),
            one_item: *one_item,
            vars,
            args: args.as_deref(),
            open: false,
        };
        let mut template = parse(text, &names)?;
        template.blank_columns(self.blank);
        // Whoever was first has the same names.
        let _ = parsed.set(template);
        Ok(())
    }
}

/// Two templates are equal if they are the same text.
impl PartialEq for Late {
    fn eq(&self, other: &Late) -> bool {
        self.text.text == other.text.text && self.suffix == other.suffix
    }
}

impl Eq for Late {}
