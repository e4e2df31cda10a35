//! Azure through the daemon and the command line: signed URLs that unmodified clients use and that reach no further,
//! tokens of Entra by secret and by certificate, and a registry that takes a token for one repository.

use std::fs;

use serde_json::{Value, json};

use crate::rig::azure::{ACCOUNT, CLIENT, Cloud, MACHINE, OBJECT, REGISTRY, SECRET, SUBSCRIPTION, TENANT, by_secret};
use crate::rig::vault::{Outcome, Setup, Vault};

fn mint(vault: &Vault, connector: &str, more: &[&str]) -> Outcome {
    vault.cli("bob", &[&["mint", "--connector", connector, "-o", "json"], more].concat())
}

fn signed(outcome: &Outcome) -> String {
    let said = outcome.json();
    said["signed_url"]["url"].as_str().unwrap_or_else(|| panic!("no URL in {said}")).to_owned()
}

/// A connector by secret that may do everything.
fn admin(cloud: &Cloud, vault: &Vault) {
    cloud.register(vault, "prod-azure", &by_secret(), &["--access-max", "admin"]).ok();
}

/// What Azurite says to a signature that is not of the URL; Azure says AuthenticationFailed.
const WRONG_SIGNATURE: &str = "AuthorizationFailure";

const DATASETS: [&str; 4] = ["--resource-type", "blob-container", "--resource", "az://mldata/datasets"];

#[test]
fn a_signed_url_reads_its_container_and_no_more() {
    let cloud = Cloud::shared();
    let vault = cloud.vault();
    admin(&cloud, &vault);
    let outcome = mint(&vault, "prod-azure", &[&DATASETS[..], &["--ttl", "20m"]].concat());
    let said = outcome.json();
    assert_eq!(
        (&said["downscope"], &said["resource_id"]),
        (&json!("resource"), &json!("az://mldata/datasets")),
        "{said}"
    );
    let url = signed(&outcome);
    let sas = |url: &str, action: &str| cloud.client(&["sas", action], url);
    assert!(sas(&url, "list")["ok"].as_array().unwrap().contains(&json!("train/a.txt")));
    assert_eq!(sas(&url, "read")["ok"], "train/a.txt");
    assert_eq!(sas(&url, "write")["error"], "AuthorizationPermissionMismatch");
    let neighbour = url.replace("/datasets?", "/models?");
    for action in ["read", "list"] {
        assert_eq!(sas(&neighbour, action)["error"], WRONG_SIGNATURE, "{action}");
    }
    // Longer, or for more: the signature holds neither.
    let year = jiff::Timestamp::now().strftime("se=%Y").to_string();
    assert!(url.contains(&year), "{url}");
    for (own, wished) in [(year.as_str(), "se=2099"), ("sp=rl", "sp=racwdl")] {
        assert_eq!(sas(&url.replacen(own, wished, 1), "read")["error"], WRONG_SIGNATURE, "{wished}");
    }
    let writes = signed(&mint(&vault, "prod-azure", &[&DATASETS[..], &["--access", "write"]].concat()));
    assert_eq!(sas(&writes, "write")["ok"], "written");
    assert_ne!(sas(&writes.replace("/datasets?", "/fresh?"), "create")["ok"], "created");
    mint(&vault, "prod-azure", &["--resource-type", "blob-container", "--resource", "az://mldata/datasets/train"])
        .fails(1, "hierarchical_namespace");
    mint(&vault, "prod-azure", &["--resource-type", "blob-container", "--resource", "az://other/datasets"])
        .fails(1, "resource_id");
}

#[test]
fn the_environment_of_a_signed_url_is_what_stock_clients_read() {
    let cloud = Cloud::shared();
    let vault = cloud.vault();
    admin(&cloud, &vault);
    let env =
        vault.cli("bob", &[&["mint", "--connector", "prod-azure", "--format", "env"], &DATASETS[..]].concat()).ok();
    let value = |name: &str| {
        let line = env.stdout.lines().find_map(|line| line.strip_prefix(&format!("export {name}='")));
        line.unwrap_or_else(|| panic!("no {name}: {env}")).trim_end_matches('\'').to_owned()
    };
    assert_eq!(value("AZURE_STORAGE_ACCOUNT"), ACCOUNT);
    let token = value("AZURE_STORAGE_SAS_TOKEN");
    assert!(value("MINTED_URL").ends_with(&token));
    let account = format!("{}/{ACCOUNT}", cloud.blobs());
    let variables = [("AZURE_STORAGE_SAS_TOKEN", token.as_str())];
    assert_eq!(cloud.client_with(&["sas-env", "read", &account], &variables, "")["ok"], "train/a.txt");
}

