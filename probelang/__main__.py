"""`python -m probelang`."""

import sys

from probelang.cli.main import main

sys.exit(main())
