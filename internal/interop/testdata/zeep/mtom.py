"""Calls the archive service with zeep, which understands MTOM answers and
sends base64. Usage: mtom.py WSDL URL"""
import hashlib
import sys

import zeep
from zeep.transports import Transport


def pattern(n, seed):
    return bytes((i * 7 + (i >> 8) + seed) & 255 for i in range(n))


def total(b):
    return hashlib.sha256(b).hexdigest()[:16] + "/" + str(len(b))


transport = Transport()
transport.session.headers["Accept"] = "multipart/related, application/xop+xml, text/xml"
client = zeep.Client(sys.argv[1], transport=transport)
service = client.create_service("{urn:example:archive}ArchiveBinding", sys.argv[2])
d = service.Store(
    title="from zeep",
    hash=pattern(3000, 1),
    thumbnail=pattern(10, 2),
    content=pattern(200000, 3),
    appendix=[pattern(20, 4), pattern(70000, 5)],
)
print(
    "stored", d.title, "hash", total(d.hash), "thumbnail", total(d.thumbnail), "content", total(d.content),
    *["appendix " + total(a) for a in d.appendix], "signature", d.signature or "none",
)
