use super::*;

#[test]
fn durations() {
    for (text, millis) in [
        ("250ms", 250),
        ("30s", 30_000),
        ("1h30m", 5_400_000),
        ("2", 2000),
        ("0.25", 250),
        (".5", 500),
        ("0", 0),
        ("1.5s", 1500),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in
        ["", "-1", "1.2.3", ".", "s", "5 parsecs", "1e3", "nan", "200y", "99999999999999999999", "1h30"]
    {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    assert!(parse_duration("5parsecs").unwrap_err().contains("`parsecs`"));
}

#[test]
fn pools() {
    assert_eq!(parse_pool("0").unwrap().resolve(4), usize::MAX);
    assert_eq!(parse_pool("3").unwrap().resolve(4), 3);
    assert_eq!(parse_pool("50%").unwrap().resolve(5), 3);
    assert_eq!(parse_pool("1%").unwrap().resolve(4), 1);
    assert_eq!(parse_pool("+2").unwrap().resolve(4), 6);
    assert_eq!(parse_pool("-2").unwrap().resolve(4), 2);
    assert_eq!(parse_pool("-9").unwrap().resolve(4), 1);
    for text in ["", "x", "+-2", "%", "0%", "1.5", "--2", "4x"] {
        assert!(parse_pool(text).is_err(), "{text}");
    }
}

#[test]
fn halts() {
    let halt = |now, on, limit| Ok(HaltSetting::At(Halt { now, on, limit }));
    assert_eq!(parse_halt("never"), Ok(HaltSetting::Never));
    assert_eq!(parse_halt("0"), Ok(HaltSetting::Never));
    assert_eq!(parse_halt("1"), halt(false, HaltOn::Fail, HaltLimit::Count(1)));
    assert_eq!(parse_halt("2"), parse_halt("now"));
    assert_eq!(parse_halt("soon"), parse_halt("soon,fail=1"));
    assert_eq!(parse_halt("now,fail=20%"), halt(true, HaltOn::Fail, HaltLimit::Percent(20.0)));
    assert_eq!(parse_halt("now,success=1"), halt(true, HaltOn::Success, HaltLimit::Count(1)));
    assert_eq!(parse_halt("soon, done=10"), halt(false, HaltOn::Done, HaltLimit::Count(10)));
    for text in [
        "",
        "later",
        "now,",
        "now,fail",
        "now,fail=",
        "now,fail=0",
        "now,fail=0%",
        "now,fail=101%",
        "now,fail=x",
        "now,fail=nan%",
        "3",
    ] {
        assert!(parse_halt(text).is_err(), "{text}");
    }
    assert!(parse_halt("now,fial=1").unwrap_err().ends_with("did you mean `fail`?"));
}

#[test]
fn older_halts() {
    assert_eq!(parse_halt("-1"), parse_halt("soon,success=1"));
    assert_eq!(parse_halt("-2"), parse_halt("now,success=1"));
    assert_eq!(parse_halt("20%"), parse_halt("soon,fail=20%"));
    assert!(parse_halt("0%").is_err() && parse_halt("-3").is_err());
}

#[test]
fn rates() {
    for (text, micros) in [
        ("10/s", 100_000),
        ("100/m", 600_000),
        ("5/h", 720_000_000),
        ("1/2s", 2_000_000),
        ("0.5 / s", 2_000_000),
        ("3/500ms", 166_666),
        ("1/d", 86_400_000_000),
    ] {
        let rate = parse_rate(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(rate.interval.as_micros(), micros, "{text}");
    }
    for text in
        ["", "10", "/s", "0/s", "-1/s", "1/", "1/x", "1/0s", "x/s", "1e3/s", "1/s/s", "nan/s", "1/200y"]
    {
        assert!(parse_rate(text).is_err(), "{text}");
    }
}

#[test]
fn loads() {
    assert_eq!(parse_load("2.5").unwrap().resolve(4), 2.5);
    assert_eq!(parse_load("80%").unwrap().resolve(5), 4.0);
    assert_eq!(parse_load("0").unwrap().resolve(4), 0.0);
    for text in ["", "x", "-1", "%", "inf", "1e3", "+2"] {
        assert!(parse_load(text).is_err(), "{text}");
    }
}

#[test]
fn timeouts() {
    assert_eq!(parse_timeout("2s"), Ok(Timeout::After(Duration::from_secs(2))));
    assert_eq!(parse_timeout("250.5%"), Ok(Timeout::OfMedian(250.5)));
    for text in ["", "%", "100%", "-5%", "inf%", "x%"] {
        assert!(parse_timeout(text).is_err(), "{text}");
    }
}

#[test]
fn growing_delays() {
    let second = Duration::from_secs(1);
    assert_eq!(parse_retry_rule("3s"), Ok(RetryDelay::constant(3 * second)));
    let usual = RetryDelay { first: second, factor: 2.0, max: 60 * second, jitter: false };
    assert_eq!(parse_retry_rule("1s,factor=2"), Ok(usual));
    assert_eq!(parse_retry_rule("1s, jitter"), Ok(RetryDelay { jitter: true, ..usual }));
    let all = RetryDelay { first: 2 * second, factor: 1.5, max: 9 * second, jitter: true };
    assert_eq!(parse_retry_rule("2s,factor=1.5,max=9s,jitter"), Ok(all));
    assert_eq!(parse_retry_rule("5s,max=2s").unwrap().first, 2 * second);
    for text in ["", ",jitter", "1s,", "1s,factor=0.5", "1s,max=x", "1s,jitter=1", "1s,2"] {
        assert!(parse_retry_rule(text).is_err(), "{text}");
    }
    assert!(parse_retry_rule("1s,faktor=2").unwrap_err().ends_with("did you mean `factor`?"));
}

#[test]
fn outcomes() {
    let outcomes = parse_outcomes("3, 0,timeout,0").unwrap();
    assert_eq!(outcomes, Outcomes { codes: vec![0, 3], timeout: true, signal: false });
    for text in ["", "256", "-1", "0,", "signals are"] {
        assert!(parse_outcomes(text).is_err(), "{text}");
    }
    assert!(parse_outcomes("timout").unwrap_err().contains("`timeout`?"));
}

#[test]
fn signals() {
    for text in ["TERM", "SIGTERM", "sigterm", "15"] {
        assert_eq!(parse_signal(text), Ok(15), "{text}");
    }
    assert_eq!(parse_signal("64"), Ok(64));
    for text in ["", "0", "65", "NOPE", "-9"] {
        assert!(parse_signal(text).is_err(), "{text}");
    }
    assert!(parse_signal("TREM").unwrap_err().contains("did you mean `TERM`?"));
    assert!(parse_stop("proces").unwrap_err().contains("did you mean `process`?"));
}

#[test]
fn sizes() {
    for (text, size) in [
        ("1", 1),
        ("64KiB", 65_536),
        ("10MB", 10_000_000),
        ("2k", 2048),
        ("1M", 1 << 20),
        ("1T", 1 << 40),
        ("1.5 KiB", 1536),
    ] {
        assert_eq!(parse_size(text), Ok(size), "{text}");
    }
    for text in ["", "0", "0.4", "-1", "K", "5 parsecs", "MB", "1e3"] {
        assert!(parse_size(text).is_err(), "{text}");
    }
}
