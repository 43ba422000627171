"""Fills a freshly provisioned domain that is not running yet.

Usage: fill.py SMB_CONF KEYTAB_DIR, with the fixture as JSON on standard input
and the SIDs as JSON on standard output.
"""

import json
import os
import sys
import time

import ldb
import samba.dckeytab  # noqa: F401, gives Net its export_keytab
from samba.auth import system_session
from samba.credentials import Credentials
from samba.dsdb import UF_NOT_DELEGATED, UF_TRUSTED_TO_AUTHENTICATE_FOR_DELEGATION
from samba.net import Net
from samba.ndr import ndr_unpack
from samba.dcerpc import security
from samba.param import LoadParm
from samba.samdb import SamDB
from samba.sd_utils import SDUtils

COMPUTER_CLASS = "bf967a86-0de6-11d0-a285-00aa003049e2"  # schemaIDGUID

smb_conf, keytab_dir = sys.argv[1:]
spec = {kind: items or [] for kind, items in json.load(sys.stdin).items()}

lp = LoadParm()
lp.load(smb_conf)
creds = Credentials()
creds.guess(lp)
sam = SamDB(lp=lp, session_info=system_session(), credentials=creds)


def replace(dn, **values):
    msg = ldb.Message(ldb.Dn(sam, str(dn)))
    for name, value in values.items():
        name = name.replace("_", "-")
        msg[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
    sam.modify(msg)


def entry(account, *attrs):
    found = sam.search(
        base=sam.domain_dn(),
        scope=ldb.SCOPE_SUBTREE,
        expression="(sAMAccountName=%s)" % ldb.binary_encode(account),
        attrs=list(attrs),
    )
    assert len(found) == 1, account
    return found[0]


def set_flag(account, flag):
    e = entry(account, "userAccountControl")
    replace(e.dn, userAccountControl=str(int(str(e["userAccountControl"])) | flag))


# Simple passwords, changed at will.
replace(sam.domain_dn(), pwdProperties="0", minPwdLength="4", minPwdAge="0")

for user in spec["users"]:
    sam.newuser(
        user["name"],
        user["password"],
        givenname=user["given_name"] or None,
        surname=user["surname"] or None,
        mailaddress=user["name"] + "@" + lp.get("realm").lower(),
    )
    if user["sensitive"]:
        set_flag(user["name"], UF_NOT_DELEGATED)
    if user["disabled"]:
        sam.disable_account("(sAMAccountName=%s)" % user["name"])

for group in spec["groups"]:
    sam.newgroup(group["name"], grouptype=group["type"])
    sam.add_remove_group_members(
        group["name"], group["members"], add_members_operation=True
    )

# The built-in group is there before us.
for user in spec["users"]:
    if user["protected"]:
        sam.add_remove_group_members(
            "Protected Users", [user["name"]], add_members_operation=True
        )

for service in spec["services"]:
    name = service["name"]
    sam.newuser(name, service["password"])
    dn = entry(name).dn
    replace(
        dn,
        msDS_SupportedEncryptionTypes=str(service["enc_types"]),
        servicePrincipalName=service["spns"],
    )
    # Again, or there are no keys of the types just named.
    sam.setpassword("(sAMAccountName=%s)" % name, service["password"])
    if service["transition"]:
        set_flag(name, UF_TRUSTED_TO_AUTHENTICATE_FOR_DELEGATION)
    if service["delegate_to"]:
        replace(dn, msDS_AllowedToDelegateTo=service["delegate_to"])

# Organizational units, and who may make computers there and nothing else.
for ou in spec["units"]:
    dn = "OU=%s,%s" % (ou["name"], sam.domain_dn())
    sam.create_ou(dn)
    joiner = ndr_unpack(security.dom_sid, entry(ou["joiner"], "objectSid")["objectSid"][0])
    SDUtils(sam).dacl_add_ace(dn, "(OA;CI;CC;%s;;%s)" % (COMPUTER_CLASS, joiner))

for computer in spec["computers"]:
    sam.newcomputer(computer["name"])
    sam.setpassword("(sAMAccountName=%s$)" % computer["name"], computer["password"])

# Last, because the password of one must not be set again.
for user in spec["users"]:
    account = "(sAMAccountName=%s)" % user["name"]
    if user["must_change"]:
        sam.setpassword(account, user["password"], force_change_at_next_login=True)
    if user["expired"]:
        replace(entry(user["name"]).dn, accountExpires="116444736000000000")  # 1970
    if user["locked"]:
        filetime = int((time.time() + 11644473600) * 10**7)
        replace(entry(user["name"]).dn, lockoutTime=str(filetime))
    if user["logon_hours"]:
        replace(entry(user["name"]).dn, logonHours=bytes.fromhex(user["logon_hours"]))
    if user["workstations"]:
        replace(entry(user["name"]).dn, userWorkstations=user["workstations"])

net = Net(creds, lp)
os.makedirs(keytab_dir, exist_ok=True)
for service in spec["services"]:
    path = os.path.join(keytab_dir, service["name"] + ".keytab")
    for principal in service["spns"] + [service["name"]]:
        net.export_keytab(keytab=path, principal=principal)

sids = {}
for kind in ("users", "groups", "services"):
    for item in spec[kind]:
        sid = entry(item["name"], "objectSid")["objectSid"][0]
        sids[item["name"]] = str(ndr_unpack(security.dom_sid, sid))
for computer in spec["computers"]:
    sid = entry(computer["name"] + "$", "objectSid")["objectSid"][0]
    sids[computer["name"]] = str(ndr_unpack(security.dom_sid, sid))

json.dump({"domain_sid": sam.get_domain_sid(), "sids": sids}, sys.stdout)
