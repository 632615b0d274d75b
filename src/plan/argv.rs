//! The argument vector of a task, and how many items fit into one. Pure.

use super::template::{Place, Scope, Source, Template, Word};
use super::words::quote_in_line;
use super::{Item, What};

impl What {
    /// Calls `each` with every argument of a task, the program first. `scratch` is a buffer to be used again
    /// for the next task, so that nothing is allocated; what it holds means nothing.
    ///
    /// In a command a word that is about the item is there once for each item of a batch. A script is followed
    /// by its `$0` (for a POSIX shell) and the columns of the items.
    pub fn for_each_word(
        &self,
        job: &str,
        scope: &Scope,
        scratch: &mut Vec<u8>,
        each: &mut dyn FnMut(&[u8]),
    ) {
        match self {
            What::Command { words, append_item } => {
                for word in words {
                    let times = word.times(scope);
                    for i in 0..times {
                        let chosen = if times == 1 { scope.items } else { &scope.items[i..=i] };
                        scratch.clear();
                        word.0.render_each(scope, chosen, scratch);
                        each(scratch);
                    }
                }
                if *append_item {
                    columns(scope).for_each(each);
                }
            }
            What::Script { shell, text, posix } => {
                shell.iter().for_each(|word| each(word.as_bytes()));
                scratch.clear();
                text.0.render(scope, scratch);
                each(scratch);
                if *posix {
                    each(job.as_bytes());
                }
                columns(scope).for_each(each);
            }
        }
    }

    /// The command of a task as people know it: of a script its text, without the shell around it.
    pub fn told(&self, job: &str, scope: &Scope) -> String {
        match self {
            What::Command { .. } => self.show(job, scope, quote_in_line),
            What::Script { text, .. } => {
                let mut script = Vec::new();
                text.0.render(scope, &mut script);
                String::from_utf8_lossy(script.trim_ascii()).into_owned()
            }
        }
    }

    /// The command of a task as a line that a shell can run, its words quoted by `quote`.
    pub fn show(&self, job: &str, scope: &Scope, quote: fn(&[u8]) -> String) -> String {
        let mut line = String::new();
        self.for_each_word(job, scope, &mut Vec::new(), &mut |word| {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&quote(word));
        });
        line
    }
}

fn columns<'a>(scope: &Scope<'a>) -> impl Iterator<Item = &'a [u8]> {
    scope.items.iter().flat_map(|item| &item.columns).map(Vec::as_slice)
}

impl Word {
    /// How often this word is there: for each item that it is about, or once.
    fn times(&self, scope: &Scope) -> usize {
        let about_each = |place: &Place| match place.what {
            Source::Item | Source::Named(_) | Source::Tree => true,
            Source::Column(_) => !scope.columns_are_items(),
            Source::Seq | Source::Slot | Source::Lock(_) => false,
        };
        if scope.items.len() > 1 && self.0.places().any(about_each) { scope.items.len() } else { 1 }
    }
}

/// Linux takes no argument of this size, its final NUL counted.
const LONGEST: usize = 131_072;

/// Says how many items fit into one task, for [`super::Batch::Fit`]. It may say a few bytes too few, never
/// too many.
#[derive(Debug)]
pub struct Fitter {
    /// Bytes that Linux takes for arguments, environment and the pointers to them.
    limit: usize,
    /// Bytes without any item.
    base: usize,
    /// Bytes with the items so far.
    used: usize,
    /// Length of a script's text without any item, and with the items so far.
    base_text: usize,
    text: usize,
    empty: bool,
    scratch: Vec<u8>,
}

impl Fitter {
    /// `fixed` is what the environment takes, pointers included; `limit` what all may take.
    pub fn new(what: &What, job: &str, fixed: usize, limit: usize) -> Fitter {
        let mut scratch = Vec::new();
        let mut base = fixed;
        let widest = Scope { items: &[], names: &[], seq: u64::MAX, slot: usize::MAX, held: &[] };
        what.for_each_word(job, &widest, &mut scratch, &mut |word| base += cost(word.len()));
        let base_text = match what {
            What::Script { text, .. } => text.0.fixed_len(),
            What::Command { .. } => 0,
        };
        Fitter { limit, base, used: base, base_text, text: base_text, empty: true, scratch }
    }

