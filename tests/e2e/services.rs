//! Services: daemons that start before the jobs they serve, are restarted, and are stopped after them.

use nix::sys::signal::Signal;

use crate::meeting::{Guest, Meeting};
use crate::running::Running;
use crate::space::Space;

/// Returns a job that reports at the meeting and does what it is told.
fn guest(name: &str, keys: &str) -> String {
    format!("[jobs.{name}]\ncommand = \"puppet catch=TERM,INT meet={name} hold\"\n{keys}\n")
}

fn service(name: &str, keys: &str) -> String {
    guest(name, &format!("daemon = true\n{keys}"))
}

struct Stage {
    space: Space,
    meeting: Meeting,
}

impl Stage {
    fn new() -> Stage {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        Stage { space, meeting }
    }

    fn start(&self, jobs: &[String]) -> Running {
        self.space.file(&jobs.concat()).start()
    }

    /// Waits for these guests, in any order: a job that waits for a service without `ready` starts as soon as
    /// that runs.
    #[track_caller]
    fn come<const N: usize>(&self, names: [&str; N]) -> [Guest; N] {
        let mut guests = self.meeting.guests(N);
        names.map(|name| {
            let at = guests.iter().position(|guest| guest.name == name);
            guests.swap_remove(at.unwrap_or_else(|| panic!("{name} did not come")))
        })
    }

    #[track_caller]
    fn comes(&self, name: &str) -> Guest {
        let guest = self.meeting.guest();
        assert_eq!(guest.name, name);
        guest
    }
}

/// Checks that the guest lives and has heard no signal.
#[track_caller]
fn is_left_alone(guest: &mut Guest) {
    guest.tell("say=here");
    guest.hears("here");
}

#[track_caller]
fn ends(mut guest: Guest, code: u8) {
    guest.tell(&format!("exit={code}"));
    guest.is_gone();
}

// ---- their end -----------------------------------------------------------------------------------------------

#[test]
fn they_are_stopped_one_after_another_when_all_others_have_ended() {
    let stage = Stage::new();
    let jobs = [
        guest("main", "after = [\"api\"]"),
        service("api", "after = [\"db\"]"),
        service("db", "stop_signal = \"INT\""),
    ];
    let running = stage.start(&jobs);
    let [mut db, mut api, main] = stage.come(["db", "api", "main"]);
    ends(main, 0);
    api.hears("got TERM");
    is_left_alone(&mut db);
    ends(api, 3);
    db.hears("got INT");
    ends(db, 4);
    running.end().ok();
}

/// A database that is told to stop by another signal than its own goes through recovery at its next start.
#[test]
fn one_with_a_stop_signal_gets_it_also_when_prun_is_stopped() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let stage = Stage::new();
        let jobs = [
            "[jobs.db]\ndaemon = true\nstop_signal = \"QUIT\"\n\
             command = \"puppet catch=TERM,INT,HUP,QUIT meet=db hold\"\n"
                .into(),
            "[jobs.web]\ndaemon = true\ncommand = \"puppet catch=TERM,INT,HUP,QUIT meet=web hold\"\n".into(),
        ];
        let running = stage.start(&jobs);
        let [mut db, mut web] = stage.come(["db", "web"]);
        running.signal(signal);
        web.hears(&format!("got {}", &signal.as_str()[3..]));
        ends(web, 0);
        db.hears("got QUIT");
        is_left_alone(&mut db);
        ends(db, 0);
        running.end().died_of(signal);
    }
}

#[test]
fn each_is_given_its_own_grace() {
    let stage = Stage::new();
    let jobs = [
        guest("main", "after = [\"b\"]"),
        service("a", "grace = \"1h\""),
        service("b", "grace = \"50ms\"\nafter = [\"a\"]"),
    ];
    let running = stage.start(&jobs);
    let [mut a, mut b, main] = stage.come(["a", "b", "main"]);
    ends(main, 0);
    // It hears, and does nothing.
    b.hears("got TERM");
    b.is_gone();
    a.hears("got TERM");
    ends(a, 0);
    running.end().code(0).stderr_has("b did not end within 50 ms of SIGTERM: killed").stderr_lacks("a did");
}

#[test]
fn nothing_that_a_service_started_is_left() {
    let stage = Stage::new();
    let file = "[jobs.db]\ndaemon = true\ngrace = \"50ms\"\n\
                command = \"puppet fork [ setsid meet=child hold ] meet=db hold\"\n";
    let running = stage.start(&[file.to_owned(), guest("main", "after = [\"db\"]")]);
    let mut guests = stage.meeting.guests(3);
    guests[2].tell("exit=0");
    guests.iter_mut().for_each(Guest::is_gone);
    running.end().ok();
}

#[test]
fn a_failed_run_stops_its_services_too() {
    let stage = Stage::new();
    let running = stage.start(&[service("db", ""), guest("main", "after = [\"db\"]")]);
    let [mut db, main] = stage.come(["db", "main"]);
    ends(main, 7);
    db.hears("got TERM");
    ends(db, 0);
    running.end().code(7).stderr_has("main").stderr_lacks("db");
}

