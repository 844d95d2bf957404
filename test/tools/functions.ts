/** Models that define operators of their own (ModelProto.functions), put together from graphs. */
import { create } from '@bufbuild/protobuf';
import type { AttributeProto, FunctionProto } from 'onnx-buf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  FunctionProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
} from 'onnx-buf';
import type { AttributeInput } from '../../src/onnx/build.ts';
import { type GraphBuilder, graphBuilder } from '../../src/onnx/build.ts';
import { withFields } from '../../src/onnx/proto.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { viewModel } from '../../src/onnx/view.ts';

/** Attribute `name` of a node inside a function: the call's float `to`. */
export const refers = (name: string, to: string): Record<string, AttributeInput> => {
  const type = AttributeProto_AttributeType.FLOAT;
  return { [name]: { kind: 'other', value: create(AttributeProtoSchema, { name, refAttrName: to, type }) } };
};

interface FunctionInput {
  readonly name: string;
  readonly domain?: string;
  readonly overload?: string;
  readonly inputs: readonly string[];
  /** Names of the attributes it takes. */
  readonly attributes?: readonly string[];
  readonly defaults?: readonly AttributeProto[];
  readonly opset?: number;
  /** Writes the body over the inputs' names; gives the outputs. */
  body(g: GraphBuilder): readonly string[];
}

export const float = (name: string, f: number): AttributeProto =>
  create(AttributeProtoSchema, { name, f, type: AttributeProto_AttributeType.FLOAT });

const imports = (domains: Readonly<Record<string, number>>) =>
  Object.entries(domains).map(([domain, version]) =>
    create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
  );

export function functionProto(input: FunctionInput): FunctionProto {
  const g = graphBuilder({ opset: 18 });
  for (const name of input.inputs) g.input(name, 'float32', null);
  const output = input.body(g);
  const nodes = g.graph().proto.node;
  return create(FunctionProtoSchema, {
    name: input.name,
    domain: input.domain ?? 'own.functions',
    overload: input.overload ?? '',
    input: [...input.inputs],
    output: [...output],
    attribute: [...(input.attributes ?? [])],
    attributeProto: [...(input.defaults ?? [])],
    node: nodes,
    opsetImport: imports({ '': input.opset ?? 18, 'own.functions': 1 }),
  });
}

export function withFunctions(model: OnnxModel, functions: readonly FunctionProto[]): OnnxModel {
  const domains = new Set(functions.map(({ domain }) => domain).filter(Boolean));
  const opsetImport = [
    ...model.proto.opsetImport,
    ...imports(Object.fromEntries([...domains].map((d) => [d, 1]))),
  ];
  const fields = { functions: [...functions], opsetImport, irVersion: 10n };
  return viewModel(withFields(ModelProtoSchema, model.proto, fields), model.external);
}
