/** Tensors as callers of onnxruntime see them, and their way into and out of its own classes. */
import type { Tensor, TypedTensor } from 'onnxruntime-web';
import { fail } from '../lib/errors.ts';
import { float32ToHalf, halfToFloat32 } from '../lib/half.ts';
import { sizeOf } from '../lib/sizeOf.ts';

/** Element types that onnxruntime takes from JavaScript and that models here use. */
export type TensorDtype =
  | 'float32'
  | 'float16'
  | 'float64'
  | 'int64'
  | 'int32'
  | 'uint32'
  | 'int16'
  | 'uint16'
  | 'int8'
  | 'uint8'
  | 'bool';

export type NumberArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/**
 * Numbers with a shape, row-major. `dtype` is the element type in the model; `data` holds plain numbers: float16 as Float32Array,
 * int64 as Int32Array, bool as 0 and 1.
 */
export interface HostTensor {
  readonly dtype: TensorDtype;
  readonly dims: readonly number[];
  readonly data: NumberArray;
}

/** A tensor to feed; any list of numbers will do, it is converted to what the model wants. */
export interface FeedTensor {
  readonly dtype: TensorDtype;
  readonly dims: readonly number[];
  readonly data: ArrayLike<number>;
}

type Construct = typeof Tensor;

const plainArrays = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

/** onnxruntime's tensor of element type `dtype` from a feed; throws 'shape' when the count is not the product of the dims. */
export function toOrt(construct: Construct, name: string, feed: FeedTensor, dtype: TensorDtype): Tensor {
  const count = sizeOf(feed.dims);
  if (feed.data.length !== count) {
    fail(
      'shape',
      `Input ${name}: ${feed.data.length} values do not fill the shape [${feed.dims.join(', ')}].`,
      {
        input: name,
      },
    );
  }
  const dims = [...feed.dims];
  if (dtype === 'int64') {
    const wide = new BigInt64Array(count);
    for (let i = 0; i < count; i++) wide[i] = BigInt(feed.data[i]!);
    return new construct('int64', wide, dims);
  }
  if (dtype === 'float16') {
    return new construct('float16', float32ToHalf(feed.data), dims);
  }
  const array = plainArrays[dtype];
  const data = feed.data instanceof array ? feed.data : array.from(feed.data);
  return new construct(dtype, data as never, dims);
}

/** A copy in plain numbers of an output; throws 'unsupported-onnx' for strings and 'limit' for integers beyond 32 bits. */
export async function fromOrt(name: string, tensor: Tensor): Promise<HostTensor> {
  const dtype = tensor.type as TensorDtype;
  const dims = [...tensor.dims];
  const data = (await tensor.getData()) as TypedTensor<keyof typeof plainArrays>['data'] | BigInt64Array;
  if (data instanceof BigInt64Array) return { dtype, dims, data: narrow(name, data) };
  if (dtype === 'float16') {
    const bits = new Uint16Array(data.buffer, data.byteOffset, data.length);
    return { dtype, dims, data: halfToFloat32(bits) };
  }
  if (!(dtype in plainArrays)) {
    fail('unsupported-onnx', `Output ${name} has element type ${tensor.type}, which is not numeric.`, {
      output: name,
    });
  }
  return { dtype, dims, data: (data as Float32Array).slice() };
}

function narrow(name: string, wide: BigInt64Array): Int32Array {
  const narrowed = new Int32Array(wide.length);
  for (let i = 0; i < wide.length; i++) {
    const value = Number(wide[i]!);
    if (value !== (value | 0)) {
      fail('limit', `Output ${name}: the integer ${wide[i]} does not fit into 32 bits.`, { output: name });
    }
    narrowed[i] = value;
  }
  return narrowed;
}
