# Everything anyone needs, one line each. `make` alone prints this list.
SHELL := /bin/bash
.DEFAULT_GOAL := help

ROBOTS ?= 2
KEEP ?= 0
FILTER ?=

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/\1|\2/' | column -t -s '|'

setup: ## Install what is missing: system packages by name, the ONNX Runtime library
	@scripts/setup.sh

build: setup ## Build everything in release
	@scripts/build.sh release

demo: build ## One box off the pallet per robot: simulators, agents, gateway, workers, PostgreSQL (ROBOTS=8, KEEP=1)
	@python3 scripts/demo.py --robots $(ROBOTS) $(if $(filter 1,$(KEEP)),--keep)

demo-stop: ## Stop what `make demo KEEP=1` left running
	@python3 scripts/demo.py --stop

evaluate: build ## Success of the policy through the full stack, per colour and wording (EPISODES=100 MODES=async,sync ROBOTS=4)
	@python3 scripts/evaluate.py $(if $(EPISODES),--episodes $(EPISODES)) $(if $(MODES),--modes $(MODES)) $(if $(ROBOTS),--robots $(ROBOTS))

compare: build ## The table of modes: the same scenes in sync, async, rtc, measured (EPISODES=10 MODES=async,rtc)
	@python3 scripts/compare.py $(if $(EPISODES),--episodes $(EPISODES)) $(if $(MODES),--modes $(MODES))

bench-agent: build ## When commands of the control loop arrive at a subscriber, its jitter, CPU and memory, beside a rospy loop, 31 min (ROW_SECONDS=300 TOGETHER=1 RESUME=1)
	@python3 scripts/bench_agent.py $(if $(TOGETHER),--together) $(if $(ROW_SECONDS),--seconds $(ROW_SECONDS)) $(if $(RESUME),--resume)

bench-worker: build ## CPU and memory of the worker around an inference, and what batching gains
	@/usr/bin/python3 scripts/bench_worker.py

bench-gpu: build ## On a GPU: a GR00T-N1.5-sized policy, graph, eager, LeRobot's server (PYTHON=... BUNDLE=DIR TINY=1 checks on a CPU)
	@/usr/bin/python3 scripts/bench_gpu.py $(if $(PYTHON),--python $(PYTHON)) $(if $(BUNDLE),--bundle $(BUNDLE)) $(if $(filter 1,$(TINY)),--tiny)

bench-images: build ## Bytes of image encodings, and how the policy's answers change
	@python3 scripts/bench_images.py

bench-delay: build ## Success with network delay for async, sync, rtc (EPISODES=40 DELAYS=0,400 MODES=rtc THRESHOLD=0.5 OPTIONS=... RESUME=1)
	@python3 scripts/bench_delay.py $(if $(EPISODES),--episodes $(EPISODES)) $(if $(MODES),--modes $(MODES)) \
		$(if $(DELAYS),--delays $(DELAYS)) $(if $(THRESHOLD),--threshold $(THRESHOLD)) $(if $(OPTIONS),--options="$(OPTIONS)") $(if $(RESUME),--resume)

bench-link-cut: build ## Episodes whose link is cut in mid-motion, and how each ends (EPISODES=20 CUTS=5,15,40)
	@python3 scripts/bench_link_cut.py $(if $(EPISODES),--episodes $(EPISODES)) $(if $(CUTS),--cuts $(CUTS))

bench-settings: build ## What each setting of docs/operations/tuning.md does, one change at a time (EPISODES=6 per setting)
	@python3 scripts/bench_settings.py $(if $(EPISODES),--episodes $(EPISODES))

test: setup lint ## Set-up, lint, a build with warnings as errors, all tests (FILTER=Name for some)
	@scripts/setup-lerobot.sh
	@scripts/build.sh tests
	@scripts/test.sh $(FILTER)

bench-store: build ## Telemetry rows per second through one gateway beside raw COPY of the same rows (ROWS=400000)
	@cd scripts && /usr/bin/python3 bench_store.py $(if $(ROWS),--rows $(ROWS))

lint: ## Format, import directions, unsafe code where it belongs
	@scripts/lint.sh

format: ## Rewrite the Swift sources in the project's format
	@swift format --in-place --recursive --parallel Sources Tests Package.swift

bench-gateway: setup ## CPU per request beside nghttpx, HAProxy, nginx and Envoy (ROUNDS=5 ONLY=small,obs TLS=0,1; PAGE=1 writes docs/benchmarks)
	@bench/gateway/run.sh $(if $(filter 1,$(PAGE)),--page)

chaos: setup ## kill -9 of everything, damaged spools, full disks, at random: each record accounted for once (ROUNDS=100 SEED=1)
	@scripts/build.sh tests
	@ROUNDS=$(or $(ROUNDS),100) SEED=$(or $(SEED),1) scripts/test.sh ChaosSerialTests

fuzz: setup ## Mutated HTTP/2 sessions, requests and checkpoint files (ITERATIONS=1000000 SEED=1); a failure names its seed
	@scripts/build.sh tests
	@GROOT_FUZZ_ITERATIONS=$(or $(ITERATIONS),1000000) GROOT_FUZZ_SEED=$(or $(SEED),1) swift test --skip-build --filter Fuzz

train: build ## Demonstrations, training, export, closed-loop report of the shipped policy
	@training/train.sh

generate: ## Regenerate the protobuf and gRPC code (needs protoc; builds the two generators, about 2 minutes)
	@scripts/generate-api.sh

package: setup ## A .deb per role in .state/packages: gateway, worker, agent, sim (Swift's runtime linked in)
	@scripts/build.sh package
	@python3 scripts/package.py --binaries .state/package-build/release

clean: ## Remove build products and local state
	@rm -rf .build .state

.PHONY: help setup build demo demo-stop evaluate bench-agent compare bench-images bench-delay bench-link-cut bench-settings bench-gateway bench-store bench-worker bench-gpu chaos fuzz test lint format train generate clean package
