"""A strict stand-in of a Kubernetes API server, over TLS on a free loopback port.

usage: kube_apiserver.py FOLDER [--old]

Checks what the real one checks: client certificates against its own CA, logins and static tokens, service account
tokens (RS256, issuer, audience, expiry, account and bound Secret still there), RBAC by user and by name of the object,
the 600 s floor and its own maximum of TokenRequest. Serves enough discovery for kubectl. `--old` is a server of 1.20:
no SelfSubjectReview, no token ids.

Writes its certificates and `facts.json` into FOLDER once it listens. Under `/test/`, the admin moves its clock, makes it
lie and reads its log.
"""

import base64
import copy
import datetime
import http.server
import ipaddress
import json
import os
import re
import ssl
import sys
import threading
import time
import urllib.parse
import uuid

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

ISSUER = API_AUDIENCE = "https://kubernetes.default.svc"
FLOOR, LONGEST = 600, 7200
TOKENS = {"canary-broker-token-of-kubernetes-5ec": "valetkey", "weak-token": "weak", "admin-token": "admin"}
LOGINS = {("valetkey", "canary-broker-password-5ec"): "valetkey"}
# user: verb, resource, namespace, names; None is any
RULES = {
    "admin": [(None, None, None, None)],
    "valetkey": [
        ("create", "serviceaccounts/token", "ml", ["reader", "writer"]),
        ("create", "secrets", "ml", None),
        ("delete", "secrets", "ml", None),
        ("list", "serviceaccounts", None, None),
    ],
    "system:serviceaccount:ml:reader": [("get", "pods", "ml", None), ("list", "pods", "ml", None)],
    "system:serviceaccount:ml:writer": [(verb, "pods", "ml", None) for verb in ("get", "list", "create")],
    "system:serviceaccount:serve:reader": [("list", "pods", "serve", None)],
}
RESOURCES = [("pods", "Pod", "po"), ("secrets", "Secret", ""), ("serviceaccounts", "ServiceAccount", "sa")]
REVIEWS = [("authentication.k8s.io", "tokenreviews", "TokenReview"),
           ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
           ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview")]


class Refusal(Exception):
    def __init__(self, code, reason, message="refused"):
        super().__init__(message)
        self.code, self.reason = code, reason


class Cluster:
    """What is stored, who may do what, and the clock."""

    def __init__(self, old):
        self.old, self.ahead, self.lie, self.log = old, 0, None, []
        self.lock = threading.Lock()
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.objects = {"pods": {}, "secrets": {}, "serviceaccounts": {}}
        accounts = ["ml/default", "ml/reader", "ml/writer", "serve/reader"] + [f"many/a{n:03}" for n in range(230)]
        for account in accounts:
            self.put("serviceaccounts", *account.split("/"))
        self.put("pods", "ml", "train-0")
        self.put("pods", "serve", "serve-0")

    def now(self):
        return int(time.time()) + self.ahead

    def put(self, resource, namespace, name, metadata=None):
        if (namespace, name) in self.objects[resource]:
            raise Refusal(409, "AlreadyExists")
        made = {**(metadata or {}), "name": name, "namespace": namespace, "uid": str(uuid.uuid4())}
        self.objects[resource][namespace, name] = made
        return made

    def allows(self, user, verb, resource, namespace, name):
        def fits(rule):
            return all(have in (None, want) for have, want in zip(rule, (verb, resource, namespace))) and (
                rule[3] is None or name in rule[3])

        return any(fits(rule) for rule in RULES.get(user, []))

    def sign(self, claims):
        part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
        head = part(json.dumps({"alg": "RS256", "kid": "only"}).encode())
        body = f"{head}.{part(json.dumps(claims).encode())}"
        return f"{body}.{part(self.key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def claims(self, token, audiences):
        """The claims of a token that is good for one of these audiences now; otherwise why not."""
        unpart = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        try:
            head, body, signature = token.split(".")
            assert json.loads(unpart(head))["alg"] == "RS256"
            signed = f"{head}.{body}".encode()
            self.key.public_key().verify(unpart(signature), signed, padding.PKCS1v15(), hashes.SHA256())
            claims = json.loads(unpart(body))
        except (ValueError, KeyError, AssertionError, InvalidSignature):
            return None, "not a token of this server"
        bound = claims["kubernetes.io"]
        account = self.objects["serviceaccounts"].get((bound["namespace"], bound["serviceaccount"]["name"]))
        if claims["iss"] != ISSUER or not set(claims["aud"]) & set(audiences):
            return None, "another audience"
        if not claims["nbf"] <= self.now() < claims["exp"]:
            return None, "expired"
        if not account or account["uid"] != bound["serviceaccount"]["uid"]:
            return None, "the service account is gone"
        if "secret" in bound:
            secret = self.objects["secrets"].get((bound["namespace"], bound["secret"]["name"]))
            if not secret or secret["uid"] != bound["secret"]["uid"]:
                return None, "the bound Secret is gone"
        return claims, None

    def request_token(self, namespace, name, ask):
        account = self.objects["serviceaccounts"].get((namespace, name))
        if not account:
            raise Refusal(404, "NotFound")
        if ask.get("kind") != "TokenRequest" or ask.get("apiVersion") != "authentication.k8s.io/v1":
            raise Refusal(400, "BadRequest")
        spec = ask["spec"]
        seconds = spec.get("expirationSeconds", 3600)
        if not FLOOR <= seconds <= 2**32:
            raise Refusal(422, "Invalid", "may not specify a duration less than 10 minutes")
        seconds = min(seconds, LONGEST)
        audiences = spec.get("audiences") or [API_AUDIENCE]
        now = self.now()
        bound = {"namespace": namespace, "serviceaccount": {"name": name, "uid": account["uid"]}}
        claims = {"iss": ISSUER, "sub": f"system:serviceaccount:{namespace}:{name}", "aud": audiences,
                  "iat": now, "nbf": now, "exp": now + seconds, "kubernetes.io": bound}
        if not self.old:
            claims["jti"] = str(uuid.uuid4())
        if reference := spec.get("boundObjectRef"):
            if (reference.get("kind"), reference.get("apiVersion")) != ("Secret", "v1"):
                raise Refusal(400, "BadRequest", "cannot bind to that kind")
            secret = self.objects["secrets"].get((namespace, reference["name"]))
            if not secret:
                raise Refusal(404, "NotFound")
            if reference.get("uid") not in (None, "", secret["uid"]):
                raise Refusal(409, "Conflict")
            bound["secret"] = {"name": reference["name"], "uid": secret["uid"]}
        self.change(claims)
        answer = copy.deepcopy(ask)
        end = datetime.datetime.fromtimestamp(claims["exp"], datetime.timezone.utc)
        answer["spec"] = {**spec, "audiences": claims["aud"], "expirationSeconds": seconds}
        answer["status"] = {"token": self.sign(claims), "expirationTimestamp": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return answer

    def change(self, claims):
        """What a server that is not to be believed signs."""
        if self.lie == "longer":
            claims["exp"] += 365 * 86400
        elif self.lie == "audience":
            claims["aud"] = [API_AUDIENCE]
        elif self.lie == "account":
            claims["sub"] = "system:serviceaccount:kube-system:root"
        elif self.lie == "unbound":
            claims["kubernetes.io"].pop("secret", None)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster = None

    def setup(self):
        self.request.settimeout(60)
        self.request.do_handshake()
        super().setup()

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.serve("get")

    def do_POST(self):
        self.serve("create")

    def do_DELETE(self):
        self.serve("delete")

    def serve(self, verb):
        body = self.body()
        try:
            with self.cluster.lock:
                user = self.user()
                self.cluster.log.append([user, self.command, self.path])
                code, answer = self.answer(user, verb, json.loads(body or b"null"))
        except Refusal as refusal:
            code, answer = refusal.code, {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                                          "reason": refusal.reason, "message": str(refusal), "code": refusal.code}
        self.send(code, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    def body(self):
        """Of known length, or in chunks, as `kubectl create --raw` sends it."""
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def send(self, code, data):
        self.send_response(code)
        if code == 307:
            self.send_header("location", f"https://{self.headers['host']}/version")
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def user(self):
        scheme, _, value = (self.headers.get("authorization") or "").partition(" ")
        if scheme == "Bearer":
            if user := TOKENS.get(value):
                return user
            claims, _ = self.cluster.claims(value, [API_AUDIENCE])
            if claims:
                return claims["sub"]
        elif scheme == "Basic":
            try:
                name, _, word = base64.b64decode(value, validate=True).decode().partition(":")
            except ValueError:
                name = word = ""
            if user := LOGINS.get((name, word)):
                return user
        elif certificate := self.request.getpeercert():
            names = dict(pair for part in certificate["subject"] for pair in part)
            return names["commonName"]
        raise Refusal(401, "Unauthorized")

    def answer(self, user, verb, body):
        url = urllib.parse.urlsplit(self.path)
        query = {name: values[0] for name, values in urllib.parse.parse_qs(url.query).items()}
        if url.path.startswith("/test/") and user == "admin":
            return 200, self.steer(url.path, body)
        if verb == "get" and (found := self.discovery(url.path)):
            return 200, found
        if match := re.fullmatch(r"/apis/([a-z0-9.]+)/(v1)/([a-z]+)", url.path):
            return 201, self.review(user, match[1], match[3], body)
        pattern = r"/api/v1(?:/namespaces/([^/]+))?/(pods|secrets|serviceaccounts)(?:/([^/]+)(/token)?)?"
        if not (match := re.fullmatch(pattern, url.path)):
            hidden = verb == "create" and user != "admin"
            raise Refusal(403, "Forbidden") if hidden else Refusal(404, "NotFound")
        namespace, resource, name, sub = match[1], match[2], match[3], match[4] or ""
        verb = "list" if verb == "get" and not name else verb
        if not self.cluster.allows(user, verb, resource + sub, namespace, name):
            raise Refusal(403, "Forbidden", f"{user} may not; the token is hunter2")
        if sub:
            return self.token(namespace, name, body)
        return self.objects(verb, resource, namespace, name, body, query)

    def token(self, namespace, name, body):
        lie = self.cluster.lie
        if lie == "html":
            return 200, b"<html>hunter2</html>"
        if lie == "redirect":
            return 307, b"hunter2"
        if lie == "error":
            return 500, b'{"message": "hunter2", "reason": "hunter2"}'
        answer = self.cluster.request_token(namespace, name, body)
        if lie == "echo":
            answer["status"]["token"] = self.headers["authorization"].split(" ")[1]
        return 201, answer

    def objects(self, verb, resource, namespace, name, body, query):
        kept = self.cluster.objects[resource]
        if verb == "create":
            metadata = body["metadata"]
            kind = next(kind for plural, kind, _ in RESOURCES if plural == resource)
            return 201, {**body, "kind": kind, "metadata": self.cluster.put(resource, namespace, metadata["name"], metadata)}
        if verb == "list":
            return 200, self.page(resource, namespace, query)
        if (namespace, name) not in kept:
            raise Refusal(404, "NotFound")
        if verb == "delete":
            made = kept.pop((namespace, name))
            details = {"name": name, "kind": resource, "uid": made["uid"]}
            return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success", "details": details}
        return 200, {"kind": resource[:-1].title(), "apiVersion": "v1", "metadata": kept[namespace, name]}

    def page(self, resource, namespace, query):
        names = sorted(key for key in self.cluster.objects[resource] if namespace in (None, key[0]))
        limit, begin = int(query.get("limit") or 0) or len(names), 0
        if mark := query.get("continue"):
            try:
                begin = int(base64.b64decode(mark, validate=True).decode().removeprefix("from/"))
            except ValueError as error:
                raise Refusal(400, "BadRequest") from error
        rest = len(names) - begin - limit
        metadata = {"resourceVersion": "7"}
        if rest > 0:
            metadata |= {"continue": base64.b64encode(f"from/{begin + limit}".encode()).decode(),
                         "remainingItemCount": rest}
        items = [{"metadata": self.cluster.objects[resource][key]} for key in names[begin:begin + limit]]
        kind, version = next(kind for plural, kind, _ in RESOURCES if plural == resource), "v1"
        if "as=PartialObjectMetadataList" in self.headers.get("accept", ""):
            kind, version = "PartialObjectMetadata", "meta.k8s.io/v1"
        items = [{"kind": kind, "apiVersion": version, **item} for item in items]
        return {"kind": f"{kind}List", "apiVersion": version, "metadata": metadata, "items": items}

    def review(self, user, group, resource, body):
        if (group, resource) not in self.reviews():
            # RBAC comes before what there is: only who may do anything hears of nothing.
            raise Refusal(404, "NotFound") if user == "admin" else Refusal(403, "Forbidden")
        if resource == "selfsubjectreviews":
            return {**body, "status": {"userInfo": {"username": user, "groups": ["system:authenticated"]}}}
        if resource == "selfsubjectaccessreviews":
            asked = body["spec"]["resourceAttributes"]
            sub = f"/{asked['subresource']}" if asked.get("subresource") else ""
            allowed = self.cluster.allows(user, asked["verb"], asked["resource"] + sub,
                                          asked.get("namespace") or None, asked.get("name") or None)
            return {**body, "status": {"allowed": allowed}}
        if not self.cluster.allows(user, "create", "tokenreviews", None, None):
            raise Refusal(403, "Forbidden")
        claims, error = self.cluster.claims(body["spec"]["token"], body["spec"].get("audiences") or [API_AUDIENCE])
        if not claims:
            return {**body, "status": {"authenticated": False, "error": error}}
        return {**body, "status": {"authenticated": True, "user": {"username": claims["sub"]}, "audiences": claims["aud"]}}

    def reviews(self):
        return [(group, plural) for group, plural, _ in REVIEWS if not (self.cluster.old and plural == "selfsubjectreviews")]

    def discovery(self, path):
        served = [(group, plural, kind) for group, plural, kind in REVIEWS if (group, plural) in self.reviews()]
        groups = sorted({group for group, _, _ in served})
        if path == "/version":
            minor = "20" if self.cluster.old else "32"
            return {"major": "1", "minor": minor, "gitVersion": f"v1.{minor}.2"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        if path == "/apis":
            version = lambda group: {"groupVersion": f"{group}/v1", "version": "v1"}
            listed = [{"name": group, "versions": [version(group)], "preferredVersion": version(group)} for group in groups]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
        if path == "/api/v1":
            resources = [{"name": plural, "singularName": "", "namespaced": True, "kind": kind, "shortNames": [short],
                          "verbs": ["create", "delete", "get", "list"]} for plural, kind, short in RESOURCES]
            return {"kind": "APIResourceList", "groupVersion": "v1", "resources": resources}
        for group in groups:
            if path == f"/apis/{group}/v1":
                resources = [{"name": plural, "singularName": "", "namespaced": False, "kind": kind, "verbs": ["create"]}
                             for owner, plural, kind in served if owner == group]
                return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/v1", "resources": resources}
        return None

    def steer(self, path, body):
        if path == "/test/clock":
            self.cluster.ahead += body["seconds"]
        elif path == "/test/lie":
            self.cluster.lie = body["lie"]
        elif path == "/test/log":
            return self.cluster.log
        else:
            raise Refusal(404, "NotFound")
        return {}


def certificate(name, issuer=None, authority=False, address=None, life=datetime.timedelta(days=1)):
    """A certificate and its key, valid for `life` from now; signed by itself without an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + life)
    builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    if address:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = builder.add_extension(names, critical=False)
    above, signer = issuer or (None, key)
    builder = builder.issuer_name(above.subject if above else subject)
    return builder.sign(signer, hashes.SHA256()), key


def write(folder, name, pair):
    made, key = pair
    with open(os.path.join(folder, f"{name}.pem"), "wb") as file:
        file.write(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with open(os.path.join(folder, f"{name}.key"), "wb") as file:
        file.write(private)


def certificates(folder):
    """`ca`, `server` for 127.0.0.1, `client` and an `expired` one by it; `foreign-ca` and `foreign` by that: each .pem
    and .key."""
    authority, foreign = (certificate(name, authority=True) for name in ("cluster-ca", "foreign-ca"))
    write(folder, "ca", authority)
    write(folder, "foreign-ca", foreign)
    write(folder, "server", certificate("server", authority, address="127.0.0.1"))
    write(folder, "client", certificate("valetkey", authority))
    write(folder, "expired", certificate("valetkey", authority, life=datetime.timedelta(minutes=-1)))
    write(folder, "foreign", certificate("valetkey", foreign))


def main(folder, *options):
    certificates(folder)
    path = lambda name: os.path.join(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path("server.pem"), path("server.key"))
    context.load_verify_locations(path("ca.pem"))
    context.verify_mode = ssl.CERT_OPTIONAL
    Handler.cluster = Cluster("--old" in options)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    facts = {"url": f"https://127.0.0.1:{server.server_port}"}
    with open(path("facts.new"), "w", encoding="utf-8") as file:
        json.dump(facts, file)
    os.rename(path("facts.new"), path("facts.json"))
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
