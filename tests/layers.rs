//! The layers: which module may use which (the table in `src/lib.rs`), circles between the files of one layer,
//! what pure layers may not touch, and where `unsafe` may stand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Paths that a pure layer must not name: each stands for a file, a process, a thread or a clock.
const IMPURE: [&str; 10] = [
    "std::fs",
    "std::process",
    "std::net",
    "std::thread",
    "std::env",
    "Instant::now",
    "SystemTime::now",
    "nix::unistd",
    "nix::fcntl",
    "os_pipe",
];

#[test]
fn modules_use_each_other_along_the_arrows() {
    let arrows = arrows(&read("src/lib.rs"));
    let wrong: Vec<String> = sources()
        .iter()
        .flat_map(|path| {
            against_arrows(path, &read(path), &arrows).into_iter().map(move |what| format!("{path}: {what}"))
        })
        .collect();
    assert!(wrong.is_empty(), "against the arrows of src/lib.rs:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_of_the_crate_stands_in_the_table() {
    let lib = read("src/lib.rs");
    let arrows = arrows(&lib);
    let modules = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let missing: Vec<&str> = modules.filter(|module| !arrows.contains_key(*module)).collect();
    assert!(missing.is_empty() && arrows.len() > 5, "not in the table of src/lib.rs: {missing:?}");
}

#[test]
fn pure_layers_touch_no_file_no_process_and_no_clock() {
    let pure = ["jobfile", "plan", "sched", "flow", "event"];
    let files = sources();
    let wrong: Vec<String> = files
        .iter()
        .filter(|path| pure.contains(&module_of(path)) && !path.ends_with("tests.rs"))
        .flat_map(|path| impurities(&read(path)).into_iter().map(move |what| format!("{path}: {what}")))
        .collect();
    assert!(wrong.is_empty(), "not pure:\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_stands_in_os_alone() {
    let files = sources();
    let wrong: Vec<&String> =
        files.iter().filter(|path| module_of(path) != "os" && has_unsafe(&read(path))).collect();
    assert!(wrong.is_empty(), "`unsafe` outside src/os: {wrong:?}");
}

/// The layers whose files must not use each other in a circle. A layer is added as soon as it is free of circles.
const WITHOUT_CIRCLES: [&str; 5] = ["os", "event", "journal", "flow", "cli"];

#[test]
fn files_of_a_layer_do_not_use_each_other_in_a_circle() {
    let circles: Vec<String> = WITHOUT_CIRCLES
        .into_iter()
        .filter_map(|layer| {
            let files = sources().into_iter().filter(|path| module_of(path) == layer && !is_test(path));
            circle(&files.map(|path| (path.clone(), read(&path))).collect())
        })
        .map(|circle| circle.join(" uses "))
        .collect();
    assert!(circles.is_empty(), "files that use each other in a circle:\n{}", circles.join("\n"));
}

#[test]
fn modules_of_os_use_only_those_that_the_table_lists_above_them() {
    let table = read("src/os/mod.rs");
    let rows = table.lines().filter_map(|line| line.strip_prefix("//! | ")?.split(" | ").next());
    let rows: Vec<String> = rows.flat_map(in_backquotes).collect();
    let row_of = |module: &str| rows.iter().position(|listed| listed.trim_start_matches("mod@") == module);
    let files = sources().into_iter().filter(|path| module_of(path) == "os" && !is_test(path));
    let modules: BTreeMap<Vec<String>, String> = files.map(|path| (segments_of(&path), path)).collect();
    let modules: BTreeMap<Vec<String>, &String> =
        modules.iter().map(|(module, path)| (module.clone(), path)).collect();
    let mut wrong = Vec::new();
    for (module, path) in modules.iter().filter(|(module, _)| module.len() > 1) {
        let Some(row) = row_of(&module[1]) else {
            wrong.push(format!("{path} is not in the table"));
            continue;
        };
        for used in used_files(path, &read(path), &modules) {
            let used = &segments_of(used)[1];
            if *used != module[1] && row_of(used).is_none_or(|used| used >= row) {
                wrong.push(format!("{path} uses `{used}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "against the table of src/os/mod.rs:\n{}", wrong.join("\n"));
}

#[test]
fn circles_are_found_between_made_up_files() {
    let found = |files: &[(&str, &str)]| {
        circle(&files.iter().map(|(path, code)| ((*path).to_owned(), (*code).to_owned())).collect())
    };
    let (a, b) = ("src/x/a.rs", "src/x/b.rs");
    assert!(found(&[(a, "use super::b::B;"), (b, "use crate::x::a;")]).is_some());
    assert!(found(&[(a, "use crate::{x::{b, c}, y};"), (b, "fn f() { super::a::g() }")]).is_some());
    assert!(
        found(&[(a, "use super::b::B;"), (b, "// super::a\n#[cfg(test)]\nmod tests { use crate::x::a; }")])
            .is_none()
    );
    let (parent, child) = ("src/x/a/mod.rs", "src/x/a/c.rs");
    assert!(found(&[(parent, "mod c;\nuse c::C;"), (child, "use super::A;")]).is_some(), "it climbs");
    assert!(found(&[(parent, "mod c;\nfn f() { c::g() }"), (child, "use crate::x::a::A;")]).is_some());
    assert!(found(&[(parent, "mod c;\npub fn f() { c::g() }"), (child, "use super::A;")]).is_some());
    assert!(found(&[(parent, "mod c;\npub use c::C;"), (child, "use super::A;")]).is_none(), "a re-export");
    assert!(found(&[(parent, "mod c;\nuse c::C;"), (child, "use super::super::b;"), (b, "")]).is_none());
    assert!(
        found(&[("src/x/a.rs", "use c::C;"), (child, "use crate::x::b;"), (b, "use super::a;")]).is_some()
    );
}

#[test]
fn the_checks_find_made_up_violations() {
    let arrows = arrows(&read("src/lib.rs"));
    let found = |path: &str, code: &str| !against_arrows(path, code, &arrows).is_empty();
    assert!(found("src/plan/a.rs", "use crate::os::start;"));
    assert!(found("src/plan/a.rs", "use crate::{event::Time, run};"));
    assert!(found("src/plan/a.rs", "use crate::{\n    event::{Time, Exit},\n    run::Run,\n};"));
    assert!(found("src/plan/a.rs", "fn f() { crate::ui::draw() }"));
    assert!(found("src/plan/a.rs", "pub(crate) use super::super::super::os;"));
    assert!(found("src/event/mod.rs", "use crate::plan::Plan;"));
    assert!(!found(
        "src/plan/a.rs",
        "use crate::event::Time; // not crate::os\n/// [`crate::os`]\nuse crate::plan::b;"
    ));
    assert!(!found("src/plan/a.rs", "pub(crate) use crate::{jobfile::{values, keys}, plan};"));
    assert!(!found("src/cli/mod.rs", "use crate::os;"));

    assert!(!impurities("let now = Instant::now();").is_empty());
    assert!(impurities("// std::fs\n#[cfg(test)]\nmod tests { use std::fs; }").is_empty());
    assert!(has_unsafe("let x = unsafe { f() };") && has_unsafe("#![allow(unsafe_code)]"));
    assert!(!has_unsafe("#![deny(unsafe_code)] // unsafe { }"));
}

/// Parses the table into module → modules that it may use (`all` stands for itself).
fn arrows(lib: &str) -> Arrows {
    let rows =
        lib.lines().filter_map(|line| line.strip_prefix("//! | `")).filter_map(|row| row.split_once(" | "));
    let mut arrows = Arrows::new();
    for (modules, uses) in rows {
        let uses = uses.trim_end_matches([' ', '|']);
        let uses: BTreeSet<String> =
            if uses == "all" { ["all".to_owned()].into() } else { in_backquotes(uses).collect() };
        for module in in_backquotes(&format!("`{modules}")) {
            arrows.insert(module, uses.clone());
        }
    }
    arrows
}

fn in_backquotes(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

fn against_arrows(path: &str, source: &str, arrows: &Arrows) -> Vec<String> {
    let module = module_of(path);
    let Some(allowed) = arrows.get(module) else { return Vec::new() };
    let code = without_comments(source);
    let mut wrong: Vec<String> = used_modules(&code)
        .into_iter()
        .filter(|used| arrows.contains_key(used) && used != module)
        .filter(|used| !allowed.contains("all") && !allowed.contains(used))
        .map(|used| format!("`{module}` uses `{used}`"))
        .collect();
    // A module within a file (tests) is one level deeper, hence one `super` more than the file's own depth.
    let depth = path.split('/').count() - 2 - usize::from(path.ends_with("mod.rs"));
    if without_strings(&code).contains(&"super::".repeat(depth + 2)) {
        wrong.push("`super` leaves the module".into());
    }
    wrong
}

/// Returns files that use each other in a circle, the first one again at the end. `files` are the sources of one
/// layer by path. A file uses another one if a path in its code, an import or not, leads into that file's module. A
/// parent's declarations and re-exports of its children do not count.
fn circle(files: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let modules: BTreeMap<Vec<String>, &String> =
        files.keys().map(|path| (segments_of(path), path)).collect();
    let uses = |path: &String| used_files(path, &files[path], &modules);
    let arrows: BTreeMap<&String, BTreeSet<&String>> = files.keys().map(|path| (path, uses(path))).collect();
    let mut done = BTreeSet::new();
    files.keys().find_map(|path| circle_from(path, &arrows, &mut Vec::new(), &mut done))
}

fn circle_from<'a>(
    path: &'a String,
    arrows: &BTreeMap<&'a String, BTreeSet<&'a String>>,
    way: &mut Vec<&'a String>,
    done: &mut BTreeSet<&'a String>,
) -> Option<Vec<String>> {
    if let Some(start) = way.iter().position(|on_way| *on_way == path) {
        return Some(way[start..].iter().copied().chain([path]).cloned().collect());
    }
    if !done.insert(path) {
        return None;
    }
    way.push(path);
    let found = arrows[path].iter().find_map(|used| circle_from(used, arrows, way, done));
    way.pop();
    found
}

/// Returns the other files of the layer that the code of one uses.
fn used_files<'a>(
    path: &str,
    source: &str,
    modules: &BTreeMap<Vec<String>, &'a String>,
) -> BTreeSet<&'a String> {
    let code = without_comments(source.split("#[cfg(test)]").next().unwrap_or_default());
    let own = segments_of(path);
    let children = modules.keys().filter(|module| module.len() == own.len() + 1 && module.starts_with(&own));
    let children: BTreeSet<String> = children.filter_map(|module| module.last().cloned()).collect();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("::") {
        let start =
            code[..at].rfind(|letter: char| !letter.is_alphanumeric() && letter != '_').map_or(0, |i| i + 1);
        let first = &code[start..at];
        let mut base = match first {
            "crate" => Vec::new(),
            "super" => own[..own.len() - 1].to_vec(),
            "self" => own.clone(),
            child if children.contains(child) => [own.clone(), vec![child.to_owned()]].concat(),
            _ => continue,
        };
        let is_start = !code[..start].ends_with("::");
        let statement = code[..start].rfind([';', '}']).map_or(0, |i| i + 1);
        let head = code[statement..start].trim();
        let re_exports = head.starts_with("pub") && head.ends_with(" use") && children.contains(first);
        if is_start && !re_exports {
            collect_paths(&code[at + 2..], &mut base, &mut |path| {
                let file = (1..=path.len()).rev().find_map(|length| modules.get(&path[..length]));
                found.extend(file.copied());
            });
        }
    }
    found.retain(|used| segments_of(used) != own);
    found
}

/// Calls `each` with every path that `rest`, which follows a `::`, leads to from `base`.
fn collect_paths(rest: &str, base: &mut Vec<String>, each: &mut dyn FnMut(&[String])) {
    let rest = rest.trim_start();
    let length = base.len();
    let Some(group) = rest.strip_prefix('{') else {
        let name = name_at_start(rest);
        if name == "super" {
            let parent = base.pop();
            collect_paths(rest[name.len()..].trim_start_matches(':'), base, each);
            base.extend(parent);
            return;
        }
        base.push(name);
        match rest[base[length].len()..].strip_prefix("::") {
            Some(deeper) => collect_paths(deeper, base, each),
            None => each(base),
        }
        base.truncate(length);
        return;
    };
    let mut depth = 0;
    let mut wanted = true;
    for (at, letter) in group.char_indices() {
        if depth == 0 && wanted && !letter.is_whitespace() && letter != '}' {
            collect_paths(&group[at..], base, each);
            wanted = false;
        }
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => wanted = true,
            _ => {}
        }
    }
}

/// The module of a file: `src/os/start/child.rs` is `os::start::child`, `src/os/start/mod.rs` is `os::start`.
fn segments_of(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    inner.trim_end_matches("/mod").split('/').map(str::to_owned).collect()
}

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

/// Returns the first name after each `crate::`, or the first names in its braces.
fn used_modules(code: &str) -> Vec<String> {
    code.match_indices("crate::").flat_map(|(at, found)| first_names(&code[at + found.len()..])).collect()
}

fn first_names(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![name_at_start(rest)];
    };
    let mut names = vec![name_at_start(group.trim_start())];
    let mut depth = 1;
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(name_at_start(group[at + 1..].trim_start())),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn name_at_start(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

fn impurities(source: &str) -> Vec<&'static str> {
    let code = without_comments(source.split("#[cfg(test)]").next().unwrap_or_default());
    IMPURE.into_iter().filter(|path| code.contains(path)).collect()
}

fn has_unsafe(source: &str) -> bool {
    let code = without_comments(source);
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "allow(unsafe_code"]
        .iter()
        .any(|word| code.contains(word))
}

/// Drops what stands between quotes on a line.
fn without_strings(code: &str) -> String {
    code.lines().map(|line| line.split('"').step_by(2).collect::<String>() + "\n").collect()
}

fn without_comments(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Returns the top-level module of a file: `plan` for `src/plan/a.rs` and `src/plan.rs`.
fn module_of(path: &str) -> &str {
    let rest = path.strip_prefix("src/").unwrap_or(path);
    rest.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the paths of all source files, relative to the root.
fn sources() -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).expect("a folder of sources can be read");
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.push(relative(path));
            }
        }
    }
    assert!(files.len() > 10, "the sources are under src");
    files
}

