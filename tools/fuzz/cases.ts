/** Inputs kept as files, one in each line: door, what it was told, and the files deflated, as JSON. */
import { deflateSync, inflateSync } from 'fflate';
import type { Input } from './door.ts';

export interface Case {
  readonly door: string;
  /** What went wrong when it was found. */
  readonly was: string;
  readonly input: Input;
}

interface Written {
  readonly door: string;
  readonly was: string;
  readonly told?: Readonly<Record<string, unknown>>;
  /** Deflated, in base 64, by name. */
  readonly files: readonly (readonly [name: string, deflated: string])[];
}

export function writeCase({ door, was, input }: Case): string {
  const files = input.files.map(
    ({ name, bytes }) => [name, Buffer.from(deflateSync(bytes, { level: 9 })).toString('base64')] as const,
  );
  const written: Written = { door, was, ...(input.told && { told: input.told }), files };
  return `${JSON.stringify(written)}\n`;
}

export const readCases = (text: string): Case[] => text.trimEnd().split('\n').map(readCase);

function readCase(line: string): Case {
  const { door, was, told, files } = JSON.parse(line) as Written;
  const input = {
    files: files.map(([name, deflated]) => ({ name, bytes: inflateSync(Buffer.from(deflated, 'base64')) })),
    ...(told && { told }),
  };
  return { door, was, input };
}