#[test]
fn an_applications_certificate_gets_tokens_for_one_audience() {
    let cloud = Cloud::shared();
    let vault = cloud.vault();
    let pem = fs::read_to_string(cloud.certificate()).unwrap();
    let by_certificate = json!({ "client_certificate": pem }).to_string();
    let registered = cloud.register(&vault, "by-certificate", &by_certificate, &["--access-max", "admin"]).ok();
    assert!(registered.stdout.contains(OBJECT) && !registered.all().contains("PRIVATE KEY"), "{registered}");
    let generic = ["--resource-type", "azure-generic", "--access", "admin"];
    let token = |more: &[&str]| {
        let said = mint(&vault, "by-certificate", &[&generic[..], more].concat()).json();
        assert_eq!((&said["downscope"], &said["passthrough"]), (&json!("none"), &json!(false)), "{said}");
        said["bearer_token"]["token"].as_str().unwrap().to_owned()
    };
    let management = format!("{}/subscriptions/{SUBSCRIPTION}", cloud.cloud());
    assert_eq!(cloud.client(&["http", "GET", &management], &token(&[]))["ok"], 200);
    let vaults = token(&["--param", "audience=https://vault.azure.net"]);
    assert_eq!(cloud.client(&["http", "GET", &management], &vaults)["ok"], 401);
    mint(&vault, "by-certificate", &["--resource-type", "azure-generic", "--access", "read"]).fails(1, "admin only");
    mint(&vault, "by-certificate", &[&generic[..], &["--param", "audience=https://unknown.example"]].concat())
        .fails(1, "UPSTREAM_REJECTED");
    // A token for blobs is for all of them, and so for admin alone.
    let blobs = [&DATASETS[..], &["--param", "token=aad"]].concat();
    mint(&vault, "by-certificate", &blobs).fails(1, "admin only");
    let said = mint(&vault, "by-certificate", &[&blobs[..], &["--access", "admin"]].concat()).json();
    assert_eq!(said["downscope"], "none");
    let account = format!("{}/{ACCOUNT}", cloud.blobs());
    let all = cloud.client(&["blobs", &account], said["bearer_token"]["token"].as_str().unwrap());
    assert_eq!(all["ok"], json!(["datasets", "models"]));
}

#[test]
fn a_real_registry_takes_the_token_for_its_repository_alone() {
    let cloud = Cloud::shared();
    let vault = cloud.vault();
    admin(&cloud, &vault);
    let ask = |repository: &str, access: &str| {
        let id = format!("{REGISTRY}/{repository}");
        mint(&vault, "prod-azure", &["--resource-type", "docker-registry", "--resource", &id, "--access", access])
    };
    let text = |outcome: &Outcome| outcome.json()["bearer_token"]["token"].as_str().unwrap().to_owned();
    let status = |method: &str, path: &str, token: &str| {
        cloud.client(&["http", method, &format!("{}/v2/{path}", cloud.registry())], token)["ok"].clone()
    };
    let pull = text(&ask("base/model", "read"));
    // Nothing was pushed yet: who may pull is told so, and who may not is told nothing.
    assert_eq!(status("GET", "base/model/tags/list", &pull), 404);
    assert_eq!(status("GET", "base/public/tags/list", &pull), 401);
    assert_eq!(status("POST", "base/model/blobs/uploads/", &pull), 401);
    let push = text(&ask("base/model", "write"));
    assert_eq!(status("POST", "base/model/blobs/uploads/", &push), 202);
    assert_eq!(status("POST", "base/public/blobs/uploads/", &push), 401);
    let denied = ask("base/public", "write").fails(1, "UPSTREAM_DENIED");
    assert!(denied.stderr.contains("AcrPush"), "{denied}");
    mint(&vault, "prod-azure", &["--resource-type", "docker-registry", "--resource", REGISTRY]).fails(1, "admin only");
    let whole = ["--resource-type", "docker-registry", "--resource", REGISTRY, "--access", "admin"];
    let login = mint(&vault, "prod-azure", &whole).json();
    assert_eq!(login["basic_login"]["username"], "00000000-0000-0000-0000-000000000000");
    assert_eq!(login["basic_login"]["endpoint"], json!(format!("https://{REGISTRY}")));
}

