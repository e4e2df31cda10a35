"""Stock google-auth and google-cloud-storage against the fake, and the neighbours of each thing that it allows.

usage: proof.py ENDPOINT

Only the transport is told where Google is; every flow, form and check is the libraries' own. Prints `ok` at the end.
"""

import json
import sys
import time
import urllib.parse
import urllib.request
import uuid

import jwt
from google.api_core.exceptions import Forbidden
from google.auth import downscoped, exceptions, identity_pool, impersonated_credentials
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud import storage
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account, sts

AUTH = "https://www.googleapis.com/auth/"
ALL = [AUTH + "cloud-platform"]
GOOGLE = ["oauth2", "sts", "iamcredentials"]


class Here(Request):
    """Google's own hosts are at the endpoint."""

    def __call__(self, url, *arguments, **named):
        for name in GOOGLE:
            url = url.replace(f"https://{name}.googleapis.com", ENDPOINT)
        assert url.startswith(ENDPOINT), url
        return super().__call__(url, *arguments, **named)


def fake(what, **ask):
    call = urllib.request.Request(f"{ENDPOINT}/fake/{what}", json.dumps(ask).encode())
    with urllib.request.urlopen(call) as answer:
        return json.load(answer)


def refused(said, attempt, *arguments):
    try:
        attempt(*arguments)
    except (exceptions.GoogleAuthError, Forbidden) as error:
        assert said in str(error), (said, error)
        return
    raise AssertionError(f"not refused: {said}")


def key_of(name):
    return fake("key", email=f"{name}@{FACTS['domain']}")


def source(name="broker", scopes=ALL, **changed):
    return service_account.Credentials.from_service_account_info(key_of(name) | changed, scopes=scopes)


def client(credentials):
    return storage.Client(
        project=FACTS["project"], credentials=credentials, client_options={"api_endpoint": ENDPOINT}
    )


def prove_service_account():
    credentials = source()
    credentials.refresh(HERE)
    assert 3500 < fake("token", token=credentials.token)["left"] <= 3600
    other = key_of("weak")["private_key"]
    refused("Signature", source(private_key=other).refresh, HERE)
    refused("invalid_grant", source(private_key_id="0" * 40).refresh, HERE)
    refused("invalid_grant", source(client_email="nobody@example.com").refresh, HERE)
    refused("invalid_scope", source(scopes=[AUTH + "no-such-scope"]).refresh, HERE)


def prove_assertion():
    file, now = key_of("broker"), int(time.time())
    right = {"iss": file["client_email"], "scope": ALL[0], "aud": "https://oauth2.googleapis.com/token",
             "iat": now, "exp": now + 300}

    def ask(key=file["private_key"], algorithm="RS256", **changed):
        text = jwt.encode(right | changed, key, algorithm, {"kid": file["private_key_id"]})
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": text}
        answer = Request()(f"{ENDPOINT}/token", "POST", urllib.parse.urlencode(form).encode(),
                           {"content-type": "application/x-www-form-urlencoded"})
        return json.loads(answer.data).get("error", "taken")

    assert ask() == ask(aud=ENDPOINT + "/token") == "taken"
    for wrong in [
        {"aud": "https://oauth2.googleapis.com"}, {"aud": "https://evil.example.com/token"}, {"exp": now - 1},
        {"exp": now + 7200}, {"iat": now + 600, "exp": now + 900}, {"iat": now - 9000, "exp": now - 5400},
        {"iss": "broker@evil.example.com"},
    ]:
        assert ask(**wrong) == "invalid_grant", wrong
    assert ask(scope="") == "invalid_scope"
    assert ask(key="a shared secret of thirty-two bytes", algorithm="HS256") == "invalid_grant"


def prove_impersonation():
    def target(name, delegates=None, lifetime=3600, by="broker"):
        return impersonated_credentials.Credentials(
            source_credentials=source(by), target_principal=f"{name}@{FACTS['domain']}", target_scopes=ALL,
            delegates=delegates, lifetime=lifetime,
        )

    credentials = target("ml-data")
    credentials.refresh(HERE)
    known = fake("token", token=credentials.token)
    assert (known["who"], known["chain"]) == (f"ml-data@{FACTS['domain']}", [f"broker@{FACTS['domain']}"]), known
    target("ml-far", [f"hub@{FACTS['domain']}"]).refresh(HERE)
    for wrong in [target("ml-far"), target("ml-data", by="weak"), target("ml-data", [f"hub@{FACTS['domain']}"]),
                  target("no-such"), target("hub", lifetime=7200)]:
        refused("Unable to acquire impersonated credentials", wrong.refresh, HERE)


def prove_user():
    def user(**changed):
        right = {"refresh_token": FACTS["refresh_token"], "client_id": FACTS["client"]["id"],
                 "client_secret": FACTS["client"]["secret"], "token_uri": "https://oauth2.googleapis.com/token"}
        return oauth2.Credentials(None, scopes=ALL, **(right | changed))

    user().refresh(HERE)
    refused("invalid_grant", user(refresh_token="1//another").refresh, HERE)
    refused("invalid_client", user(client_secret="another").refresh, HERE)
    wide = oauth2.Credentials(None, scopes=[AUTH + "devstorage.full_control"], client_id=FACTS["client"]["id"],
                              client_secret=FACTS["client"]["secret"], refresh_token=FACTS["refresh_token"],
                              token_uri="https://oauth2.googleapis.com/token")
    refused("invalid_scope", wide.refresh, HERE)


