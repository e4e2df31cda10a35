"""A strict Google on loopback, for tests: every service at one endpoint, told apart by their paths.

usage: server.py PORT CA.PEM

`/fake/...` is the test's own door: facts, buckets, keys, providers, and what was asked.
"""

import base64
import http.server
import json
import re
import sys
import time
import urllib.parse

import jwt

import storage
import tokens
from cloud import CLIENT, CLOUD_PLATFORM, DOMAIN, ISSUER, PROJECT, PROVIDER, READ_ONLY, Cloud, Refused, api_no

ALL = [CLOUD_PLATFORM]
READING = [CLOUD_PLATFORM, READ_ONLY]
NAME = "([^/]+)"


def masked(body, mask):
    """What `fields` leaves of an answer: `a,b(c,d)`, as Google's partial responses have it."""
    if isinstance(body, list):
        return [masked(one, mask) for one in body]
    kept = {}
    for name, inner in re.findall(r"(\w+)(?:\(((?:[^()]|\([^()]*\))*)\))?", mask):
        if name in body:
            kept[name] = masked(body[name], inner) if inner else body[name]
    return kept


def clusters(cloud, project, headers):
    cloud.require(cloud.bearer(headers, ALL), "container.clusters.list")
    own(project)
    return {"clusters": [{"name": name, "location": place} for place, name in sorted(cloud.clusters)]}


def cluster(cloud, project, place, name, headers):
    cloud.require(cloud.bearer(headers, ALL), "container.clusters.get")
    own(project)
    if (place, name) not in cloud.clusters:
        raise api_no(404, "NOT_FOUND", "Not found: cluster")
    return {"name": name, "location": place, "endpoint": cloud.clusters[place, name],
            "masterAuth": {"clusterCaCertificate": cloud.authority}}


def locations(cloud, project, query, headers):
    cloud.require(cloud.bearer(headers, READING), "artifactregistry.locations.list")
    own(project)
    # Two a page, so that pages are followed.
    names, following = cloud.page(cloud.locations, query | {"pageSize": "2"}, "pageSize", 100)
    return {"locations": [{"locationId": name} for name in names]} | ({"nextPageToken": following} if following else {})


def repositories(cloud, project, place, query, headers):
    cloud.require(cloud.bearer(headers, READING), "artifactregistry.repositories.list")
    own(project)
    found = [repository(cloud, at, name) for at, name in sorted(cloud.repositories) if at == place]
    page, following = cloud.page(found, query | {"pageSize": "1"}, "pageSize", 1000)
    return {"repositories": page} | ({"nextPageToken": following} if following else {})


def one_repository(cloud, project, place, name, headers):
    cloud.require(cloud.bearer(headers, READING), "artifactregistry.repositories.get")
    own(project)
    if (place, name) not in cloud.repositories:
        raise api_no(404, "NOT_FOUND", "Requested entity was not found.")
    return repository(cloud, place, name)


def repository(cloud, place, name):
    return {"name": f"projects/{PROJECT}/locations/{place}/repositories/{name}",
            "format": cloud.repositories[place, name]}


def project(cloud, name, headers):
    cloud.require(cloud.bearer(headers, READING), "resourcemanager.projects.get")
    own(name)
    return {"projectId": name, "lifecycleState": "ACTIVE"}


def own(name):
    if name != PROJECT:
        raise api_no(403, "PERMISSION_DENIED", "The caller does not have permission")


def fake(cloud, what, body):
    ask = json.loads(body or b"{}")
    if what == "facts":
        return {"project": PROJECT, "domain": DOMAIN, "provider": PROVIDER, "issuer": ISSUER,
                "client": {"id": CLIENT[0], "secret": CLIENT[1]}, "refresh_token": "1//refresh-of-anna"}
    if what == "key":
        return cloud.new_key(ask["email"])
    if what == "bucket":
        cloud.buckets[ask["name"]] = {name: name.encode() for name in ask["objects"]}
        return {}
    if what == "account":
        return cloud.account(ask["name"], ask.get("without", []))
    if what == "provider":
        # `ca` is PEM of whom to trust at `jwks_uri`; `subjects` is the attribute condition: how a `sub` must begin.
        cloud.providers[ask["name"]] = {"key": None, **ask}
        return {}
    if what == "subject":
        # What an issuer that the provider trusts would sign; each claim may be made wrong.
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": "https:" + PROVIDER, "sub": "trainer", "iat": now, "exp": now + 600} | ask
        return {"subject": jwt.encode(claims, cloud.issuer_key, "RS256")}
    if what == "token":
        token = cloud.tokens.get(ask["token"])
        if token and "left" in ask:
            token.ends = time.time() + ask["left"]
        return {"who": token.who, "chain": token.chain, "scopes": sorted(token.scopes), "left": token.left(),
                "bounded": token.rules is not None} if token else {}
    if what == "keys":
        return {"keys": sorted(cloud.accounts[ask["email"]].keys)}
    if what == "asked":
        return {"asked": cloud.asked}
    raise api_no(404, "NOT_FOUND", what)


