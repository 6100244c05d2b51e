#!/usr/bin/env python3
"""Asks Apache Kafka and Headrace the same, request by request, and compares what they answer: error codes,
offsets, the shape of metadata, how groups behave.

  differential.py KAFKA HEADRACE    both HOST:PORT
  differential.py --list            asks nothing: writes the list of differences into README.md

What is asked is in the questions_*.py files beside this one, and which answers may differ, to the letter, in
differences.py. Exit 1 if any other differs, if one of those no longer does, if a group of questions was
broken off on either broker, or if the list in README.md is not the one of differences.py.
"""

import sys
import time

import questions_data
import questions_groups
import questions_members
import questions_topics
import questions_versions
from asker import Asker
from differences import DECIDED, NOT_SERVED
from matrix import README, block, replace_block

QUESTIONS = (questions_topics, questions_data, questions_groups, questions_members, questions_versions)
QUESTIONS_MIN = 550  # fewer were asked only if some were lost


def all_answers(address, prefix):
    asker = Asker(address, prefix)
    broken = []
    for questions in QUESTIONS:
        for group in questions.ALL:
            try:
                group(asker)
            except Exception as error:  # the rest is still asked
                broken.append(f"{group.__name__} of {questions.__name__}: {type(error).__name__}: {error}")
    return asker.answers, broken


def decided():
    """{question: (Kafka's answer, Headrace's answer)}"""
    found = {f"versions: {name}": (kafka, None) for name, kafka in NOT_SERVED.items()}
    for _, answers in DECIDED:
        found.update(answers)
    return found


def compare(kafka, headrace, expected, questions_min=QUESTIONS_MIN):
    """What is wrong, a line each: answers that differ in another way than expected, or no longer do."""
    for question in {**kafka, **headrace, **expected}:
        answers = kafka.get(question), headrace.get(question)
        if answers[0] == answers[1] and question in expected:
            yield f"UNKNOWN: {question}: alike now, both {answers[0]}; differences.py: {expected[question]}"
        elif answers[0] != answers[1] and answers != expected.get(question):
            yield f"UNKNOWN: {question}: kafka {answers[0]}, headrace {answers[1]}"
    asked = len(kafka.keys() & headrace.keys())
    if asked < questions_min:
        yield f"FAILED: {asked} questions were asked of both; there are at least {questions_min}"


def document():
    lines = []
    for why, answers in DECIDED:
        each = "; ".join(f"{question} ({kafka!r} / {headrace!r})"
                         for question, (kafka, headrace) in answers.items())
        lines.append(f"- {each}: {why}\n")
    lines.append(f"- not served, and not advertised: {', '.join(NOT_SERVED)}\n")
    return "Question (Apache Kafka's answer / Headrace's answer): reason.\n\n" + "".join(lines)


def main():
    if sys.argv[1:] == ["--list"]:
        replace_block(README, "differences", document())
        return 0
    prefix = f"d{int(time.time()):x}"
    (kafka, broken), (headrace, broken_too) = (all_answers(address, prefix) for address in sys.argv[1:3])
    expected = decided()
    wrong = [f"FAILED: {name}: broken off: {each}"
             for name, lines in (("kafka", broken), ("headrace", broken_too)) for each in lines]
    wrong += compare(kafka, headrace, expected)
    if block(README, "differences") != document():
        wrong.append("FAILED: the list in README.md is not that of differences.py; --list writes it")
    for line in wrong:
        print(f"differential: {line}")
    print(f"differential: {len(kafka)} questions, {len(expected)} answered differently for a reason, "
          f"{len(wrong)} otherwise")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