fn relative(path: PathBuf) -> String {
    path.strip_prefix(root()).expect("it is under the root").display().to_string()
}

#[test]
fn rooms_of_run_use_each_other_along_the_arrows() {
    let arrows = room_arrows(&read("src/run/mod.rs"));
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|path| path.starts_with("src/run/") && *path != "src/run/mod.rs")
        .flat_map(|path| against_rooms(path, &read(path), &arrows))
        .collect();
    assert!(wrong.is_empty(), "against the map of src/run/mod.rs:\n{}", wrong.join("\n"));
}

#[test]
fn every_room_of_run_stands_in_its_map_and_below_what_uses_it() {
    let map = read("src/run/mod.rs");
    let arrows = room_arrows(&map);
    let rooms = map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let missing: Vec<&str> = rooms.filter(|room| !arrows.contains_key(*room)).collect();
    assert!(missing.is_empty() && arrows.len() > 10, "not in the map of src/run/mod.rs: {missing:?}");
    // A room uses only what stands above it in the map, but for the two that know all: so there are no circles.
    let mut seen = BTreeSet::new();
    for room in map.lines().filter_map(room_of_row) {
        let climbing: Vec<&String> =
            arrows[&room].iter().filter(|used| *used != "all" && !seen.contains(*used)).collect();
        assert!(climbing.is_empty(), "{room} uses what stands below it: {climbing:?}");
        seen.insert(room);
    }
}

