//! Machines of tests: a home in a temporary folder, and variables that are
//! written down. Whatever is found on one must be such that it registers.

use std::collections::BTreeMap;
use std::fs;

use base64::Engine as _;
use serde_json::json;
use tempfile::TempDir;

use super::*;

const KEYS: &str = "aws_access_key_id = AKIATESTTESTTESTTEST\naws_secret_access_key = canary+secret/of=aws\n";

struct Home {
    folder: TempDir,
    variables: BTreeMap<&'static str, String>,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: BTreeMap::new() }
    }

    fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.insert(name, value.replace('~', self.folder.path().to_str().unwrap()));
        self
    }

    fn search(&self) -> Search {
        let variables = self.variables.clone();
        let home = self.folder.path().to_owned();
        let search = Machine { home, variables: Box::new(move |name| variables.get(name).cloned()) }.search();
        search.found.iter().for_each(registrable::check);
        search
    }
}

/// The one finding there is.
fn only(search: Search) -> Found {
    let sources: Vec<_> = search.found.iter().map(|found| found.source.clone()).collect();
    assert_eq!(sources.len(), 1, "{sources:?} {:?}", search.passed_over);
    search.found.into_iter().next().unwrap()
}

fn said(found: &Found) -> (&str, &str, &'static str, Value) {
    (&found.source, &found.name, found.auth_method, Value::Object(found.settings.clone()))
}

fn held<'a>(found: &'a Found, name: &str) -> &'a str {
    let (_, value) = found.secrets.iter().find(|(field, _)| *field == name).unwrap();
    std::str::from_utf8(value).unwrap()
}

/// Why nothing of this was found.
fn why_not(home: &Home) -> String {
    let search = home.search();
    assert!(search.found.is_empty(), "{}", search.found[0].source);
    search.passed_over.join("\n")
}

#[test]
fn a_machine_with_nothing_has_nothing() {
    assert_eq!(why_not(&Home::new()), "");
    assert!(Machine::own().variable("VALETKEY_NO_SUCH_VARIABLE").is_none());
}

#[test]
fn static_keys_of_aws_profiles_are_found_with_their_region() {
    let config =
        "[default]\nregion = eu-west-1\ns3 =\n  aws_access_key_id = nested\n[profile other]\nregion = us-east-2\n";
    let home = Home::new().file(".aws/credentials", format!("[default]\n{KEYS}")).file(".aws/config", config);
    let found = only(home.search());
    assert_eq!(said(&found), ("aws:default", "aws-default", "secret-key", json!({"region": "eu-west-1"})));
    assert_eq!(held(&found, "aws_access_key_id"), "AKIATESTTESTTESTTEST");
    assert_eq!(held(&found, "aws_secret_access_key"), "canary+secret/of=aws");
}

#[test]
fn aws_follows_its_variables() {
    let home = Home::new()
        .file("elsewhere/keys", format!("[a]\n{KEYS}[b]\n{KEYS}"))
        .file("elsewhere/config", "[profile b]\nendpoint_url = http://127.0.0.1:9000\n")
        .variable("AWS_SHARED_CREDENTIALS_FILE", "~/elsewhere/keys")
        .variable("AWS_CONFIG_FILE", "~/elsewhere/config")
        .variable("AWS_PROFILE", "b")
        .variable("AWS_DEFAULT_REGION", "us-west-2");
    let found = only(home.search());
    let settings = json!({"region": "us-west-2", "endpoint_url": "http://127.0.0.1:9000"});
    assert_eq!(said(&found), ("aws:b", "aws-b", "secret-key", settings));
    assert!(found.notes.concat().contains("allowed_endpoints"));
    let home = home.variable("AWS_PROFILE", "no-such");
    assert!(why_not(&home).contains("neither file"));
    let home = Home::new()
        .variable("AWS_ACCESS_KEY_ID", "AKIATESTTESTTESTTEST")
        .variable("AWS_SECRET_ACCESS_KEY", "canary+secret/of=aws");
    assert_eq!(said(&only(home.search())).0, "aws:environment");
    assert!(why_not(&Home::new().variable("AWS_ACCESS_KEY_ID", "AKIA")).contains("half a key"));
}

