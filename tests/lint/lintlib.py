"""What the lint checks share: the list of project files, findings, TAP output.

SPDX-License-Identifier: GPL-2.0-or-later

A check is a function of a tree that yields (path, line, text) findings. `run` prints one test
point for the real tree and one for each bad sample: a check that finds nothing in its own bad
samples is broken.
"""
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "include", "tools", "tests", "bench", "examples", "scripts", "docs", "man",
           "packaging", ".ci")


def project_files(root):
    """Files of the project under root, sorted; build directories and caches are not of it."""
    for entry in sorted(root.iterdir()):
        if entry.is_file() and entry.name not in (".git", "compile_commands.json"):
            if not entry.name.startswith(".setup-stamp"):
                yield entry
        elif entry.is_dir() and entry.name in FOLDERS:
            for folder, subfolders, names in os.walk(entry):
                subfolders[:] = sorted(s for s in subfolders if s != "__pycache__")
                for name in sorted(names):
                    if not name.endswith(".pyc"):
                        yield Path(folder) / name


def c_files(root, folders=("src", "include", "tools", "tests", "bench", "examples")):
    """C sources and headers of the named folders."""
    for path in project_files(root):
        if path.suffix in (".c", ".h") and path.relative_to(root).parts[0] in folders:
            yield path


def sample_tree(files):
    """A scratch tree holding files {path: text}; the caller keeps the returned object alive."""
    scratch = tempfile.TemporaryDirectory(prefix="dextlink-lint-")
    for name, text in files.items():
        path = Path(scratch.name) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return scratch


def findings_in_sample(check, files):
    """What a check finds in a sample tree."""
    scratch = sample_tree(files)
    with scratch:
        return list(check(Path(scratch.name)))


def speak_tap(points):
    """Print (is good, title, details) points as TAP. Returns the exit code."""
    count = 0
    is_all_good = True
    for is_good, title, details in points:
        count += 1
        print(f"{'ok' if is_good else 'not ok'} {count} - {title}", flush=True)
        if not is_good:
            is_all_good = False
            print("\n".join(f"# {line}" for line in details))
    print(f"1..{count}")
    return 0 if is_all_good else 1


def check_points(name, check, bad, good):
    """Points of a check: the tree is clean, each bad sample is caught, each good one is not."""
    lines = [f"{path}:{line}: {text}" for path, line, text in check(ROOT)]
    yield not lines, f"{name}: the tree", lines
    for what, files in bad:
        yield bool(findings_in_sample(check, files)), f"{name} catches {what}", []
    for what, files in good:
        lines = [f"{p}:{n}: {t}" for p, n, t in findings_in_sample(check, files)]
        yield not lines, f"{name} allows {what}", lines


def run(name, check, bad, good=()):
    """Run a check over the tree and its samples: lists of (what, {path: text})."""
    return speak_tap(check_points(name, check, bad, good))


def run_in_scratch(points):
    """Speak TAP for a generator of points that wants a scratch directory."""
    with tempfile.TemporaryDirectory(prefix="dextlink-test-") as name:
        return speak_tap(points(Path(name)))


def skip(reason):
    """End as a skipped test, saying why."""
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)
