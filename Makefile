# Two commands: `make run` and `make test`. Both install what is missing first, and say what.
.PHONY: run demo test lint bench players ograf check install

CARGO ?= $(shell command -v cargo 2>/dev/null || echo $(HOME)/.cargo/bin/cargo)
ARGS ?=

run: install
	$(CARGO) build --release --locked --bin vitrine
	./target/release/vitrine serve $(ARGS)

demo: install
	$(CARGO) build --release --locked --bin vitrine
	./target/release/vitrine demo $(ARGS)

check: install
	$(CARGO) build --release --locked --bin vitrine
	./target/release/vitrine check $(ARGS)

test:
	sh ./.install.sh test
	$(CARGO) test --locked $(ARGS)

lint:
	sh ./.install.sh build
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked --test layers

bench:
	sh ./.install.sh test
	$(CARGO) build --release --locked --bin vitrine --example blend --example connect --example crowd --example ladder --example viewers
	python3 tests/bench/bench.py $(ARGS)
	python3 tests/bench/serve.py

# Two minutes each with eight players; stalls are counted.
players:
	sh ./.install.sh players
	$(CARGO) build --release --locked --bin vitrine
	python3 tests/players/players.py $(ARGS)

# What EBU says of the OGraf Server API, asked of ours. SPEC=FILE where there is no network.
ograf:
	sh ./.install.sh test
	$(CARGO) build --release --locked --bin vitrine
	SPEC="$(SPEC)" ./tests/ograf.sh

install:
	sh ./.install.sh run
