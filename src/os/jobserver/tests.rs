use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn the_very_tokens_that_were_taken_go_back() {
    let (read, mut write) = io::pipe().unwrap();
    write.write_all(b"abc").unwrap();
    let mut others = read.try_clone().unwrap();
    let mut client = Client::new(read.as_fd(), write.into(), None).unwrap();
    assert_eq!(client.take(2).unwrap(), 2);
    assert_eq!(client.take(5).unwrap(), 1);
    assert_eq!(client.take(1).unwrap(), 0, "nothing is there, and nothing is waited for");
    client.give(1).unwrap();
    let mut byte = [0; 1];
    others.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"c");
    drop(client);
    let mut rest = Vec::new();
    drop(read);
    others.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"ab");
}

#[test]
fn a_pipe_that_nobody_writes_to_has_gone() {
    let (read, write) = io::pipe().unwrap();
    let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
    let mut client = Client::new(read.as_fd(), null.into(), None).unwrap();
    drop(write);
    assert_eq!(client.take(1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_server_has_its_tokens_and_leaves_nothing() {
    for fifo in [false, true] {
        let (server, mut client) = Server::open(fifo, 3).unwrap();
        assert_eq!(client.take(5).unwrap(), 3);
        client.discard(1);
        client.give(2).unwrap();
        assert_eq!(client.take(5).unwrap(), 2);
        client.add(2).unwrap();
        assert_eq!(client.take(1).unwrap(), 1);
        let flags = server.make_flags(b"");
        assert_eq!(makeflags::auth_in(&flags), Some(server.auth.clone()));
        match &server.auth {
            Auth::Descriptors(read, write) => {
                assert!(makeflags::pipe_id(*read, false).is_some());
                assert_eq!(makeflags::pipe_id(*read, false), makeflags::pipe_id(*write, true));
                // SAFETY: F_GETFD only looks at a flag.
                let kept = unsafe { [libc::fcntl(*read, libc::F_GETFD), libc::fcntl(*write, libc::F_GETFD)] };
                assert_eq!(kept, [0, 0], "children inherit them");
            }
            Auth::Fifo(path) => {
                assert!(is_fifo(path));
                let folder = path.parent().unwrap();
                assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
                let folder = folder.to_owned();
                drop(client);
                assert!(!folder.exists());
            }
        }
    }
}

#[test]
fn what_make_was_told_stays() {
    let server = Server { auth: Auth::Fifo("/x".into()), _ends: Vec::new() };
    let cases = [
        ("", " -j --jobserver-auth=fifo:/x"),
        ("ks", "ks -j --jobserver-auth=fifo:/x"),
        ("k -j3 --jobserver-auth=3,4 -l2", "k -l2 -j --jobserver-auth=fifo:/x"),
        (
            " --no-print-directory -- A=-j B=--jobserver-auth=1,2",
            " --no-print-directory -j --jobserver-auth=fifo:/x -- A=-j B=--jobserver-auth=1,2",
        ),
        ("--trace", " --trace -j --jobserver-auth=fifo:/x"),
    ];
    for (before, expected) in cases {
        assert_eq!(String::from_utf8(server.make_flags(before.as_bytes())).unwrap(), expected, "{before}");
    }
    let pipe = Server { auth: Auth::Descriptors(100, 101), _ends: Vec::new() };
    assert_eq!(pipe.cargo_flags(), b"-j --jobserver-fds=100,101 --jobserver-auth=100,101");
}