/// The login that `docker login` would be given, used by a client that asks for tokens with it.
#[test]
fn a_login_of_the_whole_registry_is_used_by_a_stock_client_and_reaches_what_the_principal_may() {
    let cloud = Cloud::shared();
    let vault = cloud.vault();
    admin(&cloud, &vault);
    let mint = |arguments: &[&str]| {
        let docker = ["mint", "--connector", "prod-azure", "--resource-type", "docker-registry"];
        vault.cli("bob", &[&docker, arguments].concat()).ok()
    };
    let config = mint(&["--resource", REGISTRY, "--access", "admin", "--format", "docker-config"]).json();
    // The name is Azure's; where it leads to, is here.
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, auth: &Value| {
        let path = folder.path().join(name);
        fs::write(&path, json!({ "auths": { cloud.registry_host(): auth } }).to_string()).unwrap();
        path.display().to_string()
    };
    let good = file("good.json", &config["auths"][REGISTRY]);
    cloud.push("base/login", &["--dest-authfile", &good]).ok();
    let refused = |outcome: &Outcome| {
        let denied = ["unauthorized", "authentication required", "denied"];
        let said = outcome.stderr.to_lowercase();
        assert!(outcome.code != 0 && denied.iter().any(|word| said.contains(word)), "{outcome}");
    };
    refused(&cloud.push("base/public", &["--dest-authfile", &good]));
    refused(&cloud.push("base/login", &["--dest-authfile", &file("none.json", &json!({}))]));
    let stranger = ["--dest-creds", "00000000-0000-0000-0000-000000000000:no-token-of-this-registry"];
    refused(&cloud.push("base/login", &stranger));
    // The token of one repository, by the same client.
    let id = format!("{REGISTRY}/base/login");
    let said = mint(&["--resource", &id, "--access", "write", "-o", "json"]).json();
    let token = said["bearer_token"]["token"].as_str().unwrap();
    cloud.push("base/login", &["--dest-registry-token", token]).ok();
    refused(&cloud.push("base/vendor", &["--dest-registry-token", token]));
}

