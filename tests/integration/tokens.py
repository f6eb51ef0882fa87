"""Keys and tokens made by other implementations (PyJWT, cryptography), good ones and every kind of bad one.

`tokens.py --vectors` prints them as C for the unit tests.
"""

import base64
import functools
import hashlib
import hmac
import json
import os
import sys
import time

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

ALGORITHMS = ["HS256", "RS256", "PS256", "ES256", "EdDSA"]
SHA256 = hashes.SHA256()


def b64(data):
    if isinstance(data, (dict, list)):
        data = json.dumps(data, separators=(",", ":"))
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, length=None):
    return b64(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


@functools.cache
def private(name):
    if name == "secret":
        return os.urandom(40).hex().encode()
    if name.startswith("rsa1024"):
        return rsa.generate_private_key(65537, 1024)
    if name.startswith("rsa"):
        return rsa.generate_private_key(65537, 2048)
    if name.startswith("p384"):
        return ec.generate_private_key(ec.SECP384R1())
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    if name.startswith("ed"):
        return ed25519.Ed25519PrivateKey.generate()
    return os.urandom(40)


def private_pem(name):
    return private(name).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def public_pem(name):
    return private(name).public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def jwk(name, kid=None, alg=None, secret=False):
    key = private(name)
    if isinstance(key, bytes):
        out = {"kty": "oct", "k": b64(key)}
    elif name.startswith("rsa"):
        numbers = key.private_numbers()
        public = numbers.public_numbers
        out = {"kty": "RSA", "n": number(public.n), "e": number(public.e)}
        if secret:
            out |= {"d": number(numbers.d), "p": number(numbers.p), "q": number(numbers.q), "dp": number(numbers.dmp1),
                    "dq": number(numbers.dmq1), "qi": number(numbers.iqmp)}
    elif name.startswith("ed"):
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        out = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
        if secret:
            out["d"] = b64(key.private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw,
                                             serialization.NoEncryption()))
    else:
        numbers = key.private_numbers()
        size = 48 if name.startswith("p384") else 32
        out = {"kty": "EC", "crv": "P-384" if size == 48 else "P-256", "x": number(numbers.public_numbers.x, size),
               "y": number(numbers.public_numbers.y, size)}
        if secret:
            out["d"] = number(numbers.private_value, size)
    if kid is not None:
        out["kid"] = kid
    if alg is not None:
        out["alg"] = alg
    return out


def certificate(name):
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tokens")])
    start = __import__("datetime").datetime(2020, 1, 1)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).serial_number(1)
    builder = builder.not_valid_before(start).not_valid_after(start.replace(year=2040)).public_key(private(name).public_key())
    return builder.sign(private(name), SHA256).public_bytes(serialization.Encoding.PEM)


def signature(algorithm, key, text):
    """Of any text, whatever its header says."""
    if algorithm == "HS256":
        return hmac.digest(key, text, hashlib.sha256)
    if algorithm == "RS256":
        return key.sign(text, padding.PKCS1v15(), SHA256)
    if algorithm == "PS256":
        return key.sign(text, padding.PSS(padding.MGF1(SHA256), 32), SHA256)
    if algorithm == "ES256":
        r, s = utils.decode_dss_signature(key.sign(text, ec.ECDSA(SHA256)))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return key.sign(text)


def raw(algorithm, key, header, payload):
    """A token of just these texts."""
    text = b64(header) + "." + b64(payload)
    return text + "." + b64(signature(algorithm, key, text.encode()))


NAMES = {"HS256": "secret", "RS256": "rsa", "PS256": "rsa-pss", "ES256": "ec", "EdDSA": "ed"}


def token(user="alice", algorithm="HS256", key=None, lifetime=300, now=None, headers=None, **claims):
    """As PyJWT makes it; a claim that is None is left out."""
    now = time.time() if now is None else now
    payload = {"sub": user, "exp": int(now) + lifetime, **claims}
    payload = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(payload, private(key or NAMES[algorithm]), algorithm, headers=headers)


def flip(text, at):
    """Another character of the alphabet there."""
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1:]