#[test]
fn a_signal_stops_all_at_once() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let stage = Stage::new();
        let running = stage.start(&[service("a", ""), service("b", ""), guest("main", "")]);
        let mut guests = stage.meeting.guests(3);
        running.signal(signal);
        let word = signal.as_str().replace("SIG", "got ");
        guests.iter_mut().for_each(|guest| guest.hears(&word));
        guests.into_iter().for_each(|guest| ends(guest, 0));
        running.end().died_of(signal);
    }
}

#[test]
fn services_alone_last_until_they_end_or_prun_is_told_to_stop() {
    let stage = Stage::new();
    let running = stage.start(&[service("a", ""), service("b", "")]);
    let mut guests = stage.meeting.guests(2);
    ends(guests.remove(0), 0);
    is_left_alone(&mut guests[0]);
    ends(guests.remove(0), 5);
    running.end().code(5);

    let stage = Stage::new();
    let running = stage.start(&[service("a", "")]);
    let mut a = stage.comes("a");
    running.signal(Signal::SIGTERM);
    a.hears("got TERM");
    ends(a, 0);
    running.end().died_of(Signal::SIGTERM);
}

#[test]
fn one_that_is_chosen_alone_is_the_run() {
    let stage = Stage::new();
    stage.space.write("prun.toml", [service("db", ""), guest("main", "")].concat());
    let running = stage.space.prun("db").start();
    let mut db = stage.comes("db");
    is_left_alone(&mut db);
    ends(db, 0);
    running.end().ok();
}

#[test]
fn what_reads_from_a_service_ends_after_it() {
    let stage = Stage::new();
    let log = "[jobs.log]\nstdin.queue = \"lines\"\ndaemon = true\ncommand = \"puppet in meet=log hold\"\n";
    let jobs = [service("web", "stdout.queue = \"lines\""), log.to_owned(), guest("main", "")];
    let running = stage.start(&jobs);
    let mut guests = stage.meeting.guests(2);
    guests[1].tell("line=a line");
    ends(guests.pop().expect("two came"), 0);
    ends(guests.pop().expect("two came"), 0);
    // It has read all that there was before it came.
    ends(stage.comes("log"), 0);
    running.end().code(0).stdout("read 7\n");
}

// ---- an end of their own -------------------------------------------------------------------------------------

#[test]
fn one_that_fails_is_a_failure_and_the_run_goes_on_without_it() {
    let stage = Stage::new();
    let running = stage.start(&[service("db", ""), guest("main", "after = [\"db\"]")]);
    let [db, mut main] = stage.come(["db", "main"]);
    ends(db, 3);
    running.says("db `puppet");
    is_left_alone(&mut main);
    ends(main, 0);
    running.end().code(3).stderr_has("failed: db: exit 3").stderr_has("1 ok, 1 failed");
}

#[test]
fn one_that_ends_well_by_itself_has_not_failed() {
    let stage = Stage::new();
    stage.space.write("prun.toml", [service("db", ""), guest("main", "after = [\"db\"]")].concat());
    let running = stage.space.prun("-v").start();
    let [db, main] = stage.come(["db", "main"]);
    ends(db, 0);
    running.says("db: ok");
    ends(main, 0);
    running.end().code(0);
}

#[test]
fn one_that_ends_before_it_is_ready_has_failed_and_nobody_waits_for_it() {
    let stage = Stage::new();
    let jobs = [service("db", "ready.line = \"up\""), guest("app", "after = [\"db\"]"), guest("other", "")];
    let running = stage.start(&jobs);
    let mut guests = stage.meeting.guests(2);
    ends(guests.remove(0), 0);
    running.says("hold`: ended before it was ready");
    ends(guests.remove(0), 0);
    let ended = running.end();
    ended.code(1).stderr_has("skipped: app: `db` ended before it was ready");
}

#[test]
fn one_that_can_not_be_executed_is_not_up() {
    let space = Space::new();
    let file = "[jobs.db]\ndaemon = true\ncommand = \"no-such-server\"\n\
                [jobs.app]\ncommand = \"echo never\"\nafter = [\"db\"]\n";
    let ended = space.file(file).run();
    ended.code(127).stdout("").stderr_has("skipped: app: `db` could not be started");
}

#[test]
fn one_may_be_waited_for() {
    let stage = Stage::new();
    let jobs = [service("d", ""), guest("join", "after.d = \"exit\""), guest("main", "")];
    let running = stage.start(&jobs);
    let mut guests = stage.meeting.guests(2);
    ends(guests.pop().expect("two came"), 0);
    is_left_alone(&mut guests[0]);
    ends(guests.pop().expect("two came"), 0);
    ends(stage.comes("join"), 0);
    running.end().ok();
}

