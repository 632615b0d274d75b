use std::ffi::OsStr;
use std::time::Duration;

use clap::Parser;

use std::path::PathBuf;

use super::*;
use crate::cli::args::exec::Exec;
use crate::cli::args::parse_jobs;
use crate::cli::args::run::Run as FileArgs;
use crate::cli::{exec, run};
use crate::jobfile::values::{HaltLimit, OutputMode, Rate, Resume, parse_halt, parse_jobserver, parse_load};
use crate::jobfile::{parse_config, parse_over};
use crate::plan::build::build;
use crate::plan::template::Piece;
use crate::plan::{Jobserver, Plan};

/// There are but two; neighbours differ.
fn style(level: u32) -> &'static str {
    ["pipe", "fifo"][level as usize % 2]
}

/// `[run]` with every key, told apart by a number.
fn keys(level: u32) -> String {
    let style = style(level);
    format!(
        "[run]\npool = {level}\nhalt = \"now,fail={level}\"\noutput = \"line\"\nkeep_order = true\n\
         tag = \"{level}\"\ngrace = {level}\nrate = \"1/{level}s\"\nload = {level}\nmemory_free = {level}\n\
         max_record = {level}\njobserver = \"{style}\"\njournal = \"/{level}\"\nresume = true\n"
    )
}

/// Variables that say the same.
fn variables(level: u32) -> Variables {
    let word = level.to_string();
    Variables {
        pool: parse_jobs(word.clone().into()).ok(),
        halt: parse_halt(&format!("now,fail={level}")).ok(),
        output: Some(OutputMode::Line),
        keep_order: Some(true),
        tag: Some(Tag::Template(word.clone().into())),
        grace: Some(Duration::from_secs(level.into())),
        rate: Some(Rate { interval: Duration::from_secs(level.into()) }),
        load: parse_load(&word).ok(),
        memory_free: Some(level as usize),
        max_record: Some(level as usize),
        jobserver: parse_jobserver(style(level)).ok(),
        journal: Some(PathBuf::from(format!("/{level}"))),
        resume: Some(Resume::Finished),
        ..Variables::default()
    }
}

/// Options that say the same.
fn options(level: u32) -> Vec<String> {
    let style = style(level);
    let line = format!(
        "-j{level} --halt now,fail={level} --output line -k --tag={level} --grace {level} --rate 1/{level}s \
         --load {level} --memory-free {level} --max-record {level} --jobserver={style} --journal /{level} --resume"
    );
    line.split_whitespace().map(str::to_owned).collect()
}

fn text(piece: &Piece) -> Vec<u8> {
    let Piece::Text(text) = piece else { panic!("{piece:?}") };
    text.clone()
}

#[track_caller]
fn says(plan: Plan, level: u32) {
    let job = &plan.jobs[0];
    let time = Duration::from_secs(level.into());
    assert_eq!(
        (plan.pool, plan.halt.map(|halt| halt.limit)),
        (level as usize, Some(HaltLimit::Count(level.into())))
    );
    assert_eq!((job.output, job.keep_order, job.grace), (OutputMode::Line, true, time));
    let prefix: Vec<u8> = job.tag.iter().flat_map(|tag| tag.pieces()).flat_map(text).collect();
    assert_eq!(prefix, format!("{level}\t").as_bytes());
    let throttle = plan.throttle;
    assert_eq!(throttle.rate.map(|rate| rate.interval), Some(time));
    assert_eq!((throttle.load, throttle.memory_free), (Some(level.into()), Some(level.into())));
    assert_eq!(plan.max_record, level as usize);
    assert_eq!(plan.jobserver, Jobserver::Server { fifo: style(level) == "fifo" });
    let journal = plan.logs.journal.unwrap();
    assert_eq!((journal.path, journal.resume), (PathBuf::from(format!("/{level}")), Resume::Finished));
}

#[test]
fn every_key_has_its_place_under_a_command_line() {
    let plan = |config: &str, variables: Variables, options: Vec<String>| {
        let words = ["exec".to_owned()].into_iter().chain(options).chain(["true".to_owned()]);
        let asked = Exec::try_parse_from(words).unwrap();
        let config = parse_config("config.toml", config.as_bytes()).unwrap();
        crate::plan::exec::plan(exec::meaning(&asked, &variables, &config).unwrap()).unwrap()
    };
    says(plan(&keys(1), Variables::default(), Vec::new()), 1);
    says(plan(&keys(1), variables(2), Vec::new()), 2);
    says(plan(&keys(1), variables(2), options(3)), 3);
    says(plan("", variables(2), Vec::new()), 2);
}

#[test]
fn every_key_has_its_place_under_a_job_file() {
    let plan = |config: &str, run: &str, variables: Variables, options: Vec<String>| {
        let asked = FileArgs::try_parse_from(["prun".to_owned()].into_iter().chain(options)).unwrap();
        let config = parse_config("config.toml", config.as_bytes()).unwrap();
        let text = format!("{run}\n[jobs.a]\ncommand = \"true\"\n");
        let mut file = parse_over(&config, "a.toml", text.as_bytes()).unwrap();
        let name = OsStr::new("/a.toml");
        let how = run::meaning(&asked, &variables, &mut file, name, Vec::new()).unwrap();
        build(&file, &how).unwrap()
    };
    says(plan(&keys(1), "", Variables::default(), Vec::new()), 1);
    says(plan(&keys(1), &keys(2), Variables::default(), Vec::new()), 2);
    says(plan(&keys(1), &keys(2), variables(3), Vec::new()), 3);
    says(plan(&keys(1), &keys(2), variables(3), options(4)), 4);
}

#[test]
fn the_option_beats_the_environment() {
    let color = |line: &str| {
        let words = std::iter::once("prun").chain(line.split_whitespace());
        super::color(&FileArgs::try_parse_from(words).unwrap().both, &Variables::default())
    };
    assert!(color("--color=always"));
    assert!(!color("--color never"));
}
