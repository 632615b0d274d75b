//! The argument vector of a task, and how many items fit into one. Pure.

use super::template::{Placeholder, Scope, Source, Template, Word};
use super::words::quote_in_line;
use super::{Command, Item};

impl Command {
    /// Calls `each` with every argument of a task, the program first. `scratch` is a buffer that is reused for the next
    /// task, so that nothing is allocated; its contents mean nothing.
    ///
    /// A word with a placeholder of the item is repeated for each item of a batch. A script is followed by its `$0`
    /// (for a POSIX shell) and the columns of the items.
    pub fn for_each_arg(&self, job: &str, scope: &Scope, scratch: &mut Vec<u8>, each: &mut dyn FnMut(&[u8])) {
        match self {
            Command::Words { words, .. } => {
                for word in words {
                    let times = word.times(scope);
                    for i in 0..times {
                        let chosen = if times == 1 { scope.items } else { &scope.items[i..=i] };
                        scratch.clear();
                        word.0.render_each(scope, chosen, scratch);
                        each(scratch);
                    }
                }
                if self.appends_item() {
                    columns(scope).for_each(each);
                }
            }
            Command::Script { shell, text, posix, parameters } => {
                shell.iter().for_each(|word| each(word.as_bytes()));
                scratch.clear();
                text.0.render(scope, scratch);
                protect_script(shell, *posix, scratch, each);
                each(scratch);
                if !parameters {
                    return;
                }
                if *posix {
                    each(job.as_bytes());
                }
                columns(scope).for_each(each);
            }
        }
    }

    /// True if the item (each of its columns) is added at the end.
    pub(super) fn appends_item(&self) -> bool {
        let names_item = |word: &Word| word.0.is_late() && word.0.says_where_item_goes();
        matches!(self, Command::Words { words, append_item: true } if !words.iter().any(names_item))
    }

    /// Returns the command of a task for a message: a line of its words, or the text of a script without its shell.
    pub fn for_message(&self, job: &str, scope: &Scope) -> String {
        match self {
            Command::Words { .. } | Command::Script { parameters: false, .. } => {
                self.shell_line(job, scope, quote_in_line)
            }
            Command::Script { text, .. } => {
                String::from_utf8_lossy(text.0.rendered(scope).trim_ascii()).into_owned()
            }
        }
    }

    /// Returns the command of a task as a line that a shell can run. `quote` quotes a word.
    pub fn shell_line(&self, job: &str, scope: &Scope, quote: fn(&[u8]) -> String) -> String {
        let mut line = String::new();
        self.for_each_arg(job, scope, &mut Vec::new(), &mut |word| {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&quote(word));
        });
        line
    }
}

/// Keeps a shell from taking a script for options, if it begins like one. A POSIX shell is told that no options follow.
/// Other interpreters differ in how they are told, so they get a line end before the text.
fn protect_script(shell: &[String], posix: bool, text: &mut Vec<u8>, each: &mut dyn FnMut(&[u8])) {
    let is_told = shell.last().is_some_and(|word| word == "--");
    if is_told || !matches!(text.first(), Some(b'-' | b'+')) {
        return;
    }
    if posix {
        each(b"--");
    } else {
        text.insert(0, b'\n');
    }
}

/// Returns the columns of all items.
fn columns<'a>(scope: &Scope<'a>) -> impl Iterator<Item = &'a [u8]> {
    scope.items.iter().flat_map(|item| &item.columns).map(Vec::as_slice)
}

impl Word {
    /// Returns how often the word is repeated: for each item if it has a placeholder of each item, else once.
    fn times(&self, scope: &Scope) -> usize {
        let of_each_item = |placeholder: &Placeholder| match placeholder.source {
            Source::Item | Source::Named(_) | Source::Tree => true,
            Source::Column(_) => !scope.columns_are_items(),
            Source::Seq | Source::Slot | Source::Lock(_) => false,
        };
        if scope.items.len() > 1 && self.0.placeholders().any(of_each_item) { scope.items.len() } else { 1 }
    }
}

/// The size, with its final NUL, from which on Linux takes no argument: MAX_ARG_STRLEN of execve(2).
const MAX_ARG_STRLEN: usize = 131_072;
/// The most bytes of an argument, or of a variable with its name, without the final NUL.
pub const LONGEST_ARGUMENT: usize = MAX_ARG_STRLEN - 1;

/// Counts how many items fit into one task, for [`super::Batch::Fit`]. The count may be a few bytes too low, never
/// too high.
#[derive(Debug)]
pub struct Fitter {
    /// Bytes that Linux allows for arguments, environment and the pointers to them.
    limit: usize,
    /// Bytes without any item.
    base: usize,
    /// Bytes with the items so far.
    used: usize,
    /// Length of a script's text without any item.
    base_text: usize,
    /// Length of a script's text with the items so far.
    text: usize,
    /// True if no item was taken for this task.
    empty: bool,
    scratch: Vec<u8>,
}

