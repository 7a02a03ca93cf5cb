"""``captum-superpixel explain`` and ``demo``: what in an image a network's decision depends on, as files to look at."""