def bad_shapes(now):
    """(what, token, part of the detail): not even worth a look at the signature."""
    good = token(now=now)
    head, body, sign = good.split(".")
    secret = private("secret")
    claims = {"sub": "alice", "exp": int(now) + 300}
    hs = {"alg": "HS256", "typ": "JWT"}

    def headed(header):
        return raw("HS256", secret, header, claims)

    yield "empty", "", "three parts"
    yield "no dots", "abc", "three parts"
    yield "two parts", f"{head}.{body}", "three parts"
    yield "four parts", good + ".x", "three parts"
    yield "five parts, encrypted", ".".join([head, body, sign, body, sign]), "three parts"
    yield "no signature", f"{head}.{body}.", "not signed"
    yield "no header", f".{body}.{sign}", "header is not"
    yield "too long", raw("HS256", secret, hs, {**claims, "x": "y" * 8000}), "more than 8192"
    yield "padding", good + "=", "signature is not base64url"
    yield "padded header", f"{head}==.{body}.{sign}", "header is not base64url"
    yield "blank behind it", good + " ", "not base64url"
    yield "newline behind it", good + "\n", "not base64url"
    yield "plain base64", f"{head}.{body}.{sign[:-2]}+/", "not base64url"
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(sign[-1])
    other = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last | 1]
    yield "last bits that are not zero", good[:-1] + other, "not base64url"
    yield "a length that base64 has not", good[:-2], "not base64url"
    yield "header is no JSON", f"{b64('hello')}.{body}.{sign}", "header is not a JSON"
    yield "header is a list", f"{b64([1])}.{body}.{sign}", "header is not a JSON"
    yield "header with something behind it", headed('{"alg":"HS256"} x'), "header is not a JSON"
    yield "header is not UTF-8", headed(b'{"alg":"HS256","x":"\xff"}'), "header is not a JSON"
    yield "deep header", headed('{"alg":"HS256","x":' + "[" * 50 + "]" * 50 + "}"), "header is not a JSON"
    yield "many members", headed({"alg": "HS256", **{f"x{i}": 1 for i in range(20)}}), "more than 16"
    yield "alg twice", headed('{"alg":"HS256","alg":"none"}'), "member twice"
    yield "alg twice, spelled otherwise", headed('{"alg":"HS256","\\u0061lg":"none"}'), "member twice"
    yield "no alg", headed({"typ": "JWT"}), "lacks alg"
    yield "alg is a number", headed({"alg": 5}), "alg is not a string"
    yield "alg is null", headed({"alg": None}), "alg is not a string"
    yield "kid is a list", headed({"alg": "HS256", "kid": ["a"]}), "kid is not a string"
    yield "kid is long", headed({"alg": "HS256", "kid": "a" * 300}), "kid is not a string"
    yield "crit", headed({"alg": "HS256", "crit": ["exp"], "exp": 1}), "crit"
    yield "empty crit", headed({"alg": "HS256", "crit": []}), "crit"
    yield "b64", headed({"alg": "HS256", "b64": False}), "crit"
    yield "logout token", headed({"alg": "HS256", "typ": "logout+jwt"}), "no access token"


