"""Build hook: installing or building the package also fetches its pinned third-party files."""

import runpy
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithAssets(build_py):
    """Copy the package only once its assets are in place, so that every wheel contains them."""

    def run(self) -> None:
        """Fetch what is missing, then build as usual."""
        sys.path.insert(0, str(Path(__file__).parent))
        runpy.run_module("avatar_service.assets", run_name="__main__")
        super().run()


setup(cmdclass={"build_py": BuildWithAssets})
