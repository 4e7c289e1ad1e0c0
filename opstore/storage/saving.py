"""What a save is made of: the checked files by their names, and the sidecar that describes them; pure, it knows no folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from opstore import media
from opstore.errors import EmptyFile, InputTooLarge, InvalidMetadata, TooManyInputs, said
from opstore.storage.files import digest
from opstore.storage.names import check_name, input_name, is_video, output_name, sidecar_name
from opstore.storage.operation import complete, fallback_extension

#: The specification's limit for an uploaded file.
MAX_INPUT_BYTES = 10 * 1024 * 1024
#: The specification's limit for a smart request; an edit's own limit of 5 is in the table of operation types.
MAX_INPUTS = 10


def many(value: object, what: str) -> list[bytes]:
    """Return what was given as a list of bytes; raise InvalidMetadata for anything else."""
    if value is None:
        return []
    if isinstance(value, bytes | bytearray | memoryview):
        return [value]  # type: ignore[list-item] # made bytes, or refused, with the others
    if isinstance(value, list | tuple):
        return list(value)
    raise InvalidMetadata(reason=said("{what} must be a list of bytes", what=what))


def named_files(
    operation_id: str, operation_type: str, inputs: Sequence[bytes], outputs: Sequence[bytes], intermediate: bytes | None
) -> dict[str, bytes]:
    """Return the checked files of a save by their names."""
    if len(inputs) > MAX_INPUTS:
        raise TooManyInputs(count=len(inputs), limit=MAX_INPUTS)
    files: dict[str, bytes] = {}
    for number, data in enumerate(inputs, 1):
        content = input_bytes(data, number)
        files[input_name(operation_id, number, input_extension(content))] = content
    for number, data in enumerate(outputs, 1):
        content = output_bytes(data)
        files[output_name(operation_id, number, output_extension(content, operation_type))] = content
    if intermediate is not None:
        content = output_bytes(intermediate)
        name = output_name(operation_id, 1, output_extension(content, "text_to_image"))
        if files.setdefault(name, content) != content:
            raise InvalidMetadata(reason=said("the picture between the steps and the result would have the same name"))
    return files


def would_mix(stored: Mapping[str, bytes], files: Mapping[str, bytes], given: Mapping[str, Any]) -> bool:
    """Say whether files of an earlier attempt with other content would be taken for inputs or outputs that are given whole."""
    whole = {check_name(name).role for name in files}
    if given.get("operationType") == "edit_then_video":
        whole -= {"output"}  # the picture may have been saved before the video
    return any(name not in files and check_name(name).role in whole for name in stored)


def input_bytes(data: object, index: int) -> bytes:
    """Return the checked bytes of an input; raise InvalidMetadata, EmptyFile or InputTooLarge."""
    content = _bytes(data, said("image {index}", index=index))
    if len(content) > MAX_INPUT_BYTES:
        raise InputTooLarge(index=index, megabytes=f"{len(content) / 1024 / 1024:.1f}", limit=MAX_INPUT_BYTES // 1024 // 1024)
    return content


def check_image(image: bytes, index: int) -> media.MediaType:
    """Return the type of image `index` of a request; raise InputTooLarge, EmptyFile, UnsupportedMedia or InvalidRequest."""
    return media.check_image(input_bytes(image, index), index)


def output_bytes(data: object) -> bytes:
    """Return the checked bytes of a result; raise InvalidMetadata or EmptyFile."""
    return _bytes(data, said("result"))


def _bytes(data: object, what: str) -> bytes:
    if not isinstance(data, bytes | bytearray | memoryview):
        reason = said("the {what} must be given as bytes, not as a {kind}", what=what, kind=type(data).__name__)
        raise InvalidMetadata(reason=reason)
    try:
        content = bytes(data)
    except ValueError:  # a memoryview that was released
        reason = said("the {what} was given as a view of memory that is no longer there", what=what)
        raise InvalidMetadata(reason=reason) from None
    if not content:
        raise EmptyFile(what=what)
    return content


def input_extension(data: bytes) -> str:
    """Return an input's extension: what the bytes are, else `jpg`."""
    found = media.sniff(data)
    return found.extension if found else "jpg"


def output_extension(data: bytes, operation_type: str) -> str:
    """Return a result's extension: what the bytes are, else what the type makes."""
    found = media.sniff(data)
    return found.extension if found else fallback_extension(operation_type)


def describe(operation_id: str, metadata: Mapping[str, Any], media_of: Mapping[str, bytes], now: datetime) -> dict[str, Any]:
    """Return the whole sidecar of an operation with these media (name → bytes)."""
    names = {name: check_name(name) for name in media_of}
    inputs = sorted((name for name, part in names.items() if part.role == "input"), key=lambda name: names[name].order)
    outputs = sorted((name for name, part in names.items() if part.role == "output"), key=lambda name: names[name].order)
    between = _intermediate(metadata, outputs)
    main = metadata.get("outputFile")
    if outputs and main not in outputs:
        main = next((name for name in outputs if name != between), None)
    files = [described(name, media_of[name], "input") for name in inputs]
    files += [described(name, media_of[name], "intermediate" if name == between else "output") for name in outputs]
    # What lies in the folder wins over what the caller says of it; names without files are taken as they are given.
    derived = {"outputFile": main} | ({"inputFiles": inputs, "inputCount": len(inputs)} if inputs else {})
    return complete(operation_id, dict(metadata) | derived | ({"files": files} if files else {}), now)


def _intermediate(metadata: Mapping[str, Any], outputs: Sequence[str]) -> str | None:
    """Return the picture of `edit_then_video` beside its video; a picture alone is the intermediate of a failed chain."""
    if metadata.get("operationType") != "edit_then_video":
        return None
    pictures = [name for name in outputs if not is_video(name)]
    failed = metadata.get("success", metadata.get("error") is None) is False
    return pictures[0] if pictures and (len(outputs) > 1 or failed) else None


def described(name: str, data: bytes, role: str) -> dict[str, Any]:
    """Return what a sidecar says of a stored file in `files`."""
    facts = media.facts(data)
    return {
        "name": name,
        "role": role,
        "mediaType": facts.media_type,
        "bytes": len(data),
        "sha256": digest(data),
        "width": facts.width,
        "height": facts.height,
        "seconds": facts.seconds,
    }


def receipt(sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a save answers."""
    return {
        "operationId": sidecar["operationId"],
        "success": sidecar.get("success"),
        "inputFiles": sidecar.get("inputFiles"),
        "outputFile": sidecar.get("outputFile"),
        "metadataFile": sidecar_name(sidecar["operationId"]),
    }
