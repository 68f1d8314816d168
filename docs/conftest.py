"""Every Python block of the documentation runs, in order, one page being one program.

A block may use `await` at its top level. Blocks in a fence with another language are not run.
"""

import ast
import asyncio
import inspect
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

FENCE = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


class Page(pytest.File):
    def collect(self):
        if FENCE.search(self.path.read_text(encoding="utf-8")):
            yield PageItem.from_parent(self, name="blocks")


class PageItem(pytest.Item):
    def runtest(self):
        text = self.path.read_text(encoding="utf-8")

        async def run() -> None:
            names: dict[str, object] = {"__name__": f"docs_{self.path.stem.replace('-', '_')}"}
            for block in FENCE.finditer(text):
                line = text.count("\n", 0, block.start(1))
                code = compile(
                    "\n" * line + block[1],
                    str(self.path),
                    "exec",
                    flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
                )
                result = eval(code, names)
                if inspect.isawaitable(result):
                    await result

        asyncio.run(run())

    def reportinfo(self):
        return self.path, 0, f"documentation: {self.path.name}"


def pytest_collect_file(file_path: Path, parent):
    if file_path.suffix == ".md" and "_build" not in file_path.parts:
        return Page.from_parent(parent, path=file_path)
    return None