/// The room that one more item takes.
struct Cost {
    /// Bytes in all.
    bytes: usize,
    /// Bytes of its longest argument.
    longest: usize,
    /// Bytes of the script's text.
    text: usize,
}

impl Fitter {
    /// `fixed`: bytes of the environment, with pointers. `limit`: bytes that all may take.
    pub fn new(command: &Command, job: &str, fixed: usize, limit: usize) -> Fitter {
        let mut scratch = Vec::new();
        let mut base = fixed;
        let widest = Scope { seq: u64::MAX, slot: usize::MAX, ..Scope::default() };
        command.for_each_arg(job, &widest, &mut scratch, &mut |word| base += cost(word.len()));
        let base_text = match command {
            Command::Script { text, .. } => text.0.fixed_len(),
            Command::Words { .. } => 0,
        };
        Fitter { limit, base, used: base, base_text, text: base_text, empty: true, scratch }
    }

    /// Takes one more item if it fits, and returns whether it did. A first item is always taken: if it is too large, the
    /// start of its task fails, and that of no other item.
    pub fn take(&mut self, command: &Command, names: &[String], item: &Item) -> bool {
        let Cost { bytes, longest, text } = self.measure(command, names, item);
        let fits =
            self.used.saturating_add(bytes) <= self.limit && longest.max(self.text + text) < MAX_ARG_STRLEN;
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

    /// Returns the cost of one more item.
    fn measure(&mut self, command: &Command, names: &[String], item: &Item) -> Cost {
        let scope = Scope {
            items: std::slice::from_ref(item),
            names,
            seq: u64::MAX,
            slot: usize::MAX,
            ..Scope::default()
        };
        let (mut bytes, mut longest) = (0, 0);
        let mut add = |len: usize| {
            bytes += cost(len);
            longest = longest.max(len);
        };
        let mut text = 0;
        let appended = match command {
            Command::Words { words, .. } => {
                for word in words.iter().filter(|word| word.0.uses_item()) {
                    add(self.rendered_len(&word.0, &scope));
                }
                command.appends_item()
            }
            Command::Script { text: template, parameters, .. } => {
                // Items are joined by blanks in the text.
                let blanks = template.0.placeholders().count();
                text = self.rendered_len(&template.0, &scope) - template.0.fixed_len() + blanks;
                *parameters
            }
        };
        if appended {
            item.columns.iter().for_each(|column| add(column.len()));
        }
        Cost { bytes: bytes + text, longest, text }
    }

    fn rendered_len(&mut self, template: &Template, scope: &Scope) -> usize {
        self.scratch.clear();
        template.render(scope, &mut self.scratch);
        self.scratch.len()
    }
}

/// Returns an upper bound of the bytes that variables take of the room for arguments. None of them may have a
/// placeholder of the item.
pub fn variables_len(variables: &[(String, Template)]) -> usize {
    /// Digits of the largest `{#}` or `{%}`.
    const NUMBER: usize = 20;
    let len = |(name, value): &(String, Template)| {
        cost(name.len() + 1 + value.fixed_len() + NUMBER * value.placeholders().count())
    };
    variables.iter().map(len).sum()
}

/// Returns the room that an argument takes: its bytes, a NUL, and a pointer.
fn cost(len: usize) -> usize {
    len + 1 + size_of::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::script::ScriptText;
    use crate::plan::template::Names;
    use crate::plan::words::{quote, words};

    fn item(columns: &[&str]) -> Item {
        Item::new(columns.iter().map(|column| column.as_bytes().to_vec()).collect())
    }

    fn names() -> Names<'static> {
        Names { items: true, ..Names::default() }
    }

    fn words_command(texts: &[&str], append_item: bool) -> Command {
        Command::Words { words: words(texts, &names()).unwrap(), append_item }
    }

    fn script(text: &str, posix: bool) -> Command {
        let text = ScriptText::parse(text.as_bytes(), &names()).unwrap();
        Command::Script { shell: vec!["/bin/sh".to_owned(), "-c".to_owned()], text, posix, parameters: true }
    }

    fn argv(command: &Command, items: &[Item]) -> Vec<String> {
        let scope = Scope { items, names: &[], seq: 5, slot: 1, ..Scope::default() };
        let mut words = Vec::new();
        command.for_each_arg("job", &scope, &mut Vec::new(), &mut |word| {
            words.push(String::from_utf8(word.to_vec()).unwrap());
        });
        words
    }

