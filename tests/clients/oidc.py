"""A relying party made of stock libraries: PyJWT finds the keys by discovery, boto3 trades tokens for sessions.

usage: oidc.py COMMAND [ARGUMENT ...]; a token comes on stdin

    fetch CA METHOD URL [BYTES]     one request with a header of so many bytes: {"status", "headers", "body"}
    verify CA ISSUER AUDIENCE       discovery, key by kid, RS256, all registered claims required: the claims
    forge HOW [VALUE]               the token altered: none, hs256, sub, aud, exp, iss, kid, signature
    exchange ENDPOINT ROLE_ARN      AssumeRoleWithWebIdentity, unsigned: the session's credentials

Prints {"ok": true, "value": ...} and exits 0, or {"ok": false, "code": ...} and exits 3 when somebody refused.
"""

import base64
import http.client
import json
import ssl
import sys
import urllib.parse
import urllib.request

import boto3
import jwt
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

REFUSED = 3
REQUIRED = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"]


def trusting(ca):
    return ssl.create_default_context(cafile=ca)


def fetch(ca, method, url, header_bytes="0"):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=trusting(ca), timeout=60)
    headers = {"x-long": "x" * int(header_bytes)} if header_bytes != "0" else {}
    connection.request(method, parts.path + ("?" + parts.query if parts.query else ""), headers=headers)
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return {"status": answer.status, "headers": headers, "body": answer.read().decode()}


def verify(ca, issuer, audience):
    with urllib.request.urlopen(issuer + "/.well-known/openid-configuration", context=trusting(ca)) as answer:
        found = json.load(answer)
    assert found["issuer"] == issuer, found
    token = sys.stdin.read()
    key = jwt.PyJWKClient(found["jwks_uri"], ssl_context=trusting(ca)).get_signing_key_from_jwt(token)
    algorithms = found["id_token_signing_alg_values_supported"]
    assert algorithms == ["RS256"], found
    return jwt.decode(token, key.key, algorithms=algorithms, audience=audience, issuer=issuer, options={"require": REQUIRED})


def forge(how, value=""):
    head, body, signature = sys.stdin.read().split(".")
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, body))
    if how == "none":
        return jwt.encode(claims, None, algorithm="none", headers={"kid": header["kid"]})
    if how == "hs256":
        return jwt.encode(claims, value or "x" * 32, algorithm="HS256", headers={"kid": header["kid"]})
    if how == "signature":
        other = "A" if signature[9] != "A" else "B"
        return ".".join([head, body, signature[:9] + other + signature[10:]])
    changed = header if how == "kid" else claims
    changed[how] = int(value) if how == "exp" else value
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*parts, signature])


def exchange(endpoint, role_arn):
    config = Config(signature_version=UNSIGNED, retries={"max_attempts": 0})
    sts = boto3.client("sts", region_name="us-east-1", endpoint_url=endpoint, config=config)
    token = sys.stdin.read()
    return sts.assume_role_with_web_identity(RoleArn=role_arn, RoleSessionName="replayed", WebIdentityToken=token)["Credentials"]


def main():
    command, *arguments = sys.argv[1:]
    try:
        value = {"fetch": fetch, "verify": verify, "forge": forge, "exchange": exchange}[command](*arguments)
    except jwt.exceptions.PyJWTError as refusal:
        print(json.dumps({"ok": False, "code": type(refusal).__name__}))
        return REFUSED
    except ClientError as refusal:
        print(json.dumps({"ok": False, "code": refusal.response.get("Error", {}).get("Code")}))
        return REFUSED
    print(json.dumps({"ok": True, "value": value}, default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main())