def bad_signatures(now):
    good = token(now=now)
    head, body, sign = good.split(".")
    secret = private("secret")
    claims = {"sub": "alice", "exp": int(now) + 300}
    for name in "none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "HS384", "HS512", "RS512", "ES384", "ES256K", "HS1", "dir":
        yield f"alg {name!r}", raw("HS256", secret, {"alg": name}, claims), "alg is none of"
    yield "none, with an empty signature's place taken", b64({"alg": "none"}) + "." + body + ".AA", "alg is none of"
    # The public key as a secret: what lets everybody in where the header alone decides.
    for public in public_pem("rsa"), public_pem("rsa").strip(), public_pem("ec"), public_pem("ed"):
        yield "RS256 turned into HS256", raw("HS256", public, {"alg": "HS256", "typ": "JWT"}, claims), "not by any key"
    yield "RS256 turned into PS256", raw("RS256", private("rsa"), {"alg": "PS256", "kid": "main"}, claims), "not by any key"
    yield "PS256 turned into RS256", raw("PS256", private("rsa"), {"alg": "RS256", "kid": "main"}, claims), "not by any key"
    yield "PS256 by the key for RS256", raw("PS256", private("rsa"), {"alg": "PS256"}, claims), "not by any key"
    yield "RS256 by the key for PS256", raw("RS256", private("rsa-pss"), {"alg": "RS256"}, claims), "not by any key"
    for algorithm in ALGORITHMS:
        mine = token(algorithm=algorithm, now=now)
        parts = mine.split(".")
        yield f"{algorithm}: another's signature", ".".join(parts[:2] + token("bob", algorithm, now=now).split(".")[2:]), "not by any key"
        yield f"{algorithm}: another's claims", ".".join([parts[0], token("bob", algorithm, now=now).split(".")[1], parts[2]]), "not by any key"
        yield f"{algorithm}: a bit of the signature", ".".join(parts[:2] + [flip(parts[2], 10)]), "not by any key"
        yield f"{algorithm}: a bit of the claims", ".".join([parts[0], flip(parts[1], 12), parts[2]]), "not by any key"
        whole = base64.urlsafe_b64decode(parts[2] + "==")
        for what, changed in (("one byte more", whole + b"\0"), ("one byte less", whole[:-1]), ("zeros", bytes(len(whole))),
                              ("ones", b"\xff" * len(whole)), ("one byte", b"\0"), ("doubled", whole * 2), ("a zero in front", b"\0" + whole)):
            yield f"{algorithm}: signature, {what}", ".".join(parts[:2] + [b64(changed)]), "not by any key"
        key = NAMES[algorithm] + "-stranger"
        yield f"{algorithm}: a stranger's key", token(algorithm=algorithm, key=key, now=now), "not by any key"
        if algorithm != "HS256":
            own = {"alg": algorithm, "jwk": jwk(key), "jku": "http://127.0.0.1/keys", "x5u": "http://127.0.0.1/c", "x5c": ["AA"]}
            yield f"{algorithm}: a key of its own", raw(algorithm, private(key), own, claims), "not by any key"
    text = f"{b64({'alg': 'ES256'})}.{body}".encode()
    der = private("ec").sign(text, ec.ECDSA(SHA256))
    yield "ES256: signature in DER", text.decode() + "." + b64(der), "not by any key"
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    zero, top = bytes(32), order.to_bytes(32, "big")
    for what, numbers in ("r = s = 0", zero + zero), ("r = 0", zero + b"\1" * 32), ("r = s = n", top + top), ("r = n", top + b"\1" * 32):
        yield f"ES256: {what}", text.decode() + "." + b64(numbers), "not by any key"
    for kid in "../../../etc/passwd", "/dev/null", "' OR 1=1 --", "main\u0000", "%6dain", "", "MAIN":
        header = {"alg": "RS256", "kid": kid}
        yield f"kid {kid!r}", raw("RS256", private("rsa"), header, claims), "not known here"
    yield "a secret nobody has, found by kid", raw("HS256", b"", {"alg": "HS256", "kid": "/dev/null"}, claims), "not by any key"


