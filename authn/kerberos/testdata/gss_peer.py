"""Either end of Kerberos exchanges by MIT's GSS-API, one JSON object a line in
and one out. Each new exchange replaces the one before. Bytes are in base64.
Tickets and keys are those of KRB5CCNAME and KRB5_KTNAME."""

import base64
import json
import sys

import gssapi
from gssapi import raw

MECHS = {
    "krb5": "1.2.840.113554.1.2.2",
    "ms-krb5": "1.2.840.48018.1.2.2",
    "spnego": "1.3.6.1.5.5.2",
    "ntlm": "1.3.6.1.4.1.311.2.2.10",
}
FLAGS = {
    "delegate": gssapi.RequirementFlag.delegate_to_peer,
    "mutual": gssapi.RequirementFlag.mutual_authentication,
    "replay": gssapi.RequirementFlag.replay_detection,
    "sequence": gssapi.RequirementFlag.out_of_sequence_detection,
    "confidentiality": gssapi.RequirementFlag.confidentiality,
    "integrity": gssapi.RequirementFlag.integrity,
    "bound": 0x800,  # GSS_C_CHANNEL_BOUND_FLAG
}


def mech(name):
    return gssapi.OID.from_int_seq(MECHS[name])


def service(name):
    return gssapi.Name(name, gssapi.NameType.hostbased_service)


def binding(r):
    if not r.get("binding"):
        return None
    return raw.ChannelBindings(application_data=base64.b64decode(r["binding"]))


class Peer:
    def initiate(self, r):
        """Begins an exchange as a client and returns its first token."""
        creds = None
        if r.get("list"):  # SPNEGO offers these, in this order
            creds = gssapi.Credentials(usage="initiate")
            raw.set_neg_mechs(creds, [mech(m) for m in r["list"]])
        self.context = gssapi.SecurityContext(
            name=service(r["service"]), creds=creds, mech=mech(r["mech"]), usage="initiate",
            # None at all would mean a default that includes some.
            flags=sum(FLAGS[f] for f in r.get("flags") or []),
            channel_bindings=binding(r))
        return self.step(r)

    def accept(self, r):
        """Begins an exchange as the server."""
        self.context = gssapi.SecurityContext(
            usage="accept", creds=gssapi.Credentials(usage="accept", name=service(r["service"])),
            channel_bindings=binding(r))
        return {}

    def step(self, r):
        token = base64.b64decode(r["token"]) if r.get("token") else None
        token = self.context.step(token)
        c = self.context
        done = c.complete
        flags = int(c.actual_flags)
        return {
            "token": base64.b64encode(token or b"").decode(),
            "complete": done,
            "name": str(c.initiator_name) if done else "",
            "mech": next((k for k, v in MECHS.items() if done and c.mech == mech(k)), ""),
            "flags": sorted(k for k, v in FLAGS.items() if flags & int(v)),
        }

    def forwarded(self, r):
        """Begins an exchange with another service as the client that forwarded
        its ticket-granting ticket."""
        creds = self.context.delegated_creds
        self.context = gssapi.SecurityContext(
            name=service(r["service"]), creds=creds, mech=mech(r["mech"]), usage="initiate",
            flags=FLAGS["mutual"])
        return self.step({})

    def sign(self, r):
        mic = self.context.get_signature(base64.b64decode(r["message"]))
        return {"mic": base64.b64encode(mic).decode()}

    def verify(self, r):
        self.context.verify_signature(
            base64.b64decode(r["message"]), base64.b64decode(r["mic"]))
        return {}

    def wrap(self, r):
        token = self.context.wrap(base64.b64decode(r.get("message") or ""), r.get("seal", False))
        return {"token": base64.b64encode(token.message).decode(), "sealed": token.encrypted}

    def unwrap(self, r):
        m = self.context.unwrap(base64.b64decode(r["token"]))
        return {"message": base64.b64encode(m.message).decode(), "sealed": m.encrypted}


peer = Peer()
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = getattr(peer, request["do"])(request)
    except gssapi.exceptions.GSSError as e:
        answer = {"error": str(e)}
    print(json.dumps(answer), flush=True)
