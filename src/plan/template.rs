//! Placeholders: text with holes, filled for each task. Pure.
//!
//! What was put in is not looked at again. Variables and `{args}` are put in when the template is made;
//! what differs from task to task stays a [`Place`].

use std::io::Write as _;
use std::ops::Range;

use memchr::{memrchr, memrchr2};

use super::Item;
use super::place::{Fill, Hole, holes, replacements};
pub use super::place::{Names, TextError};
pub use super::script::ScriptText;

/// Text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    pub pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(Vec<u8>),
    Place(Place),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub what: Source,
    pub modifier: Modifier,
    /// How the value is quoted; `Plain` outside scripts.
    pub quote: Quote,
    /// As it was written, for a task that has nothing to put in.
    pub spelling: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `{}`
    Item,
    /// `{1}`, `{-1}`
    Column(i32),
    /// `{name}`: a named column. Variables are put in when the plan is made.
    Named(String),
    /// `{#}`
    Seq,
    /// `{%}`
    Slot,
}

/// What is taken of a value. Each does what GNU parallel's replacement string of that name does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Modifier {
    None,
    /// `{.}`: without a last dot and what follows it in the base name: `.bashrc` becomes empty.
    NoExt,
    /// `{..}`: without two of these; a value that has fewer stays as it is.
    NoTwoExts,
    /// `{/}`: what follows the last slash; `dir/` becomes empty.
    Base,
    /// `{//}`: the folder as dirname(1) tells it; `.` for a value without a slash.
    Dir,
    /// `{/.}`
    BaseNoExt,
    /// `{%END}`: without that ending, if it has it.
    Without(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    Plain,
    /// Outside all quotes of a shell.
    Bare,
    /// Within `'…'`.
    Single,
    /// Within `"…"`.
    Double,
}

/// One argument of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(pub Template);

/// What a template is filled from.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// One, or more with a batch; none for a job without items.
    pub items: &'a [Item],
    /// Names of the columns.
    pub names: &'a [String],
    pub seq: u64,
    pub slot: usize,
}

impl Template {
    /// Finds the placeholders of a text.
    pub fn parse(text: &[u8], names: &Names) -> Result<Template, TextError> {
        let found = holes(text, names)?.into_iter().map(|hole| (hole, Quote::Plain));
        Ok(Template::assemble(text, found))
    }

    /// The variant of `-I`: `replace` stands for the item, and nothing in braces means anything.
    pub fn parse_replace(text: &[u8], replace: &[u8]) -> Template {
        let found = replacements(text, replace).into_iter().map(|hole| (hole, Quote::Plain));
        Template::assemble(text, found)
    }

    /// A text without placeholders.
    pub fn literal(bytes: &[u8]) -> Template {
        Template { pieces: vec![Piece::Text(bytes.to_vec())] }
    }

    /// Makes a template of a text and what was found in it.
    pub(super) fn assemble<'a>(text: &[u8], found: impl Iterator<Item = (Hole<'a>, Quote)>) -> Template {
        let mut pieces = Vec::new();
        let mut run = Vec::new();
        let mut done = 0;
        for (hole, quote) in found {
            run.extend_from_slice(&text[done..hole.range.start]);
            done = hole.range.end;
            match hole.fill {
                Fill::Now(value) => quote.put(&value, &mut run),
                Fill::Args(args) => put_joined(args, quote, &mut run),
                Fill::Later { what, modifier, .. } => {
                    if !run.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut run)));
                    }
                    let spelling = text[hole.range].to_vec();
                    pieces.push(Piece::Place(Place { what, modifier, quote, spelling }));
                }
            }
        }
        run.extend_from_slice(&text[done..]);
        if !run.is_empty() {
            pieces.push(Piece::Text(run));
        }
        Template { pieces }
    }

    /// Fills the template; the text is appended to `out`. Several items are joined by blanks.
    pub fn render(&self, scope: &Scope, out: &mut Vec<u8>) {
        self.render_each(scope, scope.items, out);
    }

    /// As [`Template::render`], but what is said of each item is said of `chosen` only.
    pub(super) fn render_each(&self, scope: &Scope, chosen: &[Item], out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Place(place) => place.fill(scope, chosen, out),
            }
        }
    }

    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Place(place) => Some(place),
        })
    }

    /// Has a placeholder of the item: `{}`, a column, a name.
    pub fn uses_item(&self) -> bool {
        self.places().any(|place| place.what.is_item())
    }

    /// Has a placeholder of the item, `{#}` or `{%}`.
    pub fn uses_task(&self) -> bool {
        self.places().next().is_some()
    }

    /// Makes `{1}` … `{columns}` empty, not their spelling, where a task has fewer items.
    pub(super) fn blank_columns(&mut self, columns: usize) {
        for piece in &mut self.pieces {
            if let Piece::Place(Place { what: Source::Column(n), spelling, .. }) = piece
                && n.unsigned_abs() as usize <= columns
            {
                spelling.clear();
            }
        }
    }
}

