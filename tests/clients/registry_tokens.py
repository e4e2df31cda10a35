"""A strict token service of OCI distribution over https on loopback, beside Debian's own registry.

    python registry_tokens.py PORT CERT KEY ISSUER_CERT ISSUER_KEY SETTINGS_JSON

SETTINGS_JSON: {"issuer", "service", "life", "logins": {NAME: {"password", "identity", "grants": {"TYPE:NAME": [ACTION]}}}}

GET /token with HTTP Basic, or POST /token with grant_type=refresh_token, as the specification says. What a login has no
right to is left out of the token, as real services do. Tokens are signed (ES256) by ISSUER_KEY with its certificate in
x5c, which the registry checks. For the test alone: GET /control/asked counts asks that carried a login, and
GET /control/expired?scope=.. gives a token of the right shape that ended two minutes ago.
"""

import base64
import hmac
import http.server
import json
import secrets
import ssl
import sys
import threading
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Service:
    def __init__(self, issuer_cert: str, issuer_key: str, settings: dict) -> None:
        with open(issuer_cert, "rb") as file:
            certificate = x509.load_pem_x509_certificate(file.read())
        with open(issuer_key, "rb") as file:
            self.key = serialization.load_pem_private_key(file.read(), password=None)
        self.x5c = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]
        self.settings = settings
        self.asked = 0
        self.lock = threading.Lock()

    def signed(self, subject: str, access: list, begins: int, ends: int) -> str:
        header = {"typ": "JWT", "alg": "ES256", "x5c": self.x5c}
        claims = {
            "iss": self.settings["issuer"], "sub": subject, "aud": self.settings["service"], "iat": begins, "nbf": begins,
            "exp": ends, "jti": secrets.token_hex(8), "access": access,
        }
        text = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
        r, s = utils.decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def granted(self, grants: dict, scopes: list) -> list:
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":", 2)
            allowed = [action for action in actions.split(",") if action in grants.get(f"{kind}:{name}", [])]
            if allowed:
                access.append({"type": kind, "name": name, "actions": allowed})
        return access

    def token(self, subject: str, scopes: list) -> dict:
        now, life = int(time.time()), self.settings["life"]
        access = self.granted(self.settings["logins"][subject]["grants"], scopes)
        # The registry's clock is this one; a second back is for its rounding.
        text = self.signed(subject, access, now - 1, now + life)
        issued_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        return {"token": text, "access_token": text, "expires_in": life, "issued_at": issued_at}


def same(one: str, two: str) -> bool:
    return hmac.compare_digest(one.encode(), two.encode())


def handler(service: Service) -> type:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def say(self, status: int, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def counted(self) -> None:
            with service.lock:
                service.asked += 1

        def by_basic(self) -> str | None:
            kind, _, pair = self.headers.get("authorization", "").partition(" ")
            if kind.lower() != "basic":
                return None
            self.counted()
            try:
                name, _, password = base64.b64decode(pair, validate=True).decode().partition(":")
            except ValueError:
                return None
            login = service.settings["logins"].get(name)
            return name if login and same(login["password"], password) else None

        def do_GET(self) -> None:
            address = urllib.parse.urlsplit(self.path)
            query = urllib.parse.parse_qs(address.query)
            if address.path == "/control/asked":
                return self.say(200, {"count": service.asked})
            if address.path == "/control/expired":
                everything = {scope.rsplit(":", 1)[0]: scope.rsplit(":", 1)[1].split(",") for scope in query["scope"]}
                access, now = service.granted(everything, query["scope"]), int(time.time())
                return self.say(200, {"token": service.signed("robot", access, now - 600, now - 120)})
            return self.answer(address.path, self.by_basic(), query)

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            form = urllib.parse.parse_qs(self.rfile.read(min(length, 65536)).decode())
            self.counted()
            one = lambda name: form.get(name, [""])[0]
            fits = one("grant_type") == "refresh_token" and one("client_id")
            logins = service.settings["logins"].items()
            known = [name for name, login in logins if same(login.get("identity", "\0"), one("refresh_token"))]
            form["scope"] = [scope for text in form.get("scope", []) for scope in text.split(" ")]
            return self.answer(self.path, known[0] if known and fits else None, form)

        def answer(self, path: str, subject: str | None, ask: dict) -> None:
            if path != "/token":
                return self.say(404, {})
            if subject is None:
                return self.say(401, {"details": "unknown login"})
            if ask.get("service") != [service.settings["service"]]:
                return self.say(400, {"details": "unknown service"})
            return self.say(200, service.token(subject, ask.get("scope", [])))

    return Handler


def main() -> None:
    port, cert, key, issuer_cert, issuer_key, settings = sys.argv[1:]
    service = Service(issuer_cert, issuer_key, json.loads(settings))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), handler(service))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("ready", flush=True)
    server.serve_forever()


main()
