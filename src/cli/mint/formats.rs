//! A minted credential in the exact words that other programs read.
//!
//! Owns the formats of the AWS credential_process, the Kubernetes exec plugin,
//! Docker's configuration and the shell. A value that could break out of its
//! format is refused, never repaired.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::failure::Failure;

use super::view::{CredentialView, ShapeView};

/// The resource type whose bearer tokens Docker can use.
const DOCKER_REGISTRY: &str = "docker-registry";
/// Docker Hub's name in Docker's configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// What kubectl asks for when it does not say.
const EXEC_API_VERSION: &str = "client.authentication.k8s.io/v1";

/// kubectl's library asks again when the end has passed and no sooner: it is
/// told an end this much earlier (DELIVERY section 7).
const EXEC_SLACK_SECONDS: i64 = 60;

/// For which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgramFormat {
    /// `export` lines for a POSIX shell.
    Env,
    /// The JSON of an AWS credential_process.
    #[value(alias = "aws-process")]
    AwsCredentialProcess,
    /// The JSON of a Kubernetes exec plugin.
    ExecCredential,
    /// A whole kubeconfig with one cluster; for kubectl and its like.
    Kubeconfig,
    /// A Docker config.json with one registry; for docker and its like.
    DockerConfig,
    /// A bearer token alone; for skopeo's --registry-token and --src-registry-token, which reads no such token from a
    /// config.json.
    BearerToken,
}

/// The credential in this format, with a line end.
///
/// # Errors
/// When its shape does not go into this format, or a value would break out.
pub(super) fn write(
    credential: &CredentialView,
    format: ProgramFormat,
    exec_info: Option<&str>,
) -> Result<String, Failure> {
    let values = credential
        .values
        .as_ref()
        .ok_or_else(|| Failure::failed("the server sent a credential of a shape that this version does not know"))?;
    match format {
        ProgramFormat::Env => env(credential, values),
        ProgramFormat::AwsCredentialProcess => aws_process(credential, values).map(line),
        ProgramFormat::ExecCredential => exec_credential(credential, values, exec_info).map(line),
        ProgramFormat::Kubeconfig => kubeconfig(credential, values),
        ProgramFormat::DockerConfig => docker_config(credential, values).map(line),
        ProgramFormat::BearerToken => bearer_token(values),
    }
}

/// How to get at the values: the formats that this credential goes into.
pub(super) fn ways_to_the_values(credential: &CredentialView) -> String {
    if matches!(credential.values, Some(ShapeView::SigningSession { .. })) {
        return "to sign in with it: valetkey ssh-agent".to_owned();
    }
    let fits = |format: &&ProgramFormat| write(credential, **format, None).is_ok();
    let names = ProgramFormat::value_variants().iter().filter(fits).filter_map(ValueEnum::to_possible_value);
    let names: Vec<_> = names.map(|name| name.get_name().to_owned()).collect();
    match names.as_slice() {
        [] => "the values: -o json".to_owned(),
        names => format!("the values: -o json, or --format {}", names.join(", ")),
    }
}

fn line(json: Value) -> String {
    format!("{json}\n")
}

fn unsuited(values: &ShapeView, format: &str, wants: &str) -> Failure {
    Failure::usage(format!("--format {format} takes {wants}, and this is a {}", values.name().replace('_', " ")))
        .hint("use -o json, or --format env")
}

fn endless() -> Failure {
    Failure::failed("the server did not say when the credential ends")
}

fn expiry(credential: &CredentialView) -> Result<String, Failure> {
    Ok(credential.expires_at.ok_or_else(endless)?.whole_seconds())
}

/// DELIVERY: `Version` is the integer 1; without `Expiration` it is never
/// asked for again.
fn aws_process(credential: &CredentialView, values: &ShapeView) -> Result<Value, Failure> {
    let ShapeView::AwsSession { access_key_id, secret_access_key, session_token, .. } = values else {
        return Err(unsuited(values, "aws-credential-process", "an AWS session"));
    };
    Ok(json!({
        "Version": 1,
        "AccessKeyId": access_key_id,
        "SecretAccessKey": secret_access_key,
        "SessionToken": session_token,
        "Expiration": expiry(credential)?,
    }))
}

