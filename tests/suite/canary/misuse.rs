//! Secrets where they do not belong: in the wrong field, in broken JSON, in a broken message, on the command line. Each
//! is refused, and no refusal repeats it (H4, H5, H8).

use std::fs;

use valetkey::proto;

use super::story::{MINT, REGISTER, ROTATE, Story, UPDATE, VERIFY};

/// Over gRPC.
pub fn by_grpc(story: &mut Story) {
    wrong_fields(story);
    wrong_settings(story);
    broken_messages(story);
}

fn wrong_fields(story: &mut Story) {
    let ask = story.connector("wrong-fields");
    let good = ask.secrets.clone();
    let field = |name: &str, value: &[u8]| proto::SecretField { name: name.to_owned(), value: value.to_vec() };
    let unknown = story.secret("of an unknown field");
    let as_name = story.secret("as the name of a field");
    let long = [b"x".repeat(300), unknown.bytes().to_vec()].concat();
    let binary = [&[0xff, 0xfe], unknown.bytes()].concat();
    let wrongs = [
        vec![field("password", unknown.bytes())],
        vec![good[0].clone(), field(&as_name.text, b"value-of-the-field")],
        vec![good[0].clone()],
        vec![good[0].clone(), good[0].clone(), good[1].clone()],
        vec![good[0].clone(), field("aws_secret_access_key", &long)],
        vec![field("aws_access_key_id", &binary), good[1].clone()],
        [good.clone(), vec![field("aws_session_token", unknown.bytes())]].concat(),
    ];
    for secrets in wrongs {
        let ask = proto::RegisterConnectorRequest { secrets: secrets.clone(), ..ask.clone() };
        // Which bytes a key may have is the cloud's to say; everything else is refused here.
        let _ = story.call("alice", REGISTER, &ask);
        let rotate =
            proto::RotateConnectorSecretRequest { connector: "good".to_owned(), secrets, ..Default::default() };
        let _ = story.call("alice", ROTATE, &rotate);
    }
    let wrong_method = proto::RegisterConnectorRequest { auth_method: "implicit".to_owned(), ..ask.clone() };
    story.must_not("alice", REGISTER, &wrong_method, "INVALID_FIELD");
    let wrong_type = proto::RegisterConnectorRequest { connector_type: "nebula".to_owned(), ..ask.clone() };
    story.must_not("alice", REGISTER, &wrong_type, "INVALID_FIELD");
    for who in ["bob", "carol", "owner", "stranger", "trainer"] {
        story.must_not(who, REGISTER, &ask, "GRANT_MISSING");
    }
}