    #[test]
    fn an_item_is_one_argument() {
        let hostile = [item(&["$(x) 'y'\n{}"])];
        assert_eq!(
            argv(&words_command(&["a", "{}", "x{}.c"], false), &hostile)[1..],
            ["$(x) 'y'\n{}".to_owned(), "x$(x) 'y'\n{}.c".to_owned()]
        );
        assert_eq!(argv(&words_command(&["a", "{#}"], true), &[item(&["", "b c"])]), ["a", "5", "", "b c"]);
        assert_eq!(argv(&words_command(&["a", "b"], true), &[]), ["a", "b"]);
    }

    #[test]
    fn words_about_the_item_repeat_for_each_of_a_batch() {
        let batch = [item(&["a.c"]), item(&["b.c"])];
        let command = words_command(&["cc", "-I{//}", "{.}.o", "{2}", "{1}-{#}", "{1}{}"], false);
        let expected = ["cc", "-I.", "-I.", "a.o", "b.o", "b.c", "a.c-5", "a.ca.c", "a.cb.c"];
        assert_eq!(argv(&command, &batch), expected);
        let rows = [item(&["a", "1"]), item(&["b", "2"])];
        assert_eq!(
            argv(&words_command(&["x", "{2}", "{}"], true), &rows),
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
    fn a_script_that_begins_like_an_option_is_none() {
        let of = |shell: &[&str], text: &[u8], posix, parameters| Command::Script {
            shell: shell.iter().map(|word| (*word).to_owned()).collect(),
            text: ScriptText::literal(text),
            posix,
            parameters,
        };
        let posix = of(&["bash", "-euo", "pipefail", "-c"], b"--x", true, true);
        let expected = ["bash", "-euo", "pipefail", "-c", "--", "--x", "job", "a"];
        assert_eq!(argv(&posix, &[item(&["a"])]), expected);
        assert_eq!(argv(&of(&["sh", "-c"], b"+x", true, false), &[]), ["sh", "-c", "--", "+x"]);
        assert_eq!(argv(&of(&["sh", "-c", "--"], b"-x", true, false), &[]), ["sh", "-c", "--", "-x"]);
        assert_eq!(argv(&of(&["fish", "-c"], b"-x", false, true), &[]), ["fish", "-c", "\n-x"]);
        assert_eq!(argv(&of(&["sh", "-c"], b" -x", true, false), &[]), ["sh", "-c", " -x"]);
    }

    #[test]
    fn shown_commands_are_quoted() {
        let batch = [item(&["a b"]), item(&[""])];
        let scope = Scope { items: &batch, names: &[], seq: 1, slot: 1, ..Scope::default() };
        assert_eq!(
            words_command(&["ls", ""], true).shell_line("j", &scope, quote),
            r#"ls '' 'a b' "$(printf '\033')""#
        );
    }

    /// The real cost of a task, as Linux counts it.
    fn real(command: &Command, items: &[Item]) -> usize {
        argv(command, items).iter().map(|word| word.len() + 9).sum()
    }

    #[test]
    fn a_fitter_never_takes_too_much() {
        let items: Vec<Item> = (0..500).map(|n| item(&[&"it's ".repeat(n % 7)])).collect();
        for command in [
            words_command(&["a"], true),
            words_command(&["a", "{}", "x{.}.o"], false),
            script("for x in {} '{}'; do :; done", true),
        ] {
            let mut fitter = Fitter::new(&command, "job", 100, 3000);
            let mut batch: Vec<Item> = Vec::new();
            let mut batches = 0;
            for item in &items {
                if !fitter.take(&command, &[], item) {
                    assert!(real(&command, &batch) + 100 > 2500, "fuller than {}", real(&command, &batch));
                    fitter.clear();
                    batch.clear();
                    batches += 1;
                    assert!(fitter.take(&command, &[], item));
                }
                batch.push(item.clone());
                assert!(real(&command, &batch) + 100 <= 3000);
            }
            assert!(batches > 1);
        }
    }

    #[test]
    fn what_is_too_large_is_alone() {
        let command = words_command(&["a"], true);
        let mut fitter = Fitter::new(&command, "job", 0, 2_000_000);
        let large = item(&[&"x".repeat(MAX_ARG_STRLEN)]);
        assert!(fitter.take(&command, &[], &item(&["a"])));
        assert!(!fitter.take(&command, &[], &large));
        fitter.clear();
        assert!(fitter.take(&command, &[], &large));
        assert!(!fitter.take(&command, &[], &item(&["a"])));
    }

    #[test]
    fn a_scripts_text_is_one_argument() {
        let command = script("echo {}", true);
        let mut fitter = Fitter::new(&command, "job", 0, 2_000_000);
        let kilobyte = item(&[&"x".repeat(1000)]);
        let taken = (0..).take_while(|_| fitter.take(&command, &[], &kilobyte)).count();
        assert!((100..131).contains(&taken), "{taken}");
    }
}
