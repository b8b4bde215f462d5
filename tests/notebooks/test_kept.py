"""What the repository keeps of the notebooks: their form, and outputs that belong to their code."""

import ast
import re

import nbformat
import pytest

NAMES = [
    "01_data_creation", "02_zip_dataloader", "03_model_building", "04_resumable_training",
    "05_visualize_and_predict",
]  # fmt: skip
MOST_LINES, MOST_BYTES, MOST_MODULES = 15, 900_000, 8
MACHINE = re.compile(r"(?:/(?:home|root|tmp|work|usr|content|Users|private|var|opt|mnt)/|[A-Z]:\\)[\w.-]+")


@pytest.fixture(params=NAMES)
def path(request, execute):
    return execute.HERE / f"{request.param}.ipynb"


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_five(execute):
    assert [path.stem for path in execute.notebook_paths()] == NAMES


def test_outputs_belong_to_the_code(execute, notebook):
    kept = notebook.metadata.get("mdlib", {}).get("code_sha256")
    assert kept == execute.digest(notebook), "the code was changed after it was run: `make notebooks`"
    assert all(cell.execution_count for cell in code_cells(notebook))
    assert [cell.execution_count for cell in code_cells(notebook)] == [
        i + 1 for i in range(len(code_cells(notebook)))
    ]


def test_it_is_small(path):
    assert path.stat().st_size <= MOST_BYTES


def test_form(notebook, path):
    nbformat.validate(notebook)
    long = [cell.source for cell in code_cells(notebook) if len(cell.source.splitlines()) > MOST_LINES]
    assert not long
    kinds = [cell.cell_type for cell in notebook.cells]
    bare = [i for i, kind in enumerate(kinds) if kind == "code" and kinds[i - 1] != "markdown"]
    assert not bare, "prose stands before each cell"
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    for name in ("SIZE", "SEED", "DATA", "DRIVE_FOLDER"):
        assert re.search(rf"^{name} = ", tagged[0].source, re.M)
    first = notebook.cells[0].source
    assert first.startswith("# ")
    assert f"/blob/main/notebooks/{path.name})" in first
    for words in ("You will build", "You need", "Time", "CPU", "T4", "estimate"):
        assert words in first
    assert "MDLIB_SOURCE" in code_cells(notebook)[0].source
    assert sum(cell.source.count("Try it") for cell in notebook.cells) >= 2


def test_the_set_up_cell_is_the_same_everywhere_and_leaves_torch(execute):
    cells = {code_cells(nbformat.read(path, as_version=4))[0].source for path in execute.notebook_paths()}
    assert len(cells) == 1
    assert '("torch", "torchvision", "numpy")' in cells.pop()


def test_it_needs_few_modules(notebook):
    """Of mdlib; its public names count as one."""
    source = "\n".join(cell.source for cell in code_cells(notebook))
    imports = ast.walk(ast.parse(re.sub(r"^%.*$", "", source, flags=re.M)))
    found = {node.module for node in imports if isinstance(node, ast.ImportFrom) and "mdlib" in node.module}
    assert len(found) <= MOST_MODULES, sorted(found)


def test_no_errors_no_warnings_no_traces_of_a_machine(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
            texts = [output.get("text", ""), *map(str, output.get("data", {}).values())]
            plain = [text for text in texts if not text.startswith(("/9j/", "iVBOR", "R0lG"))]
            for text in plain:
                assert not MACHINE.search(text), MACHINE.search(text)
                assert " at 0x" not in text


def test_pictures_stand_in_every_notebook(notebook):
    kinds = [kind for cell in code_cells(notebook) for o in cell.outputs for kind in o.get("data", {})]
    assert sum(kind.startswith("image/") for kind in kinds) >= 4