#[test]
fn a_role_with_its_source_profiles_is_one_connector() {
    let role = |name: &str| format!("role_arn = arn:aws:iam::123456789012:role/{name}\n");
    let config = format!(
        "[profile base]\n{KEYS}[profile hub]\n{}source_profile = base\n[profile ml]\n{}source_profile = hub\n\
         region = us-east-1\nexternal_id = ours\nduration_seconds = 7200\n",
        role("hub"),
        role("ml")
    );
    let search = Home::new().file(".aws/config", config).search();
    let found = search.found.iter().find(|found| found.source == "aws:ml").unwrap();
    let settings = json!({
        "region": "us-east-1",
        "role_arn": "arn:aws:iam::123456789012:role/ml",
        "role_chain": ["arn:aws:iam::123456789012:role/hub"],
        "external_id": "ours",
        "max_session_duration": 7200,
    });
    assert_eq!(said(found), ("aws:ml", "aws-ml", "iam-role", settings));
    assert_eq!(held(found, "aws_access_key_id"), "AKIATESTTESTTESTTEST");
    assert_eq!(search.found.len(), 3);
}

#[test]
fn a_session_says_when_it_ends_or_that_it_does_not_say() {
    let session = format!("[default]\nregion = eu-west-1\n{KEYS}aws_session_token = canary-token-of-a-session\n");
    let found = only(Home::new().file(".aws/credentials", &session).search());
    assert_eq!((found.auth_method, &found.secret_expires_at), ("sts-token", &None));
    assert_eq!(held(&found, "aws_session_token"), "canary-token-of-a-session");
    let dated = format!("{session}x_security_token_expires = 2025-12-02T00:00:00Z\n");
    let found = only(Home::new().file(".aws/credentials", dated).search());
    assert_eq!(found.secret_expires_at.as_deref(), Some("2025-12-02T00:00:00Z"));
}

