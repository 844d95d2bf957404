/** Builds graphs: makes values, emits nodes in execution order, checks shapes through each op's `infer`. */
import { fail } from '../lib/errors.ts';
import { sizeOf } from './shape.ts';
import type { DeviceData, Emitter, Graph, Node, Op, Role, TensorSource, TensorType, Value } from './types.ts';

export interface Builder extends Emitter {
  readonly nodes: readonly Node[];
  /** A value written from the CPU before each run. The same name gives the same value; its type must not differ. */
  input(name: string, type: TensorType): Value;
  /** A frozen weight, shared by name over the program family. */
  parameter(name: string, type: TensorType, source: TensorSource): Value;
  /** A mutable tensor, shared by name over the program family. */
  state(name: string, type: TensorType, source: TensorSource): Value;
  finish(outputs: Readonly<Record<string, Value>>): Graph;
}

export function createBuilder(): Builder {
  const nodes: Node[] = [];
  const named = new Map<string, Value>();
  let nextValue = 0;

  const make = (
    role: Role,
    name: string,
    type: TensorType,
    producer: Node | null,
    source?: TensorSource,
  ): Value => ({
    id: nextValue++,
    name,
    role,
    dtype: type.dtype,
    shape: [...type.shape],
    producer,
    ...(source ? { source } : {}),
  });

  const shared = (role: Role, name: string, type: TensorType, source?: TensorSource): Value => {
    const known = named.get(`${role}:${name}`);
    if (known) {
      if (known.dtype !== type.dtype || known.shape.join() !== type.shape.join()) {
        fail('internal', `${role} ${name} is asked for as [${type.shape}] after [${known.shape}].`);
      }
      return known;
    }
    const value = make(role, name, type, null, source);
    named.set(`${role}:${name}`, value);
    return value;
  };

  return {
    nodes,
    input: (name, type) => shared('input', name, type),
    parameter: (name, type, source) => shared('parameter', name, type, source),
    state: (name, type, source) => shared('state', name, type, source),
    constant(type: TensorType, data: DeviceData, name = 'constant') {
      if (data.length !== sizeOf(type.shape)) {
        fail('internal', `Constant ${name} has ${data.length} elements for the shape [${type.shape}].`);
      }
      return make('constant', name, type, null, () => data);
    },
    emit<A>(op: Op<A>, inputs: readonly Value[], attrs: A, module?: string) {
      const types = op.infer(inputs, attrs);
      const outputs: Value[] = [];
      const node: Node<A> = {
        id: nodes.length,
        op,
        inputs,
        outputs,
        attrs,
        ...(module === undefined ? {} : { module }),
      };
      for (const type of types) outputs.push(make('temporary', op.name, type, node as Node));
      nodes.push(node as Node);
      return outputs;
    },
    finish(outputs) {
      const inputs = [...named.values()].filter((v) => v.role === 'input');
      return { nodes: [...nodes], inputs, outputs };
    },
  };
}
