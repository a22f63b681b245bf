"""The client's side of SCRAM (RFC 5802, RFC 7677) and PLAIN (RFC 4616)."""

import base64
import hashlib
import hmac
import secrets

HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}


def plain(name: str, password: str, authzid: str = "") -> str:
    return encode(f"{authzid}\0{name}\0{password}")


def encode(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def fields(message: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in message.split(","))


class Scram:
    """One exchange. `first()`, then `final(challenge)`, then `verify(success)`."""

    def __init__(self, mechanism: str, name: str, password: str, authzid: str = ""):
        self.hash = HASHES[mechanism]
        self.password = password
        self.gs2 = f"n,a={authzid}," if authzid else "n,,"
        escaped = name.replace("=", "=3D").replace(",", "=2C")
        self.bare = f"n={escaped},r={secrets.token_urlsafe(18)}"

    def first(self) -> str:
        return encode(self.gs2 + self.bare)

    def final(self, challenge: str) -> str:
        server_first = base64.b64decode(challenge).decode()
        asked = fields(server_first)
        salt = base64.b64decode(asked["s"])
        salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(), salt, int(asked["i"]))
        without_proof = f"c={encode(self.gs2)},r={asked['r']}"
        transcript = f"{self.bare},{server_first},{without_proof}"
        client_key = self._hmac(salted, "Client Key")
        signature = self._hmac(hashlib.new(self.hash, client_key).digest(), transcript)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self.server_signature = self._hmac(self._hmac(salted, "Server Key"), transcript)
        return encode(f"{without_proof},p={encode(proof)}")

    def verify(self, success: str) -> None:
        """RFC 5802 §5: the server proves that it knows the password's key too."""
        expected = f"v={encode(self.server_signature)}"
        assert base64.b64decode(success).decode() == expected, "the server's signature is wrong"

    def _hmac(self, key: bytes, text: str) -> bytes:
        return hmac.digest(key, text.encode(), self.hash)