#[test]
fn aws_profiles_that_need_more_than_a_file_are_passed_over_with_the_reason() {
    let role = "role_arn = arn:aws:iam::123456789012:role/a\n";
    for (text, why) in [
        (format!("{KEYS}credential_process = touch /tmp/canary\n"), "would run a command"),
        ("sso_session = corp\n".to_owned(), "SSO"),
        (format!("{role}web_identity_token_file = /token\n"), "web-identity"),
        (format!("{role}credential_source = Ec2InstanceMetadata\n"), "implicit"),
        (format!("{role}source_profile = x\nmfa_serial = arn\n"), "session-token"),
        (format!("{role}source_profile = x\n"), "circle"),
        (format!("{role}source_profile = nobody\n"), "does not exist"),
        (role.to_owned(), "no source_profile"),
        ("aws_access_key_id = AKIA\n".to_owned(), "half a key"),
        (format!("{role}{KEYS}aws_session_token = t\nsource_profile = x\n"), "which ends"),
    ] {
        let home = Home::new().file(".aws/credentials", format!("[x]\nregion = a\n{text}"));
        let said = why_not(&home);
        assert!(said.starts_with("aws:x: ") && said.contains(why), "{text}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
    let chain: String = (0..9).map(|n| format!("[p{n}]\n{role}source_profile = p{}\n", n + 1)).collect();
    let home = Home::new().file(".aws/credentials", format!("{chain}[p9]\n{KEYS}"));
    assert!(home.search().passed_over.concat().contains("more roles than a connector takes"));
}

const ADC: &str = ".config/gcloud/application_default_credentials.json";

/// A key file as Google writes it; the key is one of tests alone.
fn google_key() -> Value {
    json!({
        "type": "service_account",
        "project_id": "ml-prod-123456",
        "private_key_id": "0123456789abcdef",
        "private_key": include_str!("../../connectors/gcp/tests/account.pem"),
        "client_email": "broker@ml-prod-123456.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    })
}

fn impersonation_url(name: &str) -> String {
    let account = format!("{name}@ml-prod-123456.iam.gserviceaccount.com");
    format!("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:generateAccessToken")
}

#[test]
fn googles_default_credentials_are_found_by_their_type() {
    let account = google_key();
    let found = only(Home::new().file(ADC, account.to_string()).search());
    let settings = json!({"project_id": "ml-prod-123456"});
    assert_eq!(said(&found), ("gcp:adc", "gcp-broker", "service-account", settings));
    assert_eq!(serde_json::from_str::<Value>(held(&found, "service_account_json")).unwrap(), account);

    let user =
        json!({"type": "authorized_user", "client_id": "c", "client_secret": "canary", "refresh_token": "canary"});
    let home = Home::new()
        .file(ADC, user.to_string())
        .file(".config/gcloud/configurations/config_default", "[core]\nproject = ml-lab-123456\n");
    let found = only(home.search());
    assert_eq!((found.auth_method, &found.settings["project_id"]), ("user-account", &json!("ml-lab-123456")));
    assert_eq!(found.secrets[0].0, "user_account_json");

    let delegate = "hub@ml-prod-123456.iam.gserviceaccount.com";
    let acting = json!({
        "type": "impersonated_service_account",
        "service_account_impersonation_url": impersonation_url("ml"),
        "source_credentials": account,
        "delegates": [format!("projects/-/serviceAccounts/{delegate}")],
    });
    let home = Home::new().file("k.json", acting.to_string()).variable("GOOGLE_APPLICATION_CREDENTIALS", "~/k.json");
    let found = only(home.variable("GOOGLE_CLOUD_PROJECT", "ml-prod-123456").search());
    let settings = json!({
        "project_id": "ml-prod-123456",
        "target_principal": "ml@ml-prod-123456.iam.gserviceaccount.com",
        "delegates": [delegate],
    });
    assert_eq!(said(&found), ("gcp:adc", "gcp-impersonation", "impersonation", settings));
    assert_eq!(serde_json::from_str::<Value>(held(&found, "service_account_json")).unwrap(), account);
}

/// A credential configuration with a source of this kind.
fn federation(source: Value) -> Value {
    json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/123456789/locations/global/workloadIdentityPools/pool/providers/ci",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": source,
    })
}

#[test]
fn a_federation_is_found_where_a_server_can_get_its_token_too() {
    let mut file = federation(json!({"url": "https://tokens.ci.example/job", "headers": {"authorization": "canary"}}));
    let found = only(Home::new().file(ADC, file.to_string()).search());
    assert_eq!((found.auth_method, found.settings.get("target_principal")), ("external-account", None));
    let notes = found.notes.concat();
    assert!(notes.contains("project_id") && notes.contains("allowed_endpoints"), "{notes}");
    file["service_account_impersonation_url"] = impersonation_url("ml").into();
    let found = only(Home::new().file(ADC, file.to_string()).search());
    let target = json!("ml@ml-prod-123456.iam.gserviceaccount.com");
    assert_eq!(found.settings.get("target_principal"), Some(&target));
}

#[test]
fn what_google_keeps_elsewhere_is_passed_over() {
    let person = json!({"type": "impersonated_service_account", "service_account_impersonation_url": "x/serviceAccounts/a@b:generateAccessToken", "source_credentials": {"type": "authorized_user"}});
    let elsewhere = "which the server does not have";
    for (object, why) in [
        (person, "impersonates as a person"),
        (federation(json!({"executable": {"command": "touch /tmp/canary"}})), elsewhere),
        (federation(json!({"environment_id": "aws1", "url": "https://canary.example"})), elsewhere),
        (federation(json!({"file": "/run/canary"})), elsewhere),
        (federation(json!({"url": "http://169.254.169.254/canary"})), elsewhere),
        (federation(Value::Null), elsewhere),
        (json!({"type": "gdch_service_account"}), "no type"),
        (json!({}), "no type"),
    ] {
        let said = why_not(&Home::new().file(ADC, object.to_string()));
        assert!(said.contains(why) && !said.contains("canary"), "{said}");
    }
}

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const SUBSCRIPTION: &str = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";
const APPLICATION: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";

/// A certificate with its key in one file, as az keeps it.
fn azure_certificate() -> String {
    let pem = include_str!("../../connectors/gcp/tests/account.pem");
    let key = rcgen::KeyPair::from_pem(pem).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2025, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2026, 6, 1);
    format!("{pem}{}", parameters.self_signed(&key).unwrap().pem())
}

fn azure_profile() -> String {
    let one = |id: &str, tenant: &str, default: bool, kind: &str| json!({"id": id, "tenantId": tenant, "isDefault": default, "environmentName": "AzureCloud", "user": {"name": "x", "type": kind}});
    let other = "1b1f6471-1bf0-4dda-aec3-cb9272f09590";
    let all = [one(other, TENANT, false, "servicePrincipal"), one(&SUBSCRIPTION.to_uppercase(), TENANT, true, "user")];
    let all = json!({ "subscriptions": all });
    format!("\u{feff}{all}")
}

#[test]
fn service_principals_of_az_are_found_with_their_subscription() {
    let entries = json!([
        {"client_id": APPLICATION.to_uppercase(), "tenant": TENANT, "client_secret": "canary-secret"},
        {"client_id": "cert", "tenant": TENANT, "certificate": "/no/such/file"},
    ]);
    let home = Home::new()
        .file(".azure/azureProfile.json", azure_profile())
        .file(".azure/service_principal_entries.json", entries.to_string());
    let search = home.search();
    assert!(search.passed_over.concat().contains("azure:cert: has neither"));
    let found = only(search);
    let settings = json!({"tenant_id": TENANT, "client_id": APPLICATION, "subscription_id": SUBSCRIPTION});
    let (source, name) = (format!("azure:{APPLICATION}"), format!("azure-{APPLICATION}"));
    assert_eq!(said(&found), (source.as_str(), name.as_str(), "service-principal", settings));
    assert_eq!(held(&found, "client_secret"), "canary-secret");
    let home = Home::new()
        .file("cert.pem", azure_certificate())
        .variable("AZURE_CLIENT_ID", APPLICATION)
        .variable("AZURE_TENANT_ID", "contoso.onmicrosoft.com")
        .variable("AZURE_CLIENT_CERTIFICATE_PATH", "~/cert.pem");
    assert_eq!(only(home.search()).secrets[0].0, "client_certificate");
}

#[test]
fn a_persons_azure_login_is_taken_for_its_hour_or_told_to_be_no_good() {
    let home = Home::new().file(".azure/azureProfile.json", azure_profile()).file(".azure/msal_token_cache.bin", "x");
    let said = why_not(&home);
    assert!(said.contains("encrypted for az alone") && said.contains("create-for-rbac"), "{said}");
    let token = |target: &str, end: &str, secret: &str| json!({"realm": TENANT, "target": target, "expires_on": end, "secret": secret});
    let manager = "https://management.core.windows.net//.default";
    let cache = json!({"AccessToken": {
        "a": token(manager, "1767225600", "old-canary-token-of-anna"),
        "b": token(manager, "1767229200", "new-canary-token-of-anna"),
        "c": token("https://graph.microsoft.com/.default", "1767229200", "graph"),
        "d": "junk",
    }});
    let home = Home::new().file(".azure/azureProfile.json", azure_profile());
    let found = only(home.file(".azure/msal_token_cache.json", cache.to_string()).search());
    assert_eq!((found.auth_method, held(&found, "token")), ("access-token", "new-canary-token-of-anna"));
    assert_eq!(found.secret_expires_at.as_deref(), Some("2026-01-01T01:00:00Z"));
}

#[test]
fn logins_of_docker_are_found_and_helpers_are_named_and_not_run() {
    let auth = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let config = json!({
        "auths": {
            "https://index.docker.io/v1/": {"auth": auth("anna:canary:x")},
            "registry.example.com:5000": {"auth": auth("<token>:"), "identitytoken": "canary-identity"},
            "team.azurecr.io": {"auth": auth("00000000-0000-0000-0000-000000000000:"), "identitytoken": "canary-refresh"},
            "bare.example.com": {"identitytoken": "canary-bare"},
            "https://index.docker.io/v1/refresh-token": {"auth": auth("anna:canary")},
            "a b": {"auth": auth("anna:canary")},
            "kept.example.com": {},
            "odd.example.com": {"auth": "%%%"},
        },
        "credHelpers": {"gcr.io": "gcloud"},
        "credsStore": "desktop",
    });
    let search = Home::new().file(".docker/config.json", config.to_string()).search();
    let found = |host: &str| {
        let found = search.found.iter().find(|found| found.source == format!("docker:{host}")).unwrap();
        assert_eq!((found.auth_method, &found.settings["registry"]), ("password", &json!(host)));
        let text = |value: &[u8]| std::str::from_utf8(value).unwrap().to_owned();
        found.secrets.iter().map(|(name, value)| (*name, text(value))).collect::<Vec<_>>()
    };
    assert_eq!(search.found.len(), 4);
    let by = |user: &str, field, value: &str| vec![("username", user.to_owned()), (field, value.to_owned())];
    assert_eq!(found("docker.io"), by("anna", "password", "canary:x"));
    // Identity tokens have no user; the type wants one, and docker's own stand-in is it.
    assert_eq!(found("registry.example.com:5000"), by("<token>", "identity_token", "canary-identity"));
    assert_eq!(found("bare.example.com"), by("<token>", "identity_token", "canary-bare"));
    let nobody = "00000000-0000-0000-0000-000000000000";
    assert_eq!(found("team.azurecr.io"), by(nobody, "identity_token", "canary-refresh"));
    let passed = search.passed_over.join("\n");
    for said in [
        "docker-credential-desktop, which is not run",
        "docker:gcr.io",
        "docker:odd.example.com: its auth",
        "docker:https://index.docker.io/v1/refresh-token: docker renews",
        "docker:a b: its name",
    ] {
        assert!(passed.contains(said), "{said}: {passed}");
    }
    assert!(!passed.contains("kept.example.com"), "{passed}");
}

#[test]
fn the_context_of_a_kubeconfig_is_found_with_each_kind_of_user() {
    let made = rcgen::generate_simple_self_signed(vec!["kube.example".to_owned()]).unwrap();
    let packed = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    let pem = packed(made.cert.pem());
    let key = packed(made.signing_key.serialize_pem());
    let home = |user: &str| {
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: train\n\
             clusters: [{{name: 'arn:aws/train', cluster: {{server: 'https://kube.example:6443/', \
             certificate-authority-data: {pem}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n\
             contexts: [{{name: train, context: {{cluster: 'arn:aws/train', user: u}}}}]\n"
        );
        Home::new().file(".kube/config", config)
    };
    for (user, method) in [
        ("token: canary-token".to_owned(), "token"),
        (format!("client-certificate-data: {pem}, client-key-data: {key}"), "token"),
        ("username: anna, password: canary".to_owned(), "password"),
    ] {
        let found = only(home(&user).search());
        assert_eq!((found.source.as_str(), found.auth_method), ("kubeconfig:train", method));
    }
    assert!(why_not(&home("token: t, exec: {command: canary}")).contains("exec is not taken"));
}

#[test]
fn what_could_not_be_registered_is_told_apart() {
    let home = Home::new().file(".docker/config.json", json!({"auths": {"r.io": {"auth": "YTpi"}}}).to_string());
    let mut found = only(home.search());
    found.secrets.remove(0);
    assert!(registrable::refused(&found).unwrap_err().contains("username is missing"));
    let key = google_key().to_string();
    let mut found = only(Home::new().file(ADC, key).search());
    found.settings.insert("project_id".to_owned(), "ml".into());
    assert!(registrable::refused(&found).unwrap_err().contains("settings.project_id"));
}

#[test]
fn hostile_files_are_bounded_and_repeated_nowhere() {
    let long = vec![b'a'; usize::try_from(FILE_BYTES_MAX).unwrap() + 1];
    for (content, why) in [
        (long.as_slice(), "larger than"),
        (b"\xff\xfe".as_slice(), "not UTF-8"),
        (b"[\"canary\"]".as_slice(), "no JSON object"),
        (b"{\"canary\"".as_slice(), "no JSON object"),
    ] {
        let said = why_not(&Home::new().file(".docker/config.json", content));
        assert!(said.contains(why) && !said.contains("canary"), "{said}");
    }
    let home = Home::new().file(".docker/config.json/folder", "");
    assert!(why_not(&home).contains("no regular file"));
    let escape = json!({"auths": {"\u{1b}[2Jx": {"auth": "YTpi"}}});
    assert_eq!(why_not(&Home::new().file(".docker/config.json", escape.to_string())), "");
    // The engineer's own symlinks are followed.
    let home = Home::new().file("real", json!({"auths": {"r.io": {"auth": "YTpi"}}}).to_string());
    fs::create_dir_all(home.folder.path().join(".docker")).unwrap();
    std::os::unix::fs::symlink(home.folder.path().join("real"), home.folder.path().join(".docker/config.json"))
        .unwrap();
    assert_eq!(only(home.search()).source, "docker:r.io");
}

proptest::proptest! {
    // Each case writes files.
    #![proptest_config(proptest::test_runner::Config::with_cases(32))]
    #[test]
    fn any_bytes_in_any_file_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let home = Home::new()
            .file(".aws/credentials", &bytes)
            .file(".docker/config.json", &bytes)
            .file(".azure/msal_token_cache.json", &bytes)
            .file(".config/gcloud/application_default_credentials.json", &bytes);
        let _ = home.search();
    }
}
