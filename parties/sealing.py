"""Files that only one party can open, for one purpose: sealed under keys derived from its private key.

Layout of a sealed file, numbers big-endian::

    offset  bytes
    0       8      "jfseal" 00 01
    8       16     salt: random, new for every file
    24      16     check: tells the right key from others before anything is opened
    40      4      size of a chunk, 1 … 67,108,864 bytes
    44      2      length P of the purpose, 1 … 1,024
    46      P      purpose, UTF-8
    46+P           chunks, each followed by its tag of 16 bytes; the last one may be shorter, even empty

HKDF-SHA256 (RFC 5869) of the private key's 32 bytes with this salt and info = "jointfit seal 1" 00 purpose gives 55
bytes: key of AES-256-GCM (NIST SP 800-38D) 32, check 16, nonce prefix 7. Chunk i has the nonce prefix · i in 4 bytes ·
01 if it is the last, else 00, and all of the header as associated data: the STREAM construction (Hoang, Reyhanitabar,
Rogaway, Vizár 2015), so chunks cannot be left out, swapped or added.

Security: who has the file without the private key learns its size and purpose, and can delete it or put back an older
one that the same party sealed for the same purpose. A key is used for one file only, so no nonce comes twice. The
check commits to the key: no file opens under two keys.
"""

from __future__ import annotations

import hmac
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parties.errors import ConfigurationError
from parties.identity import read_key

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["CHUNK", "Sealer"]

CHUNK = 1 << 26
"""Bytes that are sealed at once; what sealing and opening need beside the content is about twice as much."""

_MAGIC = b"jfseal\0\1"
_FIXED = struct.Struct("!8s16s16sIH")
_LONGEST_PURPOSE = 1024
_TAG = 16
_INFO = b"jointfit seal 1\0"


class Sealer:
    """Seals and opens the files of one party for one purpose.

    Arguments:
        key: the 32 bytes of the party's private key (P-256: the scalar); see `from_file`.
        purpose: public text, in clear in every file; names what, which job and which rank:
            ``f"checkpoints/{job.digest}/{rank}"``. A file sealed for another purpose is refused.
        chunk: bytes a chunk.

    Raises ConfigurationError for a key, purpose or chunk of the wrong size.
    """

    def __init__(self, key: bytes, purpose: str, *, chunk: int = CHUNK) -> None:
        if len(key) != 32:
            raise ConfigurationError(f"a private key of {len(key)} bytes; want 32")
        if not 1 <= len(purpose.encode()) <= _LONGEST_PURPOSE:
            raise ConfigurationError(f"a purpose of {len(purpose.encode())} bytes; want 1 to {_LONGEST_PURPOSE}")
        if not 1 <= chunk <= CHUNK:
            raise ConfigurationError(f"chunks of {chunk} bytes; want 1 to {CHUNK}")
        self.purpose = purpose
        self._key = bytearray(key)
        self._chunk = chunk

    @classmethod
    def from_file(cls, path: str | Path, purpose: str, passphrase: bytes | None = None) -> Self:
        """With the private key in a file; see `identity.read_key` for what is asked of it, and its errors."""
        key = read_key(Path(path), passphrase)
        return cls(key.private_numbers().private_value.to_bytes(32, "big"), purpose)

    def erase(self) -> None:
        """Forget the key; nothing is sealed or opened afterwards. Copies may stay in memory until it is reused."""
        self._key[:] = bytes(len(self._key))
        self._key.clear()

    def seal(self, content: Buffer, path: Path) -> None:
        """Write a new sealed file that only this user may read, and wait until it is on the disk.

        Raises OSError as the disk gives it, FileExistsError included; then no file stays.
        """
        view = memoryview(content).cast("B")
        salt = os.urandom(16)
        cipher, check, prefix = self._derive(salt)
        purpose = self.purpose.encode()
        header = _FIXED.pack(_MAGIC, salt, check, self._chunk, len(purpose)) + purpose
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(header)
                starts = range(0, max(view.nbytes, 1), self._chunk)
                for index, start in enumerate(starts):
                    nonce = _nonce(prefix, index, last=index == len(starts) - 1)
                    file.write(cipher.encrypt(nonce, view[start : start + self._chunk], header))
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def open(self, path: Path) -> bytearray:
        """The content of a sealed file, all of it or nothing.

        Raises ConfigurationError: it cannot be read, is no sealed file, was sealed for another purpose or under another
        key, was cut off, lengthened, or changed. A change of the salt or the check looks like another key.
        """
        try:
            with path.open("rb") as file:
                return self._open(file, path.name)
        except OSError as error:
            raise ConfigurationError(f"cannot read {path.name}: {error.strerror}") from None

    def _open(self, file: BinaryIO, name: str) -> bytearray:
        fixed = file.read(_FIXED.size)
        if len(fixed) < _FIXED.size or not fixed.startswith(_MAGIC):
            raise ConfigurationError(f"{name} is no sealed file, or was cut off in its first {_FIXED.size} bytes")
        _, salt, check, chunk, length = _FIXED.unpack(fixed)
        if not 1 <= chunk <= CHUNK or not 1 <= length <= _LONGEST_PURPOSE:
            raise ConfigurationError(f"{name} has a damaged header: chunks of {chunk} and a purpose of {length} bytes")
        purpose = file.read(length)
        if purpose != self.purpose.encode():
            told = ascii(purpose.decode("utf-8", "replace"))[:200]
            raise ConfigurationError(f"{name} was sealed for {told}; want {self.purpose!r}")
        cipher, want, prefix = self._derive(salt)
        if not hmac.compare_digest(check, want):
            raise ConfigurationError(f"{name} was sealed under another key than this party's, or its header is damaged")
        header = fixed + purpose
        size = os.fstat(file.fileno()).st_size - len(header)
        chunks = max(1, -(-size // (chunk + _TAG)))
        content = bytearray(max(0, size - chunks * _TAG))
        place = 0
        for index in range(chunks):
            sealed = file.read(chunk + _TAG)
            last = index == chunks - 1
            try:
                opened = cipher.decrypt(_nonce(prefix, index, last=last), sealed, header)
            except InvalidTag:
                raise ConfigurationError(_damage(cipher, prefix, index, sealed, header, name, last=last)) from None
            content[place : place + len(opened)] = opened
            place += len(opened)
        return content

    def _derive(self, salt: bytes) -> tuple[AESGCM, bytes, bytes]:
        if not self._key:
            raise ConfigurationError("the key of this Sealer was erased; make a new one")
        info = _INFO + self.purpose.encode()
        made = HKDF(SHA256(), 55, salt, info).derive(bytes(self._key))
        return AESGCM(made[:32]), made[32:48], made[48:]

    def __repr__(self) -> str:
        return f"Sealer({self.purpose!r})"


def _nonce(prefix: bytes, index: int, *, last: bool) -> bytes:
    return prefix + index.to_bytes(4, "big") + bytes([last])


def _damage(
    cipher: AESGCM, prefix: bytes, index: int, sealed: bytes, header: bytes, name: str, *, last: bool
) -> str:
    """What can be said of a chunk that does not open: whether it was last, and is not now, or the other way round."""
    try:
        cipher.decrypt(_nonce(prefix, index, last=not last), sealed, header)
    except InvalidTag:
        return f"{name} was changed or cut off in its chunk {index}"
    return f"{name} was cut off after its chunk {index}" if last else f"{name} was lengthened after chunk {index}"
