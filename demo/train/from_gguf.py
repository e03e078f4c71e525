"""Reads the demo model's own GGUF file back, under the names of transformers: what training goes on from.

`carat convert` wrote the file from a folder of export.py; tensors are renamed as in src/convert, back.
"""
import re
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader

# Names in the file, then those of transformers; N is the number of a layer.
TEXT = {
    "token_embd": "embed_tokens", "per_layer_token_embd": "embed_tokens_per_layer", "output_norm": "norm",
    "per_layer_model_proj": "per_layer_model_projection", "per_layer_proj_norm": "per_layer_projection_norm",
    "blk.N.attn_norm": "layers.N.input_layernorm", "blk.N.post_attention_norm": "layers.N.post_attention_layernorm",
    "blk.N.ffn_norm": "layers.N.pre_feedforward_layernorm", "blk.N.post_ffw_norm": "layers.N.post_feedforward_layernorm",
    "blk.N.post_norm": "layers.N.post_per_layer_input_norm",
    "blk.N.attn_q": "layers.N.self_attn.q_proj", "blk.N.attn_k": "layers.N.self_attn.k_proj",
    "blk.N.attn_v": "layers.N.self_attn.v_proj", "blk.N.attn_output": "layers.N.self_attn.o_proj",
    "blk.N.attn_q_norm": "layers.N.self_attn.q_norm", "blk.N.attn_k_norm": "layers.N.self_attn.k_norm",
    "blk.N.ffn_gate": "layers.N.mlp.gate_proj", "blk.N.ffn_up": "layers.N.mlp.up_proj",
    "blk.N.ffn_down": "layers.N.mlp.down_proj", "blk.N.inp_gate": "layers.N.per_layer_input_gate",
    "blk.N.proj": "layers.N.per_layer_projection",
}
VISION = {
    "patch_embd": "patch_embedder.input_proj",
    "blk.N.ln1": "encoder.layers.N.input_layernorm", "blk.N.attn_post_norm": "encoder.layers.N.post_attention_layernorm",
    "blk.N.ln2": "encoder.layers.N.pre_feedforward_layernorm",
    "blk.N.ffn_post_norm": "encoder.layers.N.post_feedforward_layernorm",
    "blk.N.attn_q": "encoder.layers.N.self_attn.q_proj.linear", "blk.N.attn_k": "encoder.layers.N.self_attn.k_proj.linear",
    "blk.N.attn_v": "encoder.layers.N.self_attn.v_proj.linear", "blk.N.attn_out": "encoder.layers.N.self_attn.o_proj.linear",
    "blk.N.attn_q_norm": "encoder.layers.N.self_attn.q_norm", "blk.N.attn_k_norm": "encoder.layers.N.self_attn.k_norm",
    "blk.N.ffn_gate": "encoder.layers.N.mlp.gate_proj.linear", "blk.N.ffn_up": "encoder.layers.N.mlp.up_proj.linear",
    "blk.N.ffn_down": "encoder.layers.N.mlp.down_proj.linear",
}
AUDIO = {
    "conv1d.N": "subsample_conv_projection.layerN.conv", "conv1d.N.norm": "subsample_conv_projection.layerN.norm",
    "input_projection": "subsample_conv_projection.input_proj_linear", "pre_encode.out": "output_proj",
    "blk.N.ffn_norm": "layers.N.feed_forward1.pre_layer_norm", "blk.N.ffn_up": "layers.N.feed_forward1.ffw_layer_1.linear",
    "blk.N.ffn_down": "layers.N.feed_forward1.ffw_layer_2.linear",
    "blk.N.ffn_post_norm": "layers.N.feed_forward1.post_layer_norm",
    "blk.N.ffn_norm_1": "layers.N.feed_forward2.pre_layer_norm",
    "blk.N.ffn_up_1": "layers.N.feed_forward2.ffw_layer_1.linear",
    "blk.N.ffn_down_1": "layers.N.feed_forward2.ffw_layer_2.linear",
    "blk.N.ffn_post_norm_1": "layers.N.feed_forward2.post_layer_norm",
    "blk.N.attn_pre_norm": "layers.N.norm_pre_attn", "blk.N.attn_post_norm": "layers.N.norm_post_attn",
    "blk.N.ln2": "layers.N.norm_out", "blk.N.attn_q": "layers.N.self_attn.q_proj.linear",
    "blk.N.attn_k": "layers.N.self_attn.k_proj.linear", "blk.N.attn_v": "layers.N.self_attn.v_proj.linear",
    "blk.N.attn_out": "layers.N.self_attn.post.linear", "blk.N.attn_k_rel": "layers.N.self_attn.relative_k_proj",
    "blk.N.conv_norm": "layers.N.lconv1d.pre_layer_norm", "blk.N.norm_conv": "layers.N.lconv1d.conv_norm",
    "blk.N.conv_pw1": "layers.N.lconv1d.linear_start.linear", "blk.N.conv_pw2": "layers.N.lconv1d.linear_end.linear",
    "blk.N.conv_dw": "layers.N.lconv1d.depthwise_conv1d",
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
    return {f"model.{name_of(tensor.name)}": value_of(tensor) for tensor in GGUFReader(path).tensors
            if not NO_WEIGHTS.fullmatch(tensor.name)}


def name_of(name: str) -> str:
    number = re.search(r"(?<=\.)\d+(?=\.)", name)
    pattern = name if number is None else f"{name[:number.start()]}N{name[number.end():]}"
    if pattern in WHOLE:
        found = WHOLE[pattern]
    else:
        stem, _, ending = pattern.rpartition(".")
        part, table = {"v": ("vision_tower", VISION), "a": ("audio_tower", AUDIO)}.get(name.split(".")[0],
                                                                                    ("language_model", TEXT))
        found = f"{part}.{table[stem if part == 'language_model' else stem[2:]]}.{ending}"
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
