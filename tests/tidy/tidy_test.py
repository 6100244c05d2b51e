#!/usr/bin/env python3
"""Breaks every rule of tidy in a small tree of its own, and sees that it is reported, and that what
merely looks like a breach is not."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import tidy  # noqa: E402

HEADER = "// What it is.\n#pragma once\n"
# A tree in order, to which each test adds one file.
CLEAN = {
    "CMakeLists.txt": "project(x)\n",
    "README.md": "See `storage/log.h` and [the tests](tests/CMakeLists.txt).\n",
    "protocol/core/types.h": HEADER,
    "protocol/native/frame.h": HEADER + '#include "protocol/core/types.h"\n',
    "storage/io/file.h": HEADER + '#include "protocol/core/types.h"\n',
    "storage/log.h": HEADER + '#include "storage/io/file.h"\n',
    "broker/topic/partition.h": HEADER + '#include "storage/log.h"\n',
    "broker/net/session.h": HEADER + "#include <boost/asio.hpp>\n",
    "client/headrace/client.h": HEADER + "#include <string_view>\n",
    "client/connection.h": HEADER + '#include "headrace/client.h"\n#include "protocol/native/frame.h"\n',
    "tests/CMakeLists.txt": "headrace_test(storage_tests storage headrace_storage)\n",
    "tests/storage/log_test.cc": '#include "broker/topic/partition.h"\n',
}


def violations(files):
    """The rules that a clean tree with these files breaks, as [(path, line, rule)]."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**CLEAN, **files}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8", newline="") as file:
                file.write(text)
        return [found[:3] for found in tidy.check(root)]


class TidyTest(unittest.TestCase):
    def breaks(self, rule, path, text, line=None):
        found = violations({path: text})
        self.assertEqual([(path, rule)], sorted({(where, what) for where, _, what in found}), text)
        if line:
            self.assertEqual([line], [at for _, at, _ in found], text)

    def keeps(self, path, text):
        self.assertEqual([], violations({path: text}), text)

    def test_a_tree_in_order_has_no_violations(self):
        self.assertEqual([], violations({}))


class Includes(TidyTest):
    def test_direction(self):
        for path, target in (
            ("protocol/core/bad.cc", "storage/log.h"),
            ("protocol/native/bad.cc", "storage/io/file.h"),
            ("storage/io/bad.cc", "storage/log.h"),
            ("storage/bad.cc", "protocol/native/frame.h"),
            ("storage/bad.cc", "broker/net/session.h"),
            ("broker/net/bad.cc", "storage/log.h"),
            ("broker/net/bad.cc", "broker/topic/partition.h"),
            ("broker/topic/bad.cc", "protocol/native/frame.h"),
            ("broker/topic/bad.cc", "broker/net/session.h"),
            ("broker/bad.cc", "client/connection.h"),
            ("client/bad.cc", "storage/log.h"),
            ("client/cli/bad.cc", "broker/net/session.h"),
            ("client/cli/offline/bad.cc", "broker/topic/partition.h"),
            ("client/examples/bad.cc", "client/connection.h"),
        ):
            self.breaks("include", path, f'#include "{target}"\n', 1)

    def test_allowed_directions(self):
        both = '#include "broker/net/session.h"\n#include "broker/topic/partition.h"\n'
        self.keeps("broker/native/fine.cc", both)
        self.keeps("broker/main.cc", '#include "broker/net/session.h"\n#include "storage/log.h"\n')
        self.keeps("client/cli/main.cc", '#include "client/connection.h"\n')
        self.keeps("client/cli/offline/dump.cc", '#include "storage/log.h"\n#include "headrace/client.h"\n')
        self.keeps("storage/fine.cc", '// #include "broker/net/session.h"\n#include "absl/status/status.h"\n')

    def test_angle_brackets_are_no_way_round(self):
        self.breaks("include", "storage/bad.cc", "#include <broker/net/session.h>\n")
        self.breaks("include", "storage/bad.cc", "#include <storage/io/file.h>\n", 1)
        self.breaks("include", "tests/storage/log_test.cc", "#include <storage/log.h>\n", 1)
        self.keeps("tests/package/fine.h", HEADER + "#include <headrace/client.h>\n")

    def test_a_new_folder_has_a_line_of_its_own(self):
        self.breaks("folder", "storage/new/bad.cc", "int a;\n", 1)
        self.breaks("folder", "broker/security/bad.h", HEADER, 1)
        self.breaks("folder", "protocol/bad.cc", "int a;\n", 1)
        self.keeps("protocol/kafka/messages/fine.h", HEADER)
        self.keeps("tests/support/new/fine.h", HEADER)

    def test_other_suffixes_are_no_way_round(self):
        for name in ("bad.cpp", "bad.hpp", "bad.c", "bad.cxx", "bad.hh"):
            self.breaks("suffix", f"storage/{name}", "// anything\n", 1)

    def test_includes_are_written_from_the_root(self):
        self.breaks("include", "storage/bad.cc", '#include "log.h"\n', 1)

    def test_libraries(self):
        for path, name in (
            ("storage/bad.cc", "boost/asio/post.hpp"),
            ("broker/topic/bad.cc", "boost/asio.hpp"),
            ("client/producer.cc", "boost/asio.hpp"),
            ("storage/bad.cc", "spdlog/spdlog.h"),
            ("client/bad.cc", "spdlog/spdlog.h"),
            ("broker/net/bad.cc", "google/protobuf/message.h"),
            ("broker/topic/bad.cc", "headrace.pb.h"),
            ("storage/bad.cc", "sys/socket.h"),
            ("protocol/core/bad.cc", "fstream"),
            ("protocol/core/bad.cc", "unistd.h"),
        ):
            self.breaks("include", path, f"#include <{name}>\n", 1)
        self.keeps("client/connection.cc", "#include <boost/asio.hpp>\n")

    def test_public_headers_include_the_standard_library_only(self):
        self.breaks("include", "client/headrace/bad.h", HEADER + "#include <sys/types.h>\n", 3)
        self.breaks("include", "client/headrace/bad.h", HEADER + '#include "absl/status/status.h"\n', 3)
        self.breaks("include", "client/headrace/bad.h", HEADER + '#include "protocol/core/types.h"\n')


