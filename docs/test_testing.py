"""The page about tests: its files together are a project whose tests pass."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("testing.md").read_text(encoding="utf-8")


def test_the_files_of_the_page_pass_as_a_project(tmp_path):
    blocks = re.findall(r"^```py\n# (\S+\.py)\n(.*?)^```", PAGE, re.S | re.M)
    assert len(blocks) == PAGE.count("```py\n") == 8
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    (tmp_path / "pyproject.toml").write_text(re.search(r"```toml\n(.*?)```", PAGE, re.S)[1])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
