//! An option of another tool, and its counterpart in prun.

/// An option of another tool, with all its spellings.
pub struct Flag {
    /// The option as its own manual spells it: `-n N, --max-args=N`.
    pub theirs: &'static str,
    /// The option of prun, with backquotes; empty if there is none.
    pub ours: &'static str,
    /// The difference, or what to do instead; empty if nothing differs. Without a capital at its beginning
    /// and a full stop at its end.
    pub word: &'static str,
}

pub const fn flag(theirs: &'static str, ours: &'static str, word: &'static str) -> Flag {
    Flag { theirs, ours, word }
}

impl Flag {
    /// Returns the names: `-n`, `--max-args`.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> {
        self.theirs.split(", ").map(|spelling| &spelling[..end_of_name(spelling)])
    }

    /// Returns what to do instead of typing it.
    pub fn advice(&self) -> String {
        match (self.ours, self.word) {
            ("", word) => word.to_owned(),
            (ours, "") => format!("use {ours}"),
            (ours, word) => format!("use {ours}; {word}"),
        }
    }

    /// Returns the head of its entry in the manual, with backquotes around names.
    pub fn head(&self) -> String {
        let marked = self.theirs.split(", ").map(|spelling| {
            let (name, rest) = spelling.split_at(end_of_name(spelling));
            format!("`{name}`{rest}")
        });
        marked.collect::<Vec<_>>().join(", ")
    }

    /// Returns the text of its entry in the manual.
    pub fn text(&self) -> String {
        match (self.ours, self.word) {
            ("", word) => format!("None: {word}."),
            (ours, "") if self.spellings().any(|spelling| names(ours, spelling)) => "The same.".to_owned(),
            (ours, "") => format!("{ours}."),
            (ours, word) => format!("{ours}: {word}."),
        }
    }
}

/// True if prun's option has this name.
fn names(ours: &str, spelling: &str) -> bool {
    let ours = ours.trim_matches('`');
    &ours[..end_of_name(ours)] == spelling
}

pub fn end_of_name(spelling: &str) -> usize {
    spelling.find([' ', '=', '[']).unwrap_or(spelling.len())
}