#[test]
fn verification_and_listing_name_what_is_reached_and_a_cluster_has_its_address() {
    let cloud = Cloud::shared();
    let vault = cloud.vault();
    admin(&cloud, &vault);
    let reach = vault.cli("alice", &["connector", "list-resources", "prod-azure", "-o", "json"]).json();
    let ids = |kind: &str| {
        let found = reach.as_array().unwrap().iter().find(|one| one["resource_type"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {reach}"))["resource_ids"].clone()
    };
    assert_eq!(ids("azure-generic"), json!([SUBSCRIPTION]));
    assert_eq!(ids("blob-container"), json!(["az://mldata/datasets", "az://mldata/models"]));
    assert_eq!(ids("kubernetes-cluster"), json!(["ml/train", "ml/serve"]));
    assert_eq!(ids("docker-registry"), json!([REGISTRY]));
    let said = mint(&vault, "prod-azure", &["--resource-type", "kubernetes-cluster", "--resource", "ml/train"]).json();
    let bearer = &said["bearer_token"];
    assert_eq!(bearer["endpoint"], "https://train-dns.hcp.westeurope.azmk8s.io:443");
    assert!(bearer["certificate_authority"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(!said.to_string().contains("client-key-data"));
}

#[test]
fn a_secret_that_is_wrong_is_refused_and_none_is_ever_shown() {
    let cloud = Cloud::shared();
    let vault = cloud.vault();
    let wrong = json!({"client_secret": "8Q~a-canary-that-is-wrong"}).to_string();
    let refused = cloud.register(&vault, "wrong", &wrong, &[]).fails(1, "AADSTS7000215");
    let registered = cloud.register(&vault, "prod-azure", &by_secret(), &[]).ok();
    let described = vault.cli("alice", &["connector", "describe", "prod-azure", "-o", "json"]).ok();
    let minted = mint(&vault, "prod-azure", &DATASETS).ok();
    let ledger = Value::from(vault.ledger()).to_string();
    for text in [refused.all(), registered.all(), described.all(), minted.all(), vault.logs(), ledger] {
        assert!(!text.contains(SECRET) && !text.contains("a-canary-that-is-wrong"), "{text}");
    }
    // The signature of what was handed out is in no log either.
    let (_, signature) = signed(&minted).rsplit_once("sig=").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(!vault.logs().contains(&signature) && !Value::from(vault.ledger()).to_string().contains(&signature));
}

/// The stand-ins are as strict as they must be: seen by the vendor's own clients.
#[test]
fn stock_clients_find_entra_and_azurite_strict() {
    let cloud = Cloud::shared();
    let (entra, account) = (cloud.cloud(), format!("{}/{ACCOUNT}", cloud.blobs()));
    let token = cloud.client(&["assertion", entra, TENANT, CLIENT, cloud.certificate()], "");
    let token = token["ok"].as_str().unwrap_or_else(|| panic!("{token}")).to_owned();
    assert_eq!(
        cloud.client(&["wrong", entra, TENANT, CLIENT], "8Q~not-the-secret")["error"],
        "ClientAuthenticationError"
    );
    // A token for key vaults opens neither blobs nor the resource manager.
    assert!(cloud.client(&["blobs", &account], &token)["error"].is_string());
    let management = format!("{entra}/subscriptions/{SUBSCRIPTION}");
    assert_eq!(cloud.client(&["http", "GET", &management], &token)["ok"], 401);
    let (head, tail) = token.rsplit_once('.').unwrap();
    let flipped = format!("{head}.{}{}", if tail.starts_with('A') { 'B' } else { 'A' }, &tail[1..]);
    assert_eq!(cloud.client(&["http", "GET", &management], &flipped)["ok"], 401);
}

/// The same of the registry's token service: the vendor's client finds it by the registry's challenge, exchanges the token
/// of azure-identity there, and moves real images.
#[test]
fn the_vendors_registry_client_finds_the_token_service_strict() {
    let cloud = Cloud::shared();
    let images = |secret: &str, audience: &str, action: &str, repository: &str| {
        let home = cloud.cloud();
        cloud.client(&["images", home, TENANT, CLIENT, home, audience, action, repository], secret)
    };
    let registries = "https://containerregistry.azure.net";
    let pushed = images(SECRET, registries, "push", "base/vendor")["ok"].clone();
    assert!(pushed.as_str().is_some_and(|digest| digest.starts_with("sha256:")), "{pushed}");
    for audience in [registries, "https://management.azure.com"] {
        assert_eq!(images(SECRET, audience, "pull", "base/vendor")["ok"], pushed, "{audience}");
    }
    for (secret, audience, action, repository) in [
        (SECRET, registries, "push", "base/public"),
        (SECRET, registries, "pull", "base/secret"),
        (SECRET, "https://vault.azure.net", "pull", "base/vendor"),
        ("8Q~not-the-secret", registries, "pull", "base/vendor"),
    ] {
        let refused = images(secret, audience, action, repository);
        assert_eq!(refused["error"], "ClientAuthenticationError", "{audience} {action} {repository}: {refused}");
    }
    // Who may pull is told that there is nothing.
    assert_eq!(images(SECRET, registries, "pull", "base/public")["error"], "ResourceNotFoundError");
}

/// The vendor's own paths, each with a scope of its own: a token of another is challenged, and what valetkey mints for
/// pulling and pushing is neither for the metadata nor for the catalog.
#[test]
fn the_vendors_own_paths_have_scopes_of_their_own() {
    let cloud = Cloud::shared();
    let registries = "https://containerregistry.azure.net";
    let images = |action: &str, repository: &str| {
        let home = cloud.cloud();
        cloud.client(&["images", home, TENANT, CLIENT, home, registries, action, repository], SECRET)
    };
    let digest = |tags: &Value| tags["ok"][0][1].as_str().unwrap_or_else(|| panic!("{tags}")).to_owned();
    images("push", "base/scratch")["ok"].as_str().unwrap();
    let tags = images("tags", "base/scratch");
    assert_eq!(tags["ok"][0][0], "vendor", "{tags}");
    assert_eq!(images("manifests", "base/scratch")["ok"], json!([[digest(&tags), ["vendor"]]]));
    assert!(images("catalog", "-")["ok"].as_array().unwrap().contains(&json!("base/scratch")));
    for action in ["tags", "manifests"] {
        assert_eq!(images(action, "base/secret")["error"], "ClientAuthenticationError", "{action}");
    }
    images("push", "base/vendor")["ok"].as_str().unwrap();
    assert_eq!(images("delete", "base/vendor")["error"], "ClientAuthenticationError");

    let vault = cloud.vault();
    admin(&cloud, &vault);
    let token = |access: &str| {
        let id = format!("{REGISTRY}/base/scratch");
        let ask = ["--resource-type", "docker-registry", "--resource", &id, "--access", access];
        mint(&vault, "prod-azure", &ask).json()["bearer_token"]["token"].as_str().unwrap().to_owned()
    };
    let status = |method: &str, path: &str, token: &str| {
        cloud.client(&["http", method, &format!("{}{path}", cloud.cloud())], token)["ok"].clone()
    };
    let (read, write, admin) = (token("read"), token("write"), token("admin"));
    for path in ["/acr/v1/base/scratch/_tags", "/acr/v1/base/scratch/_manifests", "/acr/v1/_catalog"] {
        for token in [&read, &write, &admin] {
            assert_eq!(status("GET", path, token), 401, "{path}");
        }
    }
    assert_eq!(status("GET", "/v2/base/scratch/tags/list", &read), 200);
    let manifest = format!("/v2/base/scratch/manifests/{}", digest(&tags));
    for token in [&read, &write] {
        assert_eq!(status("DELETE", &manifest, token), 401);
    }
    assert_eq!(status("DELETE", &manifest, &admin), 202);
    assert_eq!(images("tags", "base/scratch")["error"], "ResourceNotFoundError");
}

/// The identity of the machine: the vendor's library gets it from the stand-in's endpoint, and so does valetkey, where the
/// config names both the identity and the endpoint.
#[test]
fn the_machines_own_identity_needs_the_config_to_name_it_and_its_endpoint() {
    let cloud = Cloud::shared();
    let (home, management) = (cloud.cloud(), format!("{}/subscriptions/{SUBSCRIPTION}", cloud.cloud()));
    let manager = "https://management.azure.com";
    for more in [&[][..], &[MACHINE]] {
        let token = cloud.client(&[&["machine", home, manager][..], more].concat(), "")["ok"].clone();
        let token = token.as_str().unwrap_or_else(|| panic!("{more:?}: {token}"));
        assert_eq!(cloud.client(&["http", "GET", &management], token)["ok"], 200);
    }
    for refused in [&[manager, CLIENT][..], &["https://nowhere.example"]] {
        let said = cloud.client(&[&["machine", home][..], refused].concat(), "");
        assert!(said["error"].is_string(), "{refused:?}: {said}");
    }
    assert_eq!(cloud.client(&["http", "GET", &format!("{home}/metadata/identity/oauth2/token")], "")["ok"], 400);

    let identity = format!("identity_url={home}");
    let register = |vault: &Vault, name: &str, more: &[&str]| {
        let places = [format!("management_url={home}"), format!("subscription_id={SUBSCRIPTION}")];
        let head = ["connector", "register", name, "--type", "azure", "--method", "implicit", "--access-max", "admin"];
        let places = places.iter().flat_map(|one| ["--set", one.as_str()]);
        let more = more.iter().flat_map(|one| ["--set", *one]);
        vault.cli("alice", &head.into_iter().chain(places).chain(more).collect::<Vec<_>>())
    };
    register(&cloud.vault(), "own", &[&identity]).fails(1, "NOT_ENABLED");
    let allowed = format!("implicit_identities = [\"azure:{MACHINE}\"]");
    let vault = cloud.reached_by(Setup::new()).with("outbound", allowed).start();
    let client = format!("client_id={MACHINE}");
    register(&vault, "own", &[&identity, &client]).ok();
    let shown = vault.cli("alice", &["connector", "describe", "own", "-o", "json"]).json();
    assert!(shown["verification"]["identity"].as_str().unwrap().contains(MACHINE), "{shown}");
    let generic = ["--resource-type", "azure-generic", "--access", "admin"];
    let said = mint(&vault, "own", &generic).json();
    assert!(said["attribution"].as_str().unwrap().starts_with("the server's managed identity"), "{said}");
    let token = said["bearer_token"]["token"].as_str().unwrap();
    assert_eq!(cloud.client(&["http", "GET", &management], token)["ok"], 200);
    // The machine's own, another one, and Azure's own endpoint are not named.
    register(&vault, "system", &[&identity]).fails(1, "NOT_ENABLED");
    register(&vault, "other", &[&identity, &format!("client_id={CLIENT}")]).fails(1, "NOT_ENABLED");
    register(&vault, "there", &[&client]).fails(1, "ADDRESS_REFUSED");
}
