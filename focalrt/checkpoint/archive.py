"""The zip file of ``torch.save``: one folder of records, stored as they are (``torch/serialization.py``)."""

from __future__ import annotations

import struct
from io import BytesIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo
from zlib import crc32

from ..errors import CheckpointError
from .arrays import quoted

MOST_RECORDS = 20_000  # one for each array, and a few; the largest published checkpoint has 1955
HEADER = struct.Struct("<4s22xHH")  # of a record: its signature, the lengths of its name and its padding
UTF8 = 0x800  # a flag: the name is in UTF-8, else in code page 437
ENCRYPTED = 0x1
AGAIN = "download it or save it again"


def read_archive(content: bytes) -> dict[str, memoryview]:
    """The records of a zip file by their names in the folder: views of the content, right by their checksums.

    Raises CheckpointError where the file is damaged, or is not as ``torch.save`` writes it.
    """
    records = list_records(content)
    check_names([record.filename for record in records])
    for record in records:
        if record.compress_type != ZIP_STORED or record.compress_size != record.file_size:
            raise CheckpointError(f"has its record {quoted(record.filename)} compressed; pack the file without that")
    if sum(record.file_size for record in records) > len(content):
        raise CheckpointError("is damaged: its records are larger in all than the file")
    view = memoryview(content)
    return {record.filename.partition("/")[2]: find(record, view) for record in records}


def list_records(content: bytes) -> list[ZipInfo]:
    """What the list at the end of a zip file tells of its records."""
    if content.count(b"PK\x01\x02") > MOST_RECORDS:  # so begins what is told of each
        raise CheckpointError(f"is a zip file of more than {MOST_RECORDS} records")
    try:
        with ZipFile(BytesIO(content)) as archive:
            return archive.infolist()
    except (BadZipFile, NotImplementedError, OverflowError, ValueError, struct.error) as error:
        raise CheckpointError(f"is a zip file that was cut short or damaged ({error}); {AGAIN}") from None


def check_names(names: list[str]) -> None:
    """Refuses other files than those in the one folder of ``torch.save``, and names that lead out of it."""
    inner = {name.partition("/")[2] for name in names}
    if "data.pkl" not in inner:
        raise CheckpointError("is a zip file, but none of torch.save: it has no data.pkl in a folder")
    if "constants.pkl" in inner:
        raise CheckpointError("is a program of TorchScript; load it with torch.jit.load, and save its state_dict()")
    if len({name.partition("/")[0] for name in names}) > 1 or len(inner) < len(names):
        raise CheckpointError("is a zip file of more than one folder, or of records with the same name")
    for name in names:
        if "\\" in name or not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise CheckpointError(f"is a zip file, but none of torch.save: it has a record {quoted(name)}")


def find(record: ZipInfo, content: memoryview) -> memoryview:
    """The bytes of a record, which lie behind a header of its own, its name and padding."""
    place = f"is damaged: its record {quoted(record.filename)}"
    start = record.header_offset
    if not 0 <= start <= len(content) - HEADER.size:
        raise CheckpointError(f"{place} is not in the file; {AGAIN}")
    signature, name, padding = HEADER.unpack_from(content, start)
    start += HEADER.size
    expected = record.orig_filename.encode("utf-8" if record.flag_bits & UTF8 else "cp437")
    if signature != b"PK\x03\x04" or content[start : start + name] != expected or record.flag_bits & ENCRYPTED:
        raise CheckpointError(f"{place} is encrypted, or not where it should be; {AGAIN}")
    start += name + padding
    found = content[start : start + record.file_size]
    if len(found) < record.file_size or crc32(found) != record.CRC:
        raise CheckpointError(f"{place} does not fit its checksum; {AGAIN}")
    return found
