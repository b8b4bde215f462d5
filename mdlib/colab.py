"""Where am I, and where do files survive? For notebooks that run on Colab, on Kaggle and on a laptop."""

import os
import sys
from pathlib import Path

DRIVE = Path("/content/drive")  # where Colab puts Google Drive


def place() -> str:
    """ "colab", "kaggle" or "local"."""
    if "google.colab" in sys.modules or "COLAB_RELEASE_TAG" in os.environ:
        return "colab"
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return "kaggle"
    return "local"


def mount_drive() -> Path | None:
    """Connect Google Drive (Colab asks for permission) and return the folder "MyDrive".

    Outside Colab nothing is done and None returned. A Drive whose connection broke is connected anew. Raises
    RuntimeError where the permission was not given.
    """
    if place() != "colab":
        return None
    from google.colab import drive

    my_drive = DRIVE / "MyDrive"
    if not my_drive.is_dir():
        drive.mount(str(DRIVE), force_remount=os.path.ismount(DRIVE))
    if not my_drive.is_dir():
        raise RuntimeError("Google Drive was not connected: run the cell again and allow the access")
    return my_drive


def working_folder(name: str = "mdlib", keep_on_drive: bool = False) -> Path:
    """A folder for data sets and runs, made where it is missing.

    On Colab under /content, or on Drive where it outlives the session if `keep_on_drive`; on Kaggle under
    /kaggle/working; elsewhere under the current folder, where `keep_on_drive` changes nothing.
    """
    here = place()
    if here == "colab":
        root = mount_drive() if keep_on_drive else Path("/content")
    elif here == "kaggle":
        root = Path("/kaggle/working")
    else:
        root = Path.cwd()
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
