use std::collections::BTreeMap;

use super::*;

fn item(columns: &[&str]) -> Item {
    Item::new(columns.iter().map(|column| column.as_bytes().to_vec()).collect())
}

fn names<'a>(columns: &'a [String], vars: &'a BTreeMap<String, String>) -> Names<'a> {
    Names { items: true, columns, vars, ..Names::default() }
}

/// What `text` becomes for some items, whose columns are named `url`, `n`.
fn filled(text: &str, items: &[Item]) -> String {
    let columns = ["url".to_owned(), "n".to_owned()];
    let vars = BTreeMap::from([("host".to_owned(), "a.org/x.gz".to_owned())]);
    let template = Template::parse(text.as_bytes(), &names(&columns, &vars)).unwrap();
    let mut out = b"<".to_vec();
    template.render(&Scope { items, names: &columns, seq: 7, slot: 2, ..Scope::default() }, &mut out);
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
        assert_eq!(filled(columns, &[item(&[value])]).split('\t').collect::<Vec<_>>(), expected, "{value}");
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
    let list = Template::parse(b"{}|{.}|{1}|{2.}|{-1}|{3}", &names(&[], &BTreeMap::new())).unwrap();
    let mut out = Vec::new();
    list.render(&Scope { items: &batch, names: &[], seq: 1, slot: 1, ..Scope::default() }, &mut out);
    assert_eq!(out, b"a.c b.c|a b|a.c|b|b.c|{3}");
    assert_eq!(filled("{1}|{n}", &batch), "a.c b.c| ", "short rows of a table");
    let rows = [item(&["a", "1"]), item(&["b", "2"])];
    assert_eq!(filled("{}|{2}|{n}", &rows), "a 1 b 2|1 2|1 2");
    let mut template = Template::parse(b"{1}{2}{3}", &names(&[], &BTreeMap::new())).unwrap();
    template.blank_columns(2);
    let mut out = Vec::new();
    template.render(&Scope { items: &batch[..1], names: &[], seq: 1, slot: 1, ..Scope::default() }, &mut out);
    assert_eq!(out, b"a.c{3}");
}

#[test]
fn a_job_without_items_leaves_what_is_of_items() {
    let vars = BTreeMap::from([("v".to_owned(), "x".to_owned())]);
    let names = Names { items: false, ..names(&[], &vars) };
    let template = Template::parse(b"{} {1} {.} {#} {v}", &names).unwrap();
    assert!(!template.uses_item() && template.uses_task());
    let mut out = Vec::new();
    template.render(&Scope { items: &[], names: &[], seq: 1, slot: 1, ..Scope::default() }, &mut out);
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
    assert_eq!(template.placeholders().count(), 2);
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
