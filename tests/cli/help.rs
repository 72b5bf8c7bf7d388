//! The help of every command, also of one that nobody thought of here.

use snapbox::{Assert, Data};

use crate::program::run;

/// Lines of a terminal that a help text may fill: a laptop's whole screen.
const SCREEN: usize = 60;

#[test]
fn help_of_every_command() {
    let mut commands = vec![Vec::new()];
    while let Some(command) = commands.pop() {
        let help = help(&command);
        let name = ["help"].iter().chain(&command).copied().collect::<Vec<_>>().join("_").replace('-', "_");
        let golden = format!("{}/tests/cli/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        Assert::new().action_env("SNAPSHOTS").eq(&help, Data::read_from(golden.as_ref(), None));
        let lines = help.lines().count();
        assert!(lines <= SCREEN, "{command:?}: {lines} lines");
        for subcommand in subcommands(&help) {
            let subcommand: &'static str = subcommand.to_owned().leak();
            commands.push([command.as_slice(), &[subcommand]].concat());
        }
    }
}

fn help(command: &[&str]) -> String {
    let output = run(&[command, &["--help"]].concat());
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn subcommands(help: &str) -> impl Iterator<Item = &str> {
    let section = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = section.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help")
}
