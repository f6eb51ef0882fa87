"""Certificates for tests: an authority, and what it signs. Files are PEM, those with keys for their owner alone."""

import datetime
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


def name_of(*common_names):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common_names])


def now():
    return datetime.datetime.utcnow()


class Authority:
    """Signs certificates; all of its files are in `directory`."""

    def __init__(self, directory, name="authority"):
        self.directory, self.name = directory, name_of(name)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(self.name, self.key.public_key(), [(x509.BasicConstraints(True, None), True)])
        self.path = self.write(f"{name}.pem", self.certificate.public_bytes(PEM))

    def _sign(self, subject, public_key, extensions, days=(-1, 30)):
        builder = x509.CertificateBuilder(self.name, subject, public_key, x509.random_serial_number(),
                                          now() + datetime.timedelta(days[0]), now() + datetime.timedelta(days[1]))
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, is_critical)
        return builder.sign(self.key, hashes.SHA256())

    def write(self, name, data, mode=0o600):
        """A whole file takes the place of the old one, as programs that renew certificates do it."""
        path = os.path.join(self.directory, name)
        with open(path + ".new", "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
        os.rename(path + ".new", path)
        return path

    def issue(self, name, *common_names, names=(), days=(-1, 30), is_rsa=False, signed=None):
        """A certificate and its key in name.pem and name.key. What tls.certificates takes."""
        key = rsa.generate_private_key(65537, 2048) if is_rsa else ec.generate_private_key(ec.SECP256R1())
        extensions = [(x509.SubjectAlternativeName(names), False)] if names else []
        certificate = self._sign(name_of(*common_names), key.public_key(), extensions, days)
        path = self.write(f"{name}.pem", certificate.public_bytes(PEM), 0o644)
        key_path = self.write(f"{name}.key", key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return Issued(path, key_path)

    def issue_for(self, *hosts, **more):
        """A server's, with its host's name."""
        return self.issue(hosts[0].replace("*", "any"), hosts[0], names=[x509.DNSName(host) for host in hosts], **more)

    def revoke(self, *issued):
        """A list of them."""
        builder = x509.CertificateRevocationListBuilder(self.name, now() - datetime.timedelta(1), now() + datetime.timedelta(1))
        for one in issued:
            entry = x509.RevokedCertificateBuilder(one.certificate.serial_number, now() - datetime.timedelta(1)).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(PEM)


class Issued:
    def __init__(self, path, key_path):
        self.path, self.key_path, self.item = path, key_path, f"{path}:{key_path}"

    @property
    def certificate(self):
        with open(self.path, "rb") as file:
            return x509.load_pem_x509_certificate(file.read())


def context(authority, client=None, version=None):
    """How a client judges servers, and perhaps what it shows."""
    made = ssl.create_default_context(cafile=authority.path)
    if client:
        made.load_cert_chain(client.path, client.key_path)
    if version:
        made.minimum_version = made.maximum_version = version
    return made
