//! SECURITY.md group H, leaks of secrets, through the real daemon and command line. H5 is part of `h4`.

use tonic::Code;
use valetkey::proto;

use crate::rig::cast::{self, CANARY, CANARY_ID, no_canary};
use crate::rig::vault::{Setup, outcome};
use crate::rig::wire::{everything, refused_with};

#[test]
fn h3_the_log_says_no_secret_at_any_level_also_at_start() {
    let vault = Setup::new().with("log", "level = \"trace\"").variable("RUST_LOG", "trace,h2=trace").start();
    cast::connector(&vault, cast::unverified("logged"));
    let secret = vault.token("alice");
    let root = std::fs::read(vault.data().join("root.key")).unwrap();
    let key = std::fs::read_to_string(vault.data().join("server.key")).unwrap();
    let key = key.lines().nth(1).unwrap();
    let log = vault.logs();
    assert!(log.contains("ready"), "the log was read");
    no_canary("the log", log.as_bytes());
    assert!(!log.contains(&secret) && !log.contains("Bearer") && !log.contains(key), "{log}");
    assert!(!log.as_bytes().windows(16).any(|window| root.windows(16).any(|part| part == window)));
}

#[test]
fn h4_a_secret_that_does_not_parse_is_named_by_field_and_not_repeated() {
    let vault = Setup::new().start();
    let register = [
        "connector",
        "register",
        "bad",
        "--type",
        "aws",
        "--method",
        "secret-key",
        "--set",
        "region=us-east-1",
        "--secrets",
        "-",
    ];
    for input in [
        format!("{{\"aws_secret_access_key\": \"{CANARY}\""),
        CANARY.to_owned(),
        format!("[\"{CANARY}\"]"),
        format!("{{\"aws_secret_access_key\": [\"{CANARY}\"], \"aws_access_key_id\": \"x\"}}"),
        format!("{{\"{CANARY}\": \"x\"}}"),
        format!("{{\"aws_access_key_id\": \"{CANARY}\\n\", \"aws_secret_access_key\": \"\\u0000{CANARY}\"}}"),
    ] {
        let said = vault.cli_with("alice", &register, &input);
        assert_ne!(said.code, 0, "{said}");
        // The name of a field is the engineer's own; a value never comes back.
        if !input.starts_with(&format!("{{\"{CANARY}")) {
            no_canary(&input, said.all().as_bytes());
        }
    }
    // On the wire: unknown and doubled fields, too large a value, bytes that are no message.
    let field = |name: &str, value: Vec<u8>| proto::SecretField { name: name.to_owned(), value };
    let canary = CANARY.as_bytes().to_vec();
    for secrets in [
        vec![field("no_such_field", canary.clone())],
        vec![field("aws_secret_access_key", canary.clone()), field("aws_secret_access_key", canary.clone())],
        vec![field("aws_access_key_id", canary.clone())],
        vec![
            field("aws_access_key_id", canary.clone()),
            field("aws_secret_access_key", CANARY.repeat(2000).into_bytes()),
        ],
        vec![field("aws_access_key_id", vec![0xff; 20]), field("aws_secret_access_key", canary.clone())],
    ] {
        let ask = proto::RegisterConnectorRequest { secrets, ..cast::unverified("bad") };
        let status = refused_with(vault.run(vault.connectors("alice").register_connector(ask)), Code::InvalidArgument);
        no_canary("a refusal", &everything(&status));
    }
    let mut broken = cast::bytes(&cast::unverified("bad"));
    broken.extend_from_slice(&[0x42, 0x7f]);
    let path = "/valetkey.v1.ConnectorService/RegisterConnector";
    let status = vault.run(vault.raw(Some("alice"), path, broken)).unwrap_err();
    no_canary("a refusal of broken bytes", &everything(&status));
    assert!(!status.message().contains("prost") && !status.message().contains("SecretField"), "{status:?}");
    no_canary("the ledger", serde_json::to_string(&vault.ledger()).unwrap().as_bytes());
    no_canary("the log", vault.logs().as_bytes());
}

