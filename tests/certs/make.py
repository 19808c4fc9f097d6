#!/usr/bin/env python3
"""Makes the certificates that the tests of peers read: `python3 make.py`, in this directory.

Needs the package `cryptography`. What that package refuses to write (a NUL in a name, a second URI in odd
places) is put together from DER by hand and signed with it.
"""
import datetime
import ipaddress
import json
import base64

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

START = datetime.datetime(2026, 1, 1)
END = datetime.datetime(2056, 1, 1)
PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER


def name(*pairs):
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])


def cn(text):
    return name((NameOID.COMMON_NAME, text))


def uri(text):
    return x509.UniformResourceIdentifier(text)


def usage(*on):
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{each: each in on for each in names})


class Authority:
    """Something that signs certificates."""

    def __init__(self, subject, key=None, issuer=None, constraints=None, start=START, end=END,
                 may_sign=True, path_length=None, sans=(), eku=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.subject = subject
        builder = base(subject, issuer.subject if issuer else subject, self.key, start, end)
        builder = builder.add_extension(x509.BasicConstraints(True, path_length), True)
        builder = builder.add_extension(
            usage("key_cert_sign", "crl_sign") if may_sign else usage("digital_signature"), True)
        if sans:
            builder = builder.add_extension(x509.SubjectAlternativeName(sans), False)
        if constraints:
            builder = builder.add_extension(constraints, True)
        if eku:
            builder = builder.add_extension(x509.ExtendedKeyUsage(eku), False)
        self.cert = builder.sign((issuer or self).key, digest((issuer or self).key))

    def leaf(self, sans=(), subject=None, key=None, start=START, end=END, ca=False, ku=("digital_signature",),
             eku=(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH), extra=(), serial=None,
             basic=True):
        key = key or ec.generate_private_key(ec.SECP256R1())
        builder = base(subject or x509.Name([]), self.subject, key, start, end, serial)
        if basic:
            builder = builder.add_extension(x509.BasicConstraints(ca, None), True)
        if ku is not None:
            builder = builder.add_extension(usage(*ku), True)
        if eku:
            builder = builder.add_extension(x509.ExtendedKeyUsage(eku), False)
        if sans:
            builder = builder.add_extension(x509.SubjectAlternativeName(sans), subject is None)
        for extension, critical in extra:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, digest(self.key))

    def leaf_raw_san(self, *names, tag=None):
        """A leaf whose names are bytes with their tags, which nobody checks."""
        body = b"".join(tlv(kind, value) for kind, value in names)
        value = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), tlv(0x30, body))
        return self.leaf(extra=[(value, False)], subject=cn("raw"))


def digest(key):
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def base(subject, issuer, key, start, end, serial=None):
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
            .public_key(key.public_key()).serial_number(serial or x509.random_serial_number())
            .not_valid_before(start).not_valid_after(end))


def tlv(tag, body):
    length = len(body)
    if length < 128:
        return bytes([tag, length]) + body
    if length < 256:
        return bytes([tag, 0x81, length]) + body
    return bytes([tag, 0x82, length >> 8, length & 255]) + body


def write(file, *certificates):
    with open(file + ".pem", "wb") as out:
        for each in certificates:
            out.write(each.public_bytes(PEM))


def sign_again(key, certificate, old, new):
    """The certificate with `old` replaced by as many bytes in its signed part, signed anew."""
    assert len(old) == len(new)
    tbs = certificate.tbs_certificate_bytes
    assert tbs.count(old) >= 1, old
    tbs = tbs.replace(old, new)
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    signature = key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    whole = tlv(0x30, tbs + algorithm + tlv(0x03, b"\0" + signature))
    return whole


def write_der(file, der):
    with open(file + ".der", "wb") as out:
        out.write(der)


