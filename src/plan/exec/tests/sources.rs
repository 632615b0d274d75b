//! Where items come from, and what columns they have.

use super::*;
use crate::plan::header::name_columns;
use crate::plan::items::known_total;
use crate::plan::{ColumnSeparator, Header, Item, Join, Reading};

fn of_file(name: &str) -> Source {
    Source { from: From::File(name.into()), plus: false }
}

fn plus(source: Source) -> Source {
    Source { plus: true, ..source }
}

fn with(command: &[&str], items: ItemArgs) -> ExecArgs {
    ExecArgs { items, ..args(command, &[]) }
}

fn sources(sources: Vec<Source>) -> ItemArgs {
    ItemArgs { sources, ..NOTHING }
}

fn words(list: &[&[&str]]) -> ItemArgs {
    sources(list.iter().map(|words| of_words(words)).collect())
}

fn comma() -> Option<ColumnSeparator> {
    Some(ColumnSeparator::Byte(b','))
}

fn items(items: ItemArgs) -> Items {
    plan(with(&["echo"], items)).unwrap().jobs.remove(0).items
}

fn reading(items: &Items) -> &Reading {
    let Items::Read(reading) = items else { panic!("{items:?}") };
    reading
}

fn joined(items: Items) -> (Join, Vec<Items>) {
    let Items::Join { how, sources, .. } = items else { panic!("{items:?}") };
    (how, sources)
}

#[test]
fn sources_are_split_off() {
    let split = |words: &[&str]| split_sources(bytes(words));
    let (command, found) = split(&["cp", "-v", ":::", "a", "b", ":::", ":::", "c"]).unwrap();
    assert_eq!(command, bytes(&["cp", "-v"]));
    assert_eq!(found, [of_words(&["a", "b"]), of_words(&[]), of_words(&["c"])]);
    let (command, found) = split(&["::::", "x", "-", ":::+", "a", "::::+", "y", "z"]).unwrap();
    assert!(command.is_empty());
    let expected =
        [of_file("x"), of_file("-"), plus(of_words(&["a"])), plus(of_file("y")), plus(of_file("z"))];
    assert_eq!(found, expected);
    assert_eq!(split(&["ls", "x:::", "::"]).unwrap().1, []);
    for word in ["::::", "::::+"] {
        let told = split(&["ls", ":::", "a", word, ":::", "b"]).unwrap_err().to_string();
        assert!(told.contains(&format!("`{word}` names no file")), "{told}");
    }
}

#[test]
fn files_and_stdin() {
    let file = items(ItemArgs { files: vec!["list".into()], cut: Cut::At(0), skip_empty: true, ..NOTHING });
    let Reading { from, cut: Cut::At(0), columns: None, header: Header::No, skip_empty: true } =
        reading(&file)
    else {
        panic!("{file:?}")
    };
    assert_eq!(*from, Input::File("/base/list".into()));
    for stdin in [NOTHING, ItemArgs { files: vec!["-".into()], ..NOTHING }, sources(vec![of_file("-")])] {
        assert_eq!(reading(&items(stdin)).from, Input::Stdin);
    }
    assert_eq!(known_total(&items(words(&[&[]])), &Batch::One), Some(0));
}

#[test]
fn how_sources_go_together() {
    let chain =
        vec![of_file("-"), plus(of_words(&["a"])), of_file("x"), plus(of_file("y")), of_words(&["b"])];
    let given = ItemArgs { files: vec!["first".into()], ..sources(chain) };
    let (how, all) = joined(items(given.clone()));
    assert_eq!((how, all.len()), (Join::Product, 4));
    assert_eq!(reading(&all[0]).from, Input::File("/base/first".into()));
    let (how, first) = joined(all[1].clone());
    assert_eq!((how, first.len(), &reading(&first[0]).from), (Join::Zip, 2, &Input::Stdin));
    assert!(matches!(all[2], Items::Join { how: Join::Zip, .. }) && matches!(all[3], Items::List(_)));
    assert_eq!(joined(items(ItemArgs { link: true, ..given })).0, Join::Link);

    assert_eq!(lines(with(&["echo"], words(&[&["a"], &["1", "2"]]))), ["echo a 1", "echo a 2"]);
    let linked = ItemArgs { link: true, ..words(&[&["a"], &["1", "2"]]) };
    assert_eq!(lines(with(&["echo"], linked)), ["echo a 1", "echo a 2"]);
    let stepped = sources(vec![of_words(&["a", "b"]), plus(of_words(&["1"]))]);
    assert_eq!(lines(with(&["echo", "{2}{1}"], stepped)), ["echo 1a"]);
}

#[test]
fn columns_of_words() {
    let table = |columns, list: &[&[&str]]| ItemArgs { columns, ..words(list) };
    let command = &["echo", "{2}", "{1}"];
    assert_eq!(lines(with(command, table(comma(), &[&["a,b", "c"]]))), ["echo b a", "echo '' c"]);
    let blanks = Some(ColumnSeparator::Match(regex::bytes::Regex::new(r"\s+").unwrap()));
    assert_eq!(lines(with(&["echo"], table(blanks, &[&["a  b\tc"]]))), ["echo a b c"]);
    assert_eq!(lines(with(&["echo", "{3}", "{-1}"], table(comma(), &[&["a,b"], &["x"]]))), ["echo x x"]);
    // Where there is one column, `{4}` may be a part of a regular expression.
    assert_eq!(lines(with(&["grep", "a{4}", "{}"], words(&[&["a"]]))), ["grep 'a{4}' a"]);
    for (items, number) in [
        (words(&[&["a"], &["b"]]), "{4}"),
        (words(&[&["a"], &["b"]]), "{-3}"),
        (table(comma(), &[&["a,b", "c"]]), "{3.}"),
        (words(&[&["a"], &["b"], &["c"]]), "x{4}y"),
    ] {
        let told = refusal(with(&["echo", number], items));
        assert!(told.contains("there is no column"), "{number}: {told}");
    }
    let csv = |list: &[&[&str]]| ItemArgs { cut: Cut::Csv(b','), ..words(list) };
    let rows = ["\"a,b\",\"c\"\"d\"", "", "x\ny,", "open \"quote", "\"never closed"];
    let expected =
        ["echo 'a,b' 'c\"d'", "echo ''", "echo 'x\ny' ''", "echo 'open \"quote'", "echo 'never closed'"];
    assert_eq!(lines(with(&["echo"], csv(&[&rows]))), expected);
    let skipping = ItemArgs { skip_empty: true, ..table(comma(), &[&["", ",", "a"]]) };
    assert_eq!(lines(with(&["echo"], skipping)), ["echo '' ''", "echo a"]);
}

