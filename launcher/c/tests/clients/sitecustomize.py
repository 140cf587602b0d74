"""For every Python that a test starts, so that what it starts in turn goes by the library too. Found by PYTHONPATH."""

import subprocess_shim

subprocess_shim.install()