impl Source {
    fn is_item(&self) -> bool {
        matches!(self, Source::Item | Source::Column(_) | Source::Named(_))
    }
}

impl Scope<'_> {
    /// Of a batch of single values `{2}` is the second item; of rows it is each one's second column.
    pub(super) fn columns_are_items(&self) -> bool {
        self.items.len() > 1 && self.items[0].columns.len() == 1
    }
}

impl Place {
    fn fill(&self, scope: &Scope, chosen: &[Item], out: &mut Vec<u8>) {
        match &self.what {
            Source::Seq => put_number(scope.seq, out),
            Source::Slot => put_number(scope.slot as u64, out),
            Source::Column(n) if scope.columns_are_items() => match index(*n, scope.items.len()) {
                Some(i) => self.put(&scope.items[i].columns, out),
                None => out.extend_from_slice(&self.spelling),
            },
            _ if chosen.is_empty() => out.extend_from_slice(&self.spelling),
            _ => {
                for (i, item) in chosen.iter().enumerate() {
                    if i > 0 {
                        out.push(b' ');
                    }
                    match self.values(item, scope.names) {
                        Some(row) => self.put(row, out),
                        None => out.extend_from_slice(&self.spelling),
                    }
                }
            }
        }
    }

    /// What is meant of an item. A column that has a name but is missing in a short row is empty; one that
    /// nobody knows is no placeholder (`grep -E 'a{3}'`).
    fn values<'a>(&self, item: &'a Item, names: &[String]) -> Option<&'a [Vec<u8>]> {
        let columns = item.columns.as_slice();
        match &self.what {
            Source::Column(n) => match index(*n, columns.len()) {
                Some(i) => Some(&columns[i..=i]),
                None => (n.unsigned_abs() as usize <= names.len()).then_some(&[]),
            },
            Source::Named(name) => {
                let i = names.iter().position(|known| known == name)?;
                Some(columns.get(i..=i).unwrap_or_default())
            }
            _ => Some(columns),
        }
    }

    /// Puts in values joined by blanks, modified and quoted as one.
    fn put(&self, row: &[Vec<u8>], out: &mut Vec<u8>) {
        if let [value] = row {
            return self.quote.put(self.modifier.apply(value), out);
        }
        // The joined text is made at the end of `out`, and taken away again, so that nothing is allocated.
        let start = out.len();
        put_joined(row, Quote::Plain, out);
        let joined = out.len();
        let part = self.modifier.part(&out[start..]);
        if self.modifier == Modifier::Dir && part.is_empty() {
            self.quote.put(b".", out);
        } else {
            self.quote.open(out);
            for i in start + part.start..start + part.end {
                self.quote.put_byte(out[i], out);
            }
            self.quote.close(out);
        }
        out.drain(start..joined);
    }
}

impl Modifier {
    /// The value, modified.
    pub(super) fn apply<'a>(&self, value: &'a [u8]) -> &'a [u8] {
        let part = self.part(value);
        if *self == Modifier::Dir && part.is_empty() { b"." } else { &value[part] }
    }

    /// The part of a value that is meant. Empty for the folder of a value without one, which is `.`.
    fn part(&self, value: &[u8]) -> Range<usize> {
        let all = value.len();
        let base = || memrchr(b'/', value).map_or(0, |slash| slash + 1);
        match self {
            Modifier::None => 0..all,
            Modifier::NoExt => 0..ext(value).unwrap_or(all),
            Modifier::NoTwoExts => 0..ext(value).and_then(|dot| ext(&value[..dot])).unwrap_or(all),
            Modifier::Base => base()..all,
            Modifier::Dir => 0..dir_len(value),
            Modifier::BaseNoExt => base()..ext(value).unwrap_or(all),
            Modifier::Without(end) => 0..value.strip_suffix(end.as_slice()).map_or(all, <[u8]>::len),
        }
    }
}

/// Where the last extension begins.
fn ext(value: &[u8]) -> Option<usize> {
    memrchr2(b'.', b'/', value).filter(|last| value[*last] == b'.')
}