def bad_claims(now):
    now = int(now)
    secret = private("secret")

    def claiming(payload):
        return raw("HS256", secret, {"alg": "HS256"}, payload)

    def with_exp(text):
        return claiming('{"sub":"alice","exp":%s}' % text)

    yield "payload is no JSON", claiming("hello"), "payload is not a JSON"
    yield "payload is empty", claiming(""), "payload is not a JSON"
    yield "payload is a string", claiming('"alice"'), "payload is not a JSON"
    yield "payload with something behind it", claiming('{"sub":"alice","exp":9999999999}{}'), "payload is not a JSON"
    yield "payload with a zero byte behind it", claiming('{"sub":"alice","exp":9999999999}\0'), "payload is not a JSON"
    yield "a byte order mark", claiming('\ufeff{"sub":"alice","exp":9999999999}'), "payload is not a JSON"
    yield "deep payload", with_exp('9999999999,"x":' + "[" * 100 + "]" * 100), "payload is not a JSON"
    yield "many claims", claiming({"sub": "alice", "exp": 9999999999, **{f"x{i}": 1 for i in range(200)}}), "more than 128"
    yield "sub twice", claiming('{"sub":"alice","exp":9999999999,"sub":"root"}'), "member twice"
    yield "sub twice, spelled otherwise", claiming('{"sub":"alice","exp":9999999999,"s\\u0075b":"root"}'), "member twice"
    yield "any claim twice", claiming('{"sub":"alice","exp":9999999999,"x":1,"x":2}'), "member twice"
    yield "no exp", token(now=now, exp=None), "no exp"
    yield "expired", token(now=now, exp=now - 60), "expired 60 s ago"
    yield "expired just now", token(now=now, exp=now - 2), "expired 2 s ago"
    yield "exp in 1970", token(now=now, exp=0), "expired"
    for text in ("-1", "-9999999999", "1e12", "1e308", "1e999", "9999999999999", "9007199254740993", "99999999999999999999999999",
                 "18446744073709551617", '"%d"' % (now + 300), '"never"', "true", "null", "[%d]" % (now + 300), "{}", "-0", '""'):
        yield f"exp {text}", with_exp(text), "exp is not a time"
    yield "nbf to come", token(now=now, nbf=now + 60), "not valid before 60 s"
    yield "nbf is a string", token(now=now, nbf="0"), "nbf is not a time"
    yield "iat to come", token(now=now, iat=now + 60), "issued 60 s in the future"
    yield "iat is negative", token(now=now, iat=-5), "iat is not a time"
    yield "no sub", token(None, now=now), "who the user is"
    yield "sub is a number", claiming({"sub": 5, "exp": now + 300}), "sub is not a string"
    yield "sub is empty", token("", now=now), "not 1 to 255 bytes"
    yield "sub with a newline", token("alice\nroot", now=now), "not 1 to 255 bytes"
    yield "sub with a zero byte", token("alice\0", now=now), "not 1 to 255 bytes"
    yield "sub is long", token("a" * 256, now=now), "not 1 to 255 bytes"
    yield "sub is longer", token("a" * 257, now=now), "sub is not a string of at most"
    yield "an audience that nobody asked for", token(now=now, aud="other"), "auth.audiences names none"
    yield "no audience at all", token(now=now, aud=[]), "auth.audiences names none"
    yield "an audience that is no text", token(now=now, aud=5), "aud is neither"
    yield "audiences that are no texts", token(now=now, aud=["a", 5]), "aud is neither"
    yield "iss is a list", claiming({"sub": "alice", "exp": now + 300, "iss": ["a"]}), "iss is not a string"


def bad(now=None):
    now = time.time() if now is None else now
    yield from bad_shapes(now)
    yield from bad_signatures(now)
    yield from bad_claims(now)


def good(now=None):
    """(what, token, user)."""
    now = time.time() if now is None else now
    secret = private("secret")
    for algorithm in ALGORITHMS:
        yield algorithm, token("alice", algorithm, now=now), "alice"
        yield f"{algorithm}, typ at+jwt", token("alice", algorithm, now=now, headers={"typ": "at+JWT"}), "alice"
    yield "kid that is known", token("alice", "RS256", now=now, headers={"kid": "main"}), "alice"
    yield "header with keys to ignore", token("alice", "ES256", now=now, headers={"jku": "http://127.0.0.1/", "jwk": jwk("ec-x"), "x5t": "a"}), "alice"
    yield "no typ", raw("HS256", secret, {"alg": "HS256"}, {"sub": "alice", "exp": int(now) + 300}), "alice"
    yield "expired within the leeway", token(now=now, exp=int(now) - 1), "alice"
    yield "starts within the leeway", token(now=now, nbf=int(now) + 2, iat=int(now) + 2), "alice"
    yield "fractions", raw("HS256", secret, {"alg": "HS256"}, '{"sub":"alice","exp":%d.75,"iat":%d.5}' % (now + 300, now)), "alice"
    yield "the end of time", token(now=now, exp=253402300799), "alice"
    yield "sub in another script", token("\u0394\u03b9\u03bf\u03bd\u03cd\u03c3\u03b9\u03bf\u03c2", now=now), "\u0394\u03b9\u03bf\u03bd\u03cd\u03c3\u03b9\u03bf\u03c2"
    yield "sub with escapes", raw("HS256", secret, {"alg": "HS256"}, '{"sub":"\\u0061lice\\ud83d\\ude00","exp":%d}' % (now + 300)), "alice\U0001f600"
    yield "blanks between", raw("HS256", secret, ' {\r\n "alg" : "HS256" } ', ' { "sub" : "alice", "exp" : %d }\n' % (now + 300)), "alice"