    /// Takes one more item, if it fits. A first item is always taken: if it is too large the system says so when
    /// its task is started, and no other item suffers.
    pub fn take(&mut self, what: &What, names: &[String], item: &Item) -> bool {
        let (bytes, longest, text) = self.measure(what, names, item);
        let fits = self.used.saturating_add(bytes) <= self.limit && longest.max(self.text + text) < LONGEST;
        if fits {
            self.used += bytes;
            self.text += text;
        } else if self.empty {
            self.used = usize::MAX;
        }
        std::mem::replace(&mut self.empty, false) || fits
    }

    /// Begins the next task.
    pub fn clear(&mut self) {
        (self.used, self.text, self.empty) = (self.base, self.base_text, true);
    }

    /// What one more item costs: bytes in all, its longest argument, and bytes of the script's text.
    fn measure(&mut self, what: &What, names: &[String], item: &Item) -> (usize, usize, usize) {
        let scope =
            Scope { items: std::slice::from_ref(item), names, seq: u64::MAX, slot: usize::MAX, held: &[] };
        let (mut bytes, mut longest) = (0, 0);
        let mut add = |len: usize| {
            bytes += cost(len);
            longest = longest.max(len);
        };
        let mut text = 0;
        let appended = match what {
            What::Command { words, append_item } => {
                for word in words.iter().filter(|word| word.0.uses_item()) {
                    add(self.rendered(&word.0, &scope));
                }
                *append_item
            }
            What::Script { text: template, .. } => {
                // Items are joined by blanks in the text.
                let places = template.0.places().count();
                text = self.rendered(&template.0, &scope) - template.0.fixed_len() + places;
                true
            }
        };
        if appended {
            item.columns.iter().for_each(|column| add(column.len()));
        }
        (bytes + text, longest, text)
    }

    fn rendered(&mut self, template: &Template, scope: &Scope) -> usize {
        self.scratch.clear();
        template.render(scope, &mut self.scratch);
        self.scratch.len()
    }
}

/// What variables take of the room for arguments, at most; none of them is about an item.
pub fn variables_len(variables: &[(String, Template)]) -> usize {
    /// Of `{#}` and `{%}`.
    const NUMBER: usize = 20;
    let len = |(name, value): &(String, Template)| {
        cost(name.len() + 1 + value.fixed_len() + NUMBER * value.places().count())
    };
    variables.iter().map(len).sum()
}

