"""The documentation site: the pages and notebooks of this folder, and the API by its docstrings.

    python -m sphinx -W -n tutorials build/site

Notebooks are shown as they are: without outputs from a checkout, with them where they were executed before.
"""

import importlib
import inspect
from types import ModuleType

import captum_superpixel

project = "captum_superpixel"
author = project_copyright = "The captum_superpixel authors"
version = release = captum_superpixel.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_copybutton"]
exclude_patterns = ["**/.ipynb_checkpoints"]
html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_domain_indices = False
html_show_sphinx = False

nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

autodoc_default_options = {
    "members": True,
    "imported-members": True,
    "show-inheritance": True,
    # Of named tuples, whose docstrings are Python's.
    "exclude-members": "count, index",
}
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Where other projects document what signatures name; written out, so that the site is built without a network.
EXTERNAL = {
    "captum": "https://captum.ai/api/",
    "collections": "https://docs.python.org/3/library/{module}.html#{name}",
    "inspect": "https://docs.python.org/3/library/{module}.html#{name}",
    "matplotlib": "https://matplotlib.org/stable/api/index.html",
    "numpy": "https://numpy.org/doc/stable/reference/generated/{name}.html",
    "os": "https://docs.python.org/3/library/{module}.html#{name}",
    "pathlib": "https://docs.python.org/3/library/{module}.html#{name}",
    "PIL": "https://pillow.readthedocs.io/en/stable/reference/Image.html#{name}",
    "torch": "https://docs.pytorch.org/docs/stable/generated/{name}.html",
}
# What Python calls them inside is not what their documentation does.
PUBLIC_NAMES = {
    "Tensor": "torch.Tensor",
    "matplotlib.axes._axes.Axes": "matplotlib.axes.Axes",
    "torch._C.Generator": "torch.Generator",
    "torch.nn.modules.module.Module": "torch.nn.Module",
    "torch.utils.data.dataset.Dataset": "torch.utils.data.Dataset",
}
PAGES = {
    "torch.Tensor": "https://docs.pytorch.org/docs/stable/tensors.html#torch.Tensor",
    "torch.utils.data.Dataset": "https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Dataset",
}
ROOMS = ("attr", "regions", "pooling", "masks", "metrics", "visualization", "models", "datasets")


def find_documented(name: str) -> str:
    """The name under which a page documents what ``name`` refers to, which may be where it is defined; or ``""``."""
    path, _, last = name.rpartition(".")
    for room in ROOMS:
        module = importlib.import_module(f"captum_superpixel.{room}")
        if last in getattr(module, "__all__", ()) and (not path or path.startswith(("captum_superpixel", room))):
            return f"captum_superpixel.{room}.{last}"
    return ""


def external_page(name: str) -> str:
    """The page of another project on ``name``, or ``""``."""
    name = PUBLIC_NAMES.get(name, name)
    if name in PAGES:
        return PAGES[name]
    if name.startswith("captum.attr.") and "_" not in name:
        words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name.rpartition(".")[2])
        return f"https://captum.ai/api/{words.lstrip('_')}.html"
    pattern = EXTERNAL.get(name.partition(".")[0], "")
    return pattern.format(name=name, module=name.rpartition(".")[0])


def resolve(app, env, node, contnode):
    """Link a reference that no page of ours defines under this very name."""
    from docutils import nodes  # here, so that the tests read this file where Sphinx is not installed

    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    own = find_documented(target)
    if own and own != target:
        found = env.get_domain("py").resolve_xref(env, node["refdoc"], app.builder, "obj", own, node, contnode)
        if found is not None:
            return found
    page = external_page(target)
    if page:
        return nodes.reference("", "", contnode, internal=False, refuri=page, reftitle=target)
    # Private bases and the names of types that only signatures use: shown, and not linked.
    return contnode if is_undocumented(target) else None


def is_undocumented(name: str) -> bool:
    """Whether ``name`` is of this package, and no page's: a private base class, a type alias, a module of parts."""
    last = name.rpartition(".")[2]
    for room in (captum_superpixel, *(importlib.import_module(f"captum_superpixel.{room}") for room in ROOMS)):
        for module in [room, *modules_within(room)]:
            if hasattr(module, last):
                return not find_documented(name)
    return False


def modules_within(package: ModuleType) -> list[ModuleType]:
    """The modules of a package that are imported."""
    return [value for value in vars(package).values() if inspect.ismodule(value)]


def setup(app):
    """Resolve what is documented elsewhere."""
    app.connect("missing-reference", resolve)
