"""`python -m bkjs` is the `bkjs` command."""

import sys

from bkjs.core.cli import main

sys.exit(main())
