"""Writes the tiny checkpoints that the worker's tests load.

Needs `onnx`, `numpy` and `onnxruntime`:  python make_fixtures.py   (run in this folder; the result is committed)

The graph of `tiny` has the worker's whole interface and is arithmetic anyone can redo by hand:

  action[b, i, j] = state[b, j] + 0.01 * i + noise[b, i, j]
                  + mean(image a) / 255 + 10 * mean(image b) / 255 + sum(task bytes) / 1000
  rows before frozen_rows[b] are replaced by prefix[b, i, j]; 0.5 * prefix_rows[b] is added to all others
"""

import json
import pathlib

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save
from onnxruntime.quantization import QuantType, quantize_dynamic

HERE = pathlib.Path(__file__).parent
CHUNK, DIMS, TASK, SIZE = 4, 3, 32, 4
IMAGES = {"observation.images.a": SIZE, "observation.images.b": SIZE}


def inputs(chunk=CHUNK, dims=DIMS):
    floats, ints = TensorProto.FLOAT, TensorProto.INT64
    result = [
        helper.make_tensor_value_info(key, TensorProto.UINT8, ["b", size, size, 3]) for key, size in IMAGES.items()
    ]
    result += [
        helper.make_tensor_value_info("observation.state", floats, ["b", dims]),
        helper.make_tensor_value_info("task", ints, ["b", TASK]),
        helper.make_tensor_value_info("noise", floats, ["b", chunk, dims]),
        helper.make_tensor_value_info("prefix", floats, ["b", chunk, dims]),
        helper.make_tensor_value_info("prefix_rows", ints, ["b"]),
        helper.make_tensor_value_info("frozen_rows", ints, ["b"]),
    ]
    return result


def constant(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def nodes():
    node = helper.make_node
    result = []
    for key, scale in (("a", "scale_a"), ("b", "scale_b")):
        result += [
            node("Cast", [f"observation.images.{key}"], [f"{key}_float"], to=TensorProto.FLOAT),
            node("ReduceMean", [f"{key}_float"], [f"{key}_mean"], axes=[1, 2, 3], keepdims=0),
            node("Mul", [f"{key}_mean", scale], [f"{key}_part"]),
        ]
    result += [
        node("Cast", ["task"], ["task_float"], to=TensorProto.FLOAT),
        node("ReduceSum", ["task_float", "axis_1"], ["task_sum"], keepdims=0),
        node("Mul", ["task_sum", "scale_task"], ["task_part"]),
        node("Cast", ["prefix_rows"], ["prefix_float"], to=TensorProto.FLOAT),
        node("Mul", ["prefix_float", "half"], ["prefix_part"]),
        node("Sum", ["a_part", "b_part", "task_part", "prefix_part"], ["offset"]),
        node("Unsqueeze", ["offset", "axes_12"], ["offset_3d"]),
        node("Unsqueeze", ["observation.state", "axis_1"], ["state_3d"]),
        node("Add", ["state_3d", "ramp"], ["ramped"]),
        node("Add", ["ramped", "noise"], ["noisy"]),
        node("Add", ["noisy", "offset_3d"], ["free"]),
        node("Unsqueeze", ["frozen_rows", "axes_12"], ["frozen_3d"]),
        node("Less", ["row_index", "frozen_3d"], ["is_frozen"]),
        node("Where", ["is_frozen", "prefix", "free"], ["action"]),
    ]
    return result


def constants():
    return [
        constant("scale_a", np.float32(1 / 255)),
        constant("scale_b", np.float32(10 / 255)),
        constant("scale_task", np.float32(1 / 1000)),
        constant("half", np.float32(0.5)),
        constant("axis_1", np.array([1], np.int64)),
        constant("axes_12", np.array([1, 2], np.int64)),
        constant("ramp", (0.01 * np.arange(CHUNK, dtype=np.float32)).reshape(1, CHUNK, 1)),
        constant("row_index", np.arange(CHUNK, dtype=np.int64).reshape(1, CHUNK, 1)),
    ]


def model(graph_nodes, initializers, chunk=CHUNK, output_chunk=CHUNK, floats=TensorProto.FLOAT):
    output = helper.make_tensor_value_info("action", floats, ["b", output_chunk, DIMS])
    graph_inputs = inputs(chunk)
    for graph_input in graph_inputs:
        if graph_input.type.tensor_type.elem_type == TensorProto.FLOAT:
            graph_input.type.tensor_type.elem_type = floats
    graph = helper.make_graph(graph_nodes, "tiny", graph_inputs, [output], initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(made)
    return made


def config():
    return {
        "type": "groot_mini",
        "n_obs_steps": 1,
        "chunk_size": CHUNK,
        "n_action_steps": CHUNK,
        "input_features": {
            **{key: {"type": "VISUAL", "shape": [3, size, size]} for key, size in IMAGES.items()},
            "observation.state": {"type": "STATE", "shape": [DIMS]},
        },
        "output_features": {"action": {"type": "ACTION", "shape": [DIMS]}},
        "groot": {
            "action_period_s": 0.1,
            "state_names": ["left", "right", "claw"],
            "action_names": ["left", "right", "claw_position"],
            "max_task_bytes": TASK,
            "supports_prefix": True,
        },
    }


def write(name, made):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config(), indent=2) + "\n")
    if isinstance(made, bytes):
        (folder / "model.onnx").write_bytes(made)
    else:
        save(made, folder / "model.onnx")


good = model(nodes(), constants())
write("tiny", good)

