"""Import: the original backend's folder, pictures made elsewhere, archives; idempotent, told, harmless whoever packed them."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from opstore import Store
from opstore.care import Imported, embedded
from opstore.care import importing as importing_module
from opstore.care import sources as sources_module
from opstore.errors import InvalidInput
from opstore.storage.files import digest
from opstore.storage.trash import Trash
from tests.care_samples import care_of, made, old, save
from tests.samples import GIF, JPG, MP4, PNG, tree
from tests.test_cli import run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def taken(store: Store, source: Path, **options: Any) -> Imported:
    return care_of(store).take_in(str(source), **options)


def png(texts: Mapping[str, str], size: tuple[int, int] = (4, 3)) -> bytes:
    info, buffer = PngInfo(), io.BytesIO()
    for key, value in texts.items():
        info.add_itxt(key, value)
    Image.new("RGB", size, "red").save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def zipped(path: Path, members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def original(number: int = 1) -> dict[str, bytes]:
    """Return an operation as the original backend wrote it."""
    key = f"20251103143022_abc12{number}"
    sidecar: dict[str, Any] = {"operationId": key, "timestamp": "2025-11-03T14:30:22.123Z", "operationType": "img_to_img"}
    sidecar |= {"prompt": "x", "parameters": {}, "inputCount": 1, "inputFiles": [f"{key}_in.jpg"]}
    sidecar |= {"outputFile": f"{key}_out.webp", "success": True, "extra": {"a": 1}}
    return {f"{key}.json": json.dumps(sidecar).encode(), f"{key}_in.jpg": JPG, f"{key}_out.webp": b"odd bytes"}


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


# -- the original backend ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_operations_come_as_they_are_and_once(store: Store, source: Path, tmp_path: Path, packed: bool) -> None:
    files = original(1) | original(2)
    place = zipped(tmp_path / "a.zip", {f"backend/data/operations/{name}": data for name, data in files.items()})
    if not packed:
        place = source
        write(source, {f"operations/{name}": data for name, data in files.items()})
    assert taken(store, place, dry=True).operations == ("20251103143022_abc121", "20251103143022_abc122")
    assert store.operations.names() == []
    done = taken(store, place)
    assert len(done.operations) == 2 and done.left == {} and done.same == 0
    assert {path.name: path.read_bytes() for path in store.operations.path.iterdir()} == files
    store.rewrite("20251103143022_abc121", lambda sidecar: sidecar.update(annotations={"tags": ["mine"]}))
    before = tree(store.operations.path)
    again = taken(store, place)
    assert (again.operations, again.same, again.left) == ((), 2, {}) and tree(store.operations.path) == before


def test_what_is_there_stays_and_what_is_broken_is_told(store: Store, source: Path) -> None:
    mine, trashed = save(store, 1), save(store, 2)
    Trash(store).put(trashed)
    for key in (mine, trashed):
        write(source, {f"{key}.json": json.dumps({"operationId": key, "prompt": "another"}).encode()})
    write(
        source, {f"{old(3)}.json": b"{", f"{old(4)}_out.png": PNG, f"{old(5)}.json": json.dumps({"operationId": old(6)}).encode()}
    )
    write(source, original())
    (source / f"{old(7)}.json").symlink_to("/etc/passwd")
    before = store.get_operation_metadata(mine)
    done = taken(store, source)
    assert done.operations == ("20251103143022_abc121",) and store.get_operation_metadata(mine) == before
    assert set(done.left) == {
        f"{mine}.json",
        f"{trashed}.json",
        f"{old(3)}.json",
        f"{old(4)}_out.png",
        f"{old(5)}.json",
        f"{old(7)}.json",
    }
    assert not store.operations.has(f"{old(4)}_out.png")


# -- pictures made elsewhere ---------------------------------------------------------------------------------------------

A1111 = (
    "a castle, dusk: (golden:1.2)\nsecond line\nNegative prompt: blurry, text\n"
    'Steps: 20, Sampler: DPM++ 2M, CFG scale: 7.5, Seed: 12345678901, Size: 512x768, Model: dream, Lora hashes: "a: b, c: d"'
)
COMFY = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 42, "steps": 25, "cfg": 6.5, "sampler_name": "euler", "denoise": 1,
          "model": ["9", 0], "positive": ["12", 0], "negative": ["7", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sdxl.safetensors"}},
    "9": {"class_type": "LoraLoader", "inputs": {"model": ["4", 0]}},
    "12": {"class_type": "ControlNetApply", "inputs": {"conditioning": ["6", 0]}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["20", 0], "clip": ["4", 1]}},
    "20": {"class_type": "String", "inputs": {"value": "a castle at dusk"}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
}  # fmt: skip
INVOKE = {"positive_prompt": "a castle", "negative_prompt": "blurry", "seed": 7, "steps": 30, "cfg_scale": 5.5,
          "scheduler": "euler", "model": {"name": "flux-dev"}}  # fmt: skip
SWARM = {"sui_image_params": {"prompt": "a castle", "negativeprompt": "blurry", "seed": 9, "cfgscale": 4, "model": "sd3"}}
LEGACY = {"model_weights": "sd-1.5", "image": {"prompt": [{"prompt": "a castle", "weight": 1}], "seed": 3, "cfg_scale": 7.5}}

TOLD: Mapping[str, tuple[dict[str, str], tuple[str, str, str | None, dict[str, Any]]]] = {
    "a1111": ({"parameters": A1111}, ("a1111", "a castle, dusk: (golden:1.2)\nsecond line", "dream", {
        "steps": 20, "sampler": "DPM++ 2M", "guidance": 7.5, "seed": 12345678901, "size": "512x768",
        "negativePrompt": "blurry, text"})),
    "a1111 without negative": ({"parameters": "sea\nSteps: 5, Seed: 1"}, ("a1111", "sea", None, {"steps": 5, "seed": 1})),
    "comfyui": ({"prompt": json.dumps(COMFY), "workflow": "{}"}, ("comfyui", "a castle at dusk", "sdxl.safetensors", {
        "seed": 42, "steps": 25, "guidance": 6.5, "sampler": "euler", "strength": 1, "negativePrompt": "blurry"})),
    "comfyui workflow only": ({"workflow": '{"nodes": []}'}, ("comfyui", "", None, {})),
    "invokeai": ({"invokeai_metadata": json.dumps(INVOKE)}, ("invokeai", "a castle", "flux-dev", {
        "seed": 7, "steps": 30, "guidance": 5.5, "scheduler": "euler", "negativePrompt": "blurry"})),
    "invokeai legacy": ({"sd-metadata": json.dumps(LEGACY)}, ("invokeai", "a castle", "sd-1.5", {"seed": 3, "guidance": 7.5})),
    "swarmui": ({"parameters": json.dumps(SWARM)}, ("swarmui", "a castle", "sd3", {
        "seed": 9, "guidance": 4, "negativePrompt": "blurry"})),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_what_other_programs_wrote_into_a_png(name: str) -> None:
    texts, (tool, prompt, model, parameters) = TOLD[name]
    found = embedded.read(png(texts))
    assert (found.tool, found.prompt, found.model, dict(found.parameters), dict(found.texts)) == (
        tool,
        prompt,
        model,
        parameters,
        texts,
    )


def test_what_a1111_wrote_into_a_jpeg_and_webp() -> None:
    for kind in ("JPEG", "WEBP"):
        for head, body in (
            (b"UNICODE\0", A1111.encode("utf-16-be")),
            (b"UNICODE\0", A1111.encode("utf-16-le")),
            (b"ASCII\0\0\0", A1111.encode()),
        ):
            exif, buffer = Image.Exif(), io.BytesIO()
            exif.get_ifd(0x8769)[0x9286] = head + body
            Image.new("RGB", (4, 3)).save(buffer, kind, exif=exif)
            found = embedded.read(buffer.getvalue())
            assert found.tool == "a1111" and found.parameters["seed"] == 12345678901 and found.prompt.startswith("a castle")


HOSTILE_TEXTS: Mapping[str, dict[str, str]] = {
    "no json": {"prompt": "{", "invokeai_metadata": "[", "sd-metadata": "x", "workflow": "5"},
    "other json": {
        "prompt": "[1]",
        "invokeai_metadata": "5",
        "sd-metadata": '"x"',
        "parameters": '{"sui_image_params": 5}',
        "workflow": "[]",
    },
    "deep": {"prompt": "[" * 100_000, "invokeai_metadata": '{"a":' * 50_000},
    "a circle": {"prompt": json.dumps({"1": {"inputs": {"positive": ["1", 0], "seed": 1, "model": ["1", 0]}}})},
    "odd numbers": {"parameters": "x\nSteps: 5, Seed: nan, CFG scale: inf, Size: " + "9" * 5_000},
    "huge numbers": {"invokeai_metadata": '{"positive_prompt": "x", "seed": ' + "9" * 4_000 + ', "steps": 1e999}'},
    "odd types": {"invokeai_metadata": '{"positive_prompt": ["x"], "seed": {}, "model": [1], "negative_prompt": 5}'},
    "half characters": {"invokeai_metadata": '{"positive_prompt": "a\\ud800b", "model": "\\udfff\\u0000"}'},
    "backtracking": {"parameters": "Steps: 5, " + "a" * 30_000 + '"' * 30_000},
}


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_texts_that_mean_harm_import_a_picture_and_no_error(store: Store, source: Path, name: str) -> None:
    data = png(HOSTILE_TEXTS[name])
    (source / "a.png").write_bytes(data)
    done = taken(store, source)
    assert len(done.operations) == 1 and done.left == {} and store.verify(deep=True) == []
    assert store.read_file(f"{done.operations[0]}_out.png") == data
    json.dumps(store.get_operation_metadata(done.operations[0]), ensure_ascii=False, allow_nan=False).encode()


def test_blanks_that_no_name_follows_are_walked_through_once() -> None:
    begun = process_time()
    assert embedded.read(png({"parameters": "x\nSteps: 5," + " " * 30_000 + "!"})).parameters == {"steps": 5}
    assert process_time() - begun < 1, "CPU seconds: from each blank to the last it was ten, and a text may be six times as long"


def test_loose_pictures_become_operations_once_whatever_they_are_called(store: Store, source: Path) -> None:
    castle = png(TOLD["a1111"][0])
    write(
        source,
        {
            "x/castle.png": castle,
            "copy of castle.PNG": castle,
            "clip.mp4": MP4,
            "wrong.jpg": GIF,
            "notes.txt": b"x",
            "page.png": b"<html>",
        },
    )
    os.utime(source / "x/castle.png", (1_700_000_000, 1_700_000_000))
    os.utime(source / "copy of castle.PNG", (1_600_000_000, 1_600_000_000))
    done = taken(store, source)
    assert len(done.operations) == 3 and done.same == 1 and set(done.left) == {"page.png"} and store.verify(deep=True) == []
    by_name = {sidecar["imported"]["name"]: sidecar for sidecar in store.list_operations()}
    sidecar = by_name["copy of castle.PNG"]
    assert sidecar["operationId"] == f"20200913122640_{digest(castle)[:8]}" and sidecar["timestamp"] == "2020-09-13T12:26:40.000Z"
    assert (sidecar["provider"], sidecar["model"], sidecar["operationType"]) == ("a1111", "dream", "text_to_image")
    assert sidecar["imported"]["sha256"] == digest(castle) and sidecar["imported"]["texts"] == TOLD["a1111"][0]
    assert by_name["wrong.jpg"]["outputFile"].endswith(".gif") and by_name["clip.mp4"]["operationType"] == "unknown"
    os.utime(source / "x/castle.png", (1_650_000_000, 1_650_000_000))
    shutil.move(source / "clip.mp4", source / "other.mp4")
    again = taken(store, source)
    assert (again.operations, again.same) == ((), 4)
    Trash(store).put(sidecar["operationId"])
    assert taken(store, source).operations == ()


# -- archives that mean harm ---------------------------------------------------------------------------------------------


def test_names_in_an_archive_never_become_paths(store: Store, tmp_path: Path) -> None:
    files = original()
    evil = {
        "../../evil.png": PNG,
        "/etc/cron.d/x.png": PNG + b"1",
        "a\\..\\b.png": PNG + b"2",
        "C:\\x.png": PNG + b"3",
        "x\x1b[2J.png": PNG + b"4",
    }
    evil |= {f"../{name}": data for name, data in files.items()}
    place = zipped(tmp_path / "evil.zip", evil)
    before = {path.name for path in tmp_path.iterdir()}
    done = taken(store, place)
    assert len(done.operations) == 6 and {path.name for path in tmp_path.iterdir()} == before and store.verify(deep=True) == []
    assert not Path("/etc/cron.d/x.png").exists()
    assert all(sidecar["imported"]["name"].isprintable() for sidecar in store.list_operations() if "imported" in sidecar)


def test_links_and_encrypted_members_are_left(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "a.zip"
    with zipfile.ZipFile(place, "w") as archive:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("locked.png", PNG)
    data = bytearray(place.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.rindex(signature)
        data[at + offset] |= 1
    place.write_bytes(bytes(data))
    done = taken(store, place)
    assert done.operations == () and set(done.left) == {"link.png", "locked.png"}


def test_a_bomb_is_not_unpacked(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = bytes(60 * 1024 * 1024)
    with pytest.raises(InvalidInput, match="unpack"):
        taken(store, zipped(tmp_path / "bomb.zip", {"a.png": zeros}))
    monkeypatch.setattr(importing_module, "MAX_FILE", 1000)
    assert set(taken(store, zipped(tmp_path / "large.zip", {"a.png": PNG + bytes(2000)})).left) == {"a.png"}
    # Each file is small enough, and all of one operation are in memory together.
    monkeypatch.setattr(importing_module, "MAX_TOGETHER", 2000)
    many = original() | {f"20251103143022_abc121_in_{number}.jpg": JPG + bytes(500) for number in range(1, 9)}
    done = taken(store, zipped(tmp_path / "together.zip", many))
    assert done.operations == () and len(done.left) == 1 and "more than" in next(iter(done.left.values()))
    monkeypatch.setattr(sources_module, "MAX_FILES", 2)
    with pytest.raises(InvalidInput):
        taken(store, zipped(tmp_path / "many.zip", {f"{number}.png": PNG for number in range(3)}))


def test_a_member_that_lies_about_its_size_or_is_damaged_is_left(store: Store, tmp_path: Path) -> None:
    place = zipped(tmp_path / "a.zip", {"a.png": PNG + bytes(5_000), "b.png": PNG})
    data = bytearray(place.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", len(PNG) + 10)  # it says less than it holds
    place.write_bytes(bytes(data))
    done = taken(store, place)
    assert set(done.left) == {"a.png"} and len(done.operations) == 1
    stored = bytearray(zipped(tmp_path / "c.zip", {"c.png": PNG}, zipfile.ZIP_STORED).read_bytes())
    stored[stored.index(PNG) + 20] ^= 1
    (tmp_path / "c.zip").write_bytes(bytes(stored))
    assert set(taken(store, tmp_path / "c.zip").left) == {"c.png"}


def test_what_is_no_source_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 not really")
    (tmp_path / "x.txt").write_bytes(b"x")
    for place in (tmp_path / "x.zip", tmp_path / "x.txt", tmp_path / "absent", store.root, store.root / "operations", tmp_path):
        with pytest.raises(InvalidInput):
            taken(store, place)


# -- the command ---------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_command(store: Store, source: Path, photo: Callable[..., bytes]) -> None:
    write(source, original() | {"cat.jpg": photo("chelsea"), "page\x1b.png": b"<html>"})
    dry = run("import", str(source), "--dry-run")
    assert dry.returncode == 1 and "2 operations would come in; 0 were there already; 1 files left." in dry.stdout
    assert "\x1b" not in dry.stdout and store.operations.names() == []
    told = json.loads(run("import", str(source), "--json").stdout)
    assert told["count"] == 2 and told["same"] == 0 and len(told["left"]) == 1
    assert json.loads(run("import", str(source), "--json").stdout)["same"] == 2
    assert run("import", str(source / "cat.jpg")).returncode == 2 and run("verify", "--deep").returncode == 0
