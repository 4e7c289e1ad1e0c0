"""Settings that people change: kept, checked, shared by processes; where the file is damaged, what it guards stops."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from opstore.errors import InvalidSetting, LimitsUnsaid, SettingsChanged, SettingsDamaged, StorageError
from opstore.storage.files import Folder
from opstore.storage.preferences import NAME, PreferenceFile, Preferences

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def settings(tmp_path: Path) -> PreferenceFile:
    return PreferenceFile(Folder(tmp_path / "data"))


CHOSEN: dict[str, Any] = {
    "parallel": 64,
    "daily_budget": 2.5,
    "monthly_budget": 0,
    "models": {"text_to_image": "qwen/qwen-image", "é": "\u202e"},
    "provider": "local",
    "retention_days": 90,
    "retention_query": "-draft",
    "backup_target": "/media/disk",
    "backup_keep": (7, 4, 0),
    "analyzer": "google/gemini-2.5-flash",
}


def test_what_is_saved_is_read_back_and_nothing_is_there_before(settings: PreferenceFile, tmp_path: Path) -> None:
    assert settings.load() == Preferences() and not (tmp_path / "data").exists()
    saved = settings.save(**CHOSEN)
    assert asdict(saved) == CHOSEN
    assert settings.load() == saved == PreferenceFile(Folder(tmp_path / "data")).load()
    assert asdict(settings.save(parallel=1)) == CHOSEN | {"parallel": 1}
    assert settings.save(daily_budget=None).daily_budget is None
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [NAME]


def test_what_another_has_changed_since_it_was_seen_is_not_saved_over(settings: PreferenceFile) -> None:
    seen = settings.save(daily_budget=5.0, parallel=2)
    settings.save(monthly_budget=50.0)
    assert settings.save(seen=seen, daily_budget=4.0, parallel=2).monthly_budget == 50.0
    with pytest.raises(SettingsChanged):
        settings.save(seen=seen, daily_budget=6.0, parallel=8)
    assert (settings.load().daily_budget, settings.load().parallel) == (4.0, 2)


BAD: list[tuple[str, list[Any]]] = [
    ("parallel", [0, -1, 65, 10**400, 1.5, "4", None, True, [4]]),
    ("daily_budget", [-0.01, 1e6, float("nan"), float("inf"), "5", True, [], {}]),
    ("monthly_budget", [-1, 10**400, float("-inf"), "", False]),
    ("provider", [None, 5, ["local"], "a\nb", "x" * 101]),
    ("retention_days", [0, -1, 100_001, 1.5, "4", True, [4]]),
    ("retention_query", [None, 5, ["x"], "x" * 1_001]),
    ("backup_target", [None, 5, "a\nb", "x" * 1_001]),
    ("backup_keep", [5, (), (1, 2), (1, 2, -1), (1, 2, True), (1, 2, 3.0), "123"]),
    ("analyzer", [None, 5, ["x"], "x" * 201]),
    ("models", [None, 5, "qwen", ["x"], {"text_to_image": 5}, {5: "x"}]),
    ("password", ["x"]),
]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD for value in values])
def test_a_value_that_makes_no_sense_is_refused_and_changes_nothing(settings: PreferenceFile, name: str, value: Any) -> None:
    settings.save(parallel=7)
    with pytest.raises(InvalidSetting, match=name):
        settings.save(**{name: value})
    assert settings.load() == Preferences(parallel=7)


def test_a_provider_that_is_not_registered_here_stays_chosen_and_nothing_else_suffers(
    settings: PreferenceFile, tmp_path: Path
) -> None:
    settings.save(daily_budget=7)
    for name in ("openai", "LOCAL"):
        with pytest.raises(InvalidSetting, match="it must be local, replicate or empty"):
            settings.save(provider=name)
    path = tmp_path / "data" / NAME
    path.write_text(json.dumps({"provider": "of tomorrow", "daily_budget": 7, "monthly_budget": None}))
    assert settings.damage() is None and settings.trusted() == Preferences(provider="of tomorrow", daily_budget=7)
    problem = settings.problems()[0]
    assert (
        (problem.kind, problem.name) == ("unusable", NAME)
        and "'of tomorrow'" in problem.detail
        and "choose local" in problem.detail
    )
    assert settings.save(parallel=2, provider="of tomorrow").provider == "of tomorrow", "what a form shows can be saved again"
    settings.save(provider="local")
    assert settings.problems() == []


# A key that is a number becomes text in JSON, which is then an ordinary name.
STORED = [(name, value) for name, values in BAD[:-1] for value in values if value != {5: "x"}]


@pytest.mark.parametrize(("name", "value"), STORED)
def test_a_stored_value_that_makes_no_sense_is_damage_and_the_others_are_still_shown(
    settings: PreferenceFile, tmp_path: Path, name: str, value: Any
) -> None:
    settings.save(**CHOSEN)
    path = tmp_path / "data" / NAME
    path.write_text(json.dumps(CHOSEN | {name: value, "of a newer version": 1}))
    assert asdict(settings.load()) == CHOSEN | {name: getattr(Preferences(), name)}
    refused_until_mended(settings, path, name)
    assert asdict(settings.load()) == CHOSEN | {name: getattr(Preferences(), name), "parallel": 2}


@pytest.mark.parametrize("name", ["daily_budgt", "dailyBudget", "Monthly-Budget", "weekly_budget", "retention_day"])
def test_a_limit_that_is_misspelt_is_damage_and_not_no_limit(settings: PreferenceFile, tmp_path: Path, name: str) -> None:
    settings.save(parallel=7)
    path = tmp_path / "data" / NAME
    path.write_text(json.dumps({"parallel": 7, name: 5}))
    refused_until_mended(settings, path, f"no setting '{name}'")


WRITTEN = json.dumps(asdict(Preferences(daily_budget=0.0)), indent=2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (WRITTEN.replace('"monthly_budget"', '"daily_budget": null,\n  "monthly_budget"'), "says 'daily_budget' more than once"),
        (WRITTEN.replace("{}", '{"text_to_image": "a", "text_to_image": "b"}'), "says 'text_to_image' more than once"),
        (WRITTEN.replace('  "daily_budget": 0.0,\n', ""), "does not say daily_budget"),
        (WRITTEN.replace('  "monthly_budget": null,\n', ""), "does not say monthly_budget"),
        (WRITTEN.replace("daily_budget", "dayly_limit"), "no setting 'dayly_limit'"),
        (json.dumps({"settings": json.loads(WRITTEN)}), "no setting 'settings'"),
        ('{"version": 2, "limits": {"day": 0}}', "no setting 'limits'"),
        ('{"parallel": 1, "parallel": 2}', "says 'parallel' more than once"),
    ],
)
def test_damage_that_drops_a_limit_is_damage(settings: PreferenceFile, tmp_path: Path, content: str, says: str) -> None:
    settings.save(daily_budget=0.0)
    path = tmp_path / "data" / NAME
    path.write_text(content)
    refused_until_mended(settings, path, says)


@pytest.mark.parametrize("content", ["{}", '{"provider": "local", "retention_days": 9}', '{"daily_budget": 0}'])
def test_a_file_by_hand_that_leaves_out_a_budget_pays_nothing_and_stops_nothing_else(
    settings: PreferenceFile, tmp_path: Path, content: str
) -> None:
    assert settings.limits() == Preferences(), "where there is no file, nobody has chosen a limit"
    settings.save(parallel=7)
    path = tmp_path / "data" / NAME
    path.write_text(content)
    with pytest.raises(LimitsUnsaid, match=r"does not say \w+_budget, .* \(null means no limit\)"):
        settings.limits()
    with pytest.raises(LimitsUnsaid):
        settings.save(parallel=2)
    assert settings.damage() is None and settings.trusted() == settings.load() == Preferences(**json.loads(content))
    assert [(problem.kind, "_budget" in problem.detail) for problem in settings.problems()] == [("unusable", True)]
    assert path.read_text() == content
    settings.save(mend=True, daily_budget=1.0)
    assert settings.limits().daily_budget == 1 and settings.problems() == []
    assert (path.parent / "settings.damaged.json").read_text() == content


def refused_until_mended(settings: PreferenceFile, path: Path, says: str = "") -> None:
    """Nothing trusts the file, nothing but a mending is written over it, and what was there is kept."""
    before = path.read_bytes()
    assert says in str(settings.damage())
    for act in (settings.trusted, settings.limits, lambda: settings.save(parallel=2)):
        with pytest.raises(SettingsDamaged, match=f"settings.json is damaged: .*{says}"):
            act()
    assert path.read_bytes() == before
    mended = settings.save(parallel=2, mend=True)
    assert settings.damage() is None and settings.trusted() == mended and mended.parallel == 2
    assert (path.parent / "settings.damaged.json").read_bytes() == before


JUNK = [b"", b"{", b'{"daily_budget": 5.0, "mon', b"null", b"[]", b"5", b'"x"', b"\xff\xfe", b"[" * 100_000]
JUNK += [b'{"parallel": 1' + b"0" * 5_000 + b"}", b'{"parallel": 9' + b" " * 2_000_000 + b"}"]


@pytest.mark.parametrize("content", JUNK)
def test_a_file_of_junk_is_no_settings_without_limits(settings: PreferenceFile, tmp_path: Path, content: bytes) -> None:
    settings.save(daily_budget=7)
    path = tmp_path / "data" / NAME
    path.write_bytes(content)
    assert settings.load() == Preferences()
    refused_until_mended(settings, path)
    path.write_bytes(content)
    settings.save(mend=True)
    assert len(list(path.parent.glob("settings.damaged.json*"))) == 2, "each damaged one is kept"


def test_a_link_in_its_place_is_not_followed(settings: PreferenceFile, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    outside, path = tmp_path / "outside.json", tmp_path / "data" / NAME
    outside.write_text('{"parallel": 9}')
    path.symlink_to(outside)
    assert settings.load() == Preferences()
    refused_until_mended(settings, path)
    assert outside.read_text() == '{"parallel": 9}' and not path.is_symlink()


def test_what_is_no_file_at_all_is_left_to_whoever_put_it_there(settings: PreferenceFile, tmp_path: Path) -> None:
    (tmp_path / "data" / NAME).mkdir(parents=True)
    with pytest.raises(SettingsDamaged):
        settings.trusted()
    with pytest.raises(StorageError):
        settings.save(mend=True, parallel=3)


def test_the_folder_s_name_taken_by_a_file_means_the_defaults(settings: PreferenceFile, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert settings.load() == Preferences()


_CHILD = """
import sys
from pathlib import Path
from opstore.storage.files import Folder
from opstore.storage.preferences import PreferenceFile
settings = PreferenceFile(Folder(Path(sys.argv[1])))
for number in range(40):
    assert settings.save(**{sys.argv[2]: 1 + number % 50})
settings.save(**{sys.argv[2]: 33})
"""


def test_two_processes_that_change_different_settings_keep_both(settings: PreferenceFile, tmp_path: Path) -> None:
    names = ("parallel", "daily_budget")
    children = [subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path / "data"), name], cwd=ROOT) for name in names]
    assert [child.wait(60) for child in children] == [0, 0]
    assert settings.load() == Preferences(parallel=33, daily_budget=33)
    assert [path.name for path in (tmp_path / "data").iterdir()] == [NAME]
