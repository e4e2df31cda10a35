"""What there is in the fake Google: projects, service accounts, people, providers, tokens.

Nothing here answers a request; `tokens.py`, `storage.py` and `apis.py` do. Everything is kept in memory.
"""

import base64
import json
import secrets
import threading
import time
import uuid

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PROJECT = "ml-prod-123456"
NUMBER = "123456789012"
DOMAIN = f"{PROJECT}.iam.gserviceaccount.com"
AUTH = "https://www.googleapis.com/auth/"
CLOUD_PLATFORM = AUTH + "cloud-platform"
READ_ONLY = AUTH + "cloud-platform.read-only"
IAM = AUTH + "iam"
EMAIL = AUTH + "userinfo.email"
SCOPES = {CLOUD_PLATFORM, READ_ONLY, IAM, EMAIL, "openid"} | {
    AUTH + "devstorage." + level for level in ("read_only", "read_write", "full_control")
}
PROVIDER = f"//iam.googleapis.com/projects/{NUMBER}/locations/global/workloadIdentityPools/ml/providers/ours"
ISSUER = "https://issuer.example.com"
CLIENT = ("123456789012-tool.apps.googleusercontent.com", "secret-of-the-tool")


class Refused(Exception):
    """An answer that is a no: a status and a body."""

    def __init__(self, status, body):
        super().__init__(status)
        self.status, self.body = status, body


def oauth_no(code, why, status=400):
    """The token endpoint's and STS's form."""
    return Refused(status, {"error": code, "error_description": why})


def api_no(status, name, message, permission=None, reason=None):
    """google.rpc.Status as JSON."""
    error = {"code": status, "message": message, "status": name, "errors": [{"reason": name.lower()}]}
    if permission or reason:
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason or "IAM_PERMISSION_DENIED"}
        error["details"] = [info | ({"metadata": {"permission": permission}} if permission else {})]
    return Refused(status, {"error": error})


def denied(permission):
    return api_no(403, "PERMISSION_DENIED", f"Permission '{permission}' denied: secret-in-an-error-body", permission)


class Account:
    """A service account: its keys, what it may do, and who may make tokens of it."""

    def __init__(self, name, may=(), trusts=(), lifetime_max=3600):
        self.email = name if "@" in name else f"{name}@{DOMAIN}"
        self.keys, self.may, self.trusts, self.lifetime_max = {}, set(may), set(trusts), lifetime_max


class Token:
    """An access token: of whom, for what, until when, within which boundary."""

    def __init__(self, who, scopes, life, chain=(), rules=None):
        self.who, self.scopes, self.ends = who, set(scopes), time.time() + life
        self.chain, self.rules = list(chain), rules

    def left(self):
        return int(self.ends - time.time())


EVERYTHING = {
    "storage.buckets.list", "storage.objects.list", "storage.objects.get", "storage.objects.create",
    "storage.objects.delete", "storage.objects.update", "storage.objects.getIamPolicy", "storage.objects.setIamPolicy",
    "container.clusters.list", "container.clusters.get", "artifactregistry.locations.list",
    "artifactregistry.repositories.list", "artifactregistry.repositories.get", "resourcemanager.projects.get",
}
KEY_ADMIN = {"iam.serviceAccountKeys.create", "iam.serviceAccountKeys.delete"}


class Cloud:
    def __init__(self, endpoint, authority):
        self.endpoint, self.authority = endpoint, authority
        self.lock = threading.RLock()
        self.accounts, self.tokens, self.people, self.providers, self.buckets = {}, {}, {}, {}, {}
        self.asked = []
        self.issuer_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        federated = f"principal:{PROVIDER.split('/providers/')[0]}/subject/trainer"
        for account in [
            Account("broker", EVERYTHING | KEY_ADMIN),
            Account("keyless", EVERYTHING),
            Account("weak", ["resourcemanager.projects.get"]),
            Account("hub", [], [f"broker@{DOMAIN}"]),
            Account("ml-data", EVERYTHING, [f"broker@{DOMAIN}", federated], 43200),
            Account("ml-far", EVERYTHING, [f"hub@{DOMAIN}"]),
            Account("machine", EVERYTHING),
        ]:
            self.accounts[account.email] = account
        self.people["1//refresh-of-anna"] = ("anna@example.com", {CLOUD_PLATFORM, EMAIL, "openid"})
        self.providers[PROVIDER] = {
            "issuer": ISSUER, "audiences": ["https:" + PROVIDER], "jwks_uri": None, "key": self.issuer_key.public_key()
        }
        self.clusters = {("europe-west4", "train"): "34.90.1.2", ("us-central1-a", "serve"): "34.90.1.3"}
        self.repositories = {
            ("europe", "eu.gcr.io"): "DOCKER", ("europe-west4", "base"): "DOCKER", ("europe-west4", "models"): "DOCKER",
            ("europe-west4", "wheels"): "PYTHON", ("us-central1", "models"): "DOCKER",
        }
        self.locations = ["asia", "europe", "europe-west4", "us", "us-central1"]

    def account(self, name, without):
        """An account of one test alone, or what it may do from now on: all but these."""
        account = self.accounts.setdefault(f"{name}@{DOMAIN}", Account(name))
        account.may = (EVERYTHING | KEY_ADMIN) - set(without)
        return {"email": account.email}

    def new_key(self, email):
        """A new key of this account, as Google's file."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key_id = uuid.uuid4().hex + "00000000"
        self.accounts[email].keys[key_id] = key.public_key()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account", "project_id": PROJECT, "private_key_id": key_id, "private_key": pem.decode(),
            "client_email": email, "client_id": "100000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": "https://oauth2.googleapis.com/token",
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": f"https://www.googleapis.com/robot/v1/metadata/x509/{email}",
            "universe_domain": "googleapis.com",
        }

    def issue(self, token):
        text = "ya29.c." + secrets.token_urlsafe(48)
        self.tokens[text] = token
        return text

    def bearer(self, headers, scopes):
        """The live token of a request, which must have one of these scopes."""
        text = headers.get("authorization", "")
        token = self.tokens.get(text.removeprefix("Bearer ")) if text.startswith("Bearer ") else None
        if token is None or token.left() <= 0:
            raise api_no(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if not token.scopes & set(scopes):
            raise api_no(403, "PERMISSION_DENIED", "scopes", reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT")
        return token

    def rights(self, token):
        """What the identity of a token may do at all."""
        if token.who in self.accounts:
            return self.accounts[token.who].may
        return EVERYTHING if token.who.startswith("principal:") or token.who == "anna@example.com" else set()

    def require(self, token, permission):
        """For every API but storage: a boundary leaves nothing of these."""
        if token.rules is not None or permission not in self.rights(token):
            raise denied(permission)

    def page(self, items, query, size_name, default):
        """One page of a sorted list, and the next page's token."""
        size = max(1, min(int(query.get(size_name, default)), default))
        start = int(base64.b64decode(query["pageToken"])) if query.get("pageToken") else 0
        rest = items[start + size:]
        following = base64.b64encode(str(start + size).encode()).decode() if rest else None
        return items[start:start + size], following


def compact(value):
    return json.dumps(value).encode()