#[test]
fn rows_of_a_batch_stay_rows() {
    let items = ItemArgs { columns: comma(), ..words(&[&["a,1", "b,2", "c"]]) };
    let two = ExecArgs { max_args: Some(2), ..with(&["echo", "{2}", "{1}"], items) };
    assert_eq!(lines(two), ["echo 1 2 a b", "echo '' c"]);
}

#[test]
fn headers_name_columns() {
    let named = |list: &[&[&str]]| ItemArgs { header: true, ..words(list) };
    let command = &["echo", "{v/.}", "{os}", "{1}"];
    let given = named(&[&["os", "a"], &["v", "x/1.c", "2"]]);
    assert_eq!(lines(with(command, given)), ["echo 1 a a", "echo 2 a a"]);
    let columns = |list: &[&[&str]]| ItemArgs { columns: comma(), ..named(list) };
    let short = columns(&[&["a,b", "1,2", "3"], &["c", "9"]]);
    assert_eq!(lines(with(&["echo", "{c}{b}{a}"], short)), ["echo 921", "echo 93"]);
    let wrong = |items| plan(with(&["echo", "{vvw}"], items)).expect_err("it is refused").to_string();
    for (items, part) in [
        (named(&[&["a", "1"], &["a", "2"]]), "two columns are called `a`"),
        (columns(&[&["a,a", "1,2"]]), "two columns are called `a`"),
        (named(&[&["a", "1"], &[]]), "one has no words"),
        (columns(&[&["a", "1,2"], &["c", "9"]]), "the row `1 2` has more columns"),
        (named(&[&["vvv", "1"]]), "did you mean `{vvv}`?"),
    ] {
        let told = wrong(items);
        assert!(told.contains(part), "{told}");
    }
    let file = ItemArgs { header: true, ..sources(vec![of_file("x"), of_words(&["n", "1"])]) };
    let job = plan(with(&["echo", "{anything}", "{n}"], file)).unwrap().jobs.remove(0);
    let Command::Words { words, .. } = &job.stages[0].command else { panic!() };
    assert!(words[1].0.uses_item() && words[2].0.uses_item() && !job.stages[0].command.appends_item());
}

#[test]
fn names_are_put_in_when_a_header_has_given_them() {
    let file = |command: &[&str]| {
        let items = ItemArgs { header: true, columns: comma(), ..sources(vec![of_file("x")]) };
        plan(with(command, items)).unwrap()
    };
    let names = ["First name".to_owned(), "host".to_owned()];
    let filled = |command: &[&str]| {
        let plan = file(command);
        name_columns(&plan, JobId(0), &names)?;
        let items = [Item::new(vec![b"ann b".to_vec(), b"h1.x".to_vec()])];
        let scope = Scope { items: &items, names: &names, seq: 1, slot: 1, ..Scope::default() };
        Ok::<_, String>(plan.jobs[0].stages[0].command.shell_line("j", &scope, quote))
    };
    assert_eq!(filled(&["echo", "{First name}:{host.}:{2}"]).unwrap(), "echo 'ann b:h1:h1.x'");
    assert_eq!(filled(&["awk", "{print $1} {n++}"]).unwrap(), "awk '{print $1} {n++}' 'ann b' h1.x");
    assert_eq!(
        filled(&["echo", "{\"a\": 1}", "{print}"]).unwrap(),
        "echo '{\"a\": 1}' '{print}' 'ann b' h1.x"
    );
    for (word, part) in [
        ("{hots}", "in the command of `echo`: unknown placeholder `{hots}`; did you mean `{host}`?"),
        ("{first nam}", "did you mean `{First name}`?"),
        ("{hots/.}", "did you mean `{host}`?"),
        ("{3}", "there is no column 3: a task has 2"),
        ("{-3/}", "there is no column -3"),
    ] {
        let told = filled(&["echo", word]).expect_err(word);
        assert!(told.contains(part), "{word}: {told}");
    }
    let told = filled(&["echo", "x{First", "name}"]).expect_err("it is two words");
    assert!(told.contains("`{First name}` is several words"), "{told}");
}

#[test]
fn what_can_not_be() {
    let wrong = |items| plan(with(&["ls"], items)).expect_err("it is refused").to_string();
    assert!(wrong(sources(vec![plus(of_words(&["a"]))])).contains("there is none"));
    let twice = ItemArgs { files: vec!["-".into()], ..sources(vec![of_file("-")]) };
    assert!(wrong(twice).contains("stdin is named twice"));
    let piped = |items| ExecArgs { pipe: Some(PipeArgs::default()), ..with(&["wc"], items) };
    let two = ItemArgs { files: vec!["a".into(), "b".into()], ..NOTHING };
    assert!(refusal(piped(two)).contains("reads one file"));
    assert!(refusal(piped(sources(vec![of_file("a")]))).contains("takes no items"));
}
