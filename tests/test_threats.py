"""The threat table: what others did to programs like this one, and which tests show that it cannot be done here.

Each row names its precedents and the tests that hold it; a test below checks that they exist and are no empty words. What no
other file shows is shown here.
"""

from __future__ import annotations

import ast
import ipaddress
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from opstore.api import Api
from opstore.api.openapi import document
from opstore.errors import InputTooLarge
from opstore.storage.saving import MAX_INPUT_BYTES, check_image
from tests.samples import PNG

ROOT = Path(__file__).resolve().parents[1]

#: Threat → the tests that hold it, as `file::test` below tests/.
THREATS: Mapping[str, tuple[str, ...]] = {
    # MLflow CVE-2023-6909, InvokeAI CVE-2025-6237, ComfyUI#12285, Gradio CVE-2023-51449, Streamlit CVE-2022-35918
    "a path by an id or a file name": (
        "test_names.py::test_hostile_ids_are_refused_everywhere",
        "test_names.py::test_hostile_names_are_refused_everywhere",
        "test_names.py::test_a_name_is_valid_exactly_when_it_can_be_rebuilt",
        "test_store.py::test_hostile_ids_are_refused_and_nothing_appears_anywhere",
        "test_store.py::test_hostile_names_are_not_opened",
        "test_legacy.py::test_what_is_not_a_plain_file_is_never_followed",
        "test_legacy.py::test_a_named_file_that_is_not_plain_is_unsafe",
        "test_api.py::test_a_raw_hostile_name_is_refused_as_json",
        "test_api.py::test_nothing_outside_the_folder_is_opened",
        "test_api_act.py::test_what_is_not_there_cannot_be_changed",
        "test_thumbnails.py::test_a_hostile_name_is_refused_and_nothing_is_made",
        "test_curation.py::test_hostile_ids_are_each_refused_and_lock_nothing_outside",
        "test_exports.py::test_zip_takes_no_name_from_a_sidecar_that_is_not_its_own",
        "test_share_routes.py::test_hostile_keys_and_tokens_are_nothing",
        "test_backup.py::test_a_list_that_names_a_place_outside_is_refused_whole",
        "test_comparing.py::test_an_address_names_our_files_only",
    ),
    # Gradio GHSA-3xvj-7669-6whx, #13593; OWASP SSRF
    "a request to inside by a result's address": (
        "test_fetch_addresses.py::test_hostile_addresses_are_refused_before_anything_happens",
        "test_fetch_addresses.py::test_allowed_host_at_a_private_address_is_refused",
        "test_fetch_addresses.py::test_redirects_out_of_the_policy",
        "test_fetch_addresses.py::test_redirect_to_another_port_of_loopback_is_refused",
        "test_fetch_addresses.py::test_name_is_looked_up_once_and_the_checked_address_is_used",
        "test_fetch_addresses.py::test_next_hop_is_looked_up_and_checked_anew",
    ),
    "a download that swells, drips or lies": (
        "test_fetch.py::test_gzip_bomb_is_stopped_at_the_cap",
        "test_fetch.py::test_one_byte_more_than_the_cap_is_refused",
        "test_fetch.py::test_deadline_holds_against_a_server_that_keeps_sending",
        "test_fetch.py::test_deadline_is_one_for_all_hops",
        "test_fetch.py::test_broken_answers",
    ),
    # Pillow CVE-2026-40192, -55379, -55380
    "a picture that unpacks to gigabytes": (
        "test_media.py::test_bombs_are_refused_before_pillow_sees_them",
        "test_media.py::test_gif_frame_larger_than_its_header_is_refused",
        "test_media.py::test_endless_markers_of_a_jpeg_take_no_time",
        "test_media.py::test_facts_decode_no_pixels",
    ),
    # ComfyUI CVE-2024-10099, Dify PR 39834
    "a page or a script under a picture's name": (
        "test_media.py::test_all_else_is_no_media",
        "test_media.py::test_what_is_no_usable_image",
        "test_api.py::test_what_is_no_medium_is_only_ever_a_file_to_save",
        "test_api.py::test_a_file_is_what_its_bytes_are_whatever_it_is_called",
        "test_api_make.py::test_the_name_and_type_of_an_upload_are_not_believed",
        "test_share_clean.py::test_what_is_no_picture_or_video_is_not_handed_on",
    ),
    "an upload above the limit": (
        "test_threats.py::test_no_way_in_takes_more_than_the_store",
        "test_pages.py::test_a_file_above_the_limit_is_said",
        "test_api_make.py::test_an_image_without_end_is_stopped_at_ten_megabytes",
        "test_api_make.py::test_a_body_without_end_is_stopped_whatever_its_length_says",
        "test_api_make.py::test_a_length_that_is_too_large_is_refused_unread",
        "test_api_make.py::test_a_body_that_drips_is_given_up",
        "test_api_make.py::test_only_so_many_bodies_are_read_at_a_time",
        "test_http_server.py::test_an_upload_of_eleven_megabytes_gets_its_answer_over_a_real_line",
    ),
    # Gradio CVE-2022-24770
    "a formula in a table": (
        "test_exports.py::test_no_cell_of_csv_begins_as_a_formula",
        "test_exports.py::test_excel_has_types_and_no_formula",
        "test_exports.py::test_excel_raw_xml_has_no_formula_and_no_link",
    ),
    # Streamlit CVE-2023-27494, Open WebUI #18387
    "a prompt that is markup": (
        "test_imports.py::test_the_project_keeps",
        "test_pages.py::test_a_stored_text_is_only_ever_a_text",
        "test_pages.py::test_a_prompt_under_way_is_only_ever_a_text",
        "test_pages.py::test_names_of_uploaded_files_and_typed_prompts_are_only_ever_texts",
        "test_browser_library.py::test_hostile_prompts_and_tags_are_shown_literally",
        "test_share_routes.py::test_a_page_is_html_that_runs_nothing_of_what_is_stored",
    ),
    # Immich #29599, #12835, #27495
    "a share link that opens more, or longer, than it should": (
        "test_share_routes.py::test_every_route_looks_at_the_record",
        "test_share_routes.py::test_another_operation_or_file_is_not_behind_the_link",
        "test_share_routes.py::test_withheld_inputs_cannot_be_fetched",
        "test_share_routes.py::test_nothing_but_links_answers_under_the_published_name",
        "test_share_passwords.py::test_of_a_hundred_tries_at_once_few_are_looked_at",
        "test_share_passwords.py::test_a_stranger_who_guesses_makes_nobody_else_wait_and_many_strangers_nobody_who_was_in",
        "test_share_passwords.py::test_slow_bodies_at_links_hold_nothing_up",
    ),
    # a webhook has to be verified: there is none
    "a forged webhook": ("test_threats.py::test_nothing_takes_a_webhook",),
    # OWASP Logging
    "a secret in a file, a log or a page": (
        "test_job_faults.py::test_the_token_is_in_no_file_no_log_line_and_no_error",
        "test_replicate_find.py::test_the_token_is_seen_by_nobody",
        "test_replicate_find.py::test_the_token_goes_to_no_other_host",
        "test_api.py::test_no_answer_holds_the_token",
        "test_share_routes.py::test_a_fault_of_the_program_is_a_page_and_the_log_has_no_link",
        "test_threats.py::test_a_visitor_is_shown_no_stack_trace",
    ),
    # MLflow #23500, CVE-2026-2652, -0545, PR 17910; Streamlit CVE-2026-33682
    "an open server, another name for this machine, another site's page": (
        "test_threats.py::test_the_server_is_set_to_listen_on_this_machine_only",
        "test_http_server.py::test_the_server_listens_on_this_machine_only",
        "test_http_server.py::test_a_foreign_name_reaches_neither_pages_nor_their_lines",
        "test_http_server.py::test_the_example_in_javascript",
        "test_api.py::test_a_name_that_somebody_pointed_here_is_refused",
        "test_api.py::test_elsewhere_there_is_no_way_in_without_one",
        "test_api_make.py::test_a_page_of_another_site_changes_nothing",
        "test_api_rates.py::test_who_guesses_at_the_token_is_slowed_and_its_holder_is_not",
        "test_api_rates.py::test_a_caller_is_told_to_wait_and_may_go_on_afterwards",
        "test_api_act.py::test_listeners_are_few_and_hold_no_thread",
    ),
    # OWASP Authorization, Session Management; OpenID Connect Core 3.1.3.7
    "somebody who has not signed in, or may less than they ask for": (
        "test_browser_signin.py::test_nothing_is_shown_or_answered_before_sign_in",
        "test_browser_signin.py::test_only_a_cookie_that_is_wholly_right_counts",
        "test_browser_signin.py::test_a_token_with_a_fault_lets_nobody_in",
        "test_browser_signin.py::test_who_loses_a_role_or_signs_out_is_out",
        "test_browser_signin.py::test_a_reviewer_may_review_and_no_more",
        "test_roles.py::test_a_part_with_an_act_without_a_rule_cannot_be_made",
        "test_roles.py::test_who_has_no_role_can_do_nothing_through_a_view",
        "test_roles.py::test_a_view_gives_no_way_past_it",
        "test_roles.py::test_no_http_answer_is_given_past_the_rules",
        "test_roles.py::test_the_service_itself_refuses",
        "test_roles.py::test_an_address_that_is_not_verified_gives_nothing",
        "test_signin_pages.py::test_what_is_set_up_by_half_lets_nobody_in",
        "test_signin_pages.py::test_whoever_is_not_let_in_sees_the_door_and_nothing_behind_it",
    ),
    # OWASP File Upload (zip)
    "an archive that writes elsewhere, or swells": (
        "test_import.py::test_names_in_an_archive_never_become_paths",
        "test_import.py::test_links_and_encrypted_members_are_left",
        "test_import.py::test_a_bomb_is_not_unpacked",
        "test_import.py::test_a_member_that_lies_about_its_size_or_is_damaged_is_left",
    ),
    "JSON that is deep, long or half": (
        "test_operation.py::test_any_bytes_are_an_operation_or_damaged",
        "test_operation.py::test_a_damaged_sidecar_is_told_in_words",
        "test_operation.py::test_what_json_cannot_hold_is_refused_in_words",
        "test_legacy.py::test_a_damaged_sidecar_is_told_of_and_holds_nobody_up",
        "test_legacy.py::test_any_bytes_as_a_sidecar_hold_nobody_up",
        "test_pages.py::test_a_folder_full_of_oddities_breaks_no_page",
        "test_api_act.py::test_a_body_that_is_no_object_is_refused",
    ),
    # Immich #29599, #12835
    "a place or a name inside a photo that is handed on": (
        "test_share_clean.py::test_what_a_file_tells_is_in_no_copy",
        "test_share_clean.py::test_nothing_else_is_in_a_picture",
        "test_share_clean.py::test_a_picture_stands_upright",
        "test_share_routes.py::test_nothing_of_the_place_owner_or_name_of_a_photo_is_handed_on",
    ),
    # InvokeAI CVE-2024-12029
    "data that is loaded as code": (
        "test_imports.py::test_the_project_keeps",
        "test_imports.py::test_a_rule_catches",
    ),
}


