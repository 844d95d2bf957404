/** The sentence with which a configuration is refused as the file of an adapter. */
import { readAdapter } from '../adapters/peft.ts';
import { writeSafetensors } from '../adapters/safetensors.ts';
import { PapilioError } from '../lib/errors.ts';

/** Null if it is not refused. */
export function refusalOf(config: Readonly<Record<string, unknown>>): string | null {
  try {
    readAdapter(JSON.stringify(config), writeSafetensors(new Map()));
    return null;
  } catch (error) {
    if (error instanceof PapilioError) return error.message;
    throw error;
  }
}