#[test]
fn its_stdin_is_open_and_silent() {
    let space = Space::new();
    // At the end of its input it would end at once.
    let file = "[jobs.cat]\ndaemon = true\ncommand = \"cat\"\nready.after = \"200ms\"\n\
                [jobs.app]\ncommand = \"echo used\"\nafter = [\"cat\"]\n";
    space.file(file).run().ok().stdout("used\n");
}

// ---- restarts ------------------------------------------------------------------------------------------------

#[test]
fn on_failure_it_is_started_again() {
    let stage = Stage::new();
    let keys = "restart = \"on-failure\"\nretry_delay = 0";
    let running = stage.start(&[service("db", keys), guest("main", "after = [\"db\"]")]);
    let [db, main] = stage.come(["db", "main"]);
    ends(db, 3);
    running.says("db: exit 3, starting it again now");
    let again = stage.comes("db");
    ends(again, 4);
    let again = stage.comes("db");
    ends(again, 0);
    ends(main, 0);
    running.end().code(0);
    assert!(!stage.meeting.has_guest(), "it had ended well");
}

#[test]
fn always_it_is_started_again_also_after_a_good_end_but_no_more_often_than_allowed() {
    let stage = Stage::new();
    let keys = "restart = \"always\"\nretry_delay = \"10ms\"\nretries = 2";
    let running = stage.start(&[service("db", keys), guest("main", "after = [\"db\"]")]);
    let [db, main] = stage.come(["db", "main"]);
    ends(db, 0);
    ends(stage.comes("db"), 1);
    ends(stage.comes("db"), 9);
    running.says("exit 9 after 3 attempts");
    ends(main, 0);
    running.end().code(9);
}

#[test]
fn nobody_waits_for_a_restart_that_is_not_wanted_any_more() {
    let jobs =
        [service("db", "restart = \"on-failure\"\nretry_delay = \"1h\""), guest("main", "after = [\"db\"]")];
    for signal in [None, Some(Signal::SIGTERM)] {
        let stage = Stage::new();
        let running = stage.start(&jobs);
        let [db, mut main] = stage.come(["db", "main"]);
        ends(db, 3);
        running.says("starting it again in 1 h");
        match signal {
            None => {
                ends(main, 0);
                running.end().code(3);
            }
            Some(signal) => {
                running.signal(signal);
                main.hears("got TERM");
                ends(main, 0);
                running.end().died_of(signal);
            }
        }
    }
}

#[test]
fn hundreds_of_restarts_are_one_task() {
    let space = Space::new();
    let file = "[jobs.flap]\ndaemon = true\nrestart = \"always\"\nretry_delay = 0\nretries = 300\n\
                script = 'echo >>starts; exit 1'\n";
    let ended = space.file(file).run();
    ended.code(1).stderr_has("exit 1 after 301 attempts").stderr_has("1 failed");
    assert_eq!(space.read("starts").lines().count(), 301);
}

// ---- what is shown -------------------------------------------------------------------------------------------

#[test]
fn lines_of_services_have_a_tag_when_several_jobs_run() {
    let space = Space::new();
    let file = "[jobs.web]\ndaemon = true\nready.line = \"up\"\nscript = 'echo up; sleep 1h'\n\
                [jobs.app]\ncommand = \"echo used\"\nafter = [\"web\"]\n";
    space.file(file).run().ok().stdout("web\tup\nused\n");
    let file = "[jobs.web]\ndaemon = true\ncommand = \"echo alone\"\n";
    space.file(file).run().ok().stdout("alone\n");
    let two = format!("{file}[jobs.b]\ncommand = 'true'\nafter.web = 'exit'\n");
    space.file(&two).run().ok().stdout("web\talone\n");
    // Unless another is asked for.
    space.file(&two.replace("daemon", "tag = '{#}'\ndaemon")).run().ok().stdout("1\talone\n");
    space.file(&format!("run.tag = false\n{two}")).run().ok().stdout("alone\n");
}

#[test]
fn a_dry_run_prints_all_of_it_and_ends() {
    let space = Space::new();
    let file = "[jobs.db]\ndaemon = true\ncommand = \"redis-server\"\nready.port = 1\nrestart = \"always\"\n\
                [jobs.api]\ndaemon = true\ncommand = \"api\"\nafter = [\"db\"]\n\
                [jobs.once]\ncommand = \"prepare\"\nready.line = \"x\"\n\
                [jobs.test]\ncommand = \"make test\"\nafter = { api = \"ready\", once = \"ready\" }\n";
    let ended = space.write("prun.toml", file).prun("--dry-run").run();
    ended.ok().stdout_sorted(&["redis-server", "api", "prepare", "make test"]);
}

#[test]
fn halts_stop_services_too() {
    let stage = Stage::new();
    let run = "run.halt = \"now,fail=1\"\n".to_owned();
    let running = stage.start(&[run, service("db", ""), service("web", ""), guest("main", "")]);
    let mut guests = stage.meeting.guests(3);
    ends(guests.remove(0), 3);
    guests.iter_mut().for_each(|guest| guest.hears("got TERM"));
    guests.into_iter().for_each(|guest| ends(guest, 0));
    running.end().code(3);
}
