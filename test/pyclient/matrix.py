"""Runs cases, each one call of a client for one operation of the API, in their order, and
prints a line of JSON for each: operation, call, outcome and text."""

import json
import os
import sys
import time
import traceback

HOST = os.environ["RANGEFLEET_HOST"].rstrip("/")
USERNAME = os.environ["RANGEFLEET_ACCESS_KEY_ID"]
PASSWORD = os.environ["RANGEFLEET_SECRET_ACCESS_KEY"]
NAMESPACE = os.environ["RANGEFLEET_NAMESPACE"]
SOURCE = os.environ["RANGEFLEET_SOURCE_URI"]  # has the objects a, b and dir/c
MORE = os.environ["RANGEFLEET_MORE_URI"]  # has the object d
LAKEFS = "RANGEFLEET_IS_LAKEFS" in os.environ  # the server is a lakeFS
HELD = os.environ["RANGEFLEET_HELD_URI"]  # an import of it does not end
PATIENCE = 60  # seconds


class NotOffered(Exception):
    """The client has no call for the operation."""


class Case:
    def __init__(self, operation, call, refused, lakefs, run):
        self.operation, self.call, self.refused, self.run = operation, call, refused, run
        self.left_out = LAKEFS and (refused is not None or not lakefs)


def case(operation, call="", refused=None, lakefs=True):
    """Declares that a function makes a call for an operation. If refused is not None,
    Rangefleet must refuse it, with that in the text that the client shows. lakefs says whether
    a call that works does so on lakeFS as well."""

    def declare(run):
        return Case(operation, call, refused, lakefs, run)

    return declare


def run(cases, state, text):
    """Runs the cases of a module. text returns what the client shows of an exception of a
    call that was refused, and None for all others."""
    for c in list(cases.values()):
        if isinstance(c, Case) and not c.left_out:
            outcome, shown = end(c, state, text)
            print(json.dumps({"operation": c.operation, "call": c.call, "outcome": outcome, "text": shown}), flush=True)


def end(c, state, text):
    try:
        c.run(state)
    except NotOffered:
        return "not offered", ""
    except Exception as e:  # each is shown
        shown = text(e)
        if shown is None or c.refused is None or c.refused not in shown:
            place = [f for f in traceback.extract_tb(e.__traceback__) if f.filename == c.run.__code__.co_filename][-1]
            return "wrong", "line %d, %s: %r: %s" % (place.lineno, place.line, e, e)
        return "refused", shown
    if c.refused is not None:
        return "wrong", "it was not refused with " + c.refused
    return "works", ""


def message(body):
    """Returns the message of an answer that is an error, or the answer if it has none."""
    try:
        return json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        return body


def equal(got, want):
    if got != want:
        raise AssertionError("got %r, want %r" % (got, want))


def until(done):
    """Calls done until it returns something that is true, and returns that."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if result := done():
            return result
        time.sleep(0.1)
    raise AssertionError("not done after %d s" % PATIENCE)