class Sizes(TidyTest):
    def test_files(self):
        self.breaks("file-size", "storage/bad.h", HEADER + "//\n" * 249, 251)
        self.keeps("storage/fine.h", HEADER + "//\n" * 248)
        self.breaks("file-size", "storage/bad.cc", "//\n" * 501, 501)
        self.keeps("storage/fine.cc", "//\n" * 500)

    def function(self, head, lines):
        return f"namespace headrace {{\n{head} {{\n" + "  f();\n" * (lines - 2) + "}\n}\n"

    def test_functions(self):
        for head in (
            "int F(int a)",
            "absl::StatusOr<std::vector<int>> Class::F(std::span<const char> a) const",
            "auto F() -> std::vector<int>",
            "template <typename T, std::enable_if_t<(sizeof(T) > 1), int> = 0> void F(T t) noexcept",
            "Class::Class(int a) : a_(a), b_{a}",
            "void F() HEADRACE_REQUIRES(mutex_)",
            "bool operator()(int a) const",
            'TEST_CASE("a name; with { signs")',
            "const auto f = [](int a)",
        ):
            self.breaks("function-size", "storage/bad.cc", self.function(head, 71), 2)
            self.keeps("storage/fine.cc", self.function(head, 70))

    def test_methods_within_a_class_and_lambdas_within_a_function(self):
        long = "  void F() {\n" + "    f();\n" * 70 + "  }\n"
        text = "class C : public B {\n public:\n" + long + "};\n"
        self.breaks("function-size", "storage/bad.cc", text, 3)
        text = "void G() {\n  auto f = [] {\n" + "  f();\n" * 70 + "  };\n}\n"
        self.breaks("function-size", "storage/bad.cc", text, 1)

    def test_classes_and_tables_are_no_functions(self):
        self.keeps("storage/fine.cc", "struct S {\n" + "  int a;\n" * 100 + "};\n")
        self.keeps("storage/fine.cc", "constexpr int kTable[] = {\n" + "  1,\n" * 100 + "};\nint F() {}\n")
        quoted = "void F() {\n  f(\"}{\");  // {\n  char c = '{';\n}\n"
        self.keeps("storage/fine.cc", quoted + "int a;\n" * 100)
        self.keeps("storage/fine.cc", "constexpr char kText[] = R\"(\n{\n)\";\n" + "int a;\n" * 100)

    def test_width(self):
        self.breaks("width", "storage/bad.cc", "//" + "a" * 109 + "\n", 1)
        self.keeps("storage/fine.cc", "//" + "ä" * 108 + "\n")