class Supplier(identity_pool.SubjectTokenSupplier):
    def __init__(self, **claims):
        self.claims = claims

    def get_subject_token(self, context, request):
        return fake("subject", **self.claims)["subject"]


def prove_external():
    def external(audience=None, target=None, **claims):
        url = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{target}:generateAccessToken"
        return identity_pool.Credentials(
            audience=audience or FACTS["provider"], subject_token_type="urn:ietf:params:oauth:token-type:jwt",
            token_url="https://sts.googleapis.com/v1/token", subject_token_supplier=Supplier(**claims), scopes=ALL,
            service_account_impersonation_url=url if target else None,
        )

    credentials = external()
    credentials.refresh(HERE)
    assert fake("token", token=credentials.token)["who"].endswith("/subject/trainer")
    external(target=f"ml-data@{FACTS['domain']}").refresh(HERE)
    now = int(time.time())
    for wrong in [{"aud": "https://elsewhere"}, {"iss": "https://evil.example.com"}, {"exp": now - 5}, {"sub": None},
                  {"iat": now + 600}]:
        refused("invalid_grant", external(**wrong).refresh, HERE)
    refused("invalid_target", external(FACTS["provider"] + "2").refresh, HERE)
    refused("Unable to acquire", external(target=f"ml-data@{FACTS['domain']}", sub="other").refresh, HERE)


def boundary(bucket, role="objectViewer", expression=None, rules=1):
    condition = downscoped.AvailabilityCondition(expression) if expression else None
    one = downscoped.AccessBoundaryRule(
        f"//storage.googleapis.com/projects/_/buckets/{bucket}", [f"inRole:roles/storage.{role}"], condition
    )
    return downscoped.CredentialAccessBoundary([one] * rules)


def prove_boundary():
    bucket, neighbour = f"proof-{uuid.uuid4().hex}", f"proof-{uuid.uuid4().hex}"
    for name in (bucket, neighbour):
        fake("bucket", name=name, objects=["train/a.txt", "train2/b.txt", "train"])
    objects = f"projects/_/buckets/{bucket}/objects/train/"
    lists = "api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('train/')"
    narrow = downscoped.Credentials(source(), boundary(bucket, expression=f"resource.name.startsWith('{objects}') || {lists}"))
    narrow.refresh(HERE)
    reader = client(oauth2.Credentials(narrow.token))
    assert reader.bucket(bucket).blob("train/a.txt").download_as_bytes() == b"train/a.txt"
    assert [blob.name for blob in reader.list_blobs(bucket, prefix="train/")] == ["train/a.txt"]
    for attempt in [
        lambda: reader.bucket(bucket).blob("train2/b.txt").download_as_bytes(),
        lambda: reader.bucket(neighbour).blob("train/a.txt").download_as_bytes(),
        lambda: list(reader.list_blobs(bucket)),
        lambda: list(reader.list_blobs(bucket, prefix="train2/")),
        lambda: list(reader.list_buckets()),
        lambda: reader.bucket(bucket).blob("train/new").upload_from_string("x"),
        lambda: reader.bucket(bucket).blob("train/a.txt").delete(),
    ]:
        refused("storage.", attempt)
    session = AuthorizedSession(oauth2.Credentials(narrow.token))
    assert session.get(f"{ENDPOINT}/v1/projects/{FACTS['project']}/locations/-/clusters").status_code == 403
    # The library counts rules itself, so the eleventh goes by hand.
    ask = {"accessBoundary": {"accessBoundaryRules": boundary(bucket).to_json()["accessBoundary"]["accessBoundaryRules"] * 11}}
    plain = source()
    plain.refresh(HERE)
    exchange = lambda token, options: sts.Client(f"{ENDPOINT}/v1/token").exchange_token(  # noqa: E731
        HERE, "urn:ietf:params:oauth:grant-type:token-exchange", token,
        "urn:ietf:params:oauth:token-type:access_token",
        requested_token_type="urn:ietf:params:oauth:token-type:access_token", additional_options=options,
    )
    refused("invalid_request", exchange, plain.token, ask)
    refused("invalid_request", exchange, narrow.token, boundary(bucket).to_json())
    refused("invalid_request", exchange, plain.token, {})
    refused("invalid_grant", exchange, "ya29.none", boundary(bucket).to_json())
    fake("token", token=plain.token, left=-1)
    refused("invalid_grant", exchange, plain.token, boundary(bucket).to_json())
    for wrong in [boundary(bucket, "legacyBucketOwner"), boundary(bucket, expression="true"),
                  boundary("UPPER"), boundary(bucket, expression="resource.name.startsWith('a') && true")]:
        refused("invalid_request", downscoped.Credentials(source(), wrong).refresh, HERE)
    thin = source(scopes=[AUTH + "devstorage.read_only"])
    refused("invalid_request", downscoped.Credentials(thin, boundary(bucket)).refresh, HERE)
    fake("token", token=narrow.token, left=-1)
    refused("", lambda: reader.bucket(bucket).blob("train/a.txt").download_as_bytes())


if __name__ == "__main__":
    ENDPOINT = sys.argv[1]
    HERE, FACTS = Here(), fake("facts")
    for prove in [prove_service_account, prove_assertion, prove_impersonation, prove_user, prove_external, prove_boundary]:
        prove()
    print("ok")
