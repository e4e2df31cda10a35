"""Stock google-auth at the fake's STS, with subject tokens as they were caught.

usage: exchange.py ENDPOINT < [[PROVIDER, SUBJECT_TOKEN], ...]

Sets each provider at the test's own door before it asks; prints a JSON list of `taken` or the code of the refusal.
"""

import json
import sys
import urllib.request

from google.auth import exceptions, identity_pool
from google.auth.transport.requests import Request


class Here(Request):
    """Google's STS is at the endpoint."""

    def __call__(self, url, *arguments, **named):
        return super().__call__(url.replace("https://sts.googleapis.com", ENDPOINT), *arguments, **named)


class Supplier(identity_pool.SubjectTokenSupplier):
    def __init__(self, token):
        self.token = token

    def get_subject_token(self, context, request):
        return self.token


def exchange(provider, token):
    with urllib.request.urlopen(f"{ENDPOINT}/fake/provider", json.dumps(provider).encode()):
        pass
    credentials = identity_pool.Credentials(
        audience=provider["name"], subject_token_type="urn:ietf:params:oauth:token-type:jwt",
        token_url="https://sts.googleapis.com/v1/token", subject_token_supplier=Supplier(token),
        scopes=["https://www.googleapis.com/auth/cloud-platform"],
    )
    try:
        credentials.refresh(Here())
        return "taken"
    except exceptions.OAuthError as error:
        # As in `Error code invalid_grant: ...`.
        return str(error.args[0]).split(":")[0].removeprefix("Error code ")


ENDPOINT = sys.argv[1]
print(json.dumps([exchange(*one) for one in json.load(sys.stdin)]))
