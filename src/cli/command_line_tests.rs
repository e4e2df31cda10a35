//! Command lines that need no daemon: what is refused at once, and who does what
//! no daemon does.

use super::output::Form;

#[test]
fn a_token_on_the_command_line_is_refused_and_not_repeated() {
    for line in [
        vec!["valetkey", "--token", "vk1_canary", "whoami"],
        vec!["valetkey", "connector", "list", "--token", "vk1_canary"],
    ] {
        let Err(error) = super::parse(line.into_iter().map(Into::into)) else { panic!("accepted") };
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("VALETKEY_TOKEN_FILE") && !text.contains("canary"), "{text}");
    }
}

#[test]
fn verbs_of_this_machine_go_to_whoever_was_handed_in() {
    use std::process::ExitCode;
    let local = super::Local {
        init: |args| ExitCode::from(if args.name == "ann" { 10 } else { 1 }),
        serve: |args| ExitCode::from(if args.dev { 11 } else { 1 }),
        audit_verify: |args| ExitCode::from(if args.expect_head.is_none() { 12 } else { 1 }),
    };
    let run = |line: &[&str]| super::run(line.iter().map(Into::into), &local);
    assert_eq!(run(&["valetkey", "init", "--name", "ann"]), ExitCode::from(10));
    assert_eq!(run(&["valetkey", "serve", "--dev"]), ExitCode::from(11));
    assert_eq!(run(&["valetkey", "audit", "verify"]), ExitCode::from(12));
    assert_eq!(run(&["valetkey", "nonsense"]), ExitCode::from(2));
    assert_eq!(run(&["valetkey", "--version"]), ExitCode::SUCCESS);
}

#[test]
fn the_form_of_the_answer_is_a_closed_set() {
    assert!(super::parse(["valetkey", "whoami", "-o", "xml"].map(Into::into)).is_err());
    let line = super::parse(["valetkey", "whoami", "-o", "yaml"].map(Into::into));
    assert_eq!(line.unwrap_or_else(|_| panic!("refused")).global.output, Form::Yaml);
}
