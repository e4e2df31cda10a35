"""moto_server with two constants made true; everything else is moto's own.

usage: moto_server.py CA.PEM [ARGUMENT OF moto_server ...]

* An ECR login always ends on 2015-01-01. valetkey refuses a login that has ended, so it ends in twelve hours, as on AWS.
* The CA of an EKS cluster is random letters. valetkey hands on PEM only, so it is CA.PEM.
"""

import base64
import datetime
import sys

from moto.ecr.responses import ECRResponse
from moto.eks.models import Cluster
from moto.server import main

LOGIN_LIFE = datetime.timedelta(hours=12)


def with_living_logins(answer):
    def get_authorization_token(self):
        action = answer(self)
        for login in action.result["authorizationData"]:
            login["expiresAt"] = datetime.datetime.now(datetime.timezone.utc) + LOGIN_LIFE
        return action

    return get_authorization_token


def with_authority(init, pem):
    def __init__(self, *arguments, **named):
        init(self, *arguments, **named)
        self.certificate_authority = {"data": base64.b64encode(pem).decode()}

    return __init__


if __name__ == "__main__":
    authority, *arguments = sys.argv[1:]
    with open(authority, "rb") as file:
        Cluster.__init__ = with_authority(Cluster.__init__, file.read())
    ECRResponse.get_authorization_token = with_living_logins(ECRResponse.get_authorization_token)
    sys.exit(main(arguments))
