//! A table of the file, laid over the one that gives what it doesn't say.

use toml::Spanned as Toml;
use toml::de::{DeString, DeTable, DeValue};

use crate::jobfile::model::Span;

/// A value, where it stands.
pub(super) type Node<'a> = &'a Toml<DeValue<'a>>;

pub(super) struct Section<'a> {
    /// What messages call it, as in "unknown key in …".
    pub title: String,
    /// Its header, or all of it if it is written inline.
    pub span: Span,
    pub own: &'a DeTable<'a>,
    base: Option<&'a DeTable<'a>>,
    /// `"none"` stands for no value at all here.
    none: bool,
}

/// A key that was found, and its value.
pub(super) struct Found<'a> {
    pub key: &'static str,
    pub key_span: Span,
    pub node: Node<'a>,
    /// The table of `[defaults]` that a table in `node` is laid over.
    base: Option<&'a DeTable<'a>>,
    none: bool,
}

impl<'a> Section<'a> {
    pub fn new(title: String, span: Span, own: &'a DeTable<'a>) -> Section<'a> {
        Section { title, span, own, base: None, none: false }
    }

    /// A job, laid over `[defaults]`.
    pub fn layered(
        title: String,
        span: Span,
        own: &'a DeTable<'a>,
        base: Option<&'a DeTable<'a>>,
    ) -> Section<'a> {
        Section { title, span, own, base, none: true }
    }

    /// What it says of `key`, or else what the table below says.
    pub fn get(&self, key: &'static str) -> Option<Found<'a>> {
        let below = self.base.and_then(|base| base.get_key_value(key));
        let (name, node) = self.own.get_key_value(key).or(below)?;
        if self.none && node.get_ref().as_str() == Some("none") {
            return None;
        }
        let base = below.and_then(|(_, node)| node.get_ref().as_table());
        Some(Found { key, key_span: name.span(), node, base, none: self.none })
    }

    /// Its own keys, in the order of the file.
    pub fn in_order(&self) -> Vec<(&'a Toml<DeString<'a>>, Node<'a>)> {
        let mut entries: Vec<_> = self.own.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        entries
    }

    /// All keys, those of the table below first, without what `"none"` undoes.
    pub fn merged(&self) -> Vec<(&'a Toml<DeString<'a>>, Node<'a>)> {
        let undone = |node: Node| self.none && node.get_ref().as_str() == Some("none");
        let below = self
            .base
            .into_iter()
            .flat_map(|base| base.iter())
            .filter(|(name, _)| !self.own.contains_key(name.get_ref().as_ref()));
        let mut entries: Vec<_> = below.collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        // "none" is a value like any other where there is nothing to undo.
        let in_base = |name: &str| self.base.is_some_and(|base| base.contains_key(name));
        entries.extend(
            self.in_order().into_iter().filter(|(name, node)| !(undone(node) && in_base(name.get_ref()))),
        );
        entries
    }
}

impl<'a> Found<'a> {
    /// The table that it is, laid over that of `[defaults]`.
    pub fn section(&self, title: String) -> Option<Section<'a>> {
        let own = self.node.get_ref().as_table()?;
        Some(Section { title, span: self.node.span(), own, base: self.base, none: self.none })
    }

    /// The same, but nothing of `[defaults]` shines through.
    pub fn alone(&self, title: String) -> Option<Section<'a>> {
        let own = self.node.get_ref().as_table()?;
        Some(Section::new(title, self.node.span(), own))
    }
}
