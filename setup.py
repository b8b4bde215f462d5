"""All metadata of the package. Dependencies are ranges: who has torch already keeps that torch."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = re.search(r'^__version__ = "(.+)"$', (here / "mdlib/__init__.py").read_text("utf-8"), re.M)[1]

requires = [
    "torch>=2.4",
    "torchvision>=0.19",
    "kornia>=0.7.3",
    "numpy>=1.26",
    "pillow>=10.1",
    "matplotlib>=3.7",
    "ipywidgets>=7.7.1",
    "gdown>=5.2",
    "requests>=2.28",
    "urllib3>=1.26",
    "torchsummary>=1.5",
    "torchviz>=0.0.2",
    "accelerate>=1.0",
    "safetensors>=0.4.3",
    "tqdm>=4.64",
    "tyro>=0.9",
    "simplejpeg>=1.7",  # JPEG at twice PIL's speed; PIL steps in where it is missing
    "isal>=1.5",  # inflates PNG at two to three times zlib's speed; zlib steps in where it is missing
]

extras = {
    "notebooks": ["jupyterlab>=4.0", "nbformat>=5.9", "nbclient>=0.9"],
    "train": ["tensorboard>=2.14"],
    "teacher": ["transformers>=4.45"],
    "dask": ["dask>=2024.1", "distributed>=2024.1"],
    "remote": ["fsspec>=2023.10"],
    "export": ["onnx>=1.16", "onnxruntime>=1.18", "onnxscript>=0.2"],
    "docs": ["pdoc>=14.0"],
    "bench": ["psutil>=5.9", "webdataset>=0.2.86", "datasets>=2.19", "litdata>=0.2.30"],
}
extras["test"] = [
    *extras["train"],
    *extras["dask"],
    *extras["teacher"],
    *extras["notebooks"],
    "ipykernel>=6.25",
    "voila>=0.5",  # shows notebooks as pages: panels are driven in a browser (Chromium)
    "playwright>=1.40",
    "pytest>=8.0",
    "pytest-xdist>=3.5",
    "hypothesis>=6.100",
    "packaging>=23.0",
    "ruff>=0.6",
    "setuptools>=70.1",  # builds the wheel that a test installs elsewhere
    "scikit-image>=0.22",  # these three: references that the metrics are compared with
    "scipy>=1.11",
    "torchmetrics>=1.4",
]

setup(
    name="mdlib",
    version=version,
    description="Finds what was added to a scene, and how near everything is, from two pictures",
    long_description=(here / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    author="mdlib authors",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    # assets/ lies at the top of the repository and is installed as mdlib.assets.
    packages=[*find_packages(include=["mdlib", "mdlib.*"]), "mdlib.assets"],
    package_dir={"mdlib.assets": "assets"},
    package_data={"mdlib.assets": ["*", "**/*"], "mdlib.viewing.panels": ["*.css", "*.js"]},
    install_requires=requires,
    extras_require=extras,
    classifiers=[
        "Programming Language :: Python :: 3",
        "Intended Audience :: Education",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
)
