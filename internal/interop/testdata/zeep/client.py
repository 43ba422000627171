"""Calls both services with zeep, and reports what it understood.

Arguments: URL of the catalog, URL of the inventory, SOAP version, a text that
is hard to carry. Writes a line of JSON for each step.
"""

import datetime
import decimal
import json
import sys

import isodate
import zeep
from lxml import etree

catalog_url, inventory_url, version, hard = sys.argv[1:]
ORDERS = "{http://example.com/catalog/orders}"


def text(v):
    if isinstance(v, bool):
        return str(v).lower()
    if isinstance(v, (datetime.datetime, datetime.date, datetime.time)):
        return v.isoformat()
    if isinstance(v, (isodate.Duration, datetime.timedelta)):
        return isodate.duration_isoformat(v)
    if isinstance(v, bytes):
        return v.hex()
    if isinstance(v, decimal.Decimal):
        return format(v, "f")
    if isinstance(v, tuple):  # a gYearMonth
        return "%04d-%02d" % v[:2]
    if isinstance(v, float):
        return repr(v)
    return str(v)


LISTS = ("sizes", "colors")
DERIVED = ("customer", "payment")  # of several types

# What zeep reads as None though it is there, and refuses to send as None.
REQUIRED = {"title": "", "blank": "", "picture": b"", "checksum": b"", "link": "", "sizes": []}


def flatten(view, path, v):
    if v is None:
        return
    if isinstance(v, list):
        if path in LISTS:
            view[path] = " ".join(text(x) for x in v)
            return
        for i, x in enumerate(v):
            flatten(view, "%s[%d]" % (path, i), x)
    elif isinstance(v, zeep.xsd.valueobjects.CompoundValue):
        before = len(view)
        if path in DERIVED:
            view[path + ".@type"] = v._xsd_type.name
        for name in v:
            at = (path + "." + name.lower()).lstrip(".")
            if name == "_value_1":  # simple content, or a repeated choice
                at = path or "event"
            elif name == "_value_2":  # xs:any
                at = "any"
            flatten(view, at, v[name])
        if len(view) == before and path:
            view[path] = "(empty)"
    elif isinstance(v, dict):
        for name, x in v.items():
            flatten(view, (path + "." + name.lower()).lstrip("."), x)
    elif isinstance(v, etree._Element):
        view[path] = etree.tostring(v, encoding="unicode")
    else:
        view[path] = text(v)


def report(step, view=None, error=None):
    print(json.dumps({"step": step, "view": view, "error": error}))


def run(step, call):
    """Reports what call returns and returns it."""
    try:
        v = call()
    except zeep.exceptions.Fault as f:
        view = {"code": f.code, "reason": f.message}
        if f.detail is not None and len(f.detail):
            detail = catalog.wsdl.types.deserialize(f.detail[0])
            view["detail.@name"] = etree.QName(f.detail[0]).localname
            flatten(view, "detail", detail)
        return report(step, view)
    except Exception as e:
        return report(step, error="%s: %s" % (type(e).__name__, e))
    view = {}
    if isinstance(v, (str, bool, int, float, decimal.Decimal)):
        view[step.lower()] = text(v)
    else:
        flatten(view, "", v)
    report(step, view)
    return v


catalog = zeep.Client(catalog_url + "?wsdl")
c = catalog.bind("CatalogService", "CatalogSoap12" if version == "1.2" else "CatalogSoap")
for which in ("full", "sparse", "texts"):
    order = run("GetOrder " + which, lambda: c.GetOrder(which))
    for name, value in REQUIRED.items():
        if order[name] is None:
            order[name] = value
    order.tag = [tag or "" for tag in order.tag]
    if order.delivery is None and order.pickup is None:
        order.delivery = ""
    order.kind = order.kind.split(":")[-1]  # its prefix means nothing in another message
    run("EchoOrder " + which, lambda: c.EchoOrder(order))


def parts(parcel):
    """The arguments of the bare operation."""
    return {name: parcel[name] for name in parcel}


for which in ("derived", "mixed", "plain", "substituted"):
    parcel = run("GetParcel " + which, lambda: c.GetParcel(which))
    run("EchoParcel " + which, lambda: c.EchoParcel(**parts(parcel)))


def ping():
    session = catalog.get_element(ORDERS + "Session")(user=hard, calls=41)
    answer = c.Ping("hello", _soapheaders={"session": session})
    s = answer.header.session
    return {"text": answer.body.text, "user": s.user, "calls": s.calls}


run("Ping", ping)
for kind in ("stock", "invalid", "denied", "broken"):
    run("Check " + kind, lambda: c.Check(kind))
run("Check ok", lambda: {"ok": c.Check("ok")})
run("Notify", lambda: c.Notify(hard) or {})
run("Sum", lambda: c.Sum(a=-5, b=1 << 40, c=0.25, negative=True))

if version == "1.1":
    inventory = zeep.Client(inventory_url + "?wsdl")
    run("Add", lambda: {"sum": inventory.service.Add(a=40, b=2)})
    run("Store", lambda: inventory.service.Store(
        item={"sku": "A-1", "quantity": zeep.xsd.Nil, "discount": decimal.Decimal("0.5"),
              "price": {"_value_1": decimal.Decimal("19.90"), "currency": "CHF"}},
        category={"title": "root", "category": [{"title": "größer"}]},
        status="in transit"))