/// Of an argument: its bytes, a NUL, and a pointer.
fn cost(len: usize) -> usize {
    len + 1 + size_of::<usize>()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::script::ScriptText;
    use crate::plan::template::Names;
    use crate::plan::words::{quote, words};

    fn item(columns: &[&str]) -> Item {
        Item { columns: columns.iter().map(|column| column.as_bytes().to_vec()).collect() }
    }

    fn names(vars: &BTreeMap<String, String>) -> Names<'_> {
        Names {
            items: true,
            columns: &[],
            locks: &[],
            untaken: &[],
            width: None,
            vars,
            args: None,
            open: false,
        }
    }

    fn command(texts: &[&str], append_item: bool) -> What {
        What::Command { words: words(texts, &names(&BTreeMap::new())).unwrap(), append_item }
    }

    fn script(text: &str, posix: bool) -> What {
        let text = ScriptText::parse(text.as_bytes(), &names(&BTreeMap::new())).unwrap();
        What::Script { shell: vec!["/bin/sh".to_owned(), "-c".to_owned()], text, posix }
    }

    fn argv(what: &What, items: &[Item]) -> Vec<String> {
        let scope = Scope { items, names: &[], seq: 5, slot: 1, held: &[] };
        let mut words = Vec::new();
        what.for_each_word("job", &scope, &mut Vec::new(), &mut |word| {
            words.push(String::from_utf8(word.to_vec()).unwrap());
        });
        words
    }

    #[test]
    fn an_item_is_one_argument() {
        let hostile = [item(&["$(x) 'y'\n{}"])];
        assert_eq!(
            argv(&command(&["a", "{}", "x{}.c"], false), &hostile)[1..],
            ["$(x) 'y'\n{}".to_owned(), "x$(x) 'y'\n{}.c".to_owned()]
        );
        assert_eq!(argv(&command(&["a", "{#}"], true), &[item(&["", "b c"])]), ["a", "5", "", "b c"]);
        assert_eq!(argv(&command(&["a", "b"], true), &[]), ["a", "b"]);
    }

    #[test]
    fn words_about_the_item_repeat_for_each_of_a_batch() {
        let batch = [item(&["a.c"]), item(&["b.c"])];
        let what = command(&["cc", "-I{//}", "{.}.o", "{2}", "{1}-{#}", "{1}{}"], false);
        let expected = ["cc", "-I.", "-I.", "a.o", "b.o", "b.c", "a.c-5", "a.ca.c", "a.cb.c"];
        assert_eq!(argv(&what, &batch), expected);
        let rows = [item(&["a", "1"]), item(&["b", "2"])];
        assert_eq!(
            argv(&command(&["x", "{2}", "{}"], true), &rows),
            ["x", "1", "2", "a 1", "b 2", "a", "1", "b", "2"]
        );
    }

    #[test]
    fn scripts_get_their_items_as_parameters() {
        let batch = [item(&["a", "it's"]), item(&["c", "d"])];
        let expected = ["/bin/sh", "-c", r"echo 'a' 'c' 'it'\''s' 'd'", "job", "a", "it's", "c", "d"];
        assert_eq!(argv(&script("echo {1} {2}", true), &batch), expected);
        assert_eq!(argv(&script("echo", false), &batch[..1]), ["/bin/sh", "-c", "echo", "a", "it's"]);
    }

    #[test]
    fn shown_commands_are_quoted() {
        let batch = [item(&["a b"]), item(&[""])];
        let scope = Scope { items: &batch, names: &[], seq: 1, slot: 1, held: &[] };
        assert_eq!(command(&["ls", ""], true).show("j", &scope, quote), r#"ls '' 'a b' "$(printf '\033')""#);
    }

    /// The real cost of a task, as Linux counts it.
    fn real(what: &What, items: &[Item]) -> usize {
        argv(what, items).iter().map(|word| word.len() + 9).sum()
    }

    #[test]
    fn a_fitter_never_takes_too_much() {
        let items: Vec<Item> = (0..500).map(|n| item(&[&"it's ".repeat(n % 7)])).collect();
        for what in [
            command(&["a"], true),
            command(&["a", "{}", "x{.}.o"], false),
            script("for x in {} '{}'; do :; done", true),
        ] {
            let mut fitter = Fitter::new(&what, "job", 100, 3000);
            let mut batch: Vec<Item> = Vec::new();
            let mut batches = 0;
            for item in &items {
                if !fitter.take(&what, &[], item) {
                    assert!(real(&what, &batch) + 100 > 2500, "fuller than {}", real(&what, &batch));
                    fitter.clear();
                    batch.clear();
                    batches += 1;
                    assert!(fitter.take(&what, &[], item));
                }
                batch.push(item.clone());
                assert!(real(&what, &batch) + 100 <= 3000);
            }
            assert!(batches > 1);
        }
    }

    #[test]
    fn what_is_too_large_is_alone() {
        let what = command(&["a"], true);
        let mut fitter = Fitter::new(&what, "job", 0, 2_000_000);
        let large = item(&[&"x".repeat(LONGEST)]);
        assert!(fitter.take(&what, &[], &item(&["a"])));
        assert!(!fitter.take(&what, &[], &large));
        fitter.clear();
        assert!(fitter.take(&what, &[], &large));
        assert!(!fitter.take(&what, &[], &item(&["a"])));
    }

    #[test]
    fn a_scripts_text_is_one_argument() {
        let what = script("echo {}", true);
        let mut fitter = Fitter::new(&what, "job", 0, 2_000_000);
        let kilobyte = item(&[&"x".repeat(1000)]);
        let taken = (0..).take_while(|_| fitter.take(&what, &[], &kilobyte)).count();
        assert!((100..131).contains(&taken), "{taken}");
    }
}
