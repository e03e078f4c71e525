"""Reads the demo model's own GGUF file back, under the names of transformers: what training goes on from.

`carat convert` wrote the file from a folder of export.py; tensors are renamed as in src/convert, back.
"""
import re
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader

# Names in the file, then those of transformers; N is the number of a layer.
PROJECTIONS = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj"}
DECODER_AND_ENCODER = PROJECTIONS | {
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}


def layers(of: str, names: dict) -> dict:
    return {f"blk.N.{name}": f"{of}.N.{other}" for name, other in names.items()}


TEXT = layers("layers", DECODER_AND_ENCODER | {
    "attn_output": "self_attn.o_proj", "attn_norm": "input_layernorm", "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
    "post_norm": "post_per_layer_input_norm", "inp_gate": "per_layer_input_gate", "proj": "per_layer_projection",
}) | {
    "token_embd": "embed_tokens", "per_layer_token_embd": "embed_tokens_per_layer", "output_norm": "norm",
    "per_layer_model_proj": "per_layer_model_projection", "per_layer_proj_norm": "per_layer_projection_norm",
}
VISION = layers("encoder.layers", DECODER_AND_ENCODER | {
    "attn_out": "self_attn.o_proj", "ln1": "input_layernorm", "attn_post_norm": "post_attention_layernorm",
    "ln2": "pre_feedforward_layernorm", "ffn_post_norm": "post_feedforward_layernorm",
}) | {"patch_embd": "patch_embedder.input_proj"}
AUDIO = layers("layers", PROJECTIONS | {
    "attn_out": "self_attn.post", "attn_k_rel": "self_attn.relative_k_proj", "attn_pre_norm": "norm_pre_attn",
    "attn_post_norm": "norm_post_attn", "ln2": "norm_out",
    "ffn_norm": "feed_forward1.pre_layer_norm", "ffn_up": "feed_forward1.ffw_layer_1",
    "ffn_down": "feed_forward1.ffw_layer_2", "ffn_post_norm": "feed_forward1.post_layer_norm",
    "ffn_norm_1": "feed_forward2.pre_layer_norm", "ffn_up_1": "feed_forward2.ffw_layer_1",
    "ffn_down_1": "feed_forward2.ffw_layer_2", "ffn_post_norm_1": "feed_forward2.post_layer_norm",
    "conv_norm": "lconv1d.pre_layer_norm", "norm_conv": "lconv1d.conv_norm", "conv_pw1": "lconv1d.linear_start",
    "conv_pw2": "lconv1d.linear_end", "conv_dw": "lconv1d.depthwise_conv1d",
}) | {
    "conv1d.N": "subsample_conv_projection.layerN.conv", "conv1d.N.norm": "subsample_conv_projection.layerN.norm",
    "input_projection": "subsample_conv_projection.input_proj_linear", "pre_encode.out": "output_proj",
}
WHOLE = {  # names that end otherwise than in .weight and .bias on one of the sides
    "v.position_embd.weight": "vision_tower.patch_embedder.position_embedding_table",
    "blk.N.layer_output_scale.weight": "language_model.layers.N.layer_scalar",
    "a.blk.N.per_dim_scale.weight": "audio_tower.layers.N.self_attn.per_dim_scale",
    "mm.input_projection.weight": "embed_vision.embedding_projection.weight",
    "mm.a.input_projection.weight": "embed_audio.embedding_projection.weight",
}
NO_WEIGHTS = re.compile(r"rope_freqs\.weight|.*\.(in|out)put_(min|max)")  # computed, and bounds of clipped linears


def read_weights(path: Path) -> dict:
    """{parameter of transformers' Gemma4ForConditionalGeneration: f32 tensor}, without the bounds of clipped linears and
    what is tied to the embeddings."""
    tensors = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
    weights = {}
    for name, tensor in tensors.items():
        if NO_WEIGHTS.fullmatch(name):
            continue
        stem, _, ending = name.rpartition(".")
        is_clipped = f"{stem}.input_max" in tensors  # a linear layer inside of another that has the bounds
        weights[f"model.{name_of(stem, 'linear.' + ending if is_clipped else ending)}"] = value_of(tensor)
    return weights


def name_of(stem: str, ending: str) -> str:
    number = re.search(r"(?<=\.)\d+(?=\.|$)", stem)
    pattern = stem if number is None else f"{stem[:number.start()]}N{stem[number.end():]}"
    if f"{pattern}.{ending}" in WHOLE:
        found = WHOLE[f"{pattern}.{ending}"]
    else:
        tower = {"v": ("vision_tower", VISION), "a": ("audio_tower", AUDIO)}.get(stem.split(".")[0])
        part, names = tower or ("language_model", TEXT)
        found = f"{part}.{names[pattern[2:] if tower else pattern]}.{ending}"
    return found if number is None else found.replace("N", number[0])


def value_of(tensor) -> torch.Tensor:
    value = np.array(tensor.data, dtype=np.float32)
    if tensor.name.startswith("v.patch_embd."):  # [width, 3, side, side] -> [width, side * side * 3]
        value = value.transpose(0, 2, 3, 1).reshape(len(value), -1)
    elif ".conv_dw." in tensor.name:  # [channels, k] -> [channels, 1, k]
        value = value[:, None]
    elif ".per_dim_scale." in tensor.name:  # ln(1 + e^x) -> x
        value = np.log(np.expm1(value.astype(np.float64))).astype(np.float32)
    return torch.from_numpy(value)