/// How much of a value is its folder: what stands before the last name and the slashes around it.
fn dir_len(value: &[u8]) -> usize {
    let unslashed = |value: &[u8]| value.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let name_end = unslashed(value);
    match memrchr(b'/', &value[..name_end]) {
        Some(slash) => unslashed(&value[..slash]).max(1),
        None => usize::from(name_end == 0 && !value.is_empty()),
    }
}

/// The place of the n-th of `len`, counted from 1, or from the end if negative.
fn index(n: i32, len: usize) -> Option<usize> {
    let distance = n.unsigned_abs() as usize;
    (1..=len).contains(&distance).then(|| if n > 0 { distance - 1 } else { len - distance })
}

fn put_number(n: u64, out: &mut Vec<u8>) {
    write!(out, "{n}").expect("writing to a vector does not fail");
}

/// Values joined by blanks, each quoted.
fn put_joined(values: &[Vec<u8>], quote: Quote, out: &mut Vec<u8>) {
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        quote.put(value, out);
    }
}

impl Quote {
    /// Bare values are always put in quotes, also where they look harmless: a `2` before `>file`, or a
    /// `done` where a command may stand, would mean something to the shell.
    fn put(self, value: &[u8], out: &mut Vec<u8>) {
        self.open(out);
        match self {
            Quote::Plain => out.extend_from_slice(value),
            _ => value.iter().for_each(|byte| self.put_byte(*byte, out)),
        }
        self.close(out);
    }

    fn open(self, out: &mut Vec<u8>) {
        if self == Quote::Bare {
            out.push(b'\'');
        }
    }

    fn close(self, out: &mut Vec<u8>) {
        self.open(out);
    }