class Bans(TidyTest):
    def test_constructs(self):
        for rule, path, text in (
            ("namespace", "storage/bad.h", HEADER + "using namespace std;\n"),
            ("detached", "broker/net/bad.cc", "co_spawn(io, f(), asio::detached);\n"),
            ("detached", "storage/bad.cc", "std::thread(f).detach();\n"),
            ("sleep", "storage/bad.cc", "std::this_thread::sleep_for(x);\n"),
            ("sleep", "tests/storage/log_test.cc", "void F() { usleep(3); }\n"),
            ("cout", "storage/bad.cc", "std::cout << 1;\n"),
            ("friend", "storage/bad.h", HEADER + "friend class LogTest;\n"),
            ("sync", "storage/bad.cc", "int a = ::fdatasync(fd);\n"),
            ("clock", "storage/bad.cc", "auto now = std::chrono::steady_clock::now();\n"),
            ("new", "storage/bad.cc", "auto* a = new int(3);\n"),
            ("delete", "storage/bad.cc", "void F() { delete a; }\n"),
            ("memory", "storage/bad.cc", "void* a = std::malloc(3);\n"),
            ("memory", "storage/bad.cc", "auto* a = new (std::nothrow) int;\n"),
            ("print", "storage/bad.cc", "void F() { printf(\"x\"); }\n"),
            ("print", "client/bad.cc", "void F() { std::fprintf(stderr, \"x\"); }\n"),
            ("throw", "broker/topic/bad.cc", "void F() { throw 1; }\n"),
            ("pragma", "storage/bad.h", "// What it is.\n"),
            ("opening", "storage/bad.h", "#pragma once\n"),
            ("space", "storage/bad.cc", "int a; \n"),
            ("space", "storage/bad.cc", "\tint a;\n"),
            ("space", "storage/bad.cc", "int a;\r\n"),
            ("space", "storage/bad.cc", "int a;"),
            ("mark", "storage/bad.cc", "// TO" + "DO: all of it\n"),
            ("mark", "broker/bad.sh", "# FIX" + "ME\n"),
            ("place", "broker/bad.sh", "cd /wo" + "rk/main\n"),
            ("place", "broker/bad.md", "from https://py" + "pi.org\n"),
            ("place", "broker/bad.sh", "GONOSUMDB=sum.go" + "lang.org\n"),
            ("place", "broker/bad.md", "from https://repo1.mav" + "en.org/x\n"),
        ):
            self.breaks(rule, path, text)

    def test_what_only_looks_like_them(self):
        for path, text in (
            ("storage/fine.cc", "using namespace std::chrono_literals;\n"),
            ("storage/fine.cc", "// sleep_for(1), std::cout, new int\nauto a = \"new int; fsync(\";\n"),
            ("storage/fine.cc", "auto a = std::unique_ptr<Log>(new Log(1));\n"),
            ("storage/fine.cc", "new (place) Log(1);\nLog(const Log&) = delete;\n"),
            ("storage/fine.cc", "void operator delete(void* a);\nvoid* operator new(size_t);\n"),
            ("storage/fine.cc", "// throw, malloc(\nauto a = std::snprintf(b, 1, \"throw\"); free_(1);\n"),
            ("broker/main.cc", "void F() { std::printf(\"x\"); }\n"),
            ("storage/io/fine.cc", "int a = ::fdatasync(fd);\nauto b = std::chrono::steady_clock::now();\n"),
            ("client/cli/fine.cc", "std::cout << 1;\n"),
            ("broker/fine.sh", "mktemp /tmp/a.XXXXXX; cd $root/build/main\n"),
        ):
            self.keeps(path, text)


