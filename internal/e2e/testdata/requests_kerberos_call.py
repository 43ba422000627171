"""Calls a URL with Python's requests and requests_kerberos. Input and output are
those of foreignCall in foreign_test.go, but that the domain is the host whose
service is meant and there is no user: tickets are those of KRB5CCNAME."""

import base64
import sys

import requests
import requests_kerberos

url, host, _, _, body, count, ca = sys.stdin.read().split("\n")
with requests.Session() as session:
    session.trust_env = False  # no proxy
    session.verify = ca or True
    session.auth = requests_kerberos.HTTPKerberosAuth(
        mutual_authentication=requests_kerberos.REQUIRED, hostname_override=host)
    for _ in range(int(count)):
        answer = session.post(url, data=body) if body else session.get(url)
        print(answer.status_code, base64.b64encode(answer.content).decode())
