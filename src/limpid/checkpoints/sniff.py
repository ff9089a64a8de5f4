"""What a file really is that should have been a checkpoint: failed downloads and wrong names are the usual reasons."""

from __future__ import annotations


def what_else(head: bytes) -> str | None:
    """From the first bytes: a reason why this is no file of ``torch.save``, or None."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return "it is a web page; the download failed or needs a login, fetch the file again with a browser"
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of git-lfs, not the file itself; fetch it with git lfs pull"
    if is_safetensors(head):
        return "it is a safetensors file under another name; give it the suffix .safetensors"
    if text.startswith((b"{", b"[")):
        return "it is text (JSON), perhaps the error message of a server"
    for magic, name in KINDS.items():
        if head.startswith(magic):
            return f"it is {name}; unpack it and give the files in it"
    if not head.strip(b"\0"):
        return "it has only zeros; the download was interrupted"
    return None


KINDS = {
    b"\x1f\x8b": "a gzip archive",
    b"Rar!": "a rar archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
}


def is_safetensors(head: bytes) -> bool:
    """A length of eight bytes, then JSON."""
    return len(head) > 9 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") < 1 << 30
