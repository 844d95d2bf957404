/** External tensor data: which file, where in it, and the checks that keep a model from naming anything outside its own folder. */
import type { TensorProto } from 'onnx-buf';
import { TensorProto_DataLocation } from 'onnx-buf';
import { fail } from '../lib/errors.ts';
import type { ExternalFiles } from './types.ts';

export function isExternal(proto: TensorProto): boolean {
  return proto.dataLocation === TensorProto_DataLocation.EXTERNAL;
}

/**
 * The data file of an external tensor, as a path relative to the model without a leading './'.
 * @throws PapilioError malformed-onnx for a missing, absolute or climbing location
 */
export function externalLocation(proto: TensorProto, what: string): string {
  const raw = proto.externalData.find((entry) => entry.key === 'location')?.value ?? '';
  const parts = raw.split(/[/\\]/);
  const path = parts.filter((part) => part !== '.' && part !== '').join('/');
  if (path === '' || raw.includes('\0'))
    fail('malformed-onnx', `The ${what} is stored outside the model, but the file does not say where.`);
  if (parts[0] === '' || /^[A-Za-z][A-Za-z0-9+.-]*:/.test(raw) || parts.includes('..'))
    fail(
      'malformed-onnx',
      `The ${what} names "${raw}" for its data; only files beside the model may be used.`,
      { location: raw },
    );
  return path;
}

function byteCount(proto: TensorProto, key: string, what: string): number | undefined {
  const text = proto.externalData.find((entry) => entry.key === key)?.value;
  if (text === undefined) return undefined;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value))
    fail('malformed-onnx', `The ${what} has the ${key} "${text}", which is no count of bytes.`);
  return value;
}

/**
 * A view of the external bytes of a tensor.
 * @param byteLength what dims and dtype ask for
 * @throws PapilioError malformed-onnx if the file is missing, or offset and length do not fit it and the dims
 */
export function externalBytes(
  proto: TensorProto,
  files: ExternalFiles,
  byteLength: number,
  what: string,
): Uint8Array<ArrayBuffer> {
  const location = externalLocation(proto, what);
  const offset = byteCount(proto, 'offset', what) ?? 0;
  const length = byteCount(proto, 'length', what) ?? byteLength;
  const file = files.get(location) ?? files.get(`./${location}`);
  if (!file)
    fail(
      'malformed-onnx',
      `The ${what} is stored in "${location}", which is missing; open that file together with the model.`,
      {
        location,
      },
    );
  if (length !== byteLength)
    fail(
      'malformed-onnx',
      `The ${what} needs ${byteLength} bytes but announces ${length} in "${location}".`,
      { location },
    );
  if (offset + length > file.length)
    fail(
      'malformed-onnx',
      `The ${what} lies at bytes ${offset} to ${offset + length} of "${location}", which has only ${file.length}; the file is cut short.`,
      { location },
    );
  return file.subarray(offset, offset + length) as Uint8Array<ArrayBuffer>;
}
