"""One https call as any program would make it, with the standard library alone.

    python https_call.py CA_FILE METHOD URL [AUTHORIZATION [FORM]]

Prints `{"status": ..., "body": ...}`; the body as JSON when it is JSON, else as text. A refused call is an answer.
"""

import json
import ssl
import sys
import urllib.error
import urllib.request


def main() -> None:
    ca, method, url, *more = sys.argv[1:]
    headers = {"accept": "application/json"}
    if more and more[0]:
        headers["authorization"] = more[0]
    body = more[1].encode() if len(more) > 1 else None
    if body is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
    request = urllib.request.Request(url, method=method, headers=headers, data=body)
    context = ssl.create_default_context(cafile=ca)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=20) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        said = json.loads(text)
    except ValueError:
        said = text
    print(json.dumps({"status": status, "body": said}))


main()
