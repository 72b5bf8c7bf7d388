//! `console` and its operators.

use std::io::Write;
use std::process::{Output, Stdio};

use snapbox::str;

use crate::program::{DataDir, program};

fn with_input(data_dir: &DataDir, arguments: &[&str], input: &str) -> Output {
    let path = data_dir.path().join("data");
    let mut command = program(&[&["--data-dir", path.to_str().unwrap()], arguments].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that refuses at once does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn operators_are_added_listed_and_removed() {
    let data_dir = DataDir::initialised();
    let add =
        |name: &str, password: &str| with_input(&data_dir, &["console", "operator", "add", name], password);
    data_dir.assert_transcript(
        &add("alice", "four words in a row\n"),
        str![[r#"
alice may sign in to the console
[status 0]

"#]],
    );
    data_dir.assert_transcript(
        &add("alice", "four other words in a row\n"),
        str![[r#"
error: there is an operator alice already
hint: to change a password, remove the operator and add it again
[status 1]

"#]],
    );
    data_dir.assert_transcript(
        &add("bob", "too short\n"),
        str![[r#"
error: the password has 9 characters, at least 15 are needed
hint: a few words in a row are easier to remember than signs
[status 1]

"#]],
    );
    data_dir.assert_transcript(
        &add("bob", &"x".repeat(2000)),
        str![[r#"
error: the password is longer than 1024 bytes
[status 1]

"#]],
    );
    data_dir.assert_transcript(
        &add("<b>", "four words in a row\n"),
        str![[r#"
error: invalid value '<b>' for '<NAME>': "<b>" is no operator's name: 1 to 64 letters, digits and ._@-

For more information, try '--help'.
[status 2]

"#]],
    );
    assert!(data_dir.stdout(&["console", "operator", "list"]).ends_with(" alice\n"));
    assert!(data_dir.stdout(&["console", "operator", "list", "--json"]).contains("\"name\": \"alice\""));
    let remove = || data_dir.run(&["console", "operator", "remove", "alice"]);
    data_dir.assert_transcript(
        &remove(),
        str![[r#"
alice cannot sign in to the console any more
[status 0]

"#]],
    );
    data_dir.assert_transcript(
        &remove(),
        str![[r#"
error: there is no operator alice
hint: `nitro-key-broker console operator list` shows all
[status 1]

"#]],
    );
}

#[test]
fn a_console_that_nobody_could_sign_in_to_or_everybody_could_reach_does_not_start() {
    let data_dir = DataDir::initialised();
    data_dir.assert_transcript(
        &data_dir.run(&["console"]),
        str![[r#"
error: nobody may sign in to the console
hint: add an operator with `nitro-key-broker console operator add NAME`
[status 1]

"#]],
    );
    with_input(&data_dir, &["console", "operator", "add", "alice"], "four words in a row\n");
    data_dir.assert_transcript(
        &data_dir.run(&["console", "--listen", "http://0.0.0.0:8090"]),
        str![[r#"
error: the console at http://0.0.0.0:8090 can be reached from other hosts and has no TLS
hint: use https://0.0.0.0:8090, with a certificate
[status 2]

"#]],
    );
    data_dir.assert_transcript(
        &data_dir.run(&["console", "--listen", "unix:/tmp/console"]),
        str![[r#"
error: the console cannot listen on unix:/tmp/console: browsers need http:// or https://
[status 2]

"#]],
    );
    data_dir.assert_transcript(
        &data_dir.run(&["console", "--listen", "https://127.0.0.1:0"]),
        str![[r#"
error: a listener under TLS needs a certificate
hint: pass --tls-certificate and --tls-key, or make them with `init --tls`
[status 2]

"#]],
    );
    data_dir.assert_transcript(
        &data_dir.run(&["serve", "--listen", "http://127.0.0.1:0", "--console", "http://0.0.0.0:0"]),
        str![[r#"
error: the console at http://0.0.0.0:0 can be reached from other hosts and has no TLS
hint: use https://0.0.0.0:0, with a certificate
[status 2]

"#]],
    );
}
