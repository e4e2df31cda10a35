"""Unmodified google-cloud-storage as a command: one call, one JSON line, an exit code.

usage: gcs.py ENDPOINT COMMAND [ARGUMENT ...]

    list-buckets | list-objects BUCKET PREFIX | get-object BUCKET NAME | put-object BUCKET NAME TEXT
    delete-object BUCKET NAME | object-policy BUCKET NAME

The token is GOOGLE_OAUTH_ACCESS_TOKEN, as `valetkey mint --format env` prints it. Prints {"ok": true, "value": ...} and
exits 0, or {"ok": false, "status": 403, "message": ...} and exits 3 when the server refused.
"""

import json
import os
import sys

from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import RefreshError
from google.cloud import storage
from google.oauth2.credentials import Credentials

REFUSED = 3


def put(client, bucket, name, text):
    client.bucket(bucket).blob(name).upload_from_string(text)


def policy(client, bucket, name):
    blob = client.bucket(bucket).blob(name)
    return client._connection.api_request(method="GET", path=blob.path + "/iam")["kind"]


COMMANDS = {
    "list-buckets": lambda client: [bucket.name for bucket in client.list_buckets()],
    "list-objects": lambda client, bucket, prefix: [b.name for b in client.list_blobs(bucket, prefix=prefix or None)],
    "get-object": lambda client, bucket, name: client.bucket(bucket).blob(name).download_as_text(),
    "put-object": put,
    "delete-object": lambda client, bucket, name: client.bucket(bucket).blob(name).delete(),
    "object-policy": policy,
}


def main(endpoint, command, *arguments):
    credentials = Credentials(os.environ["GOOGLE_OAUTH_ACCESS_TOKEN"])
    client = storage.Client(project="any", credentials=credentials, client_options={"api_endpoint": endpoint})
    try:
        answer, code = {"ok": True, "value": COMMANDS[command](client, *arguments)}, 0
    except GoogleAPICallError as error:
        answer, code = {"ok": False, "status": error.code, "message": error.message}, REFUSED
    except RefreshError:
        # What the library makes of 401 with a token that it cannot renew.
        answer, code = {"ok": False, "status": 401, "message": ""}, REFUSED
    print(json.dumps(answer))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