#[test]
fn the_check_of_rooms_finds_made_up_violations() {
    let arrows =
        room_arrows("//! | [`low`] | x | |\n//! | [`high`] | y | `low` |\n//! | [`loop`] | z | all |");
    let found = |path: &str, code: &str| !against_rooms(path, code, &arrows).is_empty();
    assert!(found("src/run/low.rs", "use super::high::Thing;"));
    assert!(found("src/run/low/a.rs", "use super::super::high::Thing;"));
    assert!(found("src/run/low/mod.rs", "use crate::run::high;"));
    assert!(found("src/run/low/a.rs", "use crate::run::{high, low};"));
    assert!(!found("src/run/high/a.rs", "use super::b;\nuse crate::run::low::Thing; // crate::run::loop"));
    assert!(!found("src/run/loop/mod.rs", "use super::high::Thing;"));
}

/// Returns the rows of the map of rooms: room → the rooms that it uses (`all` stands for itself).
fn room_arrows(map: &str) -> Arrows {
    let rows = map.lines().filter_map(|line| Some((room_of_row(line)?, line)));
    rows.map(|(room, line)| {
        let uses = line.split('|').nth(3).unwrap_or_default().trim();
        (room, if uses == "all" { ["all".to_owned()].into() } else { in_backquotes(uses).collect() })
    })
    .collect()
}

