"""Where the fake Google makes tokens: the token endpoint, STS, IAM credentials, keys, and the metadata server.

Each refuses what the real one documents as refused: signature, audience, issuer, times, scopes, chains, boundaries.
"""

import base64
import json
import ssl
import time
import urllib.parse

import jwt

import storage
from cloud import (
    AUTH, CLIENT, CLOUD_PLATFORM, IAM, PROJECT, SCOPES, Token, api_no, compact, denied, oauth_no,
)

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TYPE = "urn:ietf:params:oauth:token-type:"
SUBJECT_BYTES_MAX = 127
KEYS_MAX = 10
# Google's clocks and its clients' differ by this much at most.
SKEW = 60


def scopes_of(text):
    scopes = (text or "").split()
    if not scopes or not set(scopes) <= SCOPES:
        raise oauth_no("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
    return scopes


def form(body):
    pairs = urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise oauth_no("invalid_request", "a parameter came twice")
    return fields


def token_endpoint(cloud, body):
    fields = form(body)
    if fields.get("grant_type") == JWT_BEARER:
        email, scopes = assertion(cloud, fields.get("assertion", ""))
        return bearer(cloud, Token(email, scopes, 3599))
    if fields.get("grant_type") == "refresh_token":
        if (fields.get("client_id"), fields.get("client_secret")) != CLIENT:
            raise oauth_no("invalid_client", "The OAuth client was not found.", 401)
        if fields.get("refresh_token") not in cloud.people:
            raise oauth_no("invalid_grant", "Token has been expired or revoked.")
        email, granted = cloud.people[fields["refresh_token"]]
        scopes = scopes_of(fields["scope"]) if "scope" in fields else granted
        if not set(scopes) <= granted:
            raise oauth_no("invalid_scope", "Bad Request")
        return bearer(cloud, Token(email, scopes, 3599))
    raise oauth_no("unsupported_grant_type", "Invalid grant_type")


def bearer(cloud, token, **more):
    return {"access_token": cloud.issue(token), "expires_in": token.left(), "token_type": "Bearer"} | more


def assertion(cloud, text):
    try:
        header, claims = jwt.get_unverified_header(text), jwt.decode(text, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise oauth_no("invalid_grant", "Invalid JWT") from None
    account = cloud.accounts.get(claims.get("iss"))
    key = account and account.keys.get(header.get("kid"))
    if header.get("alg") != "RS256" or key is None:
        raise oauth_no("invalid_grant", "Invalid JWT: Failed audience check or unknown key.")
    try:
        jwt.decode(text, key, ["RS256"], options={"verify_aud": False, "verify_exp": False, "verify_iat": False})
    except jwt.PyJWTError:
        raise oauth_no("invalid_grant", "Invalid JWT Signature.") from None
    if claims.get("aud") not in ("https://oauth2.googleapis.com/token", cloud.endpoint + "/token"):
        raise oauth_no("invalid_grant", "Invalid JWT: Failed audience check.")
    issued, ends, now = claims.get("iat"), claims.get("exp"), time.time()
    whole = isinstance(issued, int) and isinstance(ends, int)
    if not whole or issued > now + SKEW or ends < now or issued < now - 3600 - SKEW or not 0 < ends - issued <= 3600:
        raise oauth_no("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes).")
    return account.email, scopes_of(claims.get("scope"))


def sts(cloud, body):
    fields = form(body)
    if fields.get("grant_type") != EXCHANGE or fields.get("requested_token_type") != TYPE + "access_token":
        raise oauth_no("invalid_request", "Invalid grant_type or requested_token_type")
    kind = fields.get("subject_token_type", "").removeprefix(TYPE)
    options = json.loads(urllib.parse.unquote(fields["options"])) if "options" in fields else {}
    if kind == "access_token":
        token = bounded(cloud, fields, options)
    elif kind in ("jwt", "id_token") and not options.get("accessBoundary"):
        token = federated(cloud, fields)
    else:
        raise oauth_no("invalid_request", "Invalid subject_token_type")
    return bearer(cloud, token, issued_token_type=TYPE + "access_token")


def bounded(cloud, fields, options):
    source = cloud.tokens.get(fields.get("subject_token"))
    if source is None or source.left() <= 0:
        raise oauth_no("invalid_grant", "The subject token is invalid or expired.")
    if CLOUD_PLATFORM not in source.scopes or source.rules is not None:
        raise oauth_no("invalid_request", "The subject token needs the scope cloud-platform and no boundary.")
    if set(options) != {"accessBoundary"} or fields.get("audience") or fields.get("scope"):
        raise oauth_no("invalid_request", "Only an accessBoundary is expected.")
    token = Token(source.who, source.scopes, 1, source.chain, storage.rules(options["accessBoundary"]))
    token.ends = source.ends
    return token


def federated(cloud, fields):
    provider = cloud.providers.get(fields.get("audience"))
    if provider is None:
        raise oauth_no("invalid_target", "The target service indicated by the audience does not exist.")
    text = fields.get("subject_token", "")
    try:
        key = provider["key"]
        if provider["jwks_uri"]:
            trusted = ssl.create_default_context(cadata=provider.get("ca"))
            keys = jwt.PyJWKClient(provider["jwks_uri"], cache_keys=False, timeout=10, ssl_context=trusted)
            key = keys.get_signing_key_from_jwt(text).key
        claims = jwt.decode(
            text, key, ["RS256", "ES256"], audience=provider["audiences"], issuer=provider["issuer"],
            options={"require": ["exp", "iat", "sub", "aud", "iss"]},
        )
    except jwt.PyJWTError as error:
        raise oauth_no("invalid_grant", f"ID Token is not acceptable: {type(error).__name__}") from None
    if claims["exp"] - claims["iat"] > 86400:
        raise oauth_no("invalid_grant", "The lifetime of the ID token is over 24 hours.")
    if claims["exp"] <= time.time() + provider.get("ahead", 0):
        raise oauth_no("invalid_grant", "The ID token has ended by the provider's clock.")
    if not claims["sub"].startswith(provider.get("subjects", "")):
        raise oauth_no("unauthorized_client", "The given credential is rejected by the attribute condition.")
    if len(claims["sub"].encode()) > SUBJECT_BYTES_MAX:
        raise oauth_no("invalid_request", "The mapped attribute google.subject exceeds 127 bytes.")
    pool = fields["audience"].split("/providers/")[0]
    return Token(f"principal:{pool}/subject/{claims['sub']}", scopes_of(fields.get("scope")), 3599)


def generate(cloud, email, headers, body):
    caller = cloud.bearer(headers, [CLOUD_PLATFORM, IAM])
    ask = json.loads(body)
    target = cloud.accounts.get(email)
    chain = [one.removeprefix("projects/-/serviceAccounts/") for one in ask.get("delegates") or []]
    before = caller.who
    for hop in [*chain, email]:
        account = cloud.accounts.get(hop)
        if account is None or before not in account.trusts or caller.rules is not None:
            raise denied("iam.serviceAccounts.getAccessToken")
        before = hop
    life = ask.get("lifetime", "3600s")
    if not life.endswith("s") or not life[:-1].isdigit() or not 0 < int(life[:-1]) <= target.lifetime_max:
        raise api_no(400, "INVALID_ARGUMENT", "The access token lifetime cannot exceed one hour.")
    scopes = ask.get("scope") or []
    if not scopes or not set(scopes) <= SCOPES:
        raise api_no(400, "INVALID_ARGUMENT", "Invalid scopes.")
    token = Token(email, scopes, int(life[:-1]), [*chain, *caller.chain, caller.who])
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(token.ends))
    return {"accessToken": cloud.issue(token), "expireTime": end}


def make_key(cloud, email, headers, body):
    caller = cloud.bearer(headers, [CLOUD_PLATFORM])
    ask = json.loads(body)
    known = {"privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE", "keyAlgorithm": "KEY_ALG_RSA_2048"}
    if any(ask.get(name) != value for name, value in known.items()):
        raise api_no(400, "INVALID_ARGUMENT", "Unknown key type.")
    own_key(cloud, caller, email, "iam.serviceAccountKeys.create")
    if len(cloud.accounts[email].keys) >= KEYS_MAX:
        raise api_no(400, "FAILED_PRECONDITION", "Precondition check failed.")
    file = cloud.new_key(email)
    name = f"projects/{PROJECT}/serviceAccounts/{email}/keys/{file['private_key_id']}"
    return {"name": name, "privateKeyType": ask["privateKeyType"],
            "privateKeyData": base64.b64encode(compact(file)).decode()}


def delete_key(cloud, email, key_id, headers):
    caller = cloud.bearer(headers, [CLOUD_PLATFORM])
    own_key(cloud, caller, email, "iam.serviceAccountKeys.delete")
    if cloud.accounts[email].keys.pop(key_id, None) is None:
        raise api_no(404, "NOT_FOUND", "Service account key does not exist.")
    return {}


def own_key(cloud, caller, email, permission):
    if caller.who != email or caller.rules is not None or permission not in cloud.rights(caller):
        raise denied(permission)


def tokeninfo(cloud, query, body):
    text = query.get("access_token") or form(body).get("access_token")
    token = cloud.tokens.get(text)
    if token is None or token.left() <= 0:
        raise oauth_no("invalid_token", "Invalid Value")
    known = {"azp": "100000000000000000001", "scope": " ".join(sorted(token.scopes)), "expires_in": str(token.left())}
    return known | ({"email": token.who} if AUTH + "userinfo.email" in token.scopes else {})


def metadata(cloud, path, headers):
    """The machine's token; a request without the header may be one that somebody was made to send."""
    if headers.get("metadata-flavor") != "Google":
        raise api_no(403, "FORBIDDEN", "Missing Metadata-Flavor:Google header.")
    machine = f"machine@{PROJECT}.iam.gserviceaccount.com"
    account, _, what = path.partition("/")
    if account not in ("default", machine) or what not in ("token", "email"):
        raise api_no(404, "NOT_FOUND", "not found")
    return machine if what == "email" else bearer(cloud, Token(machine, [CLOUD_PLATFORM], 1800))
