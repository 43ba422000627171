"""An HTTP server with logins by MIT's GSS-API, as Python programs have it.

Usage: gss_server.py SERVICE BINDING SPEND [CERTIFICATE KEY], where BINDING is
what the library is told of the TLS connection: right, wrong or none. SPEND is a
service that is asked for in the name of callers who forwarded a ticket. Keys
are those of KRB5_KTNAME.

It writes its port, serves until its standard input ends, and answers each
request with what it knows of the caller, as JSON.
"""

import base64
import hashlib
import http.server
import json
import ssl
import sys
import threading

import gssapi
from gssapi import raw

service, binding, spend, *tls = sys.argv[1:]


def host_service(name):
    return gssapi.Name(name, gssapi.NameType.hostbased_service)


credentials = gssapi.Credentials(usage="accept", name=host_service(service))
bindings = None
if binding != "none":
    certificate = b"another"
    if binding == "right":
        with open(tls[0], encoding="ascii") as f:
            certificate = ssl.PEM_cert_to_DER_cert(f.read())
    bindings = raw.ChannelBindings(
        application_data=b"tls-server-end-point:" + hashlib.sha256(certificate).digest())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Negotiate":
            return self.answer(401, "Negotiate", {})
        context = gssapi.SecurityContext(
            usage="accept", creds=credentials, channel_bindings=bindings)
        try:
            reply = context.step(base64.b64decode(token)) or b""
            assert context.complete
        except gssapi.exceptions.GSSError as e:
            return self.answer(401, "Negotiate", {"error": str(e)})
        caller = {
            "user": str(context.initiator_name),
            "bound": bool(int(context.actual_flags) & 0x800),  # GSS_C_CHANNEL_BOUND_FLAG
            "bytes": len(body),
        }
        if context.delegated_creds is not None:
            other = gssapi.SecurityContext(
                name=host_service(spend), creds=context.delegated_creds, usage="initiate")
            caller["spent"] = base64.b64encode(other.step()).decode()
        self.answer(200, "Negotiate " + base64.b64encode(reply).decode() if reply else "", caller)

    def answer(self, status, challenge, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls)
    server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