fn room_of_row(line: &str) -> Option<String> {
    let (room, _) = line.strip_prefix("//! | [`")?.split_once("`]")?;
    Some(room.to_owned())
}

fn against_rooms(path: &str, source: &str, arrows: &Arrows) -> Vec<String> {
    let room = room_of(path);
    let Some(allowed) = arrows.get(room) else { return vec![format!("{path}: no room of the map")] };
    let code = without_super(path, &without_comments(source));
    let used =
        code.match_indices("crate::run::").flat_map(|(at, found)| first_names(&code[at + found.len()..]));
    used.filter(|used| arrows.contains_key(used) && used != room)
        .filter(|used| !allowed.contains("all") && !allowed.contains(used))
        .map(|used| format!("{path}: `{room}` uses `{used}`"))
        .collect()
}

/// `src/run/items/stream.rs` and `src/run/items.rs` are of `items`.
fn room_of(path: &str) -> &str {
    let rest = path.strip_prefix("src/run/").unwrap_or(path);
    rest.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// Replaces chains of `super::` by the path from the root of the crate. Tests within a file are one level deeper; for
/// them the outer chain is one room too high, which finds no room that is not there.
fn without_super(path: &str, code: &str) -> String {
    let module = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let module: Vec<&str> = module.split('/').collect();
    let mut result = code.to_owned();
    for depth in (1..=module.len()).rev() {
        let base: String = module[..module.len() - depth].iter().map(|name| format!("{name}::")).collect();
        result = result.replace(&"super::".repeat(depth), &format!("crate::{base}"));
    }
    result
}