def main():
    root = Authority(cn("root"))
    inter = Authority(name((NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, "inter")), issuer=root)
    other = Authority(cn("other root"))
    write("root", root.cert)
    write("inter", inter.cert)
    write("other_root", other.cert)
    good = [uri("spiffe://td/ns/billing/sa/worker")]

    # What is in order.
    leaf = root.leaf(good)
    write("svid", leaf)
    by_inter = inter.leaf(good)
    write("svid_by_inter", by_inter)
    write("svid_dns", root.leaf(good + [x509.DNSName("worker.billing.svc")], subject=cn("worker")))
    write("svid_rsa", root.leaf(good, key=rsa.generate_private_key(65537, 2048)))
    write("svid_ed25519", root.leaf(good, key=ed25519.Ed25519PrivateKey.generate()))
    write("svid_p384", root.leaf(good, key=ec.generate_private_key(ec.SECP384R1())))
    write("svid_no_usages", root.leaf(good, ku=None, eku=None))
    write("svid_no_basic_constraints", root.leaf(good, basic=False))
    write("ordinary", inter.leaf(
        [x509.DNSName("Client.Example"), x509.RFC822Name("Me@Example.com"), uri("https://example.com/me"),
         x509.IPAddress(ipaddress.ip_address("192.0.2.7"))],
        subject=name((NameOID.COUNTRY_NAME, "US"), (NameOID.ORGANIZATION_NAME, 'A, "q"; b=c\\d'),
                     (NameOID.COMMON_NAME, "client é"), (NameOID.USER_ID, "u1")),
        serial=0x0A1B2C,
        extra=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), tlv(0x0C, b"tenant-7")),
                False)]))
    write("other_svid", other.leaf(good))
    federated = [uri("spiffe://partner/ns/a/sa/b")]
    write("partner_svid", other.leaf(federated))

    # What breaks a rule.
    write("svid_expired", root.leaf(good, end=datetime.datetime(2026, 6, 1)))
    write("svid_not_yet_valid", root.leaf(good, start=datetime.datetime(2040, 1, 1)))
    write("svid_ca", root.leaf(good, ca=True, ku=("digital_signature", "key_cert_sign")))
    write("svid_key_cert_sign", root.leaf(good, ku=("digital_signature", "key_cert_sign")))
    write("svid_crl_sign", root.leaf(good, ku=("digital_signature", "crl_sign")))
    write("svid_no_digital_signature", root.leaf(good, ku=("key_encipherment",)))
    write("svid_server_only", root.leaf(good, eku=(ExtendedKeyUsageOID.SERVER_AUTH,)))
    write("svid_any_eku", root.leaf(good, eku=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)))
    write("svid_two_uris", root.leaf(good + [uri("spiffe://td/ns/web/sa/admin")]))
    write("svid_no_uri", root.leaf([x509.DNSName("worker")]))
    write("svid_no_path", root.leaf([uri("spiffe://td")]))
    write("svid_not_spiffe", root.leaf([uri("https://td/ns/a/sa/b")]))
    write("svid_upper_case", root.leaf([uri("spiffe://TD/ns/a/sa/b")]))
    write("svid_dot_segments", root.leaf([uri("spiffe://td/ns/a/../b")]))
    write("svid_injection", root.leaf([uri("spiffe://td/x;URI=spiffe://td/admin")]))
    write("svid_comma", root.leaf([uri("spiffe://td/x,By=y;Hash=" + "0" * 64 + ";URI=spiffe://td/admin")]))
    write("svid_rsa_1024", root.leaf(good, key=rsa.generate_private_key(65537, 1024)))
    write("svid_secp256k1", root.leaf(good, key=ec.generate_private_key(ec.SECP256K1())))
    write("nul_in_uri", root.leaf_raw_san((0x86, b"spiffe://td/a\0.evil")))
    write("nul_in_dns", root.leaf_raw_san((0x82, b"good.example\0.evil")))
    write("control_in_uri", root.leaf_raw_san((0x86, b"spiffe://td/a\n")))
    write("uri_not_ascii", root.leaf_raw_san((0x86, "spiffe://td/é".encode())))
    write("uri_in_latin1", root.leaf_raw_san((0x86, b"spiffe://td/\xe9")))
    write("san_empty", root.leaf_raw_san())
    write("unknown_critical", root.leaf(good, extra=[
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]))
    ab = root.leaf(good, subject=cn("a#b"))
    write_der("nul_in_subject", sign_again(root.key, ab, b"a#b", b"a\0b"))
    write_der("newline_in_subject", sign_again(root.key, ab, b"a#b", b"a\nb"))
    write_der("teletex_subject", sign_again(root.key, ab, b"\x0c\x03a#b", b"\x14\x03a#b"))
    write_der("bmp_subject", sign_again(root.key, root.leaf(good, subject=cn("a#bc")), b"\x0c\x04a#bc",
                                        b"\x1e\x04a\0b\0"))
    write_der("version_1", sign_again(root.key, ab, bytes.fromhex("a003020102"), bytes.fromhex("a003020100")))
    twice = root.leaf(good, subject=cn("x"), extra=[
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.18"), tlv(0x30, tlv(0x86, b"spiffe://td/b"))),
         False)])
    write_der("san_twice", sign_again(root.key, twice, bytes.fromhex("0603551d12"), bytes.fromhex("0603551d11")))
    whole = leaf.public_bytes(DER)
    write_der("trailing", whole + b"\0")
    write_der("cut_off", whole[:-1])
    write_der("ber_length", whole[:1] + b"\x83\x00" + whole[2:4] + whole[4:])
    tampered = bytearray(whole)
    at = whole.index(b"billing")
    tampered[at:at + 7] = b"xilling"
    write_der("tampered", bytes(tampered))

    # Chains.
    no_sign = Authority(cn("no sign"), issuer=root, may_sign=False)
    write("by_no_sign", no_sign.leaf(good), no_sign.cert)
    old = Authority(cn("old inter"), issuer=root, end=datetime.datetime(2026, 6, 1))
    write("by_old_inter", old.leaf(good), old.cert)
    old_root = Authority(cn("old root"), end=datetime.datetime(2026, 6, 1))
    write("old_root", old_root.cert)
    write("by_old_root", old_root.leaf(good))
    renewed = Authority(cn("old root"), key=old_root.key)
    write("old_root_renewed", renewed.cert)
    under_leaf = Authority(cn("fake"), issuer=None)
    signer_key = ec.generate_private_key(ec.SECP256R1())
    signer = root.leaf(good, subject=cn("leaf as ca"), key=signer_key)
    fake = (base(x509.Name([]), cn("leaf as ca"), under_leaf.key, START, END)
            .add_extension(x509.SubjectAlternativeName([uri("spiffe://td/ns/web/sa/admin")]), True)
            .add_extension(usage("digital_signature"), True).sign(signer_key, hashes.SHA256()))
    write("by_leaf", fake, signer)
    short = Authority(cn("path 0"), issuer=root, path_length=0)
    below = Authority(cn("below path 0"), issuer=short)
    write("by_too_long", below.leaf(good), below.cert, short.cert)
    server_ca = Authority(cn("servers only"), issuer=root, eku=[ExtendedKeyUsageOID.SERVER_AUTH])
    write("by_server_ca", server_ca.leaf(good), server_ca.cert)
    weak = Authority(cn("weak root"), key=rsa.generate_private_key(65537, 1024))
    write("weak_root", weak.cert)
    weak_inter = Authority(cn("weak inter"), key=rsa.generate_private_key(65537, 1024), issuer=root)
    write("by_weak_inter", weak_inter.leaf(good), weak_inter.cert)

    def permitted(*names):
        return x509.NameConstraints(list(names), None)

    td_root = Authority(cn("td only"), constraints=permitted(uri("td"), x509.DNSName("svc")))
    write("constrained_root", td_root.cert)
    write("constrained_good", td_root.leaf(good))
    write("constrained_bad", td_root.leaf(federated))
    write("constrained_dns_bad", td_root.leaf(good + [x509.DNSName("evil.example")]))
    sub = Authority(cn("below td only"), issuer=td_root, sans=[uri("spiffe://td")])
    write("constrained_by_inter", sub.leaf(good), sub.cert)
    stray = Authority(cn("stray below td only"), issuer=td_root, sans=[uri("spiffe://partner")])
    write("constrained_by_stray_inter", stray.leaf(good), stray.cert)
    excluding = Authority(cn("all but partner"), constraints=x509.NameConstraints(None, [uri("partner")]))
    write("excluding_root", excluding.cert)
    write("excluding_good", excluding.leaf(good))
    write("excluding_bad", excluding.leaf(federated))
    td_inter = Authority(cn("td only inter"), issuer=root, constraints=permitted(uri("td")))
    write("by_constrained_inter", td_inter.leaf(good), td_inter.cert)
    whole_uri = Authority(cn("whole uri"), constraints=permitted(uri("spiffe://td")))
    write("whole_uri_root", whole_uri.cert)

    # Self-signed.
    key = ec.generate_private_key(ec.SECP256R1())
    for file, ca in [("self_signed", False), ("self_signed_ca", True)]:
        one = (base(cn("alone"), cn("alone"), key, START, END)
               .add_extension(x509.BasicConstraints(ca, None), True).sign(key, hashes.SHA256()))
        write(file, one)

    # Revocation lists.
    def crl(authority, file, revoked=(), signer=None, end=END):
        builder = (x509.CertificateRevocationListBuilder().issuer_name(authority.subject)
                   .last_update(START).next_update(end)
                   .add_extension(x509.CRLNumber(1), False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                       authority.key.public_key()), False))
        for each in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(START).build())
        signed = builder.sign((signer or authority).key, hashes.SHA256())
        with open(file + ".crl.pem", "wb") as out:
            out.write(signed.public_bytes(PEM))
        return signed

    der = crl(root, "root_revokes_svid", [leaf])
    with open("root_revokes_svid.crl.der", "wb") as out:
        out.write(der.public_bytes(DER))
    crl(root, "root_revokes_none")
    crl(root, "root_revokes_inter", [inter.cert])
    crl(inter, "inter_revokes_none")
    crl(root, "root_expired", [], end=datetime.datetime(2026, 6, 1))
    crl(root, "root_forged", [], signer=other)

    # A SPIFFE bundle.
    def jwk(certificate):
        numbers = certificate.public_key().public_numbers()
        b64 = lambda number: base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
        return {"kty": "EC", "crv": "P-256", "x": b64(numbers.x), "y": b64(numbers.y)}

    with open("bundle.json", "w") as out:
        json.dump({
            "spiffe_sequence": 7, "spiffe_refresh_hint": 300,
            "keys": [
                {"use": "x509-svid", **jwk(root.cert),
                 "x5c": [base64.b64encode(root.cert.public_bytes(DER)).decode()]},
                {"use": "jwt-svid", "kid": "jwt-1", **jwk(other.cert)},
                {"use": "something-new", "kty": "EC"},
                {"kty": "EC"},
            ],
        }, out, indent=1)


main()
