"""The page on errors shows every class, and each text that it shows is that of the program (``test_pages.py``)."""

import re
from pathlib import Path

import subtensor as st

PAGE = (Path(__file__).parents[1] / "errors.md").read_text(encoding="utf-8")
BASES = {"SubtensorError", "ArgumentError", "FunctionError"}
"""Of which programs see the classes below them, or which the doors of public functions raise for nonsense."""


def test_every_error_is_shown_or_placed():
    known = {n for n in st.__all__ if isinstance(v := getattr(st, n), type) and issubclass(v, st.SubtensorError)}
    shown = set(re.findall(r"\b(\w+(?:Error|Unsupported))\b", PAGE)) | set(re.findall(r"`(\w+)`", PAGE))
    assert known - shown <= BASES


def test_each_text_says_what_was_expected_or_what_to_do():
    texts = re.findall(r"^subtensor\.errors\.\w+: (.+)$", PAGE, re.MULTILINE)
    assert len(texts) > 25
    words = (
        *("expected", "use", "write", "Pass", "put", "cast", "list", "remove", "reduce", "declare", "apply", "at most"),
        *("asks for", "takes", "available", "has shape", "inputs are", "has no", "only", "would lose"),
    )
    assert not [text for text in texts if not any(word in text for word in words)]