/// client-go demands the very apiVersion that it asked for, and asks again
/// only when the end has passed.
fn exec_credential(credential: &CredentialView, values: &ShapeView, asked: Option<&str>) -> Result<Value, Failure> {
    let version = asked.and_then(|info| {
        let info: Value = serde_json::from_str(info).ok()?;
        Some(info.get("apiVersion")?.as_str()?.to_owned())
    });
    let mut status = match values {
        ShapeView::BearerToken { token, .. } => json!({ "token": token }),
        ShapeView::ClientCertificate { certificate, private_key, .. } => {
            json!({ "clientCertificateData": certificate, "clientKeyData": private_key })
        }
        ShapeView::AwsSession { .. }
        | ShapeView::BasicLogin { .. }
        | ShapeView::SshCertificate { .. }
        | ShapeView::SignedUrl { .. }
        | ShapeView::SigningSession { .. } => {
            return Err(unsuited(values, "exec-credential", "a bearer token or a client certificate"));
        }
    };
    if let Some(fields) = status.as_object_mut() {
        let at = credential.expires_at.ok_or_else(endless)?.earlier(EXEC_SLACK_SECONDS);
        fields.insert("expirationTimestamp".to_owned(), at.whole_seconds().into());
    }
    Ok(json!({
        "apiVersion": version.as_deref().unwrap_or(EXEC_API_VERSION),
        "kind": "ExecCredential",
        "status": status,
    }))
}

/// Without a CA the system's roots count: nothing here turns verification off.
fn kubeconfig(credential: &CredentialView, values: &ShapeView) -> Result<String, Failure> {
    let wants = "a bearer token or a client certificate with the address of a cluster";
    let (user, endpoint, authority) = match values {
        ShapeView::BearerToken { token, endpoint, certificate_authority } => {
            (json!({ "token": token }), endpoint, certificate_authority)
        }
        ShapeView::ClientCertificate { certificate, private_key, endpoint, certificate_authority } => {
            let data = |pem: &str| STANDARD.encode(pem);
            let user = json!({ "client-certificate-data": data(certificate), "client-key-data": data(private_key) });
            (user, endpoint, certificate_authority)
        }
        ShapeView::AwsSession { .. }
        | ShapeView::BasicLogin { .. }
        | ShapeView::SshCertificate { .. }
        | ShapeView::SignedUrl { .. }
        | ShapeView::SigningSession { .. } => return Err(unsuited(values, "kubeconfig", wants)),
    };
    let mut cluster = json!({ "server": endpoint.as_ref().ok_or_else(|| unsuited(values, "kubeconfig", wants))? });
    if let (Some(pem), Some(fields)) = (authority, cluster.as_object_mut()) {
        fields.insert("certificate-authority-data".to_owned(), STANDARD.encode(pem).into());
    }
    let name = credential.resource();
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": name, "cluster": cluster }],
        "users": [{ "name": name, "user": user }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name } }],
        "current-context": name,
    });
    serde_yaml_ng::to_string(&config).map_err(|_| Failure::failed("the server sent what no YAML can hold"))
}

/// A login, or a registry's own token: Docker sends `registrytoken` as it is
/// and asks no token service for another.
fn docker_config(credential: &CredentialView, values: &ShapeView) -> Result<Value, Failure> {
    let (endpoint, entry) = match values {
        ShapeView::BasicLogin { username, password, endpoint: Some(endpoint) } => {
            (endpoint, json!({ "auth": STANDARD.encode(format!("{username}:{password}")) }))
        }
        ShapeView::BearerToken { token, endpoint: Some(endpoint), .. }
            if credential.resource_type == DOCKER_REGISTRY =>
        {
            (endpoint, json!({ "registrytoken": token }))
        }
        ShapeView::BasicLogin { .. }
        | ShapeView::BearerToken { .. }
        | ShapeView::AwsSession { .. }
        | ShapeView::ClientCertificate { .. }
        | ShapeView::SshCertificate { .. }
        | ShapeView::SignedUrl { .. }
        | ShapeView::SigningSession { .. } => {
            return Err(unsuited(values, "docker-config", "a login to a registry, or a registry's token"));
        }
    };
    let host = endpoint.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let registry = if host == "docker.io" { DOCKER_HUB } else { host };
    Ok(json!({ "auths": { registry: entry } }))
}

/// A token and a line end: nothing in it may be another line, or move a
/// terminal.
fn bearer_token(values: &ShapeView) -> Result<String, Failure> {
    let ShapeView::BearerToken { token, .. } = values else {
        return Err(unsuited(values, "bearer-token", "a bearer token"));
    };
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::failed("the server sent a token that no program should see"));
    }
    Ok(format!("{token}\n"))
}