fn wrong_settings(story: &mut Story) {
    let misplaced = story.secret("in the settings");
    let secret = &misplaced.text;
    let settings = [
        format!(r#"{{"region": "us-east-1", "aws_secret_access_key": "{secret}"}}"#),
        format!(r#"{{"region": "us-east-1", "role_chain": "{secret}"}}"#),
        format!(r#"{{"region": "us-east-1", "session_tags": "{secret}"}}"#),
        format!(r#"{{"region": "us-east-1", "partition": "{secret}"}}"#),
        format!(r#"{{"region": "us-east-1", "max_session_duration": "{secret}"}}"#),
        format!(r#"{{"region": "us-east-1", "policy": "{secret}"}}"#),
        format!(r#"{{"region": "{secret}"}}"#),
        format!(r#"{{"region": "us-east-1", "role_arn": "{secret}"}}"#),
        format!(r#"{{"region": "us-east-1", "endpoint_url": "https://user:{secret}@localhost"}}"#),
        r#"{"region": "us-east-1", "#.to_owned() + secret,
        secret.clone(),
        format!("[\"{secret}\"]"),
        format!("\"{secret}\""),
    ];
    for settings in settings {
        let ask = proto::RegisterConnectorRequest { settings: settings.clone(), ..story.connector("wrong-settings") };
        story.must_not("alice", REGISTER, &ask, "INVALID_FIELD");
        let update = proto::UpdateConnectorRequest {
            connector: "good".to_owned(),
            etag: story.etag("good"),
            settings,
            ..Default::default()
        };
        story.must_not("alice", UPDATE, &update, "INVALID_FIELD");
    }
}

fn broken_messages(story: &mut Story) {
    let broken = story.secret("in a broken message");
    for before in [&b"\x0a\xff\xff\x7f"[..], b"\x42\x05", b"\x0b", b"", b"\x3a\xff"] {
        let body = [before, broken.bytes()].concat();
        for path in [REGISTER, ROTATE, UPDATE, VERIFY, MINT, "/valetkey.v1.Nothing/Here"] {
            let _ = story.send(Some("alice"), path, body.clone());
            let _ = story.send(None, path, body.clone());
        }
    }
}

/// On the command line.
pub fn by_command_line(story: &mut Story) {
    as_it_should_be(story);
    from_files_and_for_programs(story);
    on_the_command_line(story);
    from_broken_files(story);
    in_every_form(story);
}

fn as_it_should_be(story: &mut Story) {
    let [id, secret] = ["CLI: id", "CLI: secret"].map(|name| story.secret(name).text);
    let json = format!(r#"{{"aws_access_key_id": "{id}", "aws_secret_access_key": "{secret}"}}"#);
    let endpoint = format!("endpoint_url={}", story.sts.url());
    for form in ["table", "json", "yaml"] {
        let name = format!("cli-{form}");
        let mut words = vec!["connector", "register", &name, "--type", "aws", "--method", "iam-role", "-o", form];
        words.extend(["--set", "region=us-east-1", "--set", "role_arn=arn:aws:iam::000000000000:role/ml-data"]);
        words.extend(["--set", &endpoint, "--skip-verify", "--secrets", "-"]);
        story.cli("alice", &words, &json).ok();
        story
            .cli("alice", &["connector", "rotate-secret", &name, "--skip-verify", "--secrets", "-", "-o", form], &json)
            .ok();
    }
}

/// The form of a file, and of every program that a mint prints for.
fn from_files_and_for_programs(story: &mut Story) {
    let folder = tempfile::tempdir().unwrap();
    let [id, secret] = ["CLI file: id", "CLI file: secret"].map(|name| story.secret(name).text);
    let file = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        format!("{name}=@{}", folder.path().join(name).display())
    };
    let fields = [file("aws_access_key_id", &id), file("aws_secret_access_key", &secret)];
    let mut words = vec!["connector", "rotate-secret", "good", "--skip-verify"];
    words.extend(fields.iter().flat_map(|field| ["--secret", field]));
    story.cli("alice", &words, "").ok();
    let mint = ["mint", "--connector", "good", "--resource-type", "s3-bucket", "--resource", "s3://datasets"];
    for form in [["--format", "env"], ["--format", "aws-credential-process"], ["-o", "json"], ["-o", "table"]] {
        story.cli("bob", &[&mint[..], &form[..]].concat(), "").ok();
    }
    for form in ["exec-credential", "docker-config"] {
        assert_ne!(story.cli("bob", &[&mint[..], &["--format", form]].concat(), "").code, 0);
    }
}

/// H8: everybody on the machine could read it there.
fn on_the_command_line(story: &mut Story) {
    let secret = story.secret("on the command line").text;
    let register = ["connector", "register", "argv", "--type", "aws", "--method", "secret-key"];
    let set = format!("aws_secret_access_key={secret}");
    let json = format!(r#"{{"aws_secret_access_key": "{secret}"}}"#);
    for wrong in [["--secret", &set], ["--secrets", &json], ["--secrets", &secret], ["--secret", &secret]] {
        let outcome = story.cli("alice", &[&register[..], &wrong[..]].concat(), "");
        assert_eq!(outcome.code, 2, "H8: a secret on the command line is refused: {outcome}");
    }
    let outcome = story.cli("alice", &[&register[..], &["--set", &set, "--set", "region=us-east-1"]].concat(), "{}");
    assert_ne!(outcome.code, 0, "{outcome}");
    let outcome = story.cli("alice", &["whoami", "--token", &secret], "");
    assert_eq!(outcome.code, 2, "H8: a token on the command line is refused: {outcome}");
}

fn from_broken_files(story: &mut Story) {
    let secret = story.secret("in a broken file").text;
    // Elsewhere: the vault's own folder is searched.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.json");
    let register = ["connector", "register", "broken", "--type", "aws", "--method", "secret-key", "--secrets"];
    let texts = [
        format!(r#"{{"aws_secret_access_key": "{secret}""#),
        format!(r#"{{"aws_secret_access_key": ["{secret}"]}}"#),
        format!(r#"{{"{secret}": "x"}}"#),
        secret.clone(),
        format!("aws_secret_access_key: {secret}"),
    ];
    for text in texts {
        fs::write(&path, &text).unwrap();
        let from_file = format!("@{}", path.display());
        for (source, input) in [(from_file.as_str(), ""), ("-", text.as_str())] {
            for form in ["table", "json", "yaml"] {
                let outcome = story.cli("alice", &[&register[..], &[source, "-o", form]].concat(), input);
                assert_ne!(outcome.code, 0, "{outcome}");
            }
        }
    }
}

fn in_every_form(story: &mut Story) {
    for form in ["table", "json", "yaml"] {
        for words in [
            &["connector", "describe", "good"][..],
            &["connector", "list"],
            &["connector", "verify", "good"],
            &["connector", "list-resources", "good"],
            &["connector-type", "describe", "aws"],
            &["issuance", "list"],
            &["audit", "list"],
            &["status"],
            &["whoami"],
            &["token", "list"],
            &["access", "can"],
            &["no-such-noun"],
            &["connector", "describe", "no-such-connector"],
        ] {
            for who in ["alice", "bob", "carol"] {
                story.cli(who, &[words, &["-o", form]].concat(), "");
            }
        }
    }
}