class CoAwait(TidyTest):
    def breaks_in_a_function(self, statement):
        self.breaks("co_await", "broker/net/bad.cc", f"Task F() {{\n  int a = 1;\n  {statement}\n}}\n", 3)

    def keeps_in_a_function(self, statement):
        self.keeps("broker/net/fine.cc", f"Task F() {{\n  int a = 1;\n  {statement}\n}}\n")

    def test_braces_and_captures(self):
        for statement in (
            "co_await Send(Frame{1, 2});",
            "auto b = co_await Send({1, 2});",
            "Use(Frame{1}, co_await Send());",
            "co_return co_await Frame{1};",
            "Pair b = {co_await Send(), 1};",
            "co_await Send([a] { return a; });",
            "co_await Send([&](int b) mutable -> int { return a + b; });",
            "if (auto b = co_await Send(Frame{1}); b) return;",
            "for (;;) co_await Send(Frame{1});",
            "Spawn([=]() -> Task { co_await Send(Frame{1}); });",
        ):
            self.breaks_in_a_function(statement)

    def test_what_is_allowed(self):
        for statement in (
            "Frame b{1, 2}; co_await Send(b);",
            "auto [b, c] = co_await Send(a);",
            "const auto& [b, c] = co_await Send(a);",
            "if (co_await Send(a)) { F(Frame{1}); }",
            "while (co_await Send(a)) {}",
            "try { co_await Send(a[0]); } catch (...) {}",
            "Spawn([=]() -> Task { co_await Send(a); });",
            "auto f = [this](int b) { return b; }; co_await Send(f);",
            "switch (a) { case 1: co_await Send(a); break; default: F({1}); }",
            "// co_await Send(Frame{1});",
        ):
            self.keeps_in_a_function(statement)


class WholeTree(TidyTest):
    def test_top_level(self):
        self.breaks("top-level", "scripts/run.sh", "#!/bin/sh\n")
        self.breaks("top-level", "notes.md", "nothing\n")
        self.keeps(".editorconfig", "root = true\n")

    def test_every_test_is_built(self):
        self.breaks("not-built", "tests/forgotten/log_test.cc", "int a;\n")
        self.breaks("not-built", "tests/storage/deep/log_test.cc", "int a;\n")
        lists = CLEAN["tests/CMakeLists.txt"]
        added = {"tests/other/log_test.cc": "int a;\n"}
        added["tests/CMakeLists.txt"] = lists + "# headrace_test(x other)\n"
        self.assertEqual([("tests/other/log_test.cc", 1, "not-built")], violations(added))
        added["tests/CMakeLists.txt"] = lists + "headrace_test(x other)\n"
        self.assertEqual([], violations(added))

    def test_the_table_of_apis_is_of_the_code(self):
        api = HEADER + 'enum class ApiKey { kFetch = 1, };\n{ApiKey::kFetch, "Fetch", 4, 17, 12},\n'
        row = "| 1 | Fetch | 4-17 | 12 |\n"
        head = "| key | API | versions served | flexible from |\n|---|---|---|---|\n"
        for text, found in (
            (f"<!-- apis -->\n{head}{row}<!-- end of apis -->\n", []),
            (f"<!-- apis -->\n{head}<!-- end of apis -->\n", [("protocol/kafka/README.md", 1, "table")]),
            ("no table\n", [("protocol/kafka/README.md", 1, "table")]),
        ):
            files = {"protocol/kafka/api.h": api, "protocol/kafka/README.md": text}
            self.assertEqual(found, violations(files))

    def test_other_sources_of_tests_are_named(self):
        for name in ("log_tests.cc", "test_log.cc", "log_fuzz.cc", "helper.cc"):
            self.breaks("not-built", f"tests/storage/{name}", "int a;\n", 1)
        lists = CLEAN["tests/CMakeLists.txt"] + "add_library(x STATIC storage/helper.cc)\n"
        added = {"tests/storage/helper.cc": "int a;\n", "tests/CMakeLists.txt": lists}
        self.assertEqual([], violations(added))

    def test_documents_name_what_exists(self):
        for name in (
            "`storage/gone.h`",
            "`gone.cc`",
            "[it](storage/gone.md)",
            "`storage/{log,gone}.h`",
            "`broker/old/`",
            "`tests/gone.sh release`",
            "`PRESET=release broker/gone.sh`",
            "`gone.rs`",
            "`tests/gone.json`",
        ):
            self.breaks("path", "storage/README.md", f"# Storage\n\nSee {name}.\n", 3)
        for names in (
            "`io/file.h` `log.h` `storage/io/*.h` `headrace/client.h` `storage/` `meta`",
            "`build/release/bin/headrace` `a.b` `text/plain` [x](https://x.org) [y](#y)",
            "`cat storage/log.h` `topic create storage` `not/of/the/tree storage/*.h`",
        ):
            self.keeps("storage/README.md", names + "\n")
        self.breaks("path", "storage/README.md", "```\ncat storage/gone.h\n```\n", 2)
        self.breaks("path", "storage/README.md", "```sh\nX=1 storage/gone.sh | cat\n```\n", 2)
        self.keeps("storage/README.md", "```\ncat storage/log.h; ls build/x | sort a/b\n```\n")


if __name__ == "__main__":
    unittest.main()
