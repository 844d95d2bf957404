/** All doors, by name. */
import type { Door } from '../door.ts';
import { adapterFolder, adapterZip, safetensors } from './adapters.ts';
import { hubListing } from './hub.ts';
import { onnxBytes, onnxStructure } from './onnx.ts';
import { idxDoor, picture } from './pictures.ts';
import { runFile } from './runFile.ts';
import { checkpoints } from './runs.ts';
import { runsFileDoor } from './runsFile.ts';
import { expression, link } from './settings.ts';
import { parquet, table, zip } from './tables.ts';
import { template, tokenizerDoor } from './words.ts';

export const DOORS: readonly Door[] = [
  onnxBytes,
  onnxStructure,
  safetensors,
  adapterFolder,
  adapterZip,
  checkpoints,
  tokenizerDoor,
  template,
  table,
  parquet,
  picture,
  idxDoor,
  zip,
  link,
  runFile,
  runsFileDoor,
  hubListing,
  expression,
];

export const doorNamed = (name: string): Door | undefined => DOORS.find((door) => door.name === name);
