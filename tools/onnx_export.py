"""A trained network as an ONNX file that is as small as its shipped weights.

PyTorch writes every weight as a float. `packed` puts the shipped eight or sixteen bits back in
their place, with the few operations that make floats of them. A runtime does these once, when it
loads the file, so packing costs no time afterwards and loses nothing.

Needs `onnx` and `onnxscript`, which come with the live extra: pip install -e ".[live]"
"""

import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from course_lib.core.eight_bits import BLOCK, dequantise
from course_lib.weights import SCALE

if TYPE_CHECKING:
    import onnx

OPSET = 20
FEW = 64  # numbers that are not worth packing


def export(
    net: nn.Module, example: Mapping[str, Tensor], outputs: Sequence[str]
) -> "onnx.ModelProto":
    """The network for inputs of just these names, shapes and types, as an ONNX model.

    Fixed shapes make the graph small: nothing is computed that is known beforehand.
    """
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")  # of PyTorch about itself
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            net.eval(),
            tuple(example.values()),
            dynamo=True,
            input_names=list(example),
            output_names=list(outputs),
            opset_version=OPSET,
            optimize=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]  # where in our code a line comes from, with paths
    for part in (*model.graph.value_info, *model.graph.initializer):
        del part.metadata_props[:]
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string = ""
    return model


def packed(model: "onnx.ModelProto", stored: Mapping[str, Tensor]) -> "onnx.ModelProto":
    """The same model with its weights in the bits they were shipped in.

    stored   what the weights' file holds: whole numbers and their scales (`weights.save_weights`)

    A weight is found by its value, bit by bit, as it is or transposed. What is in no file stays a
    float, unless half precision holds it exactly.
    """
    from onnx import helper, numpy_helper

    known = _by_value(stored)
    before, kept = [], []
    for weight in model.graph.initializer:
        value = numpy_helper.to_array(weight)
        if value.dtype != np.float32 or value.size < FEW:
            kept.append(weight)
            continue
        name, found = weight.name, known.get(value.tobytes())
        if found is not None:
            whole, scale, turned = found
            kept += [
                numpy_helper.from_array(whole.reshape(-1, BLOCK), f"{name}:whole"),
                numpy_helper.from_array(scale[:, None], f"{name}:scale"),
                numpy_helper.from_array(np.array(whole.shape), f"{name}:shape"),
            ]
            shaped = f"{name}:shaped" if turned else name
            before += [
                helper.make_node("Cast", [f"{name}:whole"], [f"{name}:float"], to=1),
                helper.make_node("Cast", [f"{name}:scale"], [f"{name}:each"], to=1),
                helper.make_node("Mul", [f"{name}:float", f"{name}:each"], [f"{name}:rows"]),
                helper.make_node("Reshape", [f"{name}:rows", f"{name}:shape"], [shaped]),
            ]
            if turned:
                before.append(helper.make_node("Transpose", [shaped], [name], perm=[1, 0]))
        elif np.array_equal(half := value.astype(np.float16), value):
            kept.append(numpy_helper.from_array(half, f"{name}:half"))
            before.append(helper.make_node("Cast", [f"{name}:half"], [name], to=1))
        else:
            kept.append(weight)
    after = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend([*before, *after])
    return model


def _by_value(stored: Mapping[str, Tensor]) -> dict[bytes, tuple[NDArray, NDArray, bool]]:
    """float32 bytes -> whole numbers, scales, and whether the bytes are those of the transpose."""
    known = {}
    for key, scale in stored.items():
        if not key.endswith(SCALE):
            continue
        whole = stored[key.removesuffix(SCALE)]
        if whole.numel() % BLOCK:
            continue  # an odd one and small: it stays as it is
        value, entry = dequantise(whole, scale), (whole.numpy(), scale.numpy())
        if whole.dim() == 2:
            known[value.T.contiguous().numpy().tobytes()] = (*entry, True)
        known[value.numpy().tobytes()] = (*entry, False)
    return known