fn env(credential: &CredentialView, values: &ShapeView) -> Result<String, Failure> {
    let expires_at = expiry(credential)?;
    let text = |value: &String| Some(value.clone());
    let variables: Vec<(&str, Option<String>)> = match values {
        ShapeView::AwsSession { access_key_id, secret_access_key, session_token, region, endpoint_url } => vec![
            ("AWS_ACCESS_KEY_ID", text(access_key_id)),
            ("AWS_SECRET_ACCESS_KEY", text(secret_access_key)),
            ("AWS_SESSION_TOKEN", text(session_token)),
            ("AWS_CREDENTIAL_EXPIRATION", Some(expires_at)),
            ("AWS_REGION", region.clone()),
            ("AWS_DEFAULT_REGION", region.clone()),
            ("AWS_ENDPOINT_URL", endpoint_url.clone()),
        ],
        ShapeView::BearerToken { token, endpoint, certificate_authority } => vec![
            ("MINTED_BEARER_TOKEN", text(token)),
            ("MINTED_ENDPOINT", endpoint.clone()),
            ("MINTED_CERTIFICATE_AUTHORITY", certificate_authority.clone()),
            ("MINTED_EXPIRATION", Some(expires_at)),
            ("GOOGLE_OAUTH_ACCESS_TOKEN", googles(credential).then(|| token.clone())),
            ("CLOUDSDK_AUTH_ACCESS_TOKEN", googles(credential).then(|| token.clone())),
        ],
        ShapeView::BasicLogin { username, password, endpoint } => vec![
            ("MINTED_USERNAME", text(username)),
            ("MINTED_PASSWORD", text(password)),
            ("MINTED_ENDPOINT", endpoint.clone()),
            ("MINTED_EXPIRATION", Some(expires_at)),
        ],
        ShapeView::ClientCertificate { certificate, private_key, endpoint, certificate_authority } => vec![
            ("MINTED_CERTIFICATE", text(certificate)),
            ("MINTED_PRIVATE_KEY", text(private_key)),
            ("MINTED_ENDPOINT", endpoint.clone()),
            ("MINTED_CERTIFICATE_AUTHORITY", certificate_authority.clone()),
            ("MINTED_EXPIRATION", Some(expires_at)),
        ],
        ShapeView::SshCertificate { certificate } => {
            vec![("MINTED_SSH_CERTIFICATE", text(certificate)), ("MINTED_EXPIRATION", Some(expires_at))]
        }
        ShapeView::SignedUrl { url } => {
            let (account, signature) = azure_signature(url).unzip();
            vec![
                ("AZURE_STORAGE_ACCOUNT", account),
                ("AZURE_STORAGE_SAS_TOKEN", signature),
                ("MINTED_URL", text(url)),
                ("MINTED_EXPIRATION", Some(expires_at)),
            ]
        }
        // Variables sign nothing.
        ShapeView::SigningSession { .. } => {
            return Err(unsuited(values, "env", "values").hint("use valetkey ssh-agent"));
        }
    };
    exports(variables)
}

/// Terraform and gcloud read an access token from variables of their own; a
/// cluster's token is not for them.
fn googles(credential: &CredentialView) -> bool {
    matches!(credential.resource_type.as_str(), "gcs-bucket" | "gcp-generic")
}

/// The account and the signature of a URL that Azure's storage signed: what its
/// clients read. Accounts are in the name of Azure's own hosts, and in the path
/// of others.
fn azure_signature(url: &str) -> Option<(String, String)> {
    let parsed = url::Url::parse(url).ok()?;
    let named = |name: &str| parsed.query_pairs().any(|(key, _)| key == name);
    if !["sv", "sr", "sig", "skoid"].into_iter().all(named) {
        return None;
    }
    let account = match parsed.host_str()?.split_once(".blob.") {
        Some((account, _)) => account,
        None => parsed.path_segments()?.next()?,
    };
    Some((account.to_owned(), parsed.query()?.to_owned()))
}

fn exports(variables: Vec<(&str, Option<String>)>) -> Result<String, Failure> {
    let mut lines = String::new();
    for (name, value) in variables {
        let Some(value) = value else { continue };
        if value.chars().any(|c| c.is_control() && c != '\n') {
            return Err(Failure::failed(format!("the server sent a value for {name} that no shell should see")));
        }
        lines.push_str(&format!("export {name}={}\n", quoted(&value)));
    }
    Ok(lines)
}

