# Everything runs in .venv, which is made on first use; python3 and make are all that is needed.
PYTHON ?= python3
VENV := .venv
COLAB := .venv-colab
PY := $(VENV)/bin/python
# Workers of the tests; each keeps to one core.
WORKERS ?= 2
DEMO := demo
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest -q -n $(WORKERS) --dist worksteal

.PHONY: help env demo picture gallery weights notebooks badges docs test test-full test-colab lint clean

help:
	@echo "make demo       rooms and objects -> data set -> training -> evaluation -> prediction (10 minutes)"
	@echo "make test       the tests of every day"
	@echo "make test-full  all tests, also the slow ones"
	@echo "make test-colab the notebooks and panels with the older ipywidgets and IPython of Colab"
	@echo "make lint       check style and formatting"
	@echo "make picture    the picture of the README, from the demo"
	@echo "make gallery    the picture of rooms and props in assets/"
	@echo "make weights    the weights in assets/, from BG=FOLDER FG=FOLDER, data and run in KEEP=FOLDER (two hours)"
	@echo "make notebooks  run the five notebooks and keep what they show (a quarter of an hour)"
	@echo "make badges     put this repository's address into the Colab badges (or ADDRESS=https://...)"
	@echo "make docs       the reference of every function, from its docstrings, in build/docs"
	@echo "make clean      remove everything that was built here, .venv and demo/ too"

env: $(VENV)/.installed

# torch and torchvision must come from the same source, so there is one pip call.
$(VENV)/.installed: setup.py
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "Installing mdlib and what it needs into $(VENV) (a few minutes, 6 GB with torch) ..."
	@$(PY) -m pip install -qq --disable-pip-version-check -e ".[test]"
	@touch $@

demo: env
	@echo "1/5 create: a data set of made-up rooms and objects"
	@$(PY) -m mdlib create $(DEMO)/data --rooms 40 --props 40 --placements 1 --flip --size 128 --workers 2
	@echo "2/5 train: six minutes"
	@$(PY) -m mdlib train $(DEMO)/data --run $(DEMO)/run --minutes 6
	@echo "3/5 evaluate: rooms and objects that training never saw"
	@$(PY) -m mdlib evaluate $(DEMO)/data --weights $(DEMO)/run --pairs 40 --json $(DEMO)/evaluation.json
	@echo "4/5 sample: two pictures of such a room, without and with an object"
	@$(PY) -m mdlib sample $(DEMO)/data --set new_both --index 68 --out $(DEMO)/sample
	@echo "5/5 predict: what was added, and how near is everything?"
	@$(PY) -m mdlib predict $(DEMO)/sample/bg.png $(DEMO)/sample/fg_bg.png \
		--weights $(DEMO)/run --out $(DEMO)/prediction
	@echo "Done. Look at $(DEMO)/prediction/panel.png; the truth is $(DEMO)/sample/panel.png."

picture: demo
	@cp $(DEMO)/prediction/panel.png assets/panel.png
	@echo "assets/panel.png"

gallery: env
	@$(PY) -m benchmarks.release.gallery

weights: env
	@$(PY) -m benchmarks.release.ship_weights $(BG) $(FG) --keep $(KEEP)

notebooks: env
	@$(PY) notebooks/execute.py

badges: env
	@$(PY) notebooks/badges.py "$(ADDRESS)"

# mdlib says what its public names are, so its packages and modules are named to pdoc.
REFERENCE := $(patsubst mdlib/%.py,mdlib.%,$(wildcard mdlib/[a-z]*.py)) \
	$(patsubst mdlib/%/__init__.py,mdlib.%,$(wildcard mdlib/*/__init__.py))
docs: env
	@$(PY) -m pip install -qq --disable-pip-version-check -e ".[docs]"
	@$(PY) -W ignore -m pdoc -o build/docs mdlib $(REFERENCE)
	@echo "build/docs/index.html"

test: env
	@$(PYTEST) -m "not slow"

test-full: env
	@$(PYTEST)

# A second environment, whose own packages come before those of the first.
test-colab: env
	@$(PYTHON) -m venv $(COLAB)
	@$(COLAB)/bin/python -m pip install -qq --disable-pip-version-check "ipywidgets==7.7.1" "ipython==7.34.0" \
		"ipykernel<7" "numpy==2.1.*" "pillow==11.3.*" "matplotlib==3.10.*" nbclient nbformat
	@$(PY) -c "import sysconfig; print(f'import site; site.addsitedir({sysconfig.get_path(\"purelib\")!r})')" \
		> "$$($(COLAB)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/the_rest.pth"
	@OMP_NUM_THREADS=1 $(COLAB)/bin/python -m pytest -q tests/notebooks tests/viewing/panels -m "not slow"

lint: env
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

clean:
	rm -rf $(VENV) $(COLAB) $(DEMO) notebooks/mdlib-work build dist *.egg-info .pytest_cache .hypothesis .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
