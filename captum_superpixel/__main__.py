"""``python -m captum_superpixel`` does what the command ``captum-superpixel`` does, with the Python that is named."""

import sys

from captum_superpixel.cli import main

# Worker processes import this module under another name.
if __name__ == "__main__":
    sys.exit(main())
