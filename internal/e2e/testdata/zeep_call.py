"""Calls an operation with zeep, a SOAP client that reads the description first.

Usage: zeep_call.py WSDL_URL OPERATION [CA_FILE], and on standard input a JSON
object: user and password (NTLM) or neither (Kerberos), and the arguments of the
call. All connections go to 127.0.0.1.

The answer goes to standard output as JSON; a SOAP fault as {"fault": ...}.
"""

import json
import sys

import requests
import requests_kerberos
import requests_ntlm
import urllib3.util.connection
import zeep
import zeep.exceptions
import zeep.helpers
import zeep.transports

wsdl, operation, *rest = sys.argv[1:]
config = json.load(sys.stdin)

# Names of the test domain are in no DNS.
create_connection = urllib3.util.connection.create_connection


def connect(address, *args, **kwargs):
    return create_connection(("127.0.0.1", address[1]), *args, **kwargs)


urllib3.util.connection.create_connection = connect

session = requests.Session()
session.trust_env = False  # no proxy, no .netrc
session.verify = rest[0] if rest else True
if "user" in config:
    session.auth = requests_ntlm.HttpNtlmAuth(config["user"], config["password"])
else:
    session.auth = requests_kerberos.HTTPKerberosAuth(
        mutual_authentication=requests_kerberos.REQUIRED
    )

client = zeep.Client(
    wsdl, transport=zeep.transports.Transport(session=session, timeout=60)
)
try:
    reply = getattr(client.service, operation)(**config["arguments"])
except zeep.exceptions.Fault as fault:
    json.dump({"fault": {"code": fault.code, "message": fault.message}}, sys.stdout)
else:
    json.dump(zeep.helpers.serialize_object(reply, dict), sys.stdout, default=str)
