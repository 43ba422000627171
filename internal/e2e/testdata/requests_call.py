"""Calls a URL with Python's requests and requests_ntlm. Input and output are
those of foreignCall in foreign_test.go."""

import base64
import sys

import requests
from requests_ntlm import HttpNtlmAuth

url, domain, user, password, body, count, ca = sys.stdin.read().split("\n")
with requests.Session() as session:
    session.trust_env = False  # no proxy
    session.verify = ca or True
    session.auth = HttpNtlmAuth(domain + "\\" + user if domain else user, password)
    for _ in range(int(count)):
        answer = session.post(url, data=body) if body else session.get(url)
        print(answer.status_code, base64.b64encode(answer.content).decode())