# Promises 4 rows and takes and gives 5.
longer = [c for c in constants() if c.name not in ("ramp", "row_index")] + [
    constant("ramp", np.zeros((1, 5, 1), np.float32)),
    constant("row_index", np.arange(5, dtype=np.int64).reshape(1, 5, 1)),
]
write("wrong-shape", model(nodes(), longer, chunk=5, output_chunk=5))

# Passes no inference at all: every action is NaN.
write(
    "not-finite",
    model(
        nodes()[:-1]
        + [
            helper.make_node("Where", ["is_frozen", "prefix", "free"], ["real"]),
            helper.make_node("Mul", ["real", "nan"], ["action"]),
        ],
        constants() + [constant("nan", np.float32("nan"))],
    ),
)

# Finite until somebody has state "left" above 100, then infinite in that row of the batch only.
write(
    "overflowing",
    model(
        nodes()[:-1]
        + [
            helper.make_node("Where", ["is_frozen", "prefix", "free"], ["real"]),
            helper.make_node("Greater", ["real", "hundred"], ["is_large"]),
            helper.make_node("Where", ["is_large", "infinity", "real"], ["action"]),
        ],
        constants() + [constant("hundred", np.float32(100)), constant("infinity", np.float32("inf"))],
    ),
)

# The arithmetic of `tiny` with half-precision numbers at its ends.
halves = {"observation.state": "state_half", "noise": "noise_half", "prefix": "prefix_half"}


def renamed(made):
    """Casts every half-precision input to single precision before it is used, and the answer back."""
    result = [helper.make_node("Cast", [name], [whole], to=TensorProto.FLOAT) for name, whole in halves.items()]
    for made_node in made:
        made_node.input[:] = [halves.get(name, name) for name in made_node.input]
        made_node.output[:] = ["whole" if name == "action" else name for name in made_node.output]
        result.append(made_node)
    return [*result, helper.make_node("Cast", ["whole"], ["action"], to=TensorProto.FLOAT16)]


write("half", model(renamed(nodes()), constants(), floats=TensorProto.FLOAT16))

# A small network on top of `tiny`, and the same one with its weights in 8 bits: what quantising a real policy gives.
numbers = np.random.default_rng(4)
network = [
    *nodes()[:-1],
    helper.make_node("Where", ["is_frozen", "prefix", "free"], ["plain"]),
    helper.make_node("MatMul", ["plain", "weights_1"], ["hidden"]),
    helper.make_node("Tanh", ["hidden"], ["bent"]),
    helper.make_node("MatMul", ["bent", "weights_2"], ["action"]),
]
weights = [
    constant("weights_1", numbers.normal(0, 0.2, (DIMS, 64)).astype(np.float32)),
    constant("weights_2", numbers.normal(0, 0.2, (64, DIMS)).astype(np.float32)),
]
write("network", model(network, constants() + weights))
write("network-int8", b"")
quantize_dynamic(HERE / "network/model.onnx", HERE / "network-int8/model.onnx", weight_type=QuantType.QInt8)

# The weights of `network` in a file beside it.
write("external", b"")
for weight in weights:
    weight.data_location = TensorProto.EXTERNAL
    offset = 0 if weight.name == "weights_1" else len(weights[0].raw_data)
    for key, value in {"location": "weights.bin", "offset": offset, "length": len(weight.raw_data)}.items():
        entry = weight.external_data.add()
        entry.key, entry.value = key, str(value)
(HERE / "external/weights.bin").write_bytes(b"".join(weight.raw_data for weight in weights))
for weight in weights:
    weight.ClearField("raw_data")
graph = helper.make_graph(
    network, "external", inputs(), [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["b", CHUNK, DIMS])],
    constants() + weights,
)  # fmt: skip
save(
    helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
    HERE / "external/model.onnx",
)

# Fails as a whole, with every row of the batch, when one of them has state "left" above 100.
write(
    "poisoned",
    model(
        nodes()[:-1]
        + [
            helper.make_node("Where", ["is_frozen", "prefix", "free"], ["real"]),
            helper.make_node("ReduceMax", ["observation.state"], ["largest"], keepdims=0),
            helper.make_node("Greater", ["largest", "hundred"], ["is_large"]),
            helper.make_node("Cast", ["is_large"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["nothing", "index"], ["looked_up"]),
            helper.make_node("Add", ["real", "looked_up"], ["action"]),
        ],
        constants() + [constant("hundred", np.float32(100)), constant("nothing", np.zeros(1, np.float32))],
    ),
)


def counting(above):
    """Counts to 2^40 when a state is larger than `above`: an inference that does not end."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_in"], ["go_out"]),
            helper.make_node("Identity", ["action_in"], ["action_out"]),
        ],
        "body",
        [
            value("round", TensorProto.INT64, []),
            value("go_in", TensorProto.BOOL, []),
            value("action_in", TensorProto.FLOAT, None),
        ],
        [value("go_out", TensorProto.BOOL, []), value("action_out", TensorProto.FLOAT, None)],
    )
    return model(
        nodes()[:-1]
        + [
            helper.make_node("Where", ["is_frozen", "prefix", "free"], ["real"]),
            helper.make_node("ReduceMax", ["observation.state"], ["largest"], keepdims=0),
            helper.make_node("Greater", ["largest", "above"], ["is_large"]),
            helper.make_node("Where", ["is_large", "many", "one"], ["rounds"]),
            helper.make_node("Loop", ["rounds", "go", "real"], ["action"], body=body),
        ],
        constants()
        + [
            constant("above", np.float32(above)),
            constant("many", np.int64(2**40)),
            constant("one", np.int64(1)),
            constant("go", np.bool_(True)),
        ],
    )


write("hanging", counting(100))
write("hangs-warming", counting(-1))

write("corrupt", b"this is no model\n" * 8)
