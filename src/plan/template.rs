//! Placeholders: text with holes, filled for each task. Pure.

use super::Item;

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

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Modifier {
    None,
    /// `{.}`
    NoExt,
    /// `{..}`
    NoTwoExts,
    /// `{/}`
    Base,
    /// `{//}`
    Dir,
    /// `{/.}`
    BaseNoExt,
    /// `{%END}`
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

/// The text of a script, its placeholders quoted for the place in which they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptText(pub Template);

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
