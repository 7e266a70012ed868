"""Reports of comparisons: for a terminal, as JSON, as JUnit's XML, as one HTML page; and what changed since an older one.

wording        verdicts, ratios and places in words, the same in all reports
changes        what changed between two reports
terminal       lines of text
json_writer    the format "ganspec report 1", described by schema.json
json_reader    reads and checks it
junit          XML that continuous integration shows as tests
mutants        what became of mutants, as JSON
page           one HTML page, with system_section, charts and pictures; elements writes tags and escapes all text
"""

from ganspec.tools.reporting.changes import Changes, changes_as_data, compare_reports, describe_changes
from ganspec.tools.reporting.json_reader import read_json
from ganspec.tools.reporting.json_writer import render_json
from ganspec.tools.reporting.junit import render_junit
from ganspec.tools.reporting.mutants import render_mutants
from ganspec.tools.reporting.page import render_html
from ganspec.tools.reporting.terminal import render_terminal

__all__ = [
    "Changes",
    "changes_as_data",
    "compare_reports",
    "describe_changes",
    "read_json",
    "render_html",
    "render_json",
    "render_junit",
    "render_mutants",
    "render_terminal",
]
