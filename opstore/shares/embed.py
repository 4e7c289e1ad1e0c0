"""An operation's metadata as other tools read it inside a picture: the "parameters" text of A1111, and XMP.

Only what `redaction` lets pass is in it. The XMP properties are Dublin Core's description, XMP's own, and those for generated
media of the IPTC Photo Metadata Standard 2025.1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from opstore.media.provenance import address
from opstore.shares.clean import Stamp
from opstore.shares.redaction import Item, Picture
from opstore.storage.operation import timestamp

_NAMES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "opstore": "urn:opstore:1",
}
#: Bytes of a text in XMP: a JPEG has 64 kB for all, and five of the texts may be long.
_MAX_BYTES = 12_000
#: Bytes of a letter as XML has it, at most: `&amp;`.
_LETTER = 5
#: What XML cannot hold, in any spelling.
_NO_XML = {code: None for code in (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)}


def stamp(item: Item, picture: Picture) -> Stamp:
    """Return what is written into a picture of an operation."""
    source = address(picture.source) if picture.source else ""
    return Stamp(_xmp(item, source), source, _parameters(item, picture))


def _parameters(item: Item, picture: Picture) -> str:
    """Return prompt, negative prompt, then one line of `Name: value` pairs, a value with a comma or colon in quotes.

    Readers take the last line for such a line from three pairs on; what opstore does not know is not made up for them.
    """
    rest = dict(item.parameters or {})
    negative = rest.pop("negativePrompt", None)
    pairs: dict[str, object] = {}
    for theirs, ours in (("Steps", "steps"), ("CFG scale", "guidance"), ("Seed", "seed")):
        if ours in rest:
            pairs[theirs] = rest.pop(ours)
    if picture.width and picture.height:
        pairs["Size"] = f"{picture.width}x{picture.height}"
    pairs |= {"Model": item.model, "Operation": item.id, "Type": item.type} | rest | {"Version": "opstore"}
    line = ", ".join(f"{name}: {_quoted(value)}" for name, value in pairs.items() if value not in (None, ""))
    head = [item.prompt or "", f"Negative prompt: {negative}" if negative else "", line]
    return "\n".join(text for text in head if text)


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(letter in text for letter in ",:\n") else text


def _xmp(item: Item, source: str) -> bytes:
    for prefix, namespace in _NAMES.items():
        ElementTree.register_namespace(prefix, namespace)
    root = ElementTree.Element(_tag("x:xmpmeta"))
    about = ElementTree.SubElement(
        ElementTree.SubElement(root, _tag("rdf:RDF")), _tag("rdf:Description"), {_tag("rdf:about"): ""}
    )
    if item.prompt:
        alternatives = ElementTree.SubElement(ElementTree.SubElement(about, _tag("dc:description")), _tag("rdf:Alt"))
        ElementTree.SubElement(alternatives, _tag("rdf:li"), {"xml:lang": "x-default"}).text = _text(item.prompt)
    for name, text in _properties(item, source).items():
        ElementTree.SubElement(about, _tag(name)).text = _text(text)
    packet: bytes = ElementTree.tostring(root, "utf-8")
    return b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>' + packet + b'<?xpacket end="r"?>'


def _properties(item: Item, source: str) -> Mapping[str, str]:
    properties = {
        "xmp:CreatorTool": "opstore",
        "Iptc4xmpExt:DigitalSourceType": source,
        "xmp:CreateDate": timestamp(item.moment) if item.moment else None,
        "Iptc4xmpExt:AIPromptInformation": item.prompt,
        "Iptc4xmpExt:AISystemUsed": item.model,
        "opstore:operationId": item.id,
        "opstore:operationType": item.type,
        "opstore:parameters": json.dumps(item.parameters, ensure_ascii=False) if item.parameters else None,
    }
    return {name: text for name, text in properties.items() if text}


def _text(text: str) -> str:
    """Return what XML can hold of a text, as much as there is room for: without its XMP a copy would lose its mark as well."""
    text = text.translate(_NO_XML)[:_MAX_BYTES]
    while (over := len(escape(text).encode()) - _MAX_BYTES) > 0:
        text = text[: over // -_LETTER]
    return text


def _tag(name: str) -> str:
    prefix, _colon, local = name.partition(":")
    return f"{{{_NAMES[prefix]}}}{local}"
