"""``captum-superpixel explain``: what a network goes by in photographs, from the command line to files."""
