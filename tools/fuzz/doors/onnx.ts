/** Models: the file's bytes and the file's structure, through the import to the graph, and merged again without a change. */

import { toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import type { Rng } from '../../../src/lib/rng.ts';
import { loadModel } from '../../../src/models/load.ts';
import { mergeWeights } from '../../../src/models/merge.ts';
import { decodeModel } from '../../../src/onnx/decode.ts';
import { encodeModel } from '../../../src/onnx/encode.ts';
import type { OnnxModel } from '../../../src/onnx/types.ts';
import { textModel } from '../../../test/tools/contractModels.ts';
import { encodeExternal } from '../../../test/tools/encodeExternal.ts';
import { encoder, gpt2, llama, withLayers } from '../../../test/tools/graphs.ts';
import { builderLlama } from '../../../test/tools/graphsBuilder.ts';
import { optimisedGpt2 } from '../../../test/tools/graphsContrib.ts';
import { quantGraphs } from '../../../test/tools/graphsQuant.ts';
import { whisperHalves } from '../../../test/tools/graphsSpeech.ts';
import { vit } from '../../../test/tools/graphsVision.ts';
import { quantiseFile } from '../../../test/tools/quantiseFile.ts';
import { type Door, fuzzFile, type Input, replaceFile, textOf, utf8 } from '../door.ts';
import { mutateBytes } from '../mutate/bytes.ts';
import { mutateJson } from '../mutate/json.ts';
import { enlargedJson, enlargeModel } from '../mutate/large.ts';
import { mutateModel } from '../mutate/onnx.ts';

const MODEL = 'model.onnx';
const CONFIG = 'config.json';

const withConfig = (bytes: Uint8Array, config: object): Input => ({
  files: [fuzzFile(MODEL, bytes), fuzzFile(CONFIG, JSON.stringify(config))],
});

/** The graph with a number of examples that the file leaves open. */
function anyBatch({ proto }: OnnxModel): Uint8Array {
  for (const { type } of [...proto.graph!.input, ...proto.graph!.output]) {
    const first = type?.value.case === 'tensorType' ? type.value.value.shape?.dim[0] : undefined;
    if (first) first.value = { case: 'dimParam', value: 'batch' };
  }
  return toBinary(ModelProtoSchema, proto);
}

/** What a picture goes through before the model, as transformers writes it. */
export const PREPROCESSOR = {
  ...{
    image_processor_type: 'CLIPImageProcessor',
    do_resize: true,
    size: { shortest_edge: 32 },
    resample: 3,
  },
  ...{
    do_center_crop: true,
    crop_size: { height: 28, width: 28 },
    do_rescale: true,
    rescale_factor: 1 / 255,
  },
  ...{ do_normalize: true, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5], do_convert_rgb: true },
};

/** Graphs that have their number of examples in their nodes as well. */
const FIXED = /QAttention|bias of 32 bits|Relu in their codes/;

function seeds(): Input[] {
  const halves = withLayers(1, whisperHalves);
  const one = (make: () => OnnxModel) => encodeModel(withLayers(1, make));
  const text = (traits: Parameters<typeof textModel>[0]) => textModel(traits).bytes;
  const external = encodeExternal(decodeModel(text({ ends: 'words', causal: 12 })), 'weights.data');
  return [
    withConfig(text({ ends: 'classes', positions: { by: 'slice', rows: 16 } }), {
      ...{ model_type: 'bert', max_position_embeddings: 16 },
      id2label: { 0: 'a', 1: 'b', 2: 'c' },
    }),
    withConfig(text({ ends: 'hidden', segments: 2 }), { model_type: 'bert' }),
    withConfig(text({ ends: 'words', positions: { by: 'counted', rows: 20 } }), { model_type: 'roberta' }),
    withConfig(text({ ends: 'words', causal: 16 }), { model_type: 'gpt2', tie_word_embeddings: true }),
    withConfig(
      one(() => encoder({ family: 'bert' })),
      { model_type: 'bert' },
    ),
    withConfig(one(gpt2), { model_type: 'gpt2' }),
    withConfig(
      one(() => llama()),
      { model_type: 'llama' },
    ),
    {
      files: [
        ...withConfig(
          one(() => vit()),
          { model_type: 'vit' },
        ).files,
        fuzzFile('preprocessor_config.json', JSON.stringify(PREPROCESSOR)),
      ],
    },
    withConfig(one(optimisedGpt2), { model_type: 'gpt2' }),
    withConfig(encodeModel(quantiseFile(withLayers(1, () => builderLlama({ attention: 'group-query' })))), {
      model_type: 'llama',
    }),
    ...Object.entries(quantGraphs)
      .filter(([name]) => !FIXED.test(name))
      .map(([, make]) => withConfig(anyBatch(make().model), {})),
    {
      files: [
        fuzzFile('encoder_model.onnx', encodeModel(halves.encoder)),
        fuzzFile('decoder_model.onnx', encodeModel(halves.decoder)),
        fuzzFile(CONFIG, '{"model_type":"whisper"}'),
      ],
    },
    {
      files: [
        fuzzFile(MODEL, external.proto),
        fuzzFile('weights.data', external.data),
        fuzzFile(CONFIG, '{"model_type":"gpt2"}'),
      ],
    },
  ];
}

/** Parameters whose numbers are written back as they are. */
const WRITTEN = 3;

function open({ files }: Input): void {
  const model = loadModel(files);
  model.build(1, model.contract.exactly ?? 4);
  const same = new Map(model.parameters.slice(0, WRITTEN).map(({ name, load }) => [name, load()] as const));
  const merged = mergeWeights(model.onnx, model.modules, same);
  decodeModel(encodeModel(merged.onnx));
}

/** A small share of the trials spoils what lies beside the model instead. */
function withSidecar(input: Input, random: Rng): Input {
  const { name, bytes } = random.pick(input.files.filter((file) => file.name.endsWith('.json')));
  return replaceFile(input, name, utf8(mutateJson(textOf(bytes), random)));
}

function enlarge(input: Input, random: Rng): Input {
  const isModel = random.chance(0.85);
  const { name, bytes } = random.pick(
    input.files.filter((f) => f.name.endsWith(isModel ? '.onnx' : '.json')),
  );
  return replaceFile(input, name, isModel ? enlargeModel(bytes, random) : enlargedJson(bytes, random));
}

export const onnxBytes: Door = {
  name: 'onnx-bytes',
  about: 'an ONNX file whose bytes are spoiled, with external data and config.json',
  seeds,
  weight: 0.6,
  mutate: (input, random) =>
    random.chance(0.06)
      ? withSidecar(input, random)
      : {
          files: input.files.map((file) =>
            file.name.endsWith('.json') || random.chance(file.name.endsWith('.onnx') ? 0.1 : 0.7)
              ? file
              : { ...file, bytes: mutateBytes(file.bytes, random) },
          ),
        },
  enlarge,
  open,
};

export const onnxStructure: Door = {
  name: 'onnx-structure',
  about: 'an ONNX file whose nodes, attributes, shapes, initialisers, subgraphs or functions are spoiled',
  seeds,
  weight: 0.6,
  mutate(input, random) {
    const { name, bytes } = random.pick(input.files.filter((file) => file.name.endsWith('.onnx')));
    const spoiled = replaceFile(input, name, mutateModel(bytes, random));
    return random.chance(0.08) ? withSidecar(spoiled, random) : spoiled;
  },
  enlarge,
  open,
};
