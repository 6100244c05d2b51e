#!/usr/bin/env python3
"""Asks Apache Kafka and Headrace the same, request by request, and compares what they answer: error codes,
offsets, the shape of metadata, how groups behave.

  differential.py KAFKA HEADRACE [--matrix]    both HOST:PORT

Prints every difference. Those that ALLOWED explains are listed with their reasons (--matrix writes the list
into README.md); any other makes the exit code 1.
What is asked is in the questions_*.py files beside this one.
"""

import re
import sys
import time

import questions_data
import questions_groups
import questions_topics
from asker import Asker
from matrix import README, replace_block

# Differences that are decided: pattern of a question -> why the answers differ.
ALLOWED = {
    r"versions: .*": "what is not served is not advertised: no transactions, access control, share groups, "
                     "delegation tokens, quotas, telemetry or moving of replicas; of what is served, the "
                     "versions that clients choose",
    r"find coordinator: transaction": "there are no transactions yet: refused at once with "
                                      "TRANSACTIONAL_ID_AUTHORIZATION_FAILED, which clients do not retry",
    r"init producer id: (transactional|no name)": "as above",
    r"produce: a transactional batch": "as above: INVALID_TXN_STATE, since no transaction can be open",
    r"create: two topics that differ only in . and _":
        "Apache Kafka refuses them for the names of its metrics, where both are one; Headrace has no such",
    r"config: (segment.bytes|max.message.bytes)":
        "defaults of its own: smaller segments; 1 MiB without the 12 bytes of an older format's header",
    r"config: min.insync.replicas": "the same value; Apache Kafka keeps it as a setting of the cluster",
    r"alter: (append to a number|no value|unknown operation)":
        "refused either way: INVALID_REQUEST for an operation that the key does not have or nobody knows, "
        "INVALID_CONFIG for a value that is none",
    r"produce: a batch of magic 1":
        "UNSUPPORTED_FOR_MESSAGE_FORMAT says what is wrong; clients have not sent such batches since 2017",
    r"produce: a codec that is none":
        "UNSUPPORTED_COMPRESSION_TYPE says what is wrong; Apache Kafka answers UNKNOWN_SERVER_ERROR",
    r"produce: half a (batch|header)":
        "what is cut short arrived damaged: CORRUPT_MESSAGE, which may be sent again",
    r"sequences: (the first|\d) .*":
        "the offset is the same; Apache Kafka answers a duplicate with a time of append, without need",
    r"commit: with a generation in such a group":
        "ILLEGAL_GENERATION and UNKNOWN_MEMBER_ID both make a member join again; a group of positions alone "
        "is no group to the coordinator",
    r"(commit: with no name of a group|delete group: with no name)":
        "Apache Kafka still keeps positions under no name, for old clients; here a group has a name",
    r"delete offsets: unknown topic": "a group without members is gone with its last position",
    r"consumer: unknown member of no group":
        "members are not kept over a restart of the broker: UNKNOWN_MEMBER_ID lets them join again, where "
        "GROUP_ID_NOT_FOUND is final to librdkafka",
    r"consumer: an epoch long gone":
        "a group's first epoch is 1 here, so the one before it is 0, which joins",
    r"consumer: commit in a version before it":
        "the member's epoch is checked in every version alike",
    r"fetch: a limit within .*":
        "Headrace sends whole batches; Apache Kafka cuts the last one short, and clients throw that away",
}


def all_answers(address, prefix):
    asker = Asker(address, prefix)
    for questions in (questions_topics, questions_data, questions_groups):
        for group in questions.ALL:
            try:
                group(asker)
            except Exception as error:  # the rest is still asked
                asker.note(f"{group.__name__}: all of it", f"{type(error).__name__}: {error}")
    return asker.answers


def differences(kafka, headrace):
    """Where a group of questions was broken off, that is the difference, and not each that was not asked."""
    questions = {**kafka, **headrace}
    if any(each.endswith(": all of it") for each in questions):
        questions = [each for each in questions
                     if each.endswith(": all of it") or (each in kafka and each in headrace)]
    return {each: (kafka.get(each), headrace.get(each)) for each in questions
            if kafka.get(each) != headrace.get(each)}


def reason_for(question):
    return next((why for pattern, why in ALLOWED.items() if re.fullmatch(pattern, question)), None)


def document(different):
    lines = []
    for pattern, why in ALLOWED.items():
        questions = [each for each in different if re.fullmatch(pattern, each)]
        if questions:
            few = "; ".join(
                f"{each} ({different[each][0]} / {different[each][1]})" for each in questions[:6])
            more = f"; and {len(questions) - 6} more" if len(questions) > 6 else ""
            lines.append(f"- {few}{more}: {why}\n")
    return "Question (Apache Kafka's answer / Headrace's answer): reason.\n\n" + "".join(lines)


def main():
    prefix = f"d{int(time.time()):x}"
    kafka, headrace = (all_answers(address, prefix) for address in sys.argv[1:3])
    different = differences(kafka, headrace)
    unknown = [question for question in different if reason_for(question) is None]
    for question in different:
        verdict = "UNKNOWN" if question in unknown else "allowed"
        print(f"differential: {verdict}: {question}: kafka {different[question][0]}, "
              f"headrace {different[question][1]}")
    print(f"differential: {len(kafka)} questions, {len(different)} answered differently, "
          f"{len(unknown)} of these without a reason")
    if "--matrix" in sys.argv[3:]:
        replace_block(README, "differences", document(different))
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
