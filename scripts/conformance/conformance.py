#!/usr/bin/env python3
"""Puts Flink's own tests to `plamatio run`, and compares the counts with those of numbers.json.

usage: conformance.py BINARY FOLDER [-v] [--suite NAME] [--save] [WORD…]

FOLDER holds the tests as JSON lines, see scripts/conformance.sh. WORDs choose tests whose class, id or text has one of
them; then nothing is compared. --save writes numbers.json. The end is an error if anything is wrong or crashes, or if
fewer tests pass than numbers.json says.
"""
import argparse
import functools
import json
import os
import sys

import functions
import programs
from runner import report

SUITES = {"programs": programs, "functions": functions, "expressions": functions}
NUMBERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "numbers.json")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("folder")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what is refused, too")
    parser.add_argument("--suite", choices=SUITES, action="append", help="only this one")
    parser.add_argument("--save", action="store_true", help="write the counts to numbers.json")
    parser.add_argument("words", nargs="*")
    args = parser.parse_args()

    with open(NUMBERS, encoding="utf-8") as file:
        wanted = json.load(file)
    failures, counts = [], {}
    for name in args.suite or SUITES:
        suite = SUITES[name]
        with open(os.path.join(args.folder, name + ".jsonl"), encoding="utf-8") as file:
            cases = [json.loads(line) for line in file]
        chosen = [case for case in cases if is_chosen(case, args.words)]
        judge = functools.partial(suite.judge, os.path.abspath(args.binary))
        total = report(name, chosen, judge, suite.group, args.verbose)
        counts[name] = {"pass": total["pass"], "wrong": total["wrong"] + total["crash"]}
        if total["wrong"] > wanted[name]["wrong"] or total["crash"]:
            failures.append(f"{name}: {total['wrong']} wrong, {total['crash']} crashed; {wanted[name]['wrong']} may be")
        if not args.words and total["pass"] < wanted[name]["pass"]:
            failures.append(f"{name}: {total['pass']} pass, there were {wanted[name]['pass']}")
    if args.save and not args.words:
        with open(NUMBERS, "w", encoding="utf-8") as file:
            json.dump(wanted | counts, file, indent=2)
            file.write("\n")
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


def is_chosen(case, words):
    text = " ".join(str(case.get(key, "")) for key in ("class", "id", "sql")).lower()
    return not words or any(word.lower() in text for word in words)


if __name__ == "__main__":
    sys.exit(main())