#[test]
fn h6_a_stranger_learns_neither_version_nor_names() {
    let vault = Setup::new().start();
    for path in ["/valetkey.v1.OperatorService/GetStatus", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"]
    {
        let status = vault.run(vault.raw(None, path, Vec::new())).unwrap_err();
        let all = String::from_utf8_lossy(&everything(&status)).into_owned();
        assert!(
            !all.contains(env!("CARGO_PKG_VERSION")) && !all.contains("sqlite") && !all.contains("default"),
            "{all}"
        );
    }
    let health = vault.run(vault.raw(None, "/grpc.health.v1.Health/Check", Vec::new())).unwrap();
    assert_eq!(health, [0x08, 0x01], "serving, and nothing else");
    // Reflection is off: also for those who are known.
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let status = vault.run(vault.raw(Some("owner"), path, Vec::new())).unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let answer = vault.send(vault.head("owner", "/").body(Vec::new()).unwrap()).unwrap();
    assert!(answer.body.is_empty(), "{answer:?}");
}

#[test]
fn h8_the_command_line_takes_no_secret_as_an_argument() {
    let vault = Setup::new().start();
    let register =
        ["connector", "register", "argv", "--type", "aws", "--method", "secret-key", "--set", "region=us-east-1"];
    let direct = format!("aws_secret_access_key={CANARY}");
    for more in [["--secret", direct.as_str()], ["--secrets", "{\"aws_secret_access_key\": \"x\"}"]] {
        let said = vault.cli("alice", &[&register[..], &more].concat());
        assert_eq!(said.code, 2, "{said}");
        no_canary("a usage error", said.all().as_bytes());
    }
    let token = vault.token("alice");
    let said = vault.cli("alice", &["--token", &token, "whoami"]);
    assert!(said.code == 2 && !said.all().contains(&token), "{said}");
    // From the environment it is taken.
    let mut command = vault.command();
    command.env("VALETKEY_TOKEN", &token).arg("whoami");
    assert!(outcome(&mut command, "").ok().stdout.contains("alice"));
}

#[test]
fn h8_no_form_of_output_shows_a_secret_and_a_token_is_shown_once() {
    let vault = Setup::new().start();
    let secrets = format!("{{\"aws_access_key_id\": \"{CANARY_ID}\", \"aws_secret_access_key\": \"{CANARY}\"}}");
    for form in ["table", "json", "yaml"] {
        let name = format!("in-{form}");
        let register =
            ["connector", "register", &name, "--type", "aws", "--method", "secret-key", "--set", "region=us-east-1"];
        let more = ["--skip-verify", "--secrets", "-", "-o", form];
        let said = vault.cli_with("alice", &[&register[..], &more].concat(), &secrets).ok();
        no_canary(form, said.all().as_bytes());
        assert!(!said.all().contains(CANARY_ID), "{said}");
    }
    let token = vault.token("bob");
    let secret = &token[28..71];
    for arguments in [["token", "list"], ["whoami", "-ojson"], ["audit", "list"]] {
        assert!(!vault.cli("owner", &arguments).all().contains(secret));
        assert!(!vault.cli("bob", &arguments).all().contains(secret));
    }
}

#[test]
fn h10_debugging_variables_of_libraries_do_nothing() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("keys.log");
    let setup = Setup::new().variable("SSLKEYLOGFILE", file.display().to_string()).variable("RUST_LOG", "trace");
    let vault = setup.variable("RUST_BACKTRACE", "full").start();
    assert!(!file.exists(), "TLS keys were logged");
    let log = vault.logs();
    assert!(!log.contains("TRACE") && !log.contains("DEBUG"), "{log}");
}

#[test]
fn h14_each_role_sees_the_fields_of_a_connector_that_it_may() {
    let vault = Setup::new().start();
    let role = "arn:aws:iam::123456789012:role/ml-data";
    let settings =
        serde_json::json!({"region": "us-east-1", "role_arn": role, "external_id": "external-5"}).to_string();
    let auth_method = "iam-role".to_owned();
    cast::connector(&vault, proto::RegisterConnectorRequest { settings, auth_method, ..cast::unverified("prod") });
    let describe = |who: &str| {
        let ask = proto::DescribeConnectorRequest { connector: "prod".to_owned(), ..Default::default() };
        vault.run(vault.connectors(who).describe_connector(ask)).unwrap().into_inner().connector.unwrap()
    };
    for who in ["owner", "bob", "carol"] {
        let seen = describe(who);
        let text = format!("{seen:?}");
        assert_eq!((seen.settings.as_str(), seen.secret_fingerprint.as_str()), ("", ""), "{who}");
        assert!(!text.contains("123456789012") && !text.contains("external-5"), "{who}: {text}");
        assert_eq!(seen.verification.unwrap().identity, "", "{who}");
    }
    let seen = describe("alice");
    assert!(seen.settings.contains(role) && !seen.secret_fingerprint.is_empty());
}
