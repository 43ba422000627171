"""Either end of NTLM exchanges by gss-ntlmssp, one JSON object a line in and
one out. Each new exchange replaces the one before. Bytes are in base64."""

import base64
import json
import os
import sys

import gssapi
from gssapi import raw

NTLM = gssapi.OID.from_int_seq("1.3.6.1.4.1.311.2.2.10")
FLAGS = {
    "confidentiality": gssapi.RequirementFlag.confidentiality,
    "integrity": gssapi.RequirementFlag.integrity,
}


def binding(r):
    if not r.get("binding"):
        return None
    return raw.ChannelBindings(application_data=base64.b64decode(r["binding"]))


class Peer:
    def initiate(self, r):
        """Begins an exchange as a client and returns its first token."""
        name = gssapi.Name(r["name"], gssapi.NameType.user)
        creds = raw.acquire_cred_with_password(
            name, r["password"].encode(), mechs=[NTLM], usage="initiate").creds
        self.context = gssapi.SecurityContext(
            name=gssapi.Name("HTTP@web.corp.test", gssapi.NameType.hostbased_service),
            creds=gssapi.Credentials(base=creds), mech=NTLM, usage="initiate",
            # None at all would mean a default that includes signing.
            flags=sum((FLAGS[f] for f in r.get("flags") or []),
                      gssapi.RequirementFlag.mutual_authentication),
            channel_bindings=binding(r))
        return self.step(r)

    def accept(self, r):
        """Begins an exchange as the server that knows one user, whose line of
        the user file is given."""
        with open(os.environ["NTLM_USER_FILE"], "w", encoding="utf-8") as f:
            f.write(r["user_line"] + "\n")
        self.context = gssapi.SecurityContext(
            usage="accept", creds=gssapi.Credentials(usage="accept", mechs=[NTLM]),
            channel_bindings=binding(r))
        return {}

    def step(self, r):
        token = base64.b64decode(r["token"]) if r.get("token") else None
        token = self.context.step(token)
        done = self.context.complete
        return {
            "token": base64.b64encode(token or b"").decode(),
            "complete": done,
            # Of a client's name it tells the terminating NUL as well.
            "name": str(self.context.initiator_name).rstrip("\0") if done else "",
        }

    def sign(self, r):
        mic = self.context.get_signature(base64.b64decode(r["message"]))
        return {"mic": base64.b64encode(mic).decode()}

    def verify(self, r):
        self.context.verify_signature(
            base64.b64decode(r["message"]), base64.b64decode(r["mic"]))
        return {}


peer = Peer()
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = getattr(peer, request["do"])(request)
    except gssapi.exceptions.GSSError as e:
        answer = {"error": str(e)}
    print(json.dumps(answer), flush=True)
