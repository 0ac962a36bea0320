"""The policy of training/groot_sized.py behind LeRobot's own PolicyServer, and one robot in front of it; used by bench_gpu.py.

    python bench_gpu_lerobot.py serve FOLDER PORT | drive FOLDER PORT SECONDS

The server is LeRobot's, with its queue, pickles and per-step processing; only the policy is handed to it instead of loaded,
because it is none of LeRobot's. Its pause between chunks (inference_latency) is off. `drive` prints round trips as JSON.
"""

from __future__ import annotations

import json
import pathlib
import pickle
import sys
import time
from concurrent import futures

import grpc
import numpy
from lerobot.async_inference.configs import PolicyServerConfig
from lerobot.async_inference.helpers import TimedObservation
from lerobot.async_inference.policy_server import PolicyServer
from lerobot.transport import services_pb2, services_pb2_grpc

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "training"))


class Handed:
    """What PolicyServer uses of a policy."""

    def __init__(self, config: dict) -> None:
        import torch
        from groot_sized import build
        from lerobot.configs.types import FeatureType, PolicyFeature

        self.torch = torch
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = build(config, self.device)
        size = self.network.sizes.image
        self.cameras = [key for key in config["input_features"] if "images" in key]
        feature = PolicyFeature(type=FeatureType.VISUAL, shape=(3, size, size))
        self.config = type("Config", (), {"image_features": {key: feature for key in self.cameras}})()

    def before(self, observation: dict) -> dict:
        return {k: v.to(self.device) if self.torch.is_tensor(v) else v for k, v in observation.items()}

    def predict_action_chunk(self, observation: dict):
        torch, s = self.torch, self.network.sizes
        pixels = torch.stack([observation[key].view(1, 3, s.image, s.image) for key in self.cameras], dim=1)
        pixels = (pixels * 255).to(torch.uint8).permute(0, 1, 3, 4, 2)
        task = observation["task"]
        word = (task if isinstance(task, str) else task[0]).encode().ljust(s.text_tokens)[: s.text_tokens]
        words = torch.tensor([list(word)]).to(self.device)
        with torch.inference_mode():
            noise = torch.zeros(1, s.horizon, s.actions, device=self.device)
            return self.network(pixels, words, observation["observation.state"].view(1, -1), noise).float()


def features(config: dict) -> dict:
    names = config["groot"]["state_names"]
    found = {"observation.state": {"dtype": "float32", "shape": (len(names),), "names": names}}
    for key, feature in config["input_features"].items():
        if feature["type"] == "VISUAL":
            _, height, width = feature["shape"]
            found[key] = {"dtype": "image", "shape": (height, width, 3), "names": ["height", "width", "channels"]}
    return found


def serve(config: dict, port: int) -> None:
    handed = Handed(config)
    server = PolicyServer(PolicyServerConfig(host="127.0.0.1", port=port, fps=30, inference_latency=0))
    server.policy, server.policy_type, server.device = handed, "act", str(handed.device)
    server.lerobot_features, server.actions_per_chunk = features(config), handed.network.sizes.horizon
    server.preprocessor, server.postprocessor = handed.before, lambda action: action.cpu()
    listener = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    services_pb2_grpc.add_AsyncInferenceServicer_to_server(server, listener)
    listener.add_insecure_port(f"127.0.0.1:{port}")
    listener.start()
    print("serving", flush=True)
    listener.wait_for_termination()


def drive(config: dict, port: int, seconds: float) -> list[float]:
    random = numpy.random.default_rng(0)
    raw: dict = {name: 0.0 for name in config["groot"]["state_names"]} | {"task": "Depalletize the green box"}
    for key, feature in config["input_features"].items():
        if feature["type"] == "VISUAL":
            _, height, width = feature["shape"]
            raw[key.removeprefix("observation.images.")] = random.integers(0, 256, (height, width, 3), dtype=numpy.uint8)
    trips: list[float] = []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = services_pb2_grpc.AsyncInferenceStub(channel)
        stub.Ready(services_pb2.Empty(), wait_for_ready=True, timeout=120)
        warm, until, step = 3, None, 0
        while until is None or time.monotonic() < until:
            began = time.monotonic()
            data = pickle.dumps(TimedObservation(timestamp=time.time(), timestep=step, observation=raw, must_go=True))
            stub.SendObservations(iter([services_pb2.Observation(transfer_state=services_pb2.TRANSFER_END, data=data)]))
            answer = stub.GetActions(services_pb2.Empty(), timeout=120)
            if not answer.data:
                raise SystemExit("LeRobot's server answered with nothing; see its log")
            pickle.loads(answer.data)
            step += 1
            if step == warm:
                until = time.monotonic() + seconds
            elif step > warm:
                trips.append(time.monotonic() - began)
    return trips


if __name__ == "__main__":
    folder, port_number = pathlib.Path(sys.argv[2]), int(sys.argv[3])
    found = json.loads((folder / "config.json").read_text())
    if sys.argv[1] == "serve":
        serve(found, port_number)
    else:
        print(json.dumps(drive(found, port_number, float(sys.argv[4]))))
