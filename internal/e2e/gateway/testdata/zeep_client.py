"""Calls the service HR with zeep. Input and output are those of program in
foreign_test.go."""

import json
import sys

import requests
import requests.auth
import requests_kerberos
import requests_ntlm
import zeep
import zeep.exceptions
import zeep.transports

c = json.load(sys.stdin)
session = requests.Session()
session.trust_env = False  # no proxy, no .netrc
session.verify = c["ca"]
name = c["domain"] + "\\" + c["user"]
session.auth = {
    "negotiate": lambda: requests_kerberos.HTTPKerberosAuth(mutual_authentication=requests_kerberos.REQUIRED),
    "ntlm": lambda: requests_ntlm.HttpNtlmAuth(name, c["password"]),
    "basic": lambda: requests.auth.HTTPBasicAuth(name, c["password"]),
}[c["login"]]()
client = zeep.Client(c["wsdl"], transport=zeep.transports.Transport(session=session, timeout=60))
who = client.service.WhoAmI()
out = {"location": client.service._binding_options["address"], "user": who.user, "token": who.token, "mechanism": who.mechanism}
try:
    out["receipt"] = client.service.Pay(amount=7)
except zeep.exceptions.Fault as fault:
    out["fault"] = fault.message
json.dump(out, sys.stdout)
