# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import math

import pytest

from ansible_collections.scs.observability.plugins.module_utils._observer.metrics import Metric, parse


def series(line: str) -> Metric:
    (metric,) = parse(line.encode(), {"m"})["m"]
    return metric


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ("m 1", {}, 1),
        ("m{} 1", {}, 1),
        ("m\t-1.5 ", {}, -1.5),
        ("m 1.7640864e+09", {}, 1764086400),
        ("m .5 1764086400000", {}, 0.5),
        ("m +Inf", {}, math.inf),
        ("m -Inf", {}, -math.inf),
        ('m{a="x",b="y"} 0', {"a": "x", "b": "y"}, 0),
        ('m{a="x",} 0', {"a": "x"}, 0),
        ('m{ a = "x" , b="" } 0', {"a": "x", "b": ""}, 0),
        (r'm{a="quote \" backslash \\ line \n end"} 0', {"a": 'quote " backslash \\ line \n end'}, 0),
        ('m{a="} 5",b="{,}="} 0', {"a": "} 5", "b": "{,}="}, 0),
        ('m{a="\u2028 is no end of a line"} 0', {"a": "\u2028 is no end of a line"}, 0),
    ],
)
def test_a_line(line: str, labels: dict[str, str], value: float) -> None:
    assert series(line) == Metric(labels, value)


def test_what_is_no_number_is_a_value_too() -> None:
    assert math.isnan(series("m NaN").value)


@pytest.mark.parametrize(
    "line",
    [
        "m",
        "m one",
        "m 1_000",
        "m 0x10",
        "m infinity",
        "m 1 2 3",
        'm{a="x" 1',
        "m{a=x} 1",
        'm{a="x"b="y"} 1',
        'm{a="x",,b="y"} 1',
        r'm{a="\t"} 1',
        'm{a="x"}1',
        "{} 1",
        "<!DOCTYPE html>",
        '{"status":"success"}',
        " other 1",
    ],
)
def test_a_line_that_is_none_is_refused_with_its_number(line: str) -> None:
    with pytest.raises(ValueError, match="line 3 is not in Prometheus' text format"):
        parse(f"# HELP m Something.\nother 1\n{line}\n".encode(), {"m"})


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        parse(b"\xff\xfe", {"m"})


def test_only_what_was_asked_for_comes_in_the_order_in_which_it_is_there() -> None:
    body = b'# TYPE m gauge\nm{a="2"} 2\nm_total 9\nmm 9\n\nm{a="1"} 1\nn 3\n'
    assert parse(body, {"m", "n", "absent"}) == {
        "m": [Metric({"a": "2"}, 2), Metric({"a": "1"}, 1)],
        "n": [Metric({}, 3)],
    }