def write_keys(folder):
    """The files, and auth.keys for them."""
    files = {
        "secret": private("secret"), "rsa.pem": public_pem("rsa"), "rsa-pss.pem": public_pem("rsa-pss"), "ec.pem": public_pem("ec"),
        "ed.pem": public_pem("ed"),
    }
    for name, data in files.items():
        path = os.path.join(folder, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
    return [f"{folder}/secret alg=HS256", f"{folder}/rsa.pem kid=main", f"{folder}/rsa-pss.pem alg=PS256", f"{folder}/ec.pem",
            f"{folder}/ed.pem"]


def literal(data):
    """A C string: in pieces, so that no escape runs into what follows."""
    if isinstance(data, str):
        data = data.encode()
    return '"' + "".join(chr(byte) if byte < 128 and chr(byte).isalnum() or chr(byte) in "-_. :/=+{},[]()<>" else f"\\{byte:03o}" for byte in data) + '"'


def print_vectors():
    now = int(time.time())
    print('#include "tests/unit/token_vectors.h"')
    print(f"const uint64_t vectors_now_s = {now};")
    print("const struct vector_key vector_keys[] = {")
    ec_pair, ed_pair, rsa_pair = jwk("ec", secret=True), jwk("ed", secret=True), jwk("rsa", secret=True)
    texts = {
        "secret": private("secret"), "rsa.pem": public_pem("rsa"), "rsa-pss.pem": public_pem("rsa-pss"), "ec.pem": public_pem("ec"),
        "ed.pem": public_pem("ed"), "rsa.key": private_pem("rsa"), "ec.key": private_pem("ec"), "ed.key": private_pem("ed"),
        "rsa.crt": certificate("rsa"), "rsa1024.pem": public_pem("rsa1024"), "p384.pem": public_pem("p384"),
        "rsa.jwk": json.dumps(jwk("rsa", "main", "RS256")), "rsa-pss.jwk": json.dumps(jwk("rsa-pss", None, "PS256")),
        "ec.jwk": json.dumps(jwk("ec", "e")), "ed.jwk": json.dumps(jwk("ed")), "secret.jwk": json.dumps(jwk("secret", "s", "HS256")),
        "rsa-pair.jwk": json.dumps(rsa_pair), "ec-pair.jwk": json.dumps(ec_pair), "ed-pair.jwk": json.dumps(ed_pair),
        "ec-off.jwk": json.dumps({**ec_pair, "y": ec_pair["x"], "d": None}).replace(', "d": null', ""),
        "rsa1024.jwk": json.dumps(jwk("rsa1024")),
        "all.jwks": json.dumps({"keys": [jwk("rsa", "main", "RS256"), jwk("rsa-pss", "pss", "PS256"), jwk("ec", "e"), jwk("ed", "d"),
                                         jwk("secret", "s", "HS256"), jwk("p384", "p", "ES384"),
                                         {**jwk("rsa-x"), "use": "enc"}, {**jwk("rsa-x"), "key_ops": ["encrypt"]},
                                         {"kty": "new", "x": 5}]}),
    }
    for name, text in texts.items():
        print(f"    {{{literal(name)}, {literal(text)}, {len(text.encode() if isinstance(text, str) else text)}}},")
    print("};\nconst size_t vector_key_count = COUNT_OF(vector_keys);")
    print("const struct vector vectors[] = {")
    for what, text, user in good(now):
        print(f"    {{{literal(what)}, {literal(text)}, {len(text.encode())}, {literal(user)}, NULL}},")
    for what, text, detail in bad(now):
        print(f"    {{{literal(what)}, {literal(text)}, {len(text.encode())}, NULL, {literal(detail)}}},")
    print("};\nconst size_t vector_count = COUNT_OF(vectors);")


if __name__ == "__main__" and sys.argv[1:] == ["--vectors"]:
    print_vectors()
