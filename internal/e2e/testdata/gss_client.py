"""Calls URLs with Python's requests, logged in by MIT's GSS-API: one JSON object
a line in and one out. Tickets are those of KRB5CCNAME."""

import base64
import hashlib
import json
import ssl
import sys
import urllib.parse

import gssapi
import requests
from gssapi import raw

MECHS = {
    "krb5": "1.2.840.113554.1.2.2",
    "ms-krb5": "1.2.840.48018.1.2.2",
    "spnego": "1.3.6.1.5.5.2",
    "ntlm": "1.3.6.1.4.1.311.2.2.10",
}


def mech(name):
    return gssapi.OID.from_int_seq(MECHS[name])


def binding(which, url):
    """What RFC 5929 says of the server's certificate, or of another one."""
    if not which:
        return None
    certificate = b"another"
    if which == "right":
        u = urllib.parse.urlsplit(url)
        certificate = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((u.hostname, u.port)))
    return raw.ChannelBindings(
        application_data=b"tls-server-end-point:" + hashlib.sha256(certificate).digest())


def call(session, r):
    creds = None
    if r.get("list"):  # SPNEGO offers these, in this order
        creds = gssapi.Credentials(usage="initiate")
        raw.set_neg_mechs(creds, [mech(m) for m in r["list"]])
    flags = gssapi.RequirementFlag.mutual_authentication | gssapi.RequirementFlag.integrity
    if r.get("delegate"):
        flags |= gssapi.RequirementFlag.delegate_to_peer
    context = gssapi.SecurityContext(
        name=gssapi.Name(r["service"], gssapi.NameType.hostbased_service), creds=creds,
        mech=mech(r["mech"]), usage="initiate", flags=flags,
        channel_bindings=binding(r.get("binding"), r["url"]))
    token = context.step()
    proved = False
    for legs in range(1, 5):
        answer = session.post(r["url"], data=r["body"], headers={
            "Authorization": "Negotiate " + base64.b64encode(token).decode()})
        token = b""
        scheme, _, reply = answer.headers.get("WWW-Authenticate", "").partition(" ")
        if scheme != "Negotiate" or not reply:
            break
        proved = not context.complete  # by this token, unless it was before
        token = context.step(base64.b64decode(reply)) or b""
        if answer.status_code != 401:
            break
    return {
        "status": str(answer.status_code),
        "body": answer.text,
        "legs": legs,
        "proved": proved and context.complete,
        "complete": context.complete,
        "left": len(token),
    }


with requests.Session() as session:
    session.trust_env = False  # no proxy
    for line in sys.stdin:
        request = json.loads(line)
        session.verify = request.get("ca") or True
        try:
            answer = call(session, request)
        except gssapi.exceptions.GSSError as e:
            answer = {"error": str(e)}
        print(json.dumps(answer), flush=True)
