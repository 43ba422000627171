"""Calls an operation with zeep and its WS-Addressing.

Usage: zeep_addressing.py WSDL_URL OPERATION. The blocks of the request are
marked mustUnderstand, as WCF does it. Standard output gets those of the answer
as JSON, by local name, and whether RelatesTo is the MessageID that was sent.
"""

import json
import sys

import requests
import zeep
import zeep.exceptions
import zeep.plugins
import zeep.transports
import zeep.wsa
from lxml import etree

WSA = "{http://www.w3.org/2005/08/addressing}"
seen = {}


class Watch(zeep.plugins.Plugin):
    def egress(self, envelope, http_headers, operation, binding_options):
        header = envelope.find("{*}Header")
        soap = etree.QName(envelope).namespace
        for block in header:
            block.set("{%s}mustUnderstand" % soap, "1")
        seen["sent"] = header.findtext(WSA + "MessageID")
        return envelope, http_headers

    def ingress(self, envelope, http_headers, operation):
        for block in envelope.find("{*}Header"):
            seen[etree.QName(block).localname] = block.text
        return envelope, http_headers


wsdl, operation = sys.argv[1:]
session = requests.Session()
session.trust_env = False
client = zeep.Client(
    wsdl,
    transport=zeep.transports.Transport(session=session, timeout=60),
    plugins=[zeep.wsa.WsAddressingPlugin(), Watch()],
)
try:
    getattr(client.service, operation)()
except zeep.exceptions.Fault as fault:
    seen["fault"] = fault.message
seen["related"] = seen.pop("sent") == seen.get("RelatesTo")
json.dump(seen, sys.stdout)
