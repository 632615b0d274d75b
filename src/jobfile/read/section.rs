//! A table of the file, laid over the table with its defaults.

use toml::Spanned as Toml;
use toml::de::{DeString, DeTable, DeValue};

use crate::jobfile::model::Span;

/// A value with its place.
pub(super) type Node<'a> = &'a Toml<DeValue<'a>>;

/// A table, and the table of `[defaults]` below it.
pub(super) struct Section<'a> {
    /// The name that messages use, as in "unknown key in …".
    pub title: String,
    /// Place of the table's header, or of the whole table if it is written inline.
    pub span: Span,
    pub own: &'a DeTable<'a>,
    base: Option<&'a DeTable<'a>>,
    /// True if `"none"` removes a default.
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

    /// A table laid over `base`, in which `"none"` removes a default.
    pub fn layered(
        title: String,
        span: Span,
        own: &'a DeTable<'a>,
        base: Option<&'a DeTable<'a>>,
    ) -> Section<'a> {
        Section { title, span, own, base, none: true }
    }

    /// Returns the key of this table, or else of the table below.
    pub fn get(&self, key: &'static str) -> Option<Found<'a>> {
        let below = self.base.and_then(|base| base.get_key_value(key));
        let (name, node) = self.own.get_key_value(key).or(below)?;
        if self.none && node.get_ref().as_str() == Some("none") {
            return None;
        }
        let base = below.and_then(|(_, node)| node.get_ref().as_table());
        Some(Found { key, key_span: name.span(), node, base, none: self.none })
    }

    /// Returns the keys of this table alone, in the order of the file.
    pub fn in_order(&self) -> Vec<(&'a Toml<DeString<'a>>, Node<'a>)> {
        let mut entries: Vec<_> = self.own.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        entries
    }

    /// Returns all keys, those of the table below first, without those that `"none"` removes.
    pub fn merged(&self) -> Vec<(&'a Toml<DeString<'a>>, Node<'a>)> {
        let is_none = |node: Node| self.none && node.get_ref().as_str() == Some("none");
        let below = self
            .base
            .into_iter()
            .flat_map(|base| base.iter())
            .filter(|(name, _)| !self.own.contains_key(name.get_ref().as_ref()));
        let mut entries: Vec<_> = below.collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        // "none" is a value like any other where there is no default to remove.
        let in_base = |name: &str| self.base.is_some_and(|base| base.contains_key(name));
        entries.extend(
            self.in_order().into_iter().filter(|(name, node)| !(is_none(node) && in_base(name.get_ref()))),
        );
        entries
    }
}

impl<'a> Found<'a> {
    /// Returns the value as a table, laid over that of `[defaults]`.
    pub fn section(&self, title: String) -> Option<Section<'a>> {
        let own = self.node.get_ref().as_table()?;
        Some(Section { title, span: self.node.span(), own, base: self.base, none: self.none })
    }

    /// Returns the value as a table without defaults.
    pub fn alone(&self, title: String) -> Option<Section<'a>> {
        let own = self.node.get_ref().as_table()?;
        Some(Section::new(title, self.node.span(), own))
    }
}