def asserting(path: Path) -> set[str]:
    """Return the tests of a file that can fail: those that assert, expect an error, or call something of the tests that does."""
    tree = ast.parse(path.read_text("utf-8"))
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            inner = list(ast.walk(node))
            calls = {call.func.id for call in inner if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}
            raises = any(isinstance(part, ast.Attribute) and part.attr in ("raises", "fail") for part in inner)
            if any(isinstance(part, ast.Assert) for part in inner) or raises or calls - {"str", "len", "range", "print"}:
                found.add(node.name)
    return found


@pytest.mark.parametrize("threat", THREATS)
def test_every_threat_is_held_by_tests_that_exist(threat: str) -> None:
    assert THREATS[threat]
    for name in THREATS[threat]:
        file, _, test = name.partition("::")
        assert test in asserting(ROOT / "tests" / file), name


def test_a_test_that_is_not_there_would_be_missed() -> None:
    here = asserting(Path(__file__))
    assert "test_every_threat_is_held_by_tests_that_exist" in here and "test_nothing" not in here


# -- what no other file shows --------------------------------------------------------------------------------------------

CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))


def test_no_way_in_takes_more_than_the_store() -> None:
    """Streamlit's own upload is limited by this one setting: a limit of a widget is the browser's alone."""
    assert CONFIG["server"]["maxUploadSize"] * 1024 * 1024 == MAX_INPUT_BYTES
    with pytest.raises(InputTooLarge):
        check_image(PNG + b"x" * MAX_INPUT_BYTES, 1)


def test_the_server_is_set_to_listen_on_this_machine_only() -> None:
    assert ipaddress.ip_address(CONFIG["server"]["address"]).is_loopback
    assert not CONFIG["server"].get("enableAgentApi") and CONFIG["server"].get("enableCORS", True)
    assert CONFIG["server"].get("enableXsrfProtection", True)


def test_a_visitor_is_shown_no_stack_trace() -> None:
    assert CONFIG["client"]["showErrorDetails"] == "none"


def test_nothing_takes_a_webhook() -> None:
    calls = Api.calls(lambda: pytest.fail("nothing is opened to describe it"))
    assert not [path for path in document(calls)["paths"] if "hook" in path]
    sources = [path.read_text("utf-8") for path in (ROOT / "opstore").rglob("*.py")]
    assert not [text for text in sources if "webhook=" in text or "webhooks.validate" in text]