    fn put_byte(self, byte: u8, out: &mut Vec<u8>) {
        match (self, byte) {
            (Quote::Bare | Quote::Single, b'\'') => out.extend_from_slice(br"'\''"),
            (Quote::Double, b'\\' | b'"' | b'$' | b'`') => out.extend_from_slice(&[b'\\', byte]),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn item(columns: &[&str]) -> Item {
        Item { columns: columns.iter().map(|column| column.as_bytes().to_vec()).collect() }
    }

    fn names<'a>(columns: &'a [String], vars: &'a BTreeMap<String, String>) -> Names<'a> {
        Names { items: true, columns, vars, args: None, open: false }
    }

    /// What `text` becomes for some items, whose columns are named `url`, `n`.
    fn filled(text: &str, items: &[Item]) -> String {
        let columns = ["url".to_owned(), "n".to_owned()];
        let vars = BTreeMap::from([("host".to_owned(), "a.org/x.gz".to_owned())]);
        let template = Template::parse(text.as_bytes(), &names(&columns, &vars)).unwrap();
        let mut out = b"<".to_vec();
        template.render(&Scope { items, names: &columns, seq: 7, slot: 2 }, &mut out);
        String::from_utf8(out).unwrap()[1..].to_owned()
    }

    #[test]
    fn modifiers_do_what_gnu_parallel_does() {
        // Value, then {.} {..} {/} {//} {/.} {%.gz}.
        for (value, expected) in [
            ("a.tar.gz", ["a.tar", "a", "a.tar.gz", ".", "a.tar", "a.tar"]),
            (".bashrc", ["", ".bashrc", ".bashrc", ".", "", ".bashrc"]),
            ("dir.d/file", ["dir.d/file", "dir.d/file", "file", "dir.d", "file", "dir.d/file"]),
            ("", ["", "", "", ".", "", ""]),
            ("a.b/.c.d", ["a.b/.c", "a.b/", ".c.d", "a.b", ".c", "a.b/.c.d"]),
            ("/x/y/", ["/x/y/", "/x/y/", "", "/x", "", "/x/y/"]),
            ("/a", ["/a", "/a", "a", "/", "a", "/a"]),
            ("//", ["//", "//", "", "/", "", "//"]),
            ("x.gz", ["x", "x.gz", "x.gz", ".", "x", "x"]),
            ("dir/", ["dir/", "dir/", "", ".", "", "dir/"]),
            ("x..y", ["x.", "x", "x..y", ".", "x.", "x..y"]),
        ] {
            let all = "{.}\t{..}\t{/}\t{//}\t{/.}\t{%.gz}";
            assert_eq!(filled(all, &[item(&[value])]).split('\t').collect::<Vec<_>>(), expected, "{value}");
            let columns = "{1.}\t{-1..}\t{1/}\t{url//}\t{url/.}\t{url%.gz}";
            assert_eq!(
                filled(columns, &[item(&[value])]).split('\t').collect::<Vec<_>>(),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn numbers_and_variables() {
        assert_eq!(filled("{#}/{%} {host} {host/.} {host//}", &[]), "7/2 a.org/x.gz x a.org");
    }

    #[test]
    fn other_braces_stay() {
        for text in [
            r#"{"a": {"b": [1, {}x]}}"#,
            "awk '{print $1} {n++} END{print n}'",
            "${} ${1} %{http_code} {{}} {{.Name}} {{ 1 }} ${{ x }}",
            "{a,b} { } {0} {01} {1,2} {+} {x {\n} {",
            "}{",
        ] {
            let expected = text.replace("{}x", "vx");
            assert_eq!(filled(text, &[item(&["v"])]), expected);
        }
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        assert_eq!(filled("{}{1}", &[item(&["{#}"])]), "{#}{#}");
        assert_eq!(filled("{{}", &[item(&["x"])]), "{x");
    }

    #[test]
    fn rows() {
        let row = [item(&["http://a/b.c", "2"])];
        assert_eq!(filled("{} {2} {-2} {n} {url/}", &row), "http://a/b.c 2 2 http://a/b.c 2 b.c");
        assert_eq!(filled("{/}|{//}|{.}", &row), "b.c 2|http://a|http://a/b");
        assert_eq!(filled("{//}", &[item(&["a", "b"])]), ".");
        assert_eq!(filled("[{2}] [{n}] {3}", &[item(&["a"])]), "[] [] {3}", "a short row");
    }

    #[test]
    fn batches() {
        let batch = [item(&["a.c"]), item(&["b.c"])];
        assert_eq!(filled("{}|{.}|{1}|{2.}|{-1}|{3}", &batch), "a.c b.c|a b|a.c|b|b.c|{3}");
        let rows = [item(&["a", "1"]), item(&["b", "2"])];
        assert_eq!(filled("{}|{2}|{n}", &rows), "a 1 b 2|1 2|1 2");
        let mut template = Template::parse(b"{1}{2}{3}", &names(&[], &BTreeMap::new())).unwrap();
        template.blank_columns(2);
        let mut out = Vec::new();
        template.render(&Scope { items: &batch[..1], names: &[], seq: 1, slot: 1 }, &mut out);
        assert_eq!(out, b"a.c{3}");
    }

    #[test]
    fn a_job_without_items_leaves_what_is_of_items() {
        let vars = BTreeMap::from([("v".to_owned(), "x".to_owned())]);
        let names = Names { items: false, ..names(&[], &vars) };
        let template = Template::parse(b"{} {1} {.} {#} {v}", &names).unwrap();
        assert!(!template.uses_item() && template.uses_task());
        let mut out = Vec::new();
        template.render(&Scope { items: &[], names: &[], seq: 1, slot: 1 }, &mut out);
        assert_eq!(out, b"{} {1} {.} 1 x");
    }

    #[test]
    fn near_names_are_errors() {
        let vars = BTreeMap::from([("domain".to_owned(), String::new()), ("os".to_owned(), String::new())]);
        let columns = ["url".to_owned()];
        let names = Names { args: Some(&[]), ..names(&columns, &vars) };
        for (text, known) in
            [("a {domian}", "domain"), ("{Domain/.}", "domain"), ("{ulr}", "url"), ("{arg}", "args")]
        {
            let error = Template::parse(text.as_bytes(), &names).expect_err(text);
            assert!(text[error.range].starts_with('{'), "{text}");
            assert!(error.help.unwrap().contains(&format!("`{{{known}}}`")), "{text}");
        }
        for text in ["{print}", "{o}", "{ domian }", "{dom.ain}", "{}", "{-}"] {
            assert!(Template::parse(text.as_bytes(), &names).is_ok(), "{text}");
        }
        let open = Names { open: true, ..names };
        let template = Template::parse(b"{ulr} {a-b%.x} {a b}", &open).unwrap();
        assert_eq!(template.places().count(), 2);
    }

    #[test]
    fn quoting() {
        let value = br#"a'b"c$d\e`f"#;
        for (quote, expected) in [
            (Quote::Plain, r#"a'b"c$d\e`f"#),
            (Quote::Bare, r#"'a'\''b"c$d\e`f'"#),
            (Quote::Single, r#"a'\''b"c$d\e`f"#),
            (Quote::Double, r#"a'b\"c\$d\\e\`f"#),
        ] {
            let mut out = Vec::new();
            quote.put(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
