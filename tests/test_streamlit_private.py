"""Each private name of Streamlit's that opstore uses, and what breaks without it; none stands outside their room, and the
Streamlit that is installed has them all.

Where a new version fails here: read what has become of the name, see whether what it is for is still wanted, and mend the room.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.components.v2.bidi_component import main

from opstore.ui.streamlit_private import preload, replacing, sending, served

ROOT = Path(__file__).resolve().parents[1]
ROOM = ROOT / "opstore" / "ui" / "streamlit_private"
STREAMLIT = Path(next(iter(importlib.util.find_spec("streamlit").submodule_search_locations or ())))  # type: ignore[union-attr]
SCRIPTS = STREAMLIT / "static" / "static" / "js"


def table(text: str) -> dict[str, str]:
    """Read `name · what breaks` lines."""
    lines = [line.partition(" · ") for line in text.strip().splitlines()]
    return {name.strip(): breaks.strip() for name, _, breaks in lines}


IMPORTS = table("""
streamlit.auth_util.get_cookie_with_chunks · HTTP knows nobody who has signed in
streamlit.auth_util.get_origin_from_redirect_uri · no request from another site is refused, and nobody gets in by HTTP
streamlit.auth_util.get_secrets_auth_section · no sign-in: whoever has a roles.toml lets nobody in
streamlit.config · overtaken presses run beside held ones; pages die of large things that a browser has let go
streamlit.delta_generator.DeltaGenerator · controls begin with what they were not set to, and hand that in as a choice
streamlit.errors.StreamlitAPIException · an act in the drawer fails while the page under it is drawn
streamlit.navigation.page.StreamlitPage · a type only: what the bar gets
streamlit.proto.ClientState_pb2.ClientState · a press in a part of the page that has gone is lost
streamlit.runtime.app_session.AppSession · a press in a part of the page that has gone is lost
streamlit.runtime.app_session.AppSessionState · all that a run has drawn is lost where the next request comes at its end
streamlit.runtime.forward_msg_queue.ForwardMsgQueue · an upload that a run overtakes waits for ever
streamlit.runtime.pages_manager.PagesManager · the timer of a page that was left clears the new one
streamlit.runtime.scriptrunner.script_runner.ScriptRunner · presses that are overtaken are lost, in the midst of an act too
streamlit.runtime.scriptrunner_utils.script_requests · of what a component tells twice, the first is lost
streamlit.runtime.scriptrunner_utils.script_requests.RerunData · a press in a part of the page that has gone is lost
streamlit.runtime.scriptrunner_utils.script_requests.ScriptRequests · a press that a timer came after is taken for the timer's
streamlit.runtime.scriptrunner_utils.script_requests.ScriptRequestType · a press that a timer came after is taken for the timer's
streamlit.runtime.scriptrunner_utils.script_run_context.get_script_run_ctx · Next in the drawer is taken back by what came before
streamlit.runtime.state.common.user_key_from_element_id · what components tell is not heard; presses of what has gone are lost
streamlit.runtime.state.query_params.QueryParams · Next in the drawer is taken back by what came before
streamlit.runtime.state.safe_session_state.SafeSessionState · presses that are overtaken are lost
streamlit.runtime.state.session_state.SessionState · controls begin with what they were not set to
streamlit.web.server.server_util.get_cookie_secret · HTTP knows nobody who has signed in
streamlit.web.server.starlette.starlette_app_utils.decode_signed_value · HTTP knows nobody who has signed in
streamlit.web.server.starlette.starlette_server_config.USER_COOKIE_NAME · HTTP knows nobody who has signed in
""")

#: With who has them; what is replaced is compared with its parameters by `replacing.install` too.
ATTRIBUTES = table("""
AppSession.request_rerun · replaced: a press in a part of the page that has gone is lost
AppSession.has_fragment · the same
AppSession._pages_manager · the timer of a page that was left clears the new one
AppSession._create_scriptrunner · replaced: all that a run has drawn is lost where the next request comes at its end
AppSession._scriptrunner · the same
AppSession._state · the same
AppSession._call_soon_on_event_loop · the same
AppSession._event_loop · the same
ScriptRunner._script_thread · the same
ScriptRunner._run_script · replaced: a press in a part that goes while it waits is lost
ScriptRunner._maybe_handle_execution_control_request · replaced: an act that has begun is broken off
ScriptRunner._set_execing_flag · replaced: a hold does not end with its run
ScriptRunner._fragment_storage · a press in a part that goes while it waits is lost
ScriptRunner._pages_manager · the timer of a page that was left clears the new one
script_requests._coalesce_widget_states · replaced: of what a component tells twice, the first is lost
ScriptRequests.request_rerun · replaced: `st.rerun` of a held run is not heard; a press is taken for a timer
ScriptRequests._rerun_data · a press that a timer came after is taken for the timer's
ScriptRequests._state · the same
SafeSessionState.on_script_will_rerun · replaced: a press that is overtaken before its callback is lost
SafeSessionState._state · presses of what has gone are lost; controls begin with what they were not set to
SessionState._new_widget_state · presses of what has gone are lost
ForwardMsgQueue.clear · replaced: an upload that a run overtakes waits for ever
ForwardMsgQueue._queue · the same
QueryParams._send_query_param_msg · replaced: Next in the drawer is taken back by what came before
DeltaGenerator._enqueue · replaced: controls begin with what they were not set to
""")

#: What is in its messages, and in the records that it makes of them.
FIELDS = table("""
ClientState.fragment_id · a press in a part of the page that has gone is lost
ClientState.is_auto_rerun · the timer of a page that was left clears the new one
ClientState.is_history_navigation · Back in the browser is taken back
ClientState.page_script_hash · the timer of a page that was left clears the new one
ClientState.query_string · Next in the drawer is taken back by what came before
WidgetStates.widgets · nothing that is pressed or told is heard
WidgetState.trigger_value · presses of what has gone are lost
WidgetState.json_trigger_value · of what a component tells twice, the first is lost
ForwardMsg.file_urls_response · an upload that a run overtakes waits for ever
ForwardMsg.backend_operation_response · a download that a run overtakes waits for ever
ForwardMsg.heartbeat_ack · a browser takes the server for dead
ForwardMsg.auth_redirect · a sign-in that a run overtakes leads nowhere
TextInput.set_value · controls begin with what they were not set to
TextInput.value · the same
TextInput.default · the same
MultiSelect.raw_values · the same
Selectbox.raw_value · the same
Selectbox.options · the same
RerunData.fragment_id_queue · a press in a part of the page that goes while it waits is lost
RerunData.is_fragment_scoped_rerun · the same
RerunData.is_auto_rerun · a press that a timer came after is taken for the timer's
WStates.widget_metadata · presses of what has gone are lost
WidgetMetadata.disabled · presses of what could not be pressed any more are lost
""")

#: How the id ends under which a component tells.
TELLS = "__events"

#: Test ids, classes, attributes, storage keys and words of its page.
MARKS = table("""
stActiveTheme · the first screen of the Library is white in the dark, or black in the light
stApp · the first screen stays over a page without a grid; keys wait for a drawer that never comes; no colours of ours
stAppViewContainer · what moves, moves for those too who asked for stillness
stBaseButton-primary · the key beside Generate cannot be read on its button
stBaseButton-secondary · the button for files speaks English
stButton · a press of a button that has gone is not told
stButtonGroup · choices too small for a thumb
stCaptionContainer · small print too pale; on a phone the bar stands over the pages
stColumn · Generate moves under the hand; on a phone the figures of Analytics stand one a row
stDateInput · dates do not fit into the filters
stDialog · on a phone the drawer leaves a margin
stElementContainer · two search boxes while a page is drawn; a link to save takes a whole row
stExpandSidebarButton · on a phone filters cannot be reached, elsewhere an empty drawer can
stFileChip · Generate makes, and has paid, an operation without the picture that was refused
stFileChipIconSpinner · Generate makes, and has paid, an operation without the picture that is on its way
stFileChipName · nobody is told which picture was refused
stFileUploader · a picture that is pasted into the box for files is given twice
stFileUploaderDropzone · the box for files speaks English
stFileUploaderDropzoneInstructions · the box for files speaks English, of limits that are not ours
stFormSubmitButton · a press of a form's button that has gone is not told
stHorizontalBlock · on a phone the figures of Analytics stand one a row
stLayoutWrapper · the bar takes a row of its own; what is at work on Storage, and Generate, leave the window
stMainBlockContainer · the grid and the pictures to compare are narrow; on a phone Generate covers the end of the page
stMetricValue · figures of Analytics are cut off
stPopover · on a phone what is under way stands in the bar, under the pages
stPopoverBody · Ctrl+Enter from within a popover of the form makes nothing
stPopoverButton · on a phone it cannot be read on what is below it
stProgress · what is at work on Storage leaves the window
stSidebar · on a phone an empty drawer covers the page
stSidebarNav · on a phone the pages stand over the filters
stSidebarUserContent · filters begin far below the search
stSliderThumbValue · the value of a slider is too pale
stStatusWidget · Stop covers the bar
stTab · the chosen tab is too pale
stText · what was understood is set in another type
stTextInput · / and ↓ of the Library find no search box
stVerticalBlock · pictures to compare begin lower; Generate moves under the hand
data-collapsed · on a phone the pages and the bar lie over the filters
data-retained · two search boxes while a page is drawn; a note is typed into the old box
data-test-script-state · the first screen stays over a page without a grid; keys wait for a drawer that never comes
aria-invalid · a picture that was refused is not told of
aria-label="Close" · Escape that was pressed early does not close the drawer
""")

#: Of `served`, and the addresses there.
SERVED = table("""
FRONT_END · nothing is loaded ahead: pages stand later
LANGUAGE · a page says English until its script has run
TITLE · the first screen of the Library comes when Streamlit's front end has been read
SERVER · at every deep link two requests are refused, and the page stands 0.1 s later
STYLE · pictures of the first screen wait for a style sheet that nobody asked for
LASTING · scripts and styles go unpacked: 3.7 MB to a new browser, not 0.9
SCRIPT · scripts that every page begins with are named twice
/media/ · prepared files are given to whoever has not signed in
/_stcore/upload_file/ · uploads are given to, and taken from, whoever has not signed in
/_stcore/metrics · figures are given to whoever has not signed in
""")

#: Kinds of elements by which `preload` finds scripts: without one, pages that have it stand later.
KINDS = {
    *("bidicomponent", "html", "pagelink", "buttongroup", "textinput", "selectbox", "multiselect", "dateinput", "checkbox"),
    "metric",
}

#: What Streamlit makes and gives to nobody, found among all objects: in its own code, and in ours.
MADE = table("""
uvicorn.Config( · a head that never ends, and an answer that nobody reads, hold the server; commands do not find it
socket.socket(family · every answer waits 40 ms
""")

#: Outside the room, for reasons of their own.
ELSEWHERE = table("""
SourceSansVF-Upright · opstore/providers/local/lettering.py, whose arrows point down: a font of the system is taken
""")


def ours(*ends: str) -> Iterator[Path]:
    """Yield our files with such ends, those of the room too."""
    for top in ("opstore", "pages", "dashboard.py"):
        for path in [ROOT / top, *(ROOT / top).rglob("*")]:
            if path.suffix in ends:
                yield path


def elsewhere(*ends: str) -> dict[str, str]:
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in ours(*ends) if ROOM not in path.parents}


def room(*ends: str) -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted(ROOM.iterdir()) if path.suffix in ends)


# -- what code has ---------------------------------------------------------------------------------------------------------


def imported(text: str) -> set[str]:
    """What Python code takes from below `import streamlit`, and what private it asks that for."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("streamlit.")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "streamlit":
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "st":
            found |= {f"st.{node.attr}"} if re.match("_(?!_)|runtime$|config$|web$|delta_generator$", node.attr) else set()
    return found


def touched(text: str) -> set[str]:
    """Private attributes of other objects."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)]
    return {
        node.attr
        for node in nodes
        if re.match("_(?!_)", node.attr) and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }


MARK = re.compile(
    r"(?<![A-Za-z])st[A-Z][A-Za-z]*(?:-[a-z]+)?|data-(?!testid)test[a-z-]+|data-(?:retained|collapsed)|aria-invalid"
)
ANY_MARK = re.compile(rf"data-testid|st-emotion|dataset\.(?:test|retained|collapsed)|{MARK.pattern}")


def marked(text: str) -> set[str]:
    """Marks of Streamlit's page."""
    return set(MARK.findall(text)) | set(re.findall(r'aria-label="Close"', text))


def test_what_finds_names_finds_them() -> None:
    text = (
        "from streamlit import config\nimport streamlit.runtime as r\nst._main\nst.runtime.exists()\nst.button(x._y, self._z)\n"
    )
    assert imported(text) == {"streamlit.config", "streamlit.runtime", "st._main", "st.runtime"}
    assert touched(text) == {"_main", "_y"}
    page = '[data-testid="stBaseButton-primary"] .stApp, .astro, lastOf, "data-test-script-state", "stTheme-${path}-v2"'
    assert marked(page) == {"stBaseButton-primary", "stApp", "data-test-script-state", "stTheme"}
    assert all(map(ANY_MARK.search, ('[data-testid="x"]', ".st-emotion-cache-1", "app.dataset.testScriptState", page)))


def test_each_import_is_known_and_each_that_is_known_is_used() -> None:
    found = set().union(*(imported(path.read_text("utf-8")) for path in ROOM.glob("*.py")))
    assert found == set(IMPORTS)


def test_each_attribute_is_known_and_each_that_is_known_is_used() -> None:
    replaced = {f"{owner.__name__.rpartition('.')[2]}.{name}" for owner, name in replacing._KNOWN}
    assert replaced <= set(ATTRIBUTES)
    read = {name.partition(".")[2] for name in set(ATTRIBUTES) - replaced}
    assert touched(room(".py")) == read


def test_each_field_that_is_known_is_used_and_all_answers_are_known() -> None:
    code = room(".py")
    unused = [name for name in FIELDS if not re.search(rf"[.\"]{name.partition('.')[2]}\b|\b{name.partition('.')[2]}=", code)]
    assert not unused and f'"{TELLS}"' in code
    assert {name.partition(".")[2] for name in FIELDS if name.startswith("ForwardMsg.")} == sending._SAID_ONCE


def test_each_mark_is_known_and_each_that_is_known_is_used() -> None:
    assert marked(room(".py", ".js", ".css")) == set(MARKS)


def test_each_thing_that_is_served_is_known_and_each_that_is_known_is_used() -> None:
    constants = {name for name in vars(served) if name.isupper() and name != "ADDRESSES"}
    assert constants | set(served.ADDRESSES) == set(SERVED)
    assert set().union(*preload.NEEDED.values()) == KINDS


@pytest.mark.parametrize("breaks", [IMPORTS, ATTRIBUTES, FIELDS, MARKS, SERVED, MADE, ELSEWHERE])
def test_of_each_it_is_said_what_breaks(breaks: dict[str, str]) -> None:
    assert all(breaks.values())


def test_no_code_outside_the_room_imports_what_is_private() -> None:
    found = {name: names for name, text in elsewhere(".py").items() if (names := imported(text))}
    assert not found


def test_no_script_and_no_sheet_outside_the_room_names_what_is_in_the_page() -> None:
    found = {
        f"{name}:{number}: {line.strip()}"
        for name, text in elsewhere(".py", ".js", ".css", ".html").items()
        for number, line in enumerate(text.splitlines(), 1)
        if ANY_MARK.search(line)
    }
    assert not found


def test_nothing_outside_the_room_looks_for_what_is_given_to_nobody_or_serves_by_address() -> None:
    wanted = re.compile(
        r"\bgc\.get_objects|/_stcore/|\"/media/|\"/static/|find_spec\(\"streamlit|streamlit\.__file__|st\.__file__"
    )
    found = {name for name, text in elsewhere(".py", ".js").items() if wanted.search(text)}
    assert found == {where.partition(",")[0] for where in ELSEWHERE.values()}


# -- what the Streamlit that is installed has ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IMPORTS)
def test_it_has_the_import(name: str) -> None:
    module, _, item = name.rpartition(".")
    assert hasattr(importlib.import_module(module), item) or importlib.util.find_spec(name)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_it_has_the_attribute(name: str) -> None:
    owner, _, attribute = name.partition(".")
    [where] = [found for found in IMPORTS if found.rpartition(".")[2] == owner]
    parts = where.split(".")
    source = STREAMLIT.joinpath(*parts[1:]).with_suffix(".py")
    text = (source if source.exists() else STREAMLIT.joinpath(*parts[1:-1]).with_suffix(".py")).read_text("utf-8")
    assert re.search(rf"(?:def {attribute}\(|self\.{attribute}(?::|\b.* = )|^    {attribute}:)", text, re.MULTILINE)


#: Where messages and records are that have no module of their name.
HOMES = {
    "WidgetState": "streamlit.proto.WidgetStates_pb2",
    "RerunData": "streamlit.runtime.scriptrunner_utils.script_requests",
    "WStates": "streamlit.runtime.state.session_state",
    "WidgetMetadata": "streamlit.runtime.state.common",
}


@pytest.mark.parametrize("name", FIELDS)
def test_it_has_the_field(name: str) -> None:
    owner, _, field = name.partition(".")
    record = getattr(importlib.import_module(HOMES.get(owner, f"streamlit.proto.{owner}_pb2")), owner)
    assert field in (record.DESCRIPTOR.fields_by_name if hasattr(record, "DESCRIPTOR") else record.__dataclass_fields__)


def test_components_tell_under_the_id_that_is_known() -> None:
    assert main._make_trigger_id("x", "events").endswith(TELLS)


@pytest.fixture(scope="module")
def front_end() -> str:
    """Return all scripts of its front end."""
    return "\n".join(path.read_text("utf-8") for path in SCRIPTS.glob("*.js"))


@pytest.fixture(scope="module")
def words(front_end: str) -> set[str]:
    """What stands between quotation marks in its front end, as far as it is one name, or begins one that is put together."""
    return set(re.findall(r"""[`"']([A-Za-z][A-Za-z-]*?)-?(?=[`"']|\$\{)""", front_end))


@pytest.mark.parametrize("name", MARKS)
def test_it_has_the_mark(name: str, words: set[str]) -> None:
    put_together = name.partition("-")[0] if name.startswith("stBaseButton-") else ""
    word = put_together or re.sub('^aria-label="(.*)"$', r"\1", name)
    assert word in words
    if put_together:
        assert name.partition("-")[2] in words


def test_it_serves_what_is_looked_for(front_end: str) -> None:
    page = (served.FRONT_END / "index.html").read_bytes()
    text = page.decode()
    assert all((served.FRONT_END / folder.strip("/")).is_dir() for folder in served.LASTING)
    assert page.count(served.LANGUAGE) == page.count(served.TITLE) == 1
    assert all(list(served.FRONT_END.glob(f"{folder[1:]}*.*")) for folder in served.LASTING)
    [name] = re.findall(rb"window\.(\w+) = \{ (\w+):", served.SERVER)
    assert all(f"{owner}{part.decode()}" in front_end for owner, part in zip(("window.", "get "), name, strict=True))
    assert len(served.STYLE.findall(text)) == 1 and served.SCRIPT.findall(text)
    code = "\n".join(path.read_text("utf-8") for path in (STREAMLIT / "web" / "server").rglob("*.py"))
    for address in served.ADDRESSES:
        assert re.search(rf"[/\"]{address.rstrip('/').rpartition('/')[2]}\"", code), address


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_it_has_a_script_of_the_kind(kind: str) -> None:
    assert [path for path in SCRIPTS.glob("*.js") if path.name.partition(".")[0].lower() == kind]


@pytest.mark.parametrize("name", MADE)
def test_it_makes_what_is_looked_for(name: str) -> None:
    code = "\n".join(path.read_text("utf-8") for path in (STREAMLIT / "web" / "server" / "starlette").glob("*.py"))
    assert name in code
    assert f"is {name.partition('(')[0]}" in room(".py"), "nothing looks for it"


@pytest.mark.parametrize("name", ELSEWHERE)
def test_it_has_the_file(name: str) -> None:
    assert list((STREAMLIT / "static" / "static" / "media").glob(f"{name}*"))
    assert name in elsewhere(".py")[ELSEWHERE[name].partition(",")[0]]
