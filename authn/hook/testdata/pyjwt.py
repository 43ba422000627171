"""Signs tokens with PyJWT.

Standard input: {"claims": {...}, "algorithms": ["RS256", ...]}. Standard output:
{"jwks": {...}, "tokens": {"RS256": "..."}}, each token with a new key.
"""

import json
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
NAMES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


def b64(n, size):
    return jwt.utils.base64url_encode(n.to_bytes(size, "big")).decode()


def make(alg):
    """Returns a private key, and the public one as a JWK."""
    if alg in CURVES:
        key = ec.generate_private_key(CURVES[alg]())
        n = key.public_key().public_numbers()
        size = (key.curve.key_size + 7) // 8
        return key, {"kty": "EC", "crv": NAMES[alg], "x": b64(n.x, size), "y": b64(n.y, size)}
    if alg == "EdDSA":
        key = ed25519.Ed25519PrivateKey.generate()
        return key, json.loads(OKPAlgorithm.to_jwk(key.public_key()))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key, json.loads(RSAAlgorithm.to_jwk(key.public_key()))


config = json.load(sys.stdin)
keys, tokens = [], {}
for alg in config["algorithms"]:
    key, jwk = make(alg)
    jwk.pop("key_ops", None)
    keys.append({**jwk, "kid": "key of " + alg, "use": "sig", "alg": alg})
    tokens[alg] = jwt.encode(config["claims"], key, algorithm=alg, headers={"kid": "key of " + alg})
json.dump({"jwks": {"keys": keys}, "tokens": tokens}, sys.stdout)