def routes():
    v1, b = "/v1/projects/" + NAME, "/storage/v1/b"
    account = "/v1/projects/-/serviceAccounts/" + NAME
    return [(method, re.compile(path), answer) for method, path, answer in [
        ("POST", "/token", lambda c, r: tokens.token_endpoint(c, r.body)),
        ("POST", "/v1/token", lambda c, r: tokens.sts(c, r.body)),
        ("POST", "/tokeninfo", lambda c, r: tokens.tokeninfo(c, r.query, r.body)),
        ("POST", account + ":generateAccessToken", lambda c, r, e: tokens.generate(c, e, r.heads, r.body)),
        ("POST", account + "/keys", lambda c, r, e: tokens.make_key(c, e, r.heads, r.body)),
        ("DELETE", account + "/keys/" + NAME, lambda c, r, e, k: tokens.delete_key(c, e, k, r.heads)),
        ("GET", "/computeMetadata/v1/instance/service-accounts/(.+)", lambda c, r, p: tokens.metadata(c, p, r.heads)),
        ("GET", v1, lambda c, r, p: project(c, p, r.heads)),
        ("GET", v1 + "/locations/-/clusters", lambda c, r, p: clusters(c, p, r.heads)),
        ("GET", v1 + f"/locations/{NAME}/clusters/{NAME}", lambda c, r, p, l, n: cluster(c, p, l, n, r.heads)),
        ("GET", v1 + "/locations", lambda c, r, p: locations(c, p, r.query, r.heads)),
        ("GET", v1 + f"/locations/{NAME}/repositories", lambda c, r, p, l: repositories(c, p, l, r.query, r.heads)),
        ("GET", v1 + f"/locations/{NAME}/repositories/{NAME}",
         lambda c, r, p, l, n: one_repository(c, p, l, n, r.heads)),
        ("GET", b, lambda c, r: storage.buckets(c, r.query, r.heads)),
        ("GET", b + f"/{NAME}/o", lambda c, r, n: storage.objects(c, n, r.query, r.heads)),
        ("GET", b + f"/{NAME}/o/{NAME}/iam", lambda c, r, n, o: storage.policy(c, n, o, r.heads)),
        ("GET", f"(?:/download)?{b}/{NAME}/o/{NAME}", lambda c, r, n, o: storage.get(c, n, o, r.query, r.heads)),
        ("DELETE", b + f"/{NAME}/o/{NAME}", lambda c, r, n, o: storage.delete(c, n, o, r.heads)),
        ("POST", f"/upload{b}/{NAME}/o", lambda c, r, n: storage.insert(c, n, r.query, r.heads, r.body)),
        ("(?:GET|POST)", "/fake/(.+)", lambda c, r, w: fake(c, w, r.body)),
    ]]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    routes = routes()

    def answer(self):
        path, _, query = self.path.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.heads = {name.lower(): value for name, value in self.headers.items()}
        self.body = self.rfile.read(int(self.heads.get("content-length", 0)))
        cloud = self.server.cloud
        status, body = 404, {"error": {"code": 404, "status": "NOT_FOUND"}}
        with cloud.lock:
            try:
                for method, pattern, answer in self.routes:
                    found = pattern.fullmatch(path)
                    if found and re.fullmatch(method, self.command):
                        parts = [urllib.parse.unquote(part) for part in found.groups()]
                        status, body = 200, answer(cloud, self, *parts)
                        if "fields" in self.query and isinstance(body, dict):
                            body = masked(body, self.query["fields"])
                        break
            except Refused as refused:
                status, body = refused.status, refused.body
            if not path.startswith("/fake/"):
                cloud.asked.append([self.command, path, status])
        self.reply(status, body)

    do_GET = do_POST = do_DELETE = do_PUT = answer

    def reply(self, status, body):
        kind = "application/json; charset=UTF-8"
        if isinstance(body, (bytes, str)):
            kind, body = "text/plain", body if isinstance(body, bytes) else body.encode()
        else:
            body = b"" if body is None else json.dumps(body).encode()
        self.send_response(204 if status == 200 and not body else status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        if self.path.startswith("/computeMetadata/"):
            self.send_header("metadata-flavor", "Google")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main(port, authority):
    with open(authority) as file:
        encoded = base64.b64encode(file.read().encode()).decode()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    server.cloud = Cloud(f"http://127.0.0.1:{port}", encoded)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