/// A POSIX single-quoted word: nothing in it is expanded.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use crate::proto;
    use crate::proto::minted_credential::Shape;

    use super::*;

    fn minted(shape: Shape) -> CredentialView {
        let expires_at = Some(prost_types::Timestamp { seconds: 1_893_456_000, nanos: 5 });
        CredentialView::from(proto::MintedCredential { shape: Some(shape), expires_at, ..Default::default() })
    }

    fn aws(secret: &str) -> CredentialView {
        minted(Shape::AwsSession(proto::AwsSession {
            access_key_id: "ASIA1".to_owned(),
            secret_access_key: secret.to_owned(),
            session_token: "T".to_owned(),
            region: "eu-west-1".to_owned(),
            endpoint_url: String::new(),
        }))
    }

    fn bearer() -> CredentialView {
        minted(Shape::BearerToken(proto::BearerToken { token: "k8s".to_owned(), ..Default::default() }))
    }

    fn basic(endpoint: &str) -> CredentialView {
        let endpoint = endpoint.to_owned();
        minted(Shape::BasicLogin(proto::BasicLogin { username: "AWS".to_owned(), password: "p".to_owned(), endpoint }))
    }

    #[test]
    fn aws_process_is_exactly_what_sdks_read() {
        assert_eq!(
            write(&aws("S"), ProgramFormat::AwsCredentialProcess, None).unwrap(),
            "{\"AccessKeyId\":\"ASIA1\",\"Expiration\":\"2030-01-01T00:00:00Z\",\"SecretAccessKey\":\"S\",\
             \"SessionToken\":\"T\",\"Version\":1}\n"
        );
        assert!(write(&bearer(), ProgramFormat::AwsCredentialProcess, None).is_err());
    }

    #[test]
    fn only_the_formats_that_it_goes_into_are_named() {
        let cluster = minted(Shape::BearerToken(proto::BearerToken {
            token: "k8s".to_owned(),
            endpoint: "https://k8s.example".to_owned(),
            ..Default::default()
        }));
        let session = minted(Shape::SigningSession(proto::SigningSession::default()));
        let certificate = minted(Shape::SshCertificate(proto::SshCertificate::default()));
        for (credential, said) in [
            (aws("S"), "the values: -o json, or --format env, aws-credential-process"),
            (bearer(), "the values: -o json, or --format env, exec-credential, bearer-token"),
            (cluster, "the values: -o json, or --format env, exec-credential, kubeconfig, bearer-token"),
            (basic("https://registry.example"), "the values: -o json, or --format env, docker-config"),
            (certificate, "the values: -o json, or --format env"),
            (session, "to sign in with it: valetkey ssh-agent"),
        ] {
            assert_eq!(ways_to_the_values(&credential), said);
        }
    }

    #[test]
    fn env_lines_are_quoted_and_leave_out_what_is_not_set() {
        let text = write(&aws("a'b$c`d"), ProgramFormat::Env, None).unwrap();
        assert!(text.contains("export AWS_SECRET_ACCESS_KEY='a'\\''b$c`d'\n"));
        assert!(text.contains("export AWS_REGION='eu-west-1'\n"));
        assert!(!text.contains("AWS_ENDPOINT_URL"));
    }

    #[test]
    fn env_has_googles_own_variables_for_googles_own_tokens_alone() {
        for (resource_type, expected) in [("gcs-bucket", true), ("gcp-generic", true), ("kubernetes-cluster", false)] {
            let mut credential = bearer();
            credential.resource_type = resource_type.to_owned();
            let text = write(&credential, ProgramFormat::Env, None).unwrap();
            assert!(text.contains("export MINTED_BEARER_TOKEN='k8s'\n"));
            for name in ["GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"] {
                assert_eq!(text.contains(&format!("export {name}='k8s'\n")), expected, "{resource_type}");
            }
        }
    }

    #[test]
    fn env_of_a_signed_url_names_the_account_where_it_is_azures() {
        let signed = |url: &str| {
            let credential = minted(Shape::SignedUrl(proto::SignedUrl { url: url.to_owned() }));
            write(&credential, ProgramFormat::Env, None).unwrap()
        };
        let query = "sv=2022-11-02&sr=c&skoid=o&sig=a%2Bb";
        for url in [
            format!("https://mldata.blob.core.windows.net/datasets?{query}"),
            format!("https://127.0.0.1:10000/mldata/datasets?{query}"),
        ] {
            let lines = signed(&url);
            assert!(lines.contains("export AZURE_STORAGE_ACCOUNT='mldata'\n"), "{lines}");
            assert!(lines.contains(&format!("export AZURE_STORAGE_SAS_TOKEN='{query}'\n")), "{lines}");
            assert!(lines.contains(&format!("export MINTED_URL='{url}'\n")), "{lines}");
        }
        assert!(!signed("https://storage.googleapis.com/b?X-Goog-Signature=s").contains("AZURE"));
    }

    #[test]
    fn env_refuses_control_characters() {
        assert!(write(&aws("a\u{1b}]0;b"), ProgramFormat::Env, None).is_err());
        assert!(write(&aws("a\nb"), ProgramFormat::Env, None).is_ok());
    }

    #[test]
    fn exec_credential_echoes_the_asked_version() {
        let text = write(&bearer(), ProgramFormat::ExecCredential, None).unwrap();
        assert_eq!(
            text,
            "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":\
             {\"expirationTimestamp\":\"2029-12-31T23:59:00Z\",\"token\":\"k8s\"}}\n"
        );
        let info = r#"{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential"}"#;
        assert!(write(&bearer(), ProgramFormat::ExecCredential, Some(info)).unwrap().contains("v1beta1"));
        assert!(write(&aws("S"), ProgramFormat::ExecCredential, None).is_err());
    }

    #[test]
    fn a_kubeconfig_holds_the_cluster_and_never_turns_verification_off() {
        let of = |endpoint: &str, pem: &str| {
            let (token, endpoint, certificate_authority) = ("k8s".to_owned(), endpoint.to_owned(), pem.to_owned());
            let shape = proto::BearerToken { token, endpoint, certificate_authority };
            write(&minted(Shape::BearerToken(shape)), ProgramFormat::Kubeconfig, None)
        };
        let read: Value = serde_yaml_ng::from_str(&of("https://kube.example", "PEM\n").unwrap()).unwrap();
        let cluster = json!({"server": "https://kube.example", "certificate-authority-data": "UEVNCg=="});
        assert_eq!((&read["clusters"][0]["cluster"], &read["users"][0]["user"]["token"]), (&cluster, &json!("k8s")));
        let system = of("https://kube.example", "").unwrap();
        assert!(!system.contains("certificate-authority") && !system.contains("insecure"), "{system}");
        let hostile = of("https://kube.example\nusers: []", "").unwrap();
        let read: Value = serde_yaml_ng::from_str(&hostile).unwrap();
        assert_eq!(read["users"][0]["user"]["token"], "k8s", "a value does not break out");
        assert!(of("", "PEM").is_err() && write(&aws("S"), ProgramFormat::Kubeconfig, None).is_err());
    }

    #[test]
    fn docker_config_names_the_registry_without_its_scheme() {
        let text = write(&basic("https://1.dkr.ecr.eu-west-1.amazonaws.com/"), ProgramFormat::DockerConfig, None);
        assert_eq!(text.unwrap(), "{\"auths\":{\"1.dkr.ecr.eu-west-1.amazonaws.com\":{\"auth\":\"QVdTOnA=\"}}}\n");
        assert!(write(&basic(""), ProgramFormat::DockerConfig, None).is_err());
    }

    #[test]
    fn docker_config_holds_a_registrys_token_and_no_other_bearer() {
        let of = |resource_type: &str, endpoint: &str| {
            let token =
                proto::BearerToken { token: "t".to_owned(), endpoint: endpoint.to_owned(), ..Default::default() };
            let expires_at = Some(prost_types::Timestamp { seconds: 1_893_456_000, nanos: 0 });
            let shape = Some(Shape::BearerToken(token));
            let resource_type = resource_type.to_owned();
            let minted = proto::MintedCredential { shape, expires_at, resource_type, ..Default::default() };
            write(&CredentialView::from(minted), ProgramFormat::DockerConfig, None)
        };
        let said = of("docker-registry", "https://registry.example.com:5000").unwrap();
        assert_eq!(said, "{\"auths\":{\"registry.example.com:5000\":{\"registrytoken\":\"t\"}}}\n");
        let hub = of("docker-registry", "https://docker.io").unwrap();
        assert!(hub.contains("https://index.docker.io/v1/"), "{hub}");
        assert!(of("kubernetes-cluster", "https://cluster.example.com").is_err());
        assert!(of("docker-registry", "").is_err());
    }

    /// skopeo passes over `registrytoken` and asks for a token as nobody.
    #[test]
    fn a_bearer_token_comes_alone_and_is_one_word() {
        assert_eq!(write(&bearer(), ProgramFormat::BearerToken, None).unwrap(), "k8s\n");
        assert!(write(&aws("S"), ProgramFormat::BearerToken, None).is_err());
        assert!(write(&basic("https://h"), ProgramFormat::BearerToken, None).is_err());
        for token in ["a b", "a\nb", "a\u{1b}[2J"] {
            let shape = proto::BearerToken { token: token.to_owned(), ..Default::default() };
            assert!(write(&minted(Shape::BearerToken(shape)), ProgramFormat::BearerToken, None).is_err(), "{token:?}");
        }
    }

    #[test]
    fn a_credential_without_an_end_is_not_handed_on() {
        let mut credential = aws("S");
        credential.expires_at = None;
        assert!(write(&credential, ProgramFormat::AwsCredentialProcess, None).is_err());
    }
}
