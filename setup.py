"""What pyproject.toml cannot say: wheels hold compiled code, so they are for one platform."""

from setuptools import setup
from setuptools.dist import Distribution


class Compiled(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(distclass=Compiled)
