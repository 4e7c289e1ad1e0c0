"""Records of share links, their keys and logs, and offline bundles: durable, tolerant of what is stored, silent on the rest."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from opstore import Store
from opstore.app import App, Settings
from opstore.errors import InvalidInput, InvalidSetting, OpstoreError, ShareNotFound, ShareRevoked
from opstore.media.provenance import TRAINED, declared
from opstore.media.thumbnails import Thumbnails
from opstore.shares import Scope, Shares, Shown, bundle, record, redaction
from opstore.shares.signing_keys import NAME, Keys
from opstore.storage.operation import Operation
from tests.media_samples import encoded
from tests.samples import ID, LATER, PNG
from tests.share_samples import CHEAP, NEGATIVE, ORIGIN, SECRET, THIRD, TOLD, filled
from tests.test_share_clean import parameters_of

HIDDEN = Shown(prompt=False, parameters=False, inputs=False)
ALL = Scope("selection", (ID, LATER, THIRD), HIDDEN)


@pytest.fixture
def app(tmp_path: Path) -> App:
    app = filled(tmp_path)
    app.service.shares = Shares(app.store, cost=CHEAP)
    return app


@pytest.fixture
def shares(app: App) -> Shares:
    return app.service.shares


# -- records -----------------------------------------------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was_made(app: App, shares: Shares) -> None:
    made = shares.create(
        Scope("comparison", (LATER, ID), Shown(prompt=False), "Été"), lasts=timedelta(days=3), password="sésame ouvre"
    )
    again = Shares(Store(app.store.root))
    assert [item.share for item in again.all()] == [made]
    assert made.expires and abs((made.expires - made.created) - timedelta(days=3)) < timedelta(seconds=1)
    stored = (app.store.root / "shares" / f"{made.id}.json").read_text()
    assert "sésame" not in stored and json.loads(stored)["operations"] == [LATER, ID]
    assert shares.token(made).startswith(f"{made.id}.") and ID not in shares.token(made)


def test_the_documented_record_is_the_one_that_is_written(shares: Shares) -> None:
    text = (Path(__file__).parents[1] / "docs/format.md").read_text("utf-8")
    documented = text.split("## A share link")[1].split("```json\n")[1].split("```")[0]
    share = record.decode(documented.encode(), json.loads(documented)["shareId"])
    assert share.encode().decode() == documented


@pytest.mark.parametrize(
    ("scope", "options"),
    [
        (("operation", ()), {}), (("operation", (ID, LATER)), {}), (("selection", ()), {}), (("selection", (ID,) * 201), {}),
        (("comparison", (ID,)), {}), (("comparison", (ID,) * 5), {}), (("everything", (ID,)), {}),
        (("operation", ("../x",)), {}), (("operation", ("20251103143029_abc123df",)), {}),
        (("operation", (ID,)), {"lasts": timedelta(0)}), (("operation", (ID,)), {"lasts": timedelta(days=-1)}),
        (("operation", (ID,)), {"lasts": timedelta(days=99_999)}), (("operation", (ID,)), {"password": "short"}),
        (("operation", (ID,)), {"password": "x" * 201}), (("operation", (ID,)), {"password": "half a character \ud800"}),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_and_nothing_is_made(shares: Shares, scope: Any, options: Any) -> None:
    with pytest.raises(OpstoreError):
        shares.create(Scope(*scope), **options)
    assert shares.all() == []


@pytest.mark.parametrize("title", ["x" * 121, "two\nlines", "\x1b[2J", "\u202e"])
def test_a_title_is_one_line_of_text(title: str) -> None:
    with pytest.raises(InvalidInput):
        Scope("operation", (ID,), title=title)


DAMAGE: dict[str, Any] = {
    "empty": b"", "cut": b'{"shareId": "', "a list": b"[]", "binary": b"\xff\xfe\0", "deep": b"[" * 100_000,
    "large": b" " * 300_000,
    "another's": {"shareId": "0" * 16}, "foreign ids": {"operations": ["../../etc/passwd"]}, "no operations": {"operations": 5},
    "no kind": {"kind": "x"}, "a bad end": {"expiresAt": "soon"}, "no end": {"expiresAt": 5}, "shown": {"show": "all"},
    "a bad password": {"password": {"scheme": "plain"}}, "an empty password": {"password": {}},
    "a true password": {"password": True},
    "a dear password": {"password": {"scheme": "scrypt", "n": 2**40, "r": 8, "p": 1, "salt": "", "digest": ""}},
    "a bad title": {"title": 5}, "a bad revocation": {"revokedAt": []},
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_record_opens_nothing_and_breaks_no_list(app: App, shares: Shares, what: str) -> None:
    healthy, damaged = shares.create(Scope("operation", (ID,))), shares.create(Scope("operation", (ID,), title="x"))
    path = app.store.root / "shares" / f"{damaged.id}.json"
    change = DAMAGE[what]
    path.write_bytes(change if isinstance(change, bytes) else json.dumps(json.loads(path.read_bytes()) | change).encode())
    (app.store.root / "shares" / "notes.json").write_text("{}")
    (app.store.root / "shares" / f"{'1' * 16}.json").symlink_to("/etc/passwd")
    found = {item.id: item.share for item in shares.all()}
    assert found == {healthy.id: healthy, damaged.id: None, "1" * 16: None}
    with pytest.raises(ShareNotFound):
        shares.open(shares.token(damaged))
    assert shares.open(shares.token(healthy)) == healthy
    shares.forget(damaged.id)
    assert damaged.id not in {item.id for item in shares.all()}


def test_what_a_record_does_not_say_is_shown_is_withheld(app: App, shares: Shares) -> None:
    share = shares.create(Scope("operation", (ID,)))
    path = app.store.root / "shares" / f"{share.id}.json"
    path.write_bytes(json.dumps(json.loads(path.read_bytes()) | {"show": {"prompt": 1, "inputs": "yes"}}).encode())
    assert shares.open(shares.token(share)).scope.show == HIDDEN


def test_a_link_is_taken_back_by_its_id_token_or_address(shares: Shares) -> None:
    for name in ("{0.id}", "{1}", "https://share.example.org/s/{1}", "https://share.example.org/s/{1}/\n"):
        share = shares.create(Scope("operation", (ID,)))
        token = shares.token(share)
        first = shares.revoke(name.format(share, token))
        assert shares.revoke(share.id) == first, "the first time counts"
        with pytest.raises(ShareRevoked):
            shares.open(token)
    for name in ("0" * 16, "", "x", "../../settings", "https://share.example.org/s/"):
        with pytest.raises(ShareNotFound):
            shares.revoke(name)


def test_cleanup_spares_what_is_shared(app: App, shares: Shares) -> None:
    from opstore.care.survey import named_in
    from opstore.storage.files import Folder

    shares.create(Scope("operation", (ID,)))
    assert ID in named_in(Folder(app.store.root / "shares"))


# -- keys --------------------------------------------------------------------------------------------------------------------


def test_the_keys_are_this_users_alone(app: App, shares: Shares) -> None:
    os.umask(before := os.umask(0))
    share = shares.create(Scope("operation", (ID,)))
    path = app.store.root / NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    shares.rotate()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(json.loads(path.read_bytes())["keys"]) == 2
    assert shares.token(share) != "" and before == os.umask(before)


def test_many_processes_make_one_key(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from opstore.storage.files import Folder;"
        " from opstore.shares.signing_keys import Keys; print(Keys(Folder(Path(sys.argv[1]))).sign('0' * 16))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "data")]

    def run(_number: int) -> str:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(run, range(4)))) == 1


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"keys": []}', b'{"keys": ["x"]}', b'{"keys": "ab"}', b'{"keys": ["00"]}', b"[" * 9_000]
)
def test_damaged_keys_are_said_and_never_written_over(app: App, shares: Shares, data: bytes) -> None:
    (app.store.root / NAME).write_bytes(data)
    for act in (lambda: shares.create(Scope("operation", (ID,))), shares.rotate):
        with pytest.raises(InvalidSetting, match="damaged"):
            act()
    assert (app.store.root / NAME).read_bytes() == data and shares.all() == []


def test_at_most_ten_keys_are_kept(tmp_path: Path) -> None:
    from opstore.storage.files import Folder

    keys = Keys(Folder(tmp_path))
    tokens = []
    for _ in range(11):
        tokens.append(keys.sign("0" * 16))
        keys.rotate()
    assert [keys.share_of(token) for token in tokens[2:]] == ["0" * 16] * 9 and len(set(tokens)) == 11
    with pytest.raises(ShareNotFound):
        keys.share_of(tokens[0])


@pytest.mark.parametrize("text", ["https://share.example.org/", "http://[::1]:8080", "https://Share.example.org:8443"])
def test_where_links_are_published(text: str) -> None:
    assert (Settings.from_env({"OPSTORE_SHARE_URL": text}).share_url or "").lower() == text.rstrip("/").lower()


@pytest.mark.parametrize(
    "text", ["share.example.org", "ftp://x", "https://", "https://x/path", "https://u@x", "https://x?y", "http://[", "http://x:y"]
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match="OPSTORE_SHARE_URL"):
        Settings.from_env({"OPSTORE_SHARE_URL": text})


# -- bundles -----------------------------------------------------------------------------------------------------------------


def files_of(path: Path) -> dict[str, bytes]:
    if path.is_dir():
        return {one.relative_to(path).as_posix(): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in sorted(file.namelist())}


@pytest.mark.parametrize("embed", [False, True])
@pytest.mark.parametrize("name", ["folder", "bundle.zip"])
def test_what_is_withheld_is_in_no_byte_of_a_bundle(shares: Shares, tmp_path: Path, name: str, embed: bool) -> None:
    path = bundle.write(shares, ALL, tmp_path / name, embed=embed)
    found = files_of(path)
    assert {"index.html", "metadata.json", "metadata.csv", "media/1-result-1.png", "media/2-result-1.mp4"} <= found.keys()
    for file, data in found.items():
        told = file.encode() + data
        assert not [word for word in TOLD if word in told or word.decode().encode("utf-16-be") in told], file
    assert "input" not in " ".join(found)
    if path.is_file():
        assert not [word for word in TOLD if word in path.read_bytes()]
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == [], "nothing half made stays"


@pytest.mark.parametrize("prompt", [False, True])
def test_a_name_that_nobody_here_knows_says_nothing_where_the_prompt_is_withheld(app: App, prompt: bool) -> None:
    changes = {"operationType": SECRET, "parameters": {f"{SECRET} at night": 5, "seed": 7}}
    app.store.rewrite(ID, lambda sidecar: sidecar.update(changes))
    (item,) = redaction.items(Scope("operation", (ID,), Shown(prompt=prompt)), app.store)
    assert item.parameters == (changes["parameters"] if prompt else {"seed": 7})
    assert item.type == (SECRET if prompt else "unknown")


@pytest.mark.parametrize("case", ["an input's name as output", "an output that is an input as well"])
def test_what_is_an_input_anywhere_is_withheld_as_one(app: App, case: str) -> None:
    (name,) = Operation.of(app.store.get_operation_metadata(ID)).inputs
    result = Operation.of(app.store.get_operation_metadata(ID)).outputs[0]
    changes: dict[str, Any] = {"outputFile": name, "inputFiles": [], "files": [{"name": name, "role": "output"}]}
    if "as well" in case:
        changes = {"files": [{"name": result, "role": "input"}]}
    app.store.rewrite(ID, lambda sidecar: sidecar.update(changes))
    (item,) = redaction.items(Scope("operation", (ID,), Shown(inputs=False)), app.store)
    assert item.pictures == () and item.unread == 0


@pytest.mark.long
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True})])
@pytest.mark.parametrize("alpha", [0, 1, 2])
def test_a_small_picture_hides_nothing_either_and_says_what_made_it(
    app: App, shares: Shares, tmp_path: Path, kind: str, options: dict[str, Any], alpha: int
) -> None:
    withheld = np.asarray(Image.effect_noise((300, 300), 90).resize((900, 900)).convert("RGB"))
    cut = Image.fromarray(np.dstack([withheld, np.full(withheld.shape[:2], alpha, "uint8")]))
    cut.paste((255, 0, 0, 255), (0, 0, 100, 100))
    name = "20251103143025_abc123df"
    app.store.save(name, {"operationType": "text_to_image", "provider": "replicate"}, outputs=[encoded(cut, kind, **options)])
    scope = Scope("operation", (name,))
    bundled = [data for path, data in files_of(bundle.write(shares, scope, tmp_path / "b")).items() if "small" in path]
    for small in (shares.file(scope, "1-result-1", "small")[1].read_bytes(), *bundled):
        assert declared(io.BytesIO(small)) == TRAINED
        seen = np.asarray(Image.open(io.BytesIO(small)).convert("RGBA"))
        below = np.asarray(Image.fromarray(withheld).resize(seen.shape[1::-1]))[120:, 120:]
        assert seen[5, 5].tolist()[3] == 255 and seen[120:, 120:, 3].max() <= alpha
        for channel in range(3):
            shown = seen[120:, 120:, channel].astype(float)
            assert shown.std() < 1 or abs(np.corrcoef(shown.ravel(), below[:, :, channel].ravel())[0, 1]) < 0.1


def test_what_is_chosen_is_in_the_bundle(shares: Shares, tmp_path: Path) -> None:
    found = files_of(
        bundle.write(shares, Scope("selection", (ID, LATER), title="=Titre"), tmp_path / "x.zip", embed=True, language="fr")
    )
    told = json.loads(found["metadata.json"])
    first = told["results"][0]
    assert first["prompt"] == f"make it {SECRET} at night" and first["operationId"] == ID and first["model"] == "brush/model"
    assert first["parameters"] == {"seed": 77, "aspectRatio": "16:9", "negativePrompt": NEGATIVE}
    assert {file["file"] for file in first["files"]} == {"media/1-result-1.png", "media/1-input-1.jpg"}
    assert SECRET in parameters_of(found["media/1-result-1.png"]) and b"private-note" not in b"".join(found.values())
    assert SECRET.encode() not in found["media/1-input-1.jpg"], "a photo was not made from the prompt"
    rows = list(csv.DictReader(io.StringIO(found["metadata.csv"].decode("utf-8-sig"))))
    assert rows[0]["prompt"] == first["prompt"] and rows[0]["seed"] == "77" and rows[1]["files"] == "media/2-result-1.mp4"
    assert '<html lang="fr">' in found["index.html"].decode() and "=Titre" in found["index.html"].decode()


@pytest.mark.parametrize("prompt", ["=1+1", "+x", "-x", "@x", "\tx", "\rx", "\nx", " =1+1", "\u00a0@x", "＝1+1", "'=1+1"])
def test_no_cell_is_a_formula(app: App, shares: Shares, tmp_path: Path, prompt: str) -> None:
    name = "20251103143025_abc123df"
    app.store.save(name, {"operationType": "text_to_image", "prompt": prompt, "parameters": {"=cmd": 1}}, outputs=[PNG])
    found = files_of(bundle.write(shares, Scope("operation", (name,)), tmp_path / "b"))
    head, row = list(csv.reader(io.StringIO(found["metadata.csv"].decode("utf-8-sig"), newline="")))
    assert f"'{prompt}" in row and "'=cmd" in head


def test_a_bundle_never_goes_over_something_and_needs_something_to_show(app: App, shares: Shares, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(InvalidInput, match="already"):
        bundle.write(shares, ALL, tmp_path / "there")
    app.service.curation.put_in_trash([ID, LATER, THIRD])
    with pytest.raises(InvalidInput, match="none of these"):
        bundle.write(shares, ALL, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_disk_that_says_no_leaves_nothing_behind(shares: Shares, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    for name in ("folder", "x.zip"):
        with pytest.raises(OpstoreError, match="disk is full"):
            bundle.write(shares, ALL, tmp_path / name)
    assert {one.name for one in tmp_path.iterdir()} == {"data"}


def test_a_picture_that_is_lost_is_left_out(app: App, shares: Shares, tmp_path: Path) -> None:
    (app.store.operations.path / f"{ID}_out.png").unlink()
    (app.store.operations.path / f"{LATER}_out.mp4").write_bytes(b"\0\0\0\x18ftypisom broken")
    found = files_of(bundle.write(shares, Scope("selection", (ID, LATER, THIRD)), tmp_path / "b"))
    assert [name for name in found if name.startswith("media/") and "result" in name and "small" not in name] == [
        "media/3-result-1.png"
    ]
    assert "This operation has no result" in found["index.html"].decode()


def test_an_operation_without_a_result_says_how_it_ended_as_the_app_does(app: App, shares: Shares, tmp_path: Path) -> None:
    path = app.store.operations.path / f"{ID}.json"
    for status, told in (("expired", "expired"), ("canceled", "canceled"), ("unknown", "outcome unknown"), ("odd", "failed")):
        ended = json.loads(path.read_text()) | {"success": False, "status": status, "outputFile": None, "files": []}
        path.write_text(json.dumps(ended))
        page = files_of(bundle.write(shares, Scope("operation", (ID,)), tmp_path / status))["index.html"].decode()
        assert f"<p>{told}</p>" in page, status


def test_links_have_the_address_where_they_are_published(app: App, shares: Shares) -> None:
    share = shares.create(Scope("operation", (ID,)))
    assert shares.address(share, ORIGIN) == f"{ORIGIN}/s/{shares.token(share)}"
    assert Thumbnails(app.store).path(f"{ID}_out.png") is not None


# -- the command line --------------------------------------------------------------------------------------------------------


def command(app: App, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"OPSTORE_DATA": str(app.store.root), "OPSTORE_SHARE_URL": ORIGIN}
    line = [sys.executable, "-m", "opstore", "share", *arguments]
    return subprocess.run(
        line, env=env, capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[1], **options
    )


@pytest.mark.long
def test_links_by_the_command_line(app: App, shares: Shares, tmp_path: Path) -> None:
    made = command(
        app, "create", ID, LATER, "--no-prompt", "--expires", "12h", "--password-stdin", "--title", "Two", input="a secret\n"
    )
    address = made.stdout.strip()
    assert (made.returncode, made.stderr) == (0, "") and address.startswith(f"{ORIGIN}/s/")
    token = address.rsplit("/", 1)[1]
    share = shares.open(token, shares.enter(token, "a secret"))
    assert share.scope == Scope("selection", (ID, LATER), Shown(prompt=False), "Two")
    shares.visited(share)
    listed = json.loads(command(app, "list", "--json").stdout)["shares"]
    assert [(one["id"], one["address"], one["visits"], one["state"], one["password"]) for one in listed] == [
        (share.id, address, 1, "open", True)
    ]
    assert "Two" in command(app, "list").stdout and "a secret" not in made.stdout
    assert command(app, "revoke", address).returncode == 0
    with pytest.raises(ShareRevoked):
        shares.open(token)
    assert "revoked" in command(app, "list").stdout
    assert command(app, "forget", share.id).returncode == 0 and shares.all() == []


def test_what_a_bundle_leaves_out_is_said_in_it_and_in_the_answer(app: App, shares: Shares, tmp_path: Path) -> None:
    app.service.curation.put_in_trash([LATER])
    (app.store.operations.path / f"{ID}_in_1.jpg").unlink()
    scope = Scope("selection", (ID, LATER, THIRD))
    assert bundle.missing(shares, scope) == [LATER]
    found = files_of(bundle.write(shares, scope, tmp_path / "b"))
    told, page_ = json.loads(found["metadata.json"]), found["index.html"].decode()
    assert told["missing"] == 1 and told["unreadFiles"] == 1
    assert "1 result is missing: removed, or unreadable." in page_ and "1 file could not be read." in page_
    done = command(app, "bundle", ID, LATER, "--to", str(tmp_path / "c.zip"), "--json")
    assert done.returncode == 1 and LATER in done.stderr
    assert json.loads(done.stdout) == {"success": False, "path": str(tmp_path / "c.zip"), "leftOut": [LATER]}


def test_a_bundle_by_the_command_line(app: App, tmp_path: Path) -> None:
    done = command(
        app, "bundle", ID, "--to", str(tmp_path / "b.zip"), "--no-parameters", "--no-inputs", "--json", "--language", "fr"
    )
    assert done.returncode == 0 and json.loads(done.stdout)["path"] == str(tmp_path / "b.zip")
    found = files_of(tmp_path / "b.zip")
    assert SECRET.encode() in found["metadata.json"] and b"brush/model" not in b"".join(found.values())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["create"], 2), (["create", "nonsense"], 2), (["create", ID, "--expires", "soon"], 2),
        (["create", ID, "--expires", "0d"], 2),
        (["create", ID, "--comparison"], 2), (["create", ID, "--password-stdin"], 2), (["revoke", "x"], 1),
        (["bundle", ID], 2), ([], 2),
    ],
)  # fmt: skip
def test_wrong_usage_is_said(
    app: App, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from opstore.cli import main

    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    monkeypatch.setenv("OPSTORE_DATA", str(app.store.root))
    try:
        assert main(["share", *arguments]) == code
    except SystemExit as end:
        assert end.code == code
    assert capsys.readouterr().err and app.service.shares.all() == []
